#include "exec_fence.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <unordered_map>

#include "../call/workers.h"

namespace holdfast {
namespace {

constexpr auto kLook = std::chrono::milliseconds(2);

// A count stands before the look-up.
std::atomic<int> fences{0};
std::mutex guard;
std::unordered_map<pid_t, int> fenced;  // leaders, and how many threads of theirs are in an exec
std::condition_variable ended;

}  // namespace

void begin_fence(pid_t group) {
  const std::lock_guard<std::mutex> lock(guard);
  fenced[group]++;
  fences.fetch_add(1, std::memory_order_seq_cst);
}

void end_fence(pid_t group) {
  {
    const std::lock_guard<std::mutex> lock(guard);
    const auto at = fenced.find(group);
    if (at == fenced.end()) return;
    if (--at->second == 0) fenced.erase(at);
    fences.fetch_sub(1, std::memory_order_seq_cst);
  }
  ended.notify_all();
}

bool is_fenced(pid_t tid) {
  if (fences.load(std::memory_order_seq_cst) == 0) return false;
  const std::lock_guard<std::mutex> lock(guard);
  return fenced.count(tid) != 0;
}

void begin_work_outside_fence(const Held& call) {
  for (;;) {
    begin_work_for(call.tid);
    if (!is_fenced(call.tid)) return;
    end_work();
    // The exec ends the call, or fails.
    bool held = true;
    std::unique_lock<std::mutex> lock(guard);
    while (held && fenced.count(call.tid) != 0) {
      ended.wait_for(lock, kLook);
      lock.unlock();
      held = call.still_held();
      lock.lock();
    }
    if (held) continue;
    lock.unlock();
    begin_work_for(call.tid);
    return;
  }
}

}  // namespace holdfast
