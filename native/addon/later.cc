#include "later.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace holdfast {

bool Later::begin(std::function<void(const std::atomic<bool>&)> work) {
  if (running_) return false;
  work_ = std::move(work);
  // Node's signals are for Node's own thread. By number: in an older glibc pthread_sigmask lies in a library of its
  // own.
  const uint64_t all = ~uint64_t{0};
  uint64_t before = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
  running_ = uv_thread_create(&thread_, run, this) == 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, sizeof before);
  return running_;
}

void Later::run(void* argument) {
  auto* self = static_cast<Later*>(argument);
  self->work_(self->stopped_);
  const std::lock_guard<std::mutex> hold(self->guard_);
  if (self->next_ && !self->stopped_) self->next_();
  self->done_ = true;
}

bool Later::follow(std::function<void()> next) {
  if (!running_) return false;
  const std::lock_guard<std::mutex> hold(guard_);
  if (done_) return false;
  next_ = std::move(next);
  return true;
}

void Later::stop() {
  if (!running_) return;
  stopped_ = true;
  uv_thread_join(&thread_);
  running_ = false;
}

}  // namespace holdfast
