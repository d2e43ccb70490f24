// Who belongs to the sandboxed tree. The tracer thread adds and removes; everybody asks.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

namespace holdfast {

class Tree {
 public:
  bool contains(pid_t tid) const;       // a thread (or process) of the tree that is not reaped
  pid_t group_of(pid_t tid) const;      // its thread group, or 0
  std::vector<pid_t> groups() const;    // process ids of the tree
  std::vector<pid_t> threads() const;
  size_t size() const;                  // threads

  // Runs `act` while nothing of the tree is reaped: a number that is in the tree then cannot become somebody else's.
  // `act` must not block.
  template <typename Act>
  auto while_stable(Act act) const {
    std::lock_guard<std::mutex> hold(reaping_);
    return act();
  }

  // From then on every newcomer is killed too: a fork that was under way must not outlive the others.
  void doom() { doomed_.store(true); }
  bool doomed() const { return doomed_.load(); }

  // For the tracer only.
  void add(pid_t tid, pid_t group);
  void remove(pid_t tid);
  std::mutex& reaping() const { return reaping_; }

 private:
  std::atomic<bool> doomed_{false};
  mutable std::mutex reaping_;
  mutable std::shared_mutex guard_;
  std::unordered_map<pid_t, pid_t> group_;
};

}  // namespace holdfast
