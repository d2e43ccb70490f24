// Which rules have matched a call, told when nothing of the tree is left.
#pragma once

#include "../call/sandbox.h"

namespace holdfast {

// May have to wait for room.
void report_rule_use(Sandbox& sandbox);

}  // namespace holdfast
