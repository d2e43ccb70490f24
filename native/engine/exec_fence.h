// An exec of a thread that does not lead its process takes the leader's number: from one moment to the next that is
// another program, with other memory (execve(2); ptrace(2), "execve(2) under ptrace"). So while somebody works for the
// leader no such exec goes on, and while one goes on nobody begins to work for the leader. Who works for it is told to
// give up, as if it had died; if the exec fails, its call is held once more. Other threads need none of that: the exec
// waits until they are reaped.
#pragma once

#include <sys/types.h>

#include "../call/held.h"

namespace holdfast {

// For the tracer. From then on nobody begins to work for the process's leader; several threads may be in an exec.
void begin_fence(pid_t group);
// One of them is over.
void end_fence(pid_t group);

// Whether that is so. Any thread; asked, after begin_work_for(), by everybody.
bool is_fenced(pid_t tid);

// For the notification workers: begin_work_for() the caller, as soon as that may be. The caller must look afterwards
// whether the call is still held.
void begin_work_outside_fence(const Held& call);

}  // namespace holdfast
