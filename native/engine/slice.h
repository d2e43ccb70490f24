// How the workers share a processor with their callers.
#pragma once

namespace holdfast {

// The calling thread is to leave its processor to a caller that it wakes, rather than finish first: it asks for longer
// and so later turns (sched_setattr(2), sched_runtime; since Linux 6.12, and nothing where the kernel has no such
// thing). It gets no less of the processor. Asks once for each thread, when it has woken some.
void let_callers_go_first();

}  // namespace holdfast
