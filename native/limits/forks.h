// How many processes and threads the tree has, counted where they are made. On the tracer's thread only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "../call/tree.h"
#include "../launch/limits.h"

namespace holdfast {

struct ForkRefusal {
  const char* name;  // of the limit, as the option has it
  int64_t limit, reached;
};

// A newcomer is reserved before the call that makes it goes on, so that the limit holds at every moment. It counts by
// itself from when the tree has it, and the reservation is given back; or when the call has failed.
//
// A process counts until its parent has waited for it, as the kernel's own limit has it; a thread until it has begun to
// end, which is before anybody who joins it hears of that.
class Forks {
 public:
  Forks(const Limits& limits, const Tree& tree) : limits_(limits), tree_(tree) {}

  bool are_counted() const { return limits_.counts_forks(); }

  // Before a call that makes a thread, or else a process. Nothing: it may go on, and has its reservation.
  std::optional<ForkRefusal> reserve(bool thread);
  void give_back(bool thread) { reserved_.change(thread, -1); }
  // The maker has been killed meanwhile: whether it has made anything is not known.
  void leave(bool thread);

  // A newcomer that was seen before its maker has told of it: the reservation is still there.
  void seen_early(pid_t tid, bool thread);
  void told(pid_t tid) { early_.erase(tid); }

  // The last thread of a process has ended.
  void process_ended(pid_t group);

 private:
  struct Count {
    int64_t processes = 0, threads = 0;
    void change(bool thread, int by) {
      threads += by;
      if (!thread) processes += by;
    }
  };

  Count early() const;
  int64_t processes() const;
  int64_t threads() const;
  void forget_reaped();
  int64_t ending_threads() const;
  void look_for_unknown();

  const Limits& limits_;
  const Tree& tree_;
  Count reserved_, left_;
  std::unordered_map<pid_t, bool> early_;  // whether it is a thread
  std::unordered_set<pid_t> ended_;        // processes that may wait for their parents
};

}  // namespace holdfast
