// Held calls that really waited and were cut short because their caller has a signal to handle. Whether such a call is
// made again is for the caller's own handler to say (SA_RESTART), as for any call that waits. One that no worker had
// received yet has not waited for anything that the program knows of: it is made again whatever the handler says.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "held.h"

namespace holdfast {

// Before the call is answered with ERESTARTSYS.
void note_interrupted(const Held& call);
// The thread makes another call, or is gone. Costs one load where nothing was noted.
void forget_interrupted(pid_t tid);
// Whether it is the call that these registers of the thread show.
bool was_interrupted(pid_t tid, int64_t number, const uint64_t (&args)[6]);

}  // namespace holdfast
