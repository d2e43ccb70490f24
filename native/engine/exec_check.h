// Whether the image of a stopped thread that has just made an exec is the one that was approved.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>

#include "../call/finish.h"
#include "../call/held.h"
#include "../call/sandbox.h"

namespace holdfast {

// What a thread may execute at its next exec, said before the held call goes on; a later approval takes the place of
// one that was not used, as the kernel has refused the exec.
void approve_exec(pid_t tid, std::unique_ptr<ExecApproval> approved);
// Null: there is none. For the tracer, at an exec and when a thread ends.
std::unique_ptr<ExecApproval> take_exec_approval(pid_t tid);
// Whether it may be in an exec: it has one that was not taken.
bool may_be_in_exec(pid_t tid);

// At PTRACE_EVENT_EXEC, before the first new instruction. `stack` and `start`: the new stack and instruction pointers.
// On a mismatch false, and a violation.
bool exec_is_as_approved(Sandbox& sandbox, const Held& call, const ExecApproval& approved, uint64_t stack,
                         uint64_t start);

}  // namespace holdfast
