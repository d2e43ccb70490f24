// Waits that answer EINTR when a signal arrives, whatever its handler says (signal(7), "Interruption of system calls
// and library functions by signal handlers"). Of a process that is not traced the kernel drops a signal that it ignores
// before it wakes anybody; of a traced one it does not (kernel/signal.c, sig_ignored).
#pragma once

#include <cstdint>

#include "../call/held.h"

namespace holdfast {

struct WaitCall {
  // How long it waits at most is in a register, in memory, or one of the socket's options.
  enum class Limit : uint8_t { none, milliseconds, timespec, receiving, sending };
  int number;
  Limit limit;
  int argument;      // the one with the limit, or with the socket
  int64_t at_limit;  // what it answers then
  // What the first one would have answered, where the one that was made again answered this: connect(2) tells the two
  // apart.
  int64_t result_made_again(int64_t result) const;
  // By its registers alone.
  bool is_endless(const uint64_t (&args)[6]) const;
};

// A held call that goes on after it was looked at, and answers EINTR then after any handler (signal(7)).
bool waits_by_itself(int64_t number);

// nullptr: none of them.
const WaitCall* find_wait(int64_t number);

// The limit of a stopped thread's call in nanoseconds, -1 where it has none. Reads the caller's memory, so it may wait
// for as long as the tree likes. False: it cannot be known here.
bool read_time_limit(const Held& call, const WaitCall& wait, int64_t& nanoseconds);

}  // namespace holdfast
