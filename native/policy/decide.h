// The order of decision, in one place: explicit deny, hooks, allow, deny.
#pragma once

#include <string_view>

#include "ask.h"
#include "facts.h"
#include "violation.h"

namespace holdfast {

// Decides; asks hooks if their filters match (this may block until the answer, the caller's death, or the channel's
// end); emits the violation if the answer is a refusal. A missing name that no rule allows and none denies by name, and
// that nobody wants to write, is ENOENT without a violation: programs look for files that are not there all the time.
// Rules on /proc/self and /proc/thread-self hold for the caller's own numbers. Without an event no hook is asked.
Decision decide(Sandbox& sandbox, const Held& call, const Facts& facts);

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
