#include "held.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "memory.h"
#include "signal_sets.h"
#include "tree.h"
#include "workers.h"

#ifndef SECCOMP_IOCTL_NOTIF_ID_VALID
#define SECCOMP_IOCTL_NOTIF_ID_VALID SECCOMP_IOW(2, __u64)
#endif

namespace holdfast {
namespace {

// Pages are never smaller than this on the supported architectures; a read that stays within such a block cannot fail
// for its second half only.
constexpr uint64_t kPage = 4096;

int fault(ssize_t got, size_t wanted) {
  if (got >= 0 && static_cast<size_t>(got) == wanted) return 0;
  if (got < 0 && errno == ESRCH) return -ESRCH;
  return -EFAULT;
}

}  // namespace

int Held::read(uint64_t address, void* to, size_t size) const {
  if (size == 0) return 0;
  return fault(read_memory(tid, *tree, address, to, size), size);
}

int Held::write(uint64_t address, const void* from, size_t size) const {
  if (size == 0) return 0;
  return fault(write_memory(tid, *tree, address, from, size), size);
}

ssize_t Held::read_string(uint64_t address, char* to, size_t capacity) const {
  size_t have = 0;
  while (have < capacity) {
    const uint64_t at = address + have;
    // Most paths are short: a first read of 256 bytes is cheaper than one of a page.
    const size_t block =
        std::min<size_t>({have == 0 ? 256 : static_cast<size_t>(kPage), kPage - at % kPage, capacity - have});
    const int error = read(at, to + have, block);
    if (error != 0) return error;
    if (const void* end = memchr(to + have, 0, block)) return static_cast<const char*>(end) - to;
    have += block;
  }
  return -ENAMETOOLONG;
}

pid_t Held::tgid() const { return tree->group_of(tid); }

bool Held::still_held() const {
  Worker& worker = this_worker();
  if (worker.dead.load(std::memory_order_relaxed) == tid) {
    worker.gave_up = true;
    return false;
  }
  if (engine == Engine::trace) return true;
  int valid;
  while ((valid = ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &cookie)) != 0 && errno == EINTR) continue;
  seen_held_ = valid == 0;
  return seen_held_;
}

bool Held::must_end() const {
  if (ends) return false;
  SignalSets signals;
  if (!read_signal_sets(tid, signals)) return false;
  // signal(7): these do not end a process by default, and those that are ignored do not either.
  const uint64_t stops = signal_bit(SIGSTOP) | signal_bit(SIGTSTP) | signal_bit(SIGTTIN) | signal_bit(SIGTTOU);
  const uint64_t kept = signals.blocked | signals.ignored | signals.caught | stops;
  return ((signals.pending | signals.pending_to_process) & ~kept) != 0 && still_held();
}

}  // namespace holdfast
