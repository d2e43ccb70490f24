// What a call is about, as rules and hooks see it, and how records tell it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "../call/held.h"
#include "../call/sandbox.h"
#include "../protocol/tlv.h"
#include "rules.h"

namespace holdfast {

constexpr int64_t kNoTarget = INT64_MIN;

// Names are canonical; nothing here is the caller's memory.
struct Facts {
  Event event = Event::none;
  const char* event_syscall = nullptr;  // the row's name if null

  struct Path {
    std::string_view name;          // canonical
    uint8_t access = 0;             // protocol::kRead | kWrite | kExecute; 0: only its metadata
    bool missing = false;           // does not exist, and is not about to be made
    Part part = Part::contents;     // what of it kWrite is about
    Thing thing = Thing::ordinary;  // what is there, where `part` is not the contents
    bool made = false;              // does not exist, and is about to be made
    bool own_terminal = false;      // one that the tree has made
  };
  Path paths[2];
  int path_count = 0;

  const Address* address = nullptr;  // connect, bind, send
  uint8_t operation = 0;             // protocol::kConnect or kBind
  bool granted = false;              // needs no allow rule: only deny rules and hooks are asked
  bool refused_anyway = false;       // for another reason, if nobody allows it: that rules let it by is not told

  // Fields for the hook and the event; each is sent only if set (`has` bits by Tag would be dearer than these).
  int64_t flags = -1, mode = -1, size = -1, uid = -2, gid = -2, signal = -1, directory = -1, device = -1;
  int64_t target_pid = kNoTarget;     // any int is one
  const int64_t* times = nullptr;     // atime sec, nsec, mtime sec, nsec
  std::string_view target;            // symlink's text
  std::string_view name;              // attribute's name
  std::string_view interpreter;       // exec
  const std::string* argv = nullptr;  // exec: argv_count strings
  size_t argv_count = 0;
  int64_t code = -1;                     // exit: of an end that is not by `signal`
  uint8_t kind = 0;                      // fork: protocol::kProcess, kThread or kVfork; exit: kAnyKind
  const std::string* program = nullptr;  // fork and exit: what the caller runs; empty if that is not known
  uint64_t environment = 0;              // exec: where its list is in the caller's memory
};

// A right that a call wanted and has not: its name, the field of a policy that would give it (none: no rule does),
// whether it is about the second of two paths, and whether a rule on the folder would give it, since one on the path
// does not.
struct Missing {
  const char* right = nullptr;
  const char* field = nullptr;
  bool second = false;
  bool of_folder = false;
};

// The fields of a policy that give what a call wants; nullptr: none does. A hook or nobody may have said so then.
struct Given {
  struct Rights {
    const char *metadata = nullptr, *read = nullptr, *write = nullptr, *execute = nullptr;
  } paths[2];
  const char* address = nullptr;
};

// True of what the kernel shows for an object that never had a name (pipe:[1], anon_inode:[eventfd], a memfd).
bool is_nameless(std::string_view shown);

// The call's name in records.
const char* syscall_of(const Held& call, const Facts& facts);

// What the caller runs. Empty if it cannot be read, or if the number may be another's by now.
std::string executable_of(Sandbox& sandbox, const Held& call);

// Into a record: who calls what; the names and the address it is about; the rest that only hooks hear.
void write_caller(protocol::FieldWriter& writer, const Held& call, const char* syscall, std::string_view executable);
void write_names(protocol::FieldWriter& writer, const Facts& facts);
void write_details(protocol::FieldWriter& writer, const Facts& facts);

}  // namespace holdfast
