// Performed calls that may block for as long as the tree likes (the two ends of a FIFO, a stream socket's full backlog,
// a lease): the worker that makes them can be interrupted when the caller is.
#pragma once

#include "held.h"
#include "threads.h"

namespace holdfast {

// Around a system call of ours that may block: while it lives, a watcher looks whether the caller died or has a signal
// to handle, and interrupts this thread with a signal until the system call answers EINTR. Costs next to nothing where
// the call does not block. Not to be nested.
class MayBlock {
 public:
  explicit MayBlock(const Held& call);
  ~MayBlock();
  MayBlock(const MayBlock&) = delete;
  MayBlock& operator=(const MayBlock&) = delete;
  // No thread would be left for others: do not make a call that waits, answer EAGAIN.
  bool refused() const { return crew_.refused; }
  bool interrupted() const;  // the watcher asked us to stop: answer error()
  int error() const;         // kRestart where the kernel is sure to see the signal, EINTR where it may not

 private:
  WaitInCrew crew_;
};

// The caller is to stop now, and the tracer has asked the kernel for it: what a worker waits in for it is made again
// after that.
void cut_wait_short(pid_t tid);

// What a MayBlock of this thread has said; it lives as long as the thread.
struct Wait;
Wait& this_wait();
// While it lives, the system call that may block is another thread's, which is interrupted in its place.
class WaitBy {
 public:
  WaitBy(Wait& wait, pid_t thread);
  ~WaitBy();
  WaitBy(const WaitBy&) = delete;
  WaitBy& operator=(const WaitBy&) = delete;

 private:
  Wait& wait_;
  pid_t before_;
};

// What a performed call answers when it was interrupted for the caller's sake: the kernel restarts it or gives EINTR,
// as the caller's own handler asks (SA_RESTART).
inline constexpr int kRestart = 512;  // ERESTARTSYS, linux/errno.h; never seen by the caller as a result

}  // namespace holdfast
