// Work that would keep Node waiting too long, on a thread of its own, and what must not overtake it.
#pragma once

#include <uv.h>

#include <atomic>
#include <functional>
#include <mutex>

namespace holdfast {

class Later {
 public:
  Later() = default;
  ~Later() { stop(); }
  Later(const Later&) = delete;
  Later& operator=(const Later&) = delete;

  // Once. False if no thread is to be had.
  bool begin(std::function<void(const std::atomic<bool>& stopped)> work);
  // Calls `next` behind the work, on its thread, if it is not done yet; else false.
  bool follow(std::function<void()> next);
  // The work is told to give up, and is over when this returns; what would have followed is not done.
  void stop();

 private:
  static void run(void* argument);

  std::function<void(const std::atomic<bool>&)> work_;
  std::function<void()> next_;
  std::mutex guard_;
  std::atomic<bool> stopped_ = false;
  bool running_ = false, done_ = false;
  uv_thread_t thread_ = {};
};

}  // namespace holdfast
