#include "forks.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "../call/proc_stat.h"

namespace holdfast {
namespace {

// Of processes that have ended so many are remembered before it is looked who has been waited for.
constexpr size_t kManyEnded = 256;

}  // namespace

Forks::Count Forks::early() const {
  Count count;
  for (const auto& [tid, thread] : early_) count.change(thread, 1);
  return count;
}

// Who was seen early counts by itself already, and its maker's reservation with it.
int64_t Forks::processes() const {
  return static_cast<int64_t>(tree_.process_count() + ended_.size()) + reserved_.processes + left_.processes -
         early().processes;
}

int64_t Forks::threads() const {
  return static_cast<int64_t>(tree_.size()) + reserved_.threads + left_.threads - early().threads;
}

std::optional<ForkRefusal> Forks::reserve(bool thread) {
  const int64_t most_processes = limits_.processes, most_threads = limits_.threads;
  if (!thread && most_processes != Limits::kNone && processes() >= most_processes) {
    forget_reaped();
    look_for_unknown();
    if (processes() >= most_processes) return ForkRefusal{"processes", most_processes, processes() + 1};
  }
  if (most_threads != Limits::kNone && threads() >= most_threads) {
    look_for_unknown();
    if (threads() - ending_threads() >= most_threads) return ForkRefusal{"threads", most_threads, threads() + 1};
  }
  reserved_.change(thread, 1);
  return std::nullopt;
}

void Forks::leave(bool thread) {
  give_back(thread);
  left_.change(thread, 1);
}

void Forks::seen_early(pid_t tid, bool thread) { early_[tid] = thread; }

void Forks::process_ended(pid_t group) {
  if (limits_.processes == Limits::kNone) return;
  ended_.insert(group);
  if (ended_.size() > kManyEnded && ended_.size() % kManyEnded == 0) forget_reaped();
}

// Whose parent has waited for it is no more, and whoever has its number now is another one.
void Forks::forget_reaped() {
  for (auto at = ended_.begin(); at != ended_.end();)
    at = tree_.contains(*at) || !waits_for_its_parent(tree_, *at) ? ended_.erase(at) : std::next(at);
}

int64_t Forks::ending_threads() const {
  int64_t count = 0;
  for (const pid_t tid : tree_.threads())
    if (is_ending(tree_.group_of(tid), tid)) count++;
  return count;
}

// Of those who were killed in a call that makes one: whoever there is now is a tracee of ours, known or not (a thread
// whose process is killed dies with it). Rare: a look at every process of the machine.
void Forks::look_for_unknown() {
  const Count early = this->early();
  if (left_.processes <= early.processes && left_.threads <= early.threads) return;
  DIR* const all = opendir("/proc");
  if (all == nullptr) return;
  bool any = false;
  while (const dirent* const entry = readdir(all)) {
    const pid_t pid = atoi(entry->d_name);
    if (pid > 0 && !tree_.contains(pid) && tracer_of(pid) == getpid()) any = true;
  }
  closedir(all);
  if (any) return;
  left_.processes = std::min(left_.processes, early.processes);
  left_.threads = std::min(left_.threads, early.threads);
}

}  // namespace holdfast
