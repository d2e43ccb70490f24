// Threads with small stacks, kept ready where there may be none later, and the end of everything.
#pragma once

#include <atomic>
#include <cstddef>

#include "../protocol/protocol.h"

namespace holdfast {

// Gives each thread that is made from now on a working directory and an umask of its own, and the calling one. False if
// the system does not allow it (a container's profile): then all have the same.
bool separate_threads();
bool threads_are_separate();

// Before the command runs: makes threads that wait for their work, so that a tree that has used up a limit of processes
// (RLIMIT_NPROC, pids.max) finds all of them there. False if there are not so many.
bool keep_threads_ready(size_t count);

// Starts a detached thread; false if the system has none left. `kept`: one of those that are ready, if one is left.
bool start_thread(void* (*run)(void*), void* argument, bool kept = false);

// Threads that do the same work. One of them at least never waits for what the tree decides, whatever the others do.
struct Crew {
  bool (*const more)();         // starts another member, if it can
  std::atomic<int> members{0};  // that run: one that could not be started must never have counted
  std::atomic<int> waiting{0};
};
// The calling thread is a member from now on, or no more.
void join_crew(Crew& crew);
void leave_crew();

// While it lives, this thread may wait for as long as the tree likes. `refused`: it must not, as nobody else would be
// left and no other thread can be had.
class WaitInCrew {
 public:
  WaitInCrew();
  ~WaitInCrew();
  WaitInCrew(const WaitInCrew&) = delete;
  WaitInCrew& operator=(const WaitInCrew&) = delete;
  bool refused = false;

 private:
  Crew* crew_;
};

// Where fatal() leaves its reason, which Node reads when the supervisor has ended.
void set_last_word(protocol::LastWord* to);

// Something that cannot be, whatever the tree does, or of which the machine has none left: says so by the channel's
// last word and ends the supervisor, and with it the tree (PTRACE_O_EXITKILL).
[[noreturn]] void fatal(const char* reason, protocol::Stage why = protocol::Stage::internal);

}  // namespace holdfast
