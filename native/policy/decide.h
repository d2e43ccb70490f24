// The order of decision, in one place: explicit deny, hooks, allow, deny. Refusals become violations here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "../call/held.h"
#include "../call/sandbox.h"
#include "rules.h"

namespace holdfast {

// What a call is about, as rules and hooks see it. Names are canonical; nothing here is the caller's memory.
struct Facts {
  Event event = Event::none;
  const char* event_syscall = nullptr;  // the row's name if null

  struct Path {
    std::string_view name;  // canonical
    uint8_t access = 0;     // protocol::kRead | kWrite | kExecute; 0: only its metadata
    bool missing = false;   // does not exist, and is not about to be made
  };
  Path paths[2];
  int path_count = 0;

  const Address* address = nullptr;  // connect, bind, send
  uint8_t operation = 0;             // protocol::kConnect or kBind

  // Fields for the hook and the event; each is sent only if set (`has` bits by Tag would be dearer than these).
  int64_t flags = -1, mode = -1, size = -1, uid = -2, gid = -2, signal = -1, target_pid = -1, directory = -1,
          device = -1;
  const int64_t* times = nullptr;     // atime sec, nsec, mtime sec, nsec
  std::string_view target;            // symlink's text
  std::string_view name;              // attribute's name
  std::string_view interpreter;       // exec
  const std::string* argv = nullptr;  // exec: argv_count strings
  size_t argv_count = 0;
};

struct Decision {
  enum class Kind : uint8_t { allow, error, kill, redirect, respond, gone };
  Kind kind = Kind::error;
  int error = 0;     // positive errno; signal number for kill
  std::string data;  // redirect: a path, or protocol::RedirectAddress; respond: the contents

  bool allowed() const { return kind == Kind::allow; }
};

// Decides; asks hooks if their filters match (this may block until the answer, the caller's death, or the channel's
// end); emits the violation if the answer is a refusal. A missing name that no rule allows and none denies by name, and
// that nobody wants to write, is ENOENT without a violation: programs look for files that are not there all the time.
// Rules on /proc/self and /proc/thread-self hold for the caller's own numbers. Without an event no hook is asked.
Decision decide(Sandbox& sandbox, const Held& call, const Facts& facts);

// Rules allow it and no hook wants to hear of it: decide() would say so, and nobody would notice that it was asked.
bool allowed_unheard(const Sandbox& sandbox, const Held& call, const Facts& facts);

// A refusal that no rule made: what is never allowed, an object that is not there for the tree, a read that failed.
void report(Sandbox& sandbox, const Held& call, int error, std::string_view reason, std::string_view path = {});

}  // namespace holdfast
