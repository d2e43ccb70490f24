// Refusals become events here.
#pragma once

#include <string_view>

#include "facts.h"

namespace holdfast {

// A refusal of a call that was judged: by a rule, by a hook, or because nothing allows it.
void report_refused(Sandbox& sandbox, const Held& call, const Facts& facts, int error, std::string_view rule,
                    std::string_view reason, const Missing& missing = {});

// What rules would have refused, and was let by as the policy says.
void report_let_by(Sandbox& sandbox, const Held& call, const Facts& facts, int error, std::string_view rule,
                   std::string_view reason, const Missing& missing);

// A refusal that no rule made: what is never allowed, an object that is not there for the tree, a read that failed.
void report(Sandbox& sandbox, const Held& call, int error, std::string_view reason, std::string_view path = {});
// A refusal to say whether anything is there, by a rule.
void report_denied_name(Sandbox& sandbox, const Held& call, int error, std::string_view rule, std::string_view path);

// A refusal by another rule than one about names, or by a hook on the call itself. `error` 0: nobody sees an errno.
void report_by_rule(Sandbox& sandbox, const Held& call, int error, std::string_view rule, std::string_view reason);

// No refusal: a call that a rule of the policy wants to be told of.
void report_logged(Sandbox& sandbox, const Held& call, std::string_view rule);

}  // namespace holdfast
