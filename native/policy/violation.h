// Refusals become events here.
#pragma once

#include <string_view>

#include "facts.h"

namespace holdfast {

// A refusal of a call that was judged: by a rule, by a hook, or because nothing allows it.
void report_refused(Sandbox& sandbox, const Held& call, const Facts& facts, int error, std::string_view rule,
                    std::string_view reason, const Missing& missing = {});

// A refusal that no rule made: what is never allowed, an object that is not there for the tree, a read that failed.
void report(Sandbox& sandbox, const Held& call, int error, std::string_view reason, std::string_view path = {});

// A refusal by another rule than one about names.
void report_by_rule(Sandbox& sandbox, const Held& call, int error, std::string_view rule, std::string_view reason);

}  // namespace holdfast
