// Who descends from this process, where nobody follows the tree (engine `kernel`). The supervisor is its subreaper, so
// whoever loses his parent becomes its child.
#pragma once

#include <sys/types.h>

#include <vector>

namespace holdfast {

// Those that /proc shows just now; others may be made meanwhile.
std::vector<pid_t> descendants();

// Sends a signal to each, by a descriptor that means that very process.
void signal_descendants(int signal);

// Ends all of them: whoever is made meanwhile, too. Returns when none is left that could make another; who has ended is
// still to be reaped. Any thread.
void kill_descendants();

}  // namespace holdfast
