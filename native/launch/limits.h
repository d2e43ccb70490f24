// The limits of the tree as they were asked for, and what each process gets of them from the kernel.
#pragma once

#include <cstdint>

namespace holdfast {

struct Limits {
  static constexpr int64_t kNone = -1;

  // Of the tree; bytes or milliseconds.
  int64_t memory = kNone, cpu_time = kNone, wall_time = kNone, written = kNone;
  int64_t processes = kNone, threads = kNone;
  // Of each process.
  int64_t open_files = kNone, file_size = kNone, core_size = kNone, address_space = kNone;

  // Whether processes and threads are counted when they are made.
  bool counts_forks() const { return processes != kNone || threads != kNone; }
};

// For the child that becomes the command: soft and hard limits, which all its descendants have from it and none can
// raise (setrlimit(2)). By raw calls only. 0 or a positive errno.
int put_on_limits(const Limits& limits);

}  // namespace holdfast
