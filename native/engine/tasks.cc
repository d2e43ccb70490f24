#include "tasks.h"

#include <sys/prctl.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "../call/threads.h"
#include "../call/workers.h"

namespace holdfast {
namespace {

constexpr size_t kIdleThreads = 4;  // kept for the next task
constexpr size_t kKeptReady = 2;

class Tasks {
 public:
  Tasks(bool (*more)(), void* (*work)(void*), size_t kept_ready) : crew_{more}, work_(work), kept_ready_(kept_ready) {}

  // Without another thread the task waits for one that is there: they never all wait for the tree. Where none is and
  // none can be had: false, and `task` is left.
  bool run(std::function<void()>& task) {
    std::unique_lock<std::mutex> lock(guard_);
    const bool is_taken = idle_ > queue_.size();
    if (!is_taken) {
      lock.unlock();
      const bool added = add_thread();
      lock.lock();
      if (!added && running_ == 0 && kept_ready_ == 0) return false;
    }
    queue_.push_back(std::move(task));
    lock.unlock();
    // After the lock is given back: who is woken takes it.
    arrived_.notify_one();
    return true;
  }

  bool add_thread() {
    const size_t number = started_.fetch_add(1);
    return start_thread(work_, nullptr, number < kept_ready_);
  }

  void work() {
    join_crew(crew_);
    std::unique_lock<std::mutex> lock(guard_);
    running_++;
    for (;;) {
      while (queue_.empty()) {
        if (idle_ >= kIdleThreads) {
          running_--;
          leave_crew();
          release_this_worker();
          return;
        }
        idle_++;
        arrived_.wait(lock);
        idle_--;
      }
      std::function<void()> task = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
  }

 private:
  std::mutex guard_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> queue_;
  size_t idle_ = 0, running_ = 0;
  std::atomic<size_t> started_{0};
  Crew crew_;
  void* (*const work_)(void*);
  const size_t kept_ready_;
};

void* work_on_tasks(void*);
void* work_behind_wall(void*);
Tasks tasks([] { return tasks.add_thread(); }, work_on_tasks, kKeptReady);
Tasks walled([] { return walled.add_thread(); }, work_behind_wall, 0);

void* work_on_tasks(void*) {
  tasks.work();
  return nullptr;
}

std::function<int()> put_on_wall;

void* work_behind_wall(void*) {
  // Both are each thread's own (prctl(2), landlock(7)), and the command has put them on, too.
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || put_on_wall() != 0)
    fatal("a thread of its own could not be confined as the command is");
  walled.work();
  return nullptr;
}

}  // namespace

void run_task(std::function<void()> task) { tasks.run(task); }

void build_wall(std::function<int()> put_on) { put_on_wall = std::move(put_on); }

bool run_behind_wall(std::function<void()>& task) {
  if (put_on_wall) return walled.run(task);
  task();
  return true;
}

}  // namespace holdfast
