#include "descendants.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <unordered_map>

#include "../protocol/unique_fd.h"
#include "proc_stat.h"

namespace holdfast {
namespace {

constexpr timespec kPause = {0, 1'000'000};

bool is_living(const Stat& stat) { return stat.state != 0 && stat.state != 'Z' && stat.state != 'X'; }

// Whether a process descends from this one: by its parents, as they are now.
bool descends(pid_t pid) {
  const pid_t own = getpid();
  for (int steps = 0; pid > 1 && steps < 4096; steps++) {
    if (pid == own) return true;
    pid = stat_of(pid).parent;
  }
  return false;
}

// True if somebody was there to be signalled.
bool signal_all(int signal) {
  bool any = false;
  for (const pid_t pid : descendants()) {
    const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    // Its number may be somebody else's by now: what the descriptor means is looked at once more.
    if (!process || !descends(pid) || !is_living(stat_of(pid))) continue;
    any = syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0) == 0 || any;
  }
  return any;
}

}  // namespace

std::vector<pid_t> descendants() {
  std::unordered_map<pid_t, pid_t> parents;
  DIR* const all = opendir("/proc");
  if (all == nullptr) return {};
  while (const dirent* entry = readdir(all)) {
    const pid_t pid = atoi(entry->d_name);
    if (pid <= 0) continue;
    const Stat stat = stat_of(pid);
    if (is_living(stat)) parents.emplace(pid, stat.parent);
  }
  closedir(all);
  const pid_t own = getpid();
  std::vector<pid_t> out;
  for (const auto& [pid, parent] : parents) {
    pid_t at = parent;
    for (size_t steps = 0; at > 1 && at != own && steps <= parents.size(); steps++) {
      const auto next = parents.find(at);
      at = next == parents.end() ? stat_of(at).parent : next->second;  // a parent that has ended, and has threads left
    }
    if (at == own) out.push_back(pid);
  }
  return out;
}

void signal_descendants(int signal) { signal_all(signal); }

void kill_descendants() {
  // Who is stopped makes nobody, and the next look finds whoever was made before.
  signal_all(SIGSTOP);
  while (signal_all(SIGKILL)) nanosleep(&kPause, nullptr);
}

}  // namespace holdfast
