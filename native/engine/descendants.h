// Engine `kernel`: nobody follows the tree, so only the kernel knows who belongs to it. The supervisor is in a Landlock
// domain of its own, whose signals stay inside it (landlock(7), LANDLOCK_SCOPE_SIGNAL), and so is all that it makes:
// its signal to everybody (kill(2), -1) reaches the tree and nobody else. It reaches all of it at once: the kernel
// takes the list of processes for the time of the call, and who has a signal waiting makes nobody (copy_process() in
// kernel/fork.c).
//
// One process more is in a domain around that one, where nobody of the tree can signal it. All it does is to wait for
// the supervisor's end, by whatever, and to send SIGKILL to everybody then.
#pragma once

namespace holdfast {

// Enters that domain, and makes that process. Before the command's process, and before any thread. Without ABI 6 of
// Landlock it does nothing: then nothing starts (policy/needs_hold). 0 or a positive errno.
int enclose_descendants();

// Sends a signal to all of the tree. SIGKILL leaves none that could make another; who has ended is still to be reaped.
// Any thread.
void signal_descendants(int signal);

// Nothing of the tree is left, or nothing was made: ends that process, and waits for its end.
void end_watchdog();

}  // namespace holdfast
