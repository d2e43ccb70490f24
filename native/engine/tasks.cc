#include "tasks.h"

#include <condition_variable>
#include <deque>
#include <mutex>

#include "../call/threads.h"
#include "../call/workers.h"

namespace holdfast {
namespace {

constexpr size_t kIdleThreads = 4;  // kept for the next task

std::mutex guard;
std::condition_variable arrived;
std::deque<std::function<void()>> queue;
size_t idle = 0, threads = 0;

void* work(void*) {
  std::unique_lock<std::mutex> lock(guard);
  for (;;) {
    while (queue.empty()) {
      if (idle >= kIdleThreads) {
        threads--;
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

}  // namespace

void run_task(std::function<void()> task) {
  std::unique_lock<std::mutex> lock(guard);
  queue.push_back(std::move(task));
  if (idle >= queue.size()) {
    arrived.notify_one();
    return;
  }
  threads++;
  lock.unlock();
  if (start_thread(work, nullptr)) return;
  lock.lock();
  threads--;
  if (threads == 0) fatal("no thread for a task can be started");
}

}  // namespace holdfast
