#include "workers.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mutex>

namespace holdfast {
namespace {

std::mutex list_guard;
std::atomic<Worker*> list{nullptr};  // only grows
thread_local Worker* mine = nullptr;
pid_t tracer_process = 0, tracer_thread = 0;

struct Unused {
  Worker* worker;
  Unused* next;
};
Unused* spare = nullptr;

}  // namespace

Worker& this_worker() {
  if (mine == nullptr) {
    std::lock_guard<std::mutex> lock(list_guard);
    if (spare != nullptr) {
      Unused* taken = spare;
      spare = taken->next;
      mine = taken->worker;
      delete taken;
    } else {
      mine = new Worker;
      mine->next = list.load(std::memory_order_relaxed);
      list.store(mine, std::memory_order_release);
    }
  }
  return *mine;
}

void release_this_worker() {
  if (mine == nullptr) return;
  std::lock_guard<std::mutex> lock(list_guard);
  spare = new Unused{mine, spare};
  mine = nullptr;
}

void begin_work_for(pid_t tid) {
  Worker& worker = this_worker();
  worker.gave_up = false;
  worker.dead.store(0, std::memory_order_seq_cst);
  worker.caller.store(tid, std::memory_order_seq_cst);
}

void end_work() {
  Worker& worker = this_worker();
  worker.caller.store(0, std::memory_order_seq_cst);
  if (worker.dead.exchange(0, std::memory_order_seq_cst) != 0) wake_tracer();
}

bool gave_up_work() { return this_worker().gave_up; }

Worker* give_work_away() {
  Worker* const given = &this_worker();
  mine = nullptr;
  return given;
}

void take_work(Worker* given) {
  release_this_worker();
  mine = given;
}

bool somebody_works_for_dead(pid_t tid) {
  bool found = false;
  for (Worker* worker = list.load(std::memory_order_acquire); worker != nullptr; worker = worker->next) {
    // It may have ended its work before it could see that, and have begun for the same number again, which forgets it.
    while (worker->caller.load(std::memory_order_seq_cst) == tid) {
      worker->dead.store(tid, std::memory_order_seq_cst);
      if (worker->caller.load(std::memory_order_seq_cst) != tid) break;
      if (worker->dead.load(std::memory_order_seq_cst) != tid) continue;
      found = true;
      break;
    }
  }
  return found;
}

void set_tracer_thread(pid_t process, pid_t thread) {
  tracer_process = process;
  tracer_thread = thread;
}

void wake_tracer() { syscall(SYS_tgkill, tracer_process, tracer_thread, SIGUSR1); }

}  // namespace holdfast
