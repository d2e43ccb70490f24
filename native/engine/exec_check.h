// Whether the image of a stopped thread that has just made an exec is the one that was approved.
#pragma once

#include <cstdint>

#include "../call/finish.h"
#include "../call/held.h"
#include "../call/sandbox.h"

namespace holdfast {

// At PTRACE_EVENT_EXEC, before the first new instruction. `stack` and `start`: the new stack and instruction pointers.
// On a mismatch false, and a violation.
bool exec_is_as_approved(Sandbox& sandbox, const Held& call, const ExecApproval& approved, uint64_t stack,
                         uint64_t start);

}  // namespace holdfast
