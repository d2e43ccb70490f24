// The order of decision, in one place: explicit deny, hooks, allow, deny.
#pragma once

#include <string_view>

#include "ask.h"
#include "facts.h"
#include "judge.h"
#include "violation.h"

namespace holdfast {

// Decides; asks hooks if their filters match (this may block until the answer, the caller's death, or the channel's
// end); emits the violation if the answer is a refusal. A missing name that no rule allows and none denies by name, and
// that nobody wants to write, is ENOENT without a violation: programs look for files that are not there all the time.
// Rules on /proc/self and /proc/thread-self hold for the caller's own numbers. Without an event no hook is asked.
Decision decide(Sandbox& sandbox, const Held& call, const Facts& facts);

// What the rules say of a judged call, hooks aside.
struct Ruling {
  int error = 0;          // 0: it is allowed
  bool final = false;     // no hook is asked
  bool silent = false;    // nothing is there: no violation
  std::string_view rule;  // that decides; empty: none does
  std::string_view reason;
  Missing missing;
};
Ruling ruling_of(const Config& config, const Judgement& judgement);
// Whether it is a refusal that the policy only wants to be told of.
bool lets_by(const Config& config, const Judgement& judgement, const Ruling& ruling);

// What they say where the walk of a call ends because nothing is at `place`: who may not look there is not told so.
Ruling ruling_where_nothing_is(const Config& config, std::string_view place);

// What is judged of the path of a unix socket: a rule on unix sockets decides if there is one and files.deny does not
// hold there; else the right to write there, which is what the kernel itself asks of who connects (unix(7)). `path` and
// `address`, which `facts` may point to, live on.
void facts_of_socket(const Config& config, std::string_view path, bool missing, Address& address, Facts& facts);

// Where a hook has sent the call: it has said yes, and gives no more than a deny rule leaves.
Decision decide_redirected(Sandbox& sandbox, const Held& call, const Facts& facts);

// Refused if a deny rule says so; what else decide() would say is left to it.
Decision decide_denied(Sandbox& sandbox, const Held& call, const Facts& facts, std::string_view reason = "");

// Rules allow it, no hook wants to hear of it and nobody counts it: decide() would say so, and nobody would notice that
// it was asked.
bool allowed_unheard(const Sandbox& sandbox, const Held& call, const Facts& facts);
// The same where this path is all that it is about.
bool allowed_unheard(const Sandbox& sandbox, const Held& call, const Facts::Path& path);

}  // namespace holdfast
