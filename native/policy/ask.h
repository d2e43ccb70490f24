// Which hooks are asked about a call, and what their answers mean.
#pragma once

#include "config.h"
#include "facts.h"

namespace holdfast {

struct Decision {
  enum class Kind : uint8_t { allow, error, kill, redirect, respond, fake, gone };
  Kind kind = Kind::error;
  bool by_hook = false;  // allowed by one, and not by the rules
  int error = 0;         // positive errno; signal number for kill; for fake the result, or -1: that of a success
  std::string data;      // redirect: a path, protocol::RedirectAddress, or RedirectedProgram's; respond: the contents

  static Decision refused(int number);
  bool allowed() const { return kind == Kind::allow; }
};

// A refusal, with its violation.
Decision refuse(Sandbox& sandbox, const Held& call, const Facts& facts, int number, std::string_view rule,
                std::string_view reason, const Missing& missing = {});

bool anybody_wants(const Config& config, const Held& call, const Facts& facts);

// Whether a hook on whatever event, asked about something by the name `from` (or, of a directory, about what lies in
// it), would not be asked any more if that became `to`.
bool would_escape_hooks(const Config& config, std::string_view from, std::string_view to, bool is_directory);

// Asks; this may block until the answer, the caller's death, or the channel's end. False: no opinion, the allow rules
// decide.
bool ask(Sandbox& sandbox, const Held& call, const Facts& facts, Decision& out);

}  // namespace holdfast
