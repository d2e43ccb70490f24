#include "descendants.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

bool send(int process, int signal) { return syscall(SYS_pidfd_send_signal, process, signal, nullptr, 0) == 0; }

// /proc may hide a process (hidepid) that runs what its user may not read. Those that are ours to wait for are known
// all the same, and of whoever ends the children become ours.
bool signal_children(int signal) {
  DIR* const threads = opendir("/proc/self/task");
  if (threads == nullptr) return false;
  bool any = false;
  while (const dirent* entry = readdir(threads)) {
    char name[sizeof entry->d_name + 32];
    snprintf(name, sizeof name, "/proc/self/task/%s/children", entry->d_name);
    FILE* const children = atoi(entry->d_name) > 0 ? fopen(name, "re") : nullptr;
    if (children == nullptr) continue;
    int pid;
    while (fscanf(children, "%d", &pid) == 1) {
      if (signal != SIGKILL && stat_of(pid).state != 0) continue;  // who is shown has it already
      const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
      if (!process) continue;
      siginfo_t ended = {};
      const int waited =
          waitid(P_PIDFD, static_cast<id_t>(process.get()), &ended, WEXITED | WNOHANG | WNOWAIT | __WALL);
      if (waited == 0 && ended.si_pid == 0) any = send(process.get(), signal) || any;
    }
    fclose(children);
  }
  closedir(threads);
  return any;
}

// True if somebody was there to be signalled.
bool signal_all(int signal) {
  bool any = false;
  for (const pid_t pid : descendants()) {
    const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    // Its number may be somebody else's by now: what the descriptor means is looked at once more.
    if (!process || !descends(pid) || !is_living(stat_of(pid))) continue;
    any = send(process.get(), signal) || any;
  }
  // Last: whoever has lost his parents by now is a child.
  return signal_children(signal) || any;
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
