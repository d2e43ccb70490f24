// Who belongs to the sandboxed tree. The tracer thread adds and removes; everybody asks.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "accesses.h"
#include "lineage.h"
#include "usage.h"

namespace holdfast {

class Tree {
 public:
  bool contains(pid_t tid) const;  // a thread (or process) of the tree that is not reaped
  // That thread as a number that no other has, or 0. Another one that takes the leader's place by an exec is another.
  uint64_t number_of(pid_t tid) const;
  pid_t group_of(pid_t tid) const;    // its thread group, or 0
  std::vector<pid_t> groups() const;  // process ids of the tree
  std::vector<pid_t> threads() const;
  size_t size() const;  // threads
  size_t process_count() const;

  // What a process runs: remembered from one look into /proc until it executes something else or ends. A look that
  // began before that is not remembered: `look` says when it began. False: look, and remember.
  bool program_of(pid_t group, std::string& out, uint64_t& look) const;
  void remember_program(pid_t group, const std::string& program, uint64_t look);
  void forget_program(pid_t group);
  // What it runs, from somebody who knows: what was approved and has been verified, or its maker's.
  void set_program(pid_t group, const std::string& program);

  // What it was executed with, as it stood before its first instruction; its maker's, if it has executed nothing
  // itself. Null: not known, or nobody wants to know.
  using Arguments = std::shared_ptr<const std::vector<std::string>>;
  Arguments arguments_of(pid_t group) const;
  void set_arguments(pid_t group, Arguments arguments);

  // The process that has made it, as long as that one is there; 0: it is gone, or lies outside.
  pid_t maker_of(pid_t group) const;
  // For one that was added before its maker told of it.
  void set_maker(pid_t group, pid_t maker);
  // The command's own exec is done.
  void begin() { begun_.store(true); }
  bool has_begun() const { return begun_.load(); }

  // What all of it has used.
  Usage& usage() const { return usage_; }
  // What it has asked for, if that is recorded.
  Accesses& accesses() const { return accesses_; }
  // A process as a number that no other has, or 0.
  uint64_t life_of(pid_t group) const;
  // The same, if that is its one thread. 0: there are others.
  uint64_t alone(pid_t tid) const;

  // Where its one thread is, as a number of that stay: the same number, the same working directory. 0: that may change
  // unseen, since other threads can change it, too, or nobody follows it.
  uint64_t stay_of(pid_t tid) const;
  // Every call that changes a working directory is held from now on.
  void follow_stays() { stays_followed_.store(true); }
  // The same for its umask, remembered from one look into /proc. False: look, and remember it if the caller was held.
  // `look`: when that began; what was seen before another change is not remembered.
  bool umask_of(pid_t tid, mode_t& out, uint64_t& look) const;
  void remember_umask(pid_t tid, mode_t umask, uint64_t look) const;
  void follow_umasks() { umasks_followed_.store(true); }
  void forget_umask(pid_t group);

  // Before a call that changes it goes on.
  void end_stay(pid_t group);
  // A process was made that shares both with its maker (clone(2), CLONE_FS): nobody's are known any more.
  void note_sharing() { shared_.store(true); }
  // While there is a process of which is not known yet whether it does.
  void doubt_sharing(bool doubt) { doubted_.store(doubt); }
  bool sharing_is_doubted() const { return doubted_.load(); }

  // A process that wants nobody to look into it (prctl(2), PR_SET_DUMPABLE); until its next exec, and its children.
  void hide(pid_t group, bool hidden);
  bool hidden(pid_t group) const;

  // What a process and those that it descends from have executed. It begins with its maker's; `inherit` is for a
  // newborn that was seen before its maker told of it.
  Lineage lineage_of(pid_t group) const;
  void executed(pid_t group, const Lineage::Bits& what);
  void inherit(pid_t group, pid_t maker);

  // Runs `act` while nothing of the tree is reaped: a number that is in the tree then cannot become somebody else's.
  // `act` must not block.
  template <typename Act>
  auto while_stable(Act act) const {
    std::lock_guard<std::mutex> hold(reaping_);
    return act();
  }

  // From then on every newcomer is killed too: a fork that was under way must not outlive the others.
  void doom() { doomed_.store(true); }
  // All of it, and whoever is just being made.
  void kill_all();
  // All of it is asked to end, by whatever signal: from then on nobody's end waits for anybody.
  void begin_to_end();
  bool is_to_end() const { return to_end_.load(); }
  bool doomed() const { return doomed_.load(); }

  // The signal that what the command leaves behind is sent at its end; 0: it is killed; -1: it was sent one before.
  // Whoever asked for another one than SIGKILL kills what is left later.
  void spare(int signal) { spared_by_.store(signal); }
  int spared_by() const { return spared_by_.load(); }

  // For the tracer only.
  void add(pid_t tid, pid_t group, pid_t parent_group = 0);
  void remove(pid_t tid);
  void renew(pid_t tid);  // another thread has taken its place
  std::mutex& reaping() const { return reaping_; }

 private:
  struct Process {
    size_t threads = 0;
    uint64_t life = 0, stay = 0;
    uint64_t umask_change = 0;
    int umask = -1;  // not known
    Lineage lineage;
    Arguments arguments;
    pid_t maker = 0;
    uint64_t maker_life = 0;
  };
  const Process* alone_with_lock(pid_t tid) const;

  void note_maker(Process& process, pid_t maker);
  void forget(pid_t group);

  mutable Usage usage_;
  mutable Accesses accesses_;
  std::atomic<bool> begun_{false};
  std::atomic<bool> doomed_{false}, to_end_{false};
  std::atomic<int> spared_by_{0};
  mutable std::mutex reaping_;
  mutable std::shared_mutex guard_;
  struct Thread {
    pid_t group;
    uint64_t number;
  };
  std::unordered_map<pid_t, Thread> threads_;
  mutable std::unordered_map<pid_t, Process> processes_;  // by thread group
  uint64_t numbers_ = 0, thread_numbers_ = 0;
  std::atomic<bool> stays_followed_{false}, umasks_followed_{false}, shared_{false}, doubted_{false};
  std::unordered_map<pid_t, std::string> program_;  // by thread group
  uint64_t programs_forgotten_ = 0;
  std::unordered_set<pid_t> hidden_;  // thread groups
};

}  // namespace holdfast
