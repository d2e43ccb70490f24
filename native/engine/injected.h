// Calls that the tracer has put into a thread's registers: known here to the notification workers, which let nothing
// else by in their name.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "../call/held.h"
#include "../protocol/unique_fd.h"

namespace holdfast {

struct Injected {
  int64_t number = -1;
  uint64_t args[6] = {};
  UniqueFd hand_over;  // what it fetches, if not the page's descriptor
  bool close_on_exec = true;
  bool hands_over = false;
  // In place of the thread's own call, at its entry, so nothing can have come between. Some kernels of aarch64 go on
  // showing that call's first argument to filters and listeners (orig_x0 in arch/arm64/include/asm/syscall.h).
  bool at_entry = false;
  uint64_t own_first = 0;
};

inline constexpr uint64_t kInjectedHandOver = 0x48464f4c44;  // marks the call that fetches a descriptor of ours

void expect_injected(pid_t tid, Injected call);
void expect_nothing(pid_t tid);

// Whether this is the very call that the thread is being made to make just now. Any thread; asked by every
// notification.
bool is_injected(const Held& call, int number);
// Whether that fetches a descriptor; what it fetches, or -1 for the page's; and whether an exec closes it.
bool is_hand_over(pid_t tid, int& fd, bool& close_on_exec);

}  // namespace holdfast
