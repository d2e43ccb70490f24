#include "signal_sets.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../protocol/unique_fd.h"

namespace holdfast {
namespace {

constexpr uint64_t kIgnoredByDefault =
    signal_bit(SIGCHLD) | signal_bit(SIGURG) | signal_bit(SIGWINCH) | signal_bit(SIGCONT);

uint64_t mask_of(const char* status, const char* name) {
  const char* at = std::strstr(status, name);
  return at == nullptr ? 0 : std::strtoull(at + std::strlen(name), nullptr, 16);
}

}  // namespace

bool read_signal_sets(pid_t tid, SignalSets& out) {
  char path[40], status[8192];
  std::snprintf(path, sizeof path, "/proc/%d/status", tid);
  UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return false;
  const ssize_t n = ::read(fd.get(), status, sizeof status - 1);
  if (n <= 0) return false;
  status[n] = '\0';
  out.pending = mask_of(status, "\nSigPnd:\t");
  out.pending_to_process = mask_of(status, "\nShdPnd:\t");
  out.blocked = mask_of(status, "\nSigBlk:\t");
  out.caught = mask_of(status, "\nSigCgt:\t");
  out.ignored = mask_of(status, "\nSigIgn:\t") | (kIgnoredByDefault & ~out.caught);
  const char* const state = std::strstr(status, "\nState:\t");
  out.ended = state != nullptr && (state[8] == 'Z' || state[8] == 'X');
  const char* threads = std::strstr(status, "\nThreads:\t");
  out.threads = threads == nullptr ? 0 : std::atoi(threads + 10);
  return true;
}

}  // namespace holdfast
