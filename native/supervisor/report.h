// Records about the command's own life. Each may wait for room on the channel, so none is sent by the tracer thread.
#pragma once

#include <sys/types.h>

#include "launch.h"
#include "sandbox.h"

namespace holdfast {

void report_launched(Sandbox& sandbox, pid_t command);
void report_failed_launch(Sandbox& sandbox, const Launch& launch);
void report_exit(Sandbox& sandbox, pid_t command, int wait_status);
// Waits until every record before it, and itself, is in the ring.
void report_end(Sandbox& sandbox);

}  // namespace holdfast
