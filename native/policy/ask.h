// Which hooks are asked about a call, and what their answers mean.
#pragma once

#include "config.h"
#include "facts.h"

namespace holdfast {

struct Decision {
  enum class Kind : uint8_t { allow, error, kill, redirect, respond, gone };
  Kind kind = Kind::error;
  int error = 0;     // positive errno; signal number for kill
  std::string data;  // redirect: a path, or protocol::RedirectAddress; respond: the contents

  static Decision refused(int number);
  bool allowed() const { return kind == Kind::allow; }
};

// A refusal, with its violation.
Decision refuse(Sandbox& sandbox, const Held& call, const Facts& facts, int number, std::string_view rule,
                std::string_view reason);

bool anybody_wants(const Config& config, const Facts& facts);

// Asks; this may block until the answer, the caller's death, or the channel's end. False: no opinion, the allow rules
// decide.
bool ask(Sandbox& sandbox, const Held& call, const Facts& facts, Decision& out);

}  // namespace holdfast
