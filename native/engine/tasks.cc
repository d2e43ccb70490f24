#include "tasks.h"

#include <condition_variable>
#include <deque>
#include <mutex>

#include "../call/threads.h"
#include "../call/workers.h"

namespace holdfast {
namespace {

constexpr size_t kIdleThreads = 4;  // kept for the next task
constexpr size_t kKeptReady = 2;

std::mutex guard;
std::condition_variable arrived;
std::deque<std::function<void()>> queue;
size_t idle = 0, threads = 0;
bool add_thread();
Crew crew{add_thread};

void* work(void*) {
  join_crew(crew);
  std::unique_lock<std::mutex> lock(guard);
  for (;;) {
    while (queue.empty()) {
      if (idle >= kIdleThreads) {
        threads--;
        leave_crew();
        release_this_worker();
        return nullptr;
      }
      idle++;
      arrived.wait(lock);
      idle--;
    }
    std::function<void()> task = std::move(queue.front());
    queue.pop_front();
    lock.unlock();
    task();
    lock.lock();
  }
}

bool add_thread() {
  size_t number;
  {
    std::lock_guard<std::mutex> lock(guard);
    number = threads++;
  }
  if (start_thread(work, nullptr, number < kKeptReady)) return true;
  std::lock_guard<std::mutex> lock(guard);
  threads--;
  return false;
}

}  // namespace

void run_task(std::function<void()> task) {
  bool is_taken;
  {
    std::lock_guard<std::mutex> lock(guard);
    queue.push_back(std::move(task));
    is_taken = idle >= queue.size();
  }
  // After the lock is given back: who is woken takes it.
  if (is_taken) {
    arrived.notify_one();
    return;
  }
  // Without another thread the task waits for one that is there: they never all wait for the tree.
  add_thread();
}

}  // namespace holdfast
