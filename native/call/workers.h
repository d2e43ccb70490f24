// The threads that handle held calls. Each says which thread of the tree it works for: as long as it does, the tracer
// does not reap that thread, so its number cannot become somebody else's between a check and a use.
#pragma once

#include <sys/types.h>

#include <atomic>

namespace holdfast {

struct Worker {
  std::atomic<pid_t> caller{0};
  // The caller that has died and that the tracer waits to reap. A number and not a flag: the tracer may set it a moment
  // late, when the worker works for another caller already, who lives.
  std::atomic<pid_t> dead{0};
  bool gave_up = false;  // its own: it was told so, and has left its work undone
  Worker* next = nullptr;
};

// The calling thread's own record; made at first use and reused after the thread has ended.
Worker& this_worker();
void release_this_worker();

// Marks this worker as working for `tid`. The caller must look afterwards whether the call is still held.
void begin_work_for(pid_t tid);
// Ends it; tells the tracer if it is waiting to reap.
void end_work();

// The work for a caller goes on in another thread, by take_work(); at no time between does nobody work for it.
Worker* give_work_away();
void take_work(Worker* given);

// Whether this worker has been told that its caller died, and so gave up. False once it begins for another call.
bool gave_up_work();

// For the tracer: true (and the workers are told) if somebody still works for this dead thread, or for one whose number
// is about to be another program's (engine/exec_fence.h).
bool somebody_works_for_dead(pid_t tid);
// How end_work reaches the tracer.
void set_tracer_thread(pid_t process, pid_t thread);
void wake_tracer();

}  // namespace holdfast
