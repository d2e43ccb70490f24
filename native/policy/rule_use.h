// Which rules have matched a call, told when nothing of the tree is left.
#pragma once

#include "../call/sandbox.h"

namespace holdfast {

// For a refusal that several may have led to.
void note_every_rule(const Config& config);
// May have to wait for room.
void report_rule_use(Sandbox& sandbox);

}  // namespace holdfast
