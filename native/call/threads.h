// Threads with small stacks, and the end of everything.
#pragma once

namespace holdfast {

// Starts a detached thread; false if the system has none left.
bool start_thread(void* (*run)(void*), void* argument);

// Something that cannot be: says why on the channel's last word and ends the supervisor, and with it the tree
// (PTRACE_O_EXITKILL).
[[noreturn]] void fatal(const char* reason);

}  // namespace holdfast
