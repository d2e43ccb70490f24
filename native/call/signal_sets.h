// The signals of a thread, as /proc shows them.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace holdfast {

constexpr uint64_t signal_bit(int signal) { return uint64_t{1} << (signal - 1); }

struct SignalSets {
  uint64_t pending = 0, pending_to_process = 0;
  uint64_t blocked = 0;
  uint64_t ignored = 0;  // by SIG_IGN, or by default (signal(7), "Standard signals")
  uint64_t caught = 0;   // have a handler
  int threads = 0;       // of its process
  bool ended = false;    // and is not reaped yet
};

// False if it is gone.
bool read_signal_sets(pid_t tid, SignalSets& out);

}  // namespace holdfast
