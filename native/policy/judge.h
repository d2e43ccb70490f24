// What the rules say about a call.
#pragma once

#include "config.h"
#include "facts.h"

namespace holdfast {

struct Judgement {
  bool denied = false;          // by a deny rule
  bool allowed = true;          // all of it, by allow rules
  bool narrowed = false;        // not by those of a policy that was put on top, and no hook can allow more
  bool never = false;           // nor could they: what is missing no rule gives
  bool only_missing = true;     // what is not allowed is not there
  bool hidden = true;           // nor could it be seen: what the policy says of such things is to be answered
  bool not_there = false;       // denied by a rule that hides
  const char* rule = "";        // that denied
  const char* allowed_by = "";  // the last that allowed a part of it
  Missing missing;              // the first right that was denied, or else that nothing gives
  const char* reason = "nothing allows it";
  Given given;  // what was allowed, by which rules
};

// Rules on /proc/self hold for the numbers of all processes of the tree, on /proc/thread-self for the caller's own.
Judgement judge(const Config& config, const Held& call, const Facts& facts);

}  // namespace holdfast
