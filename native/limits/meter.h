// What the tree uses, summed up over its processes and those that have ended, and its end when that is too much.
//
// A thread of its own looks, if a limit asks for it: when the limit could be reached at the earliest, so that a tree
// that does nothing is left alone and one that is near its limit is looked at often.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "../call/sandbox.h"
#include "../launch/limits.h"
#include "../policy/config.h"
#include "control_group.h"
#include "measure.h"

namespace holdfast {

class Meter {
 public:
  Meter(Sandbox& sandbox, const Limits& limits) : sandbox_(sandbox), limits_(limits) {}

  // Before the command is let go: from now on time counts. 0, or a positive errno: EAGAIN, if there is no thread for
  // it.
  int begin();

  // For the tracer: a thread is there, and has not run yet.
  void add(pid_t process, pid_t tid);
  // It has ended, and is about to be reaped; Tree::reaping() is held.
  void before_reap(pid_t tid);
  // When nothing of the tree is left.
  void end() { group_.remove(); }

  // After it: whether it was too much is not left to the next look, since the end of the command may be told next.
  void after_reap();

  // Whether it has to be told of processes that share their maker's memory (vfork), and count once.
  bool wants_sharers() const { return sums_memory(); }
  void share(pid_t process, pid_t maker);
  void share_no_more(pid_t process);

  // A thread that was not the leader has executed: the leader has ended unseen (ptrace(2)), with what it has written.
  void leader_was_replaced(pid_t process, pid_t former);

 private:
  struct Member {
    pid_t process;
    int64_t resident;  // bytes
  };

  // Where there is a control group the kernel counts by itself.
  bool sums_memory() const { return limits_.memory != Limits::kNone && sandbox_.config.control_group.empty(); }
  static void* run(void* self);
  static void* run_weighing(void* self);
  void look_for_ever();
  int64_t look_at_time();
  int64_t look_at_processor_time();
  int64_t look_at_memory();
  int64_t look_at_written();
  int64_t resident(std::vector<Member>& members) const;
  static bool somebody_ended(const std::vector<Member>& members);
  bool weigh(std::vector<Member> members, int64_t files, int64_t& out);
  void reach(const char* name, int64_t limit, int64_t reached);

  Sandbox& sandbox_;
  const Limits& limits_;
  int64_t begun_ = 0;  // CLOCK_MONOTONIC in nanoseconds
  std::atomic<bool> reached_{false};
  int doubts_ = 0;
  ControlGroup group_;

  std::mutex written_guard_;
  std::unordered_map<pid_t, UniqueFd> writers_;  // every thread
  Written ended_written_;
  std::unordered_map<pid_t, Written> ended_within_;  // of that, by threads of a process that goes on

  mutable std::mutex sharers_guard_;
  std::unordered_map<pid_t, pid_t> sharers_;

  // The memory of each process is weighed by another thread: the kernel makes it wait for a lock that the tree holds
  // while it maps, and for as long as that takes.
  std::mutex weighing_;
  std::condition_variable weighed_;
  std::vector<Member> to_weigh_;
  uint64_t asked_ = 0, answered_ = 0;
  int64_t private_ = 0, shared_ = 0;  // the answer
};

}  // namespace holdfast
