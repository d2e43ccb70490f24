// What a tree has used. Counted as it happens by whoever sees it; what a process has used by itself is added when it is
// reaped, and asked of the kernel as long as it lives.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

#include "../protocol/unique_fd.h"

namespace holdfast {

class Tree;

// Of one process, or summed up. Its children are not in it.
struct Figures {
  uint64_t user = 0, system = 0;   // processor time in nanoseconds; of its threads that have ended, too
  uint64_t peak = 0;               // bytes that were resident at once, of the process with the most
  uint64_t read = 0, written = 0;  // bytes by read(2), write(2) and their like, whatever the descriptor is
  void add(const Figures& other);
};

class Usage {
 public:
  Usage();
  uint64_t wall_time() const;  // nanoseconds since the tree began

  // Each costs one addition where it is counted.
  std::atomic<uint64_t> held{0};       // calls that were held
  std::atomic<uint64_t> refused{0};    // calls that were refused, by the supervisor
  std::atomic<uint64_t> processes{0};  // made; the command is the first
  std::atomic<uint64_t> threads{0};    // made, beside each process's first one

  // What a thread uses of files is told by a descriptor that was opened while it lived: when it has ended, only root
  // may open one (proc_pid_io(5)). At most so many are kept; what is beyond counts nothing of its own. By thread, since
  // a process's own file has what the children have used that it has waited for, too (wait_task_zombie(),
  // kernel/exit.c).
  static constexpr size_t kMostFollowed = 512;
  void follow(pid_t tid);
  // For the tracer: one that is not its process's first has ended and is not reaped yet.
  void end_thread(pid_t tid, pid_t group);
  // It goes on under another number.
  void forget(pid_t tid);

  // For the tracer: of a process that has ended and is not reaped yet, but for its peak, which wait4(2) tells.
  Figures of_ended(pid_t group) const;
  // When it is reaped, before anything else is.
  void add_ended(pid_t group, const Figures& figures, const std::string& program);
  // What was reaped is summed up by program, too: all of a process counts for the last that it ran.
  void follow_programs() { follows_programs_ = true; }
  struct ByProgram {
    Figures figures;
    uint64_t processes = 0;
  };
  std::unordered_map<std::string, ByProgram> by_program() const;
  // Of those that were reaped.
  Figures ended() const;
  // Of all, the living among them. For a thread that works for nobody; it may wait for one that executes a program.
  Figures all(const Tree& tree) const;
  // Of one that the calling thread works for.
  Figures of(const Tree& tree, pid_t group) const;

 private:
  struct Files {
    uint64_t read = 0, written = 0;
  };
  Files files_of(pid_t tid) const;
  void add_ended_threads(pid_t group, Figures& out) const;

  const uint64_t begun_;
  mutable std::mutex guard_;
  Figures ended_;
  bool follows_programs_ = false;  // since before anything ran
  std::unordered_map<std::string, ByProgram> by_program_;
  std::unordered_map<pid_t, UniqueFd> files_;          // of each thread's /proc/<tid>/task/<tid>/io
  std::unordered_map<pid_t, Files> of_ended_threads_;  // by process
};

// The processor time of a process that is not reaped, in nanoseconds.
uint64_t processor_time_of(pid_t group);

}  // namespace holdfast
