#include "descendants.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../call/threads.h"
#include "../launch/landlock.h"
#include "../protocol/unique_fd.h"

namespace holdfast {
namespace {

pid_t watchdog = 0;
UniqueFd alive;  // as long as it is open the supervisor lives

// What it holds open would be missed by others: pipes that nobody closes.
void close_all_but(int fd) {
  const auto from = static_cast<unsigned>(fd);
  if (from > 0) syscall(SYS_close_range, 0, from - 1, 0);
  syscall(SYS_close_range, from + 1, UINT_MAX, 0);
}

[[noreturn]] void watch(int supervisor) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  setsid();
  prctl(PR_SET_NAME, "holdfast-watch", 0, 0, 0);
  close_all_but(supervisor);
  char word;
  ssize_t got;
  while ((got = read(supervisor, &word, 1)) < 0 && errno == EINTR) continue;
  if (got != 1) kill(-1, SIGKILL);
  _exit(0);
}

// A child that no wait4() of the reaper's is told of: it is no part of the tree (wait(2), __WCLONE).
pid_t fork_unseen() { return static_cast<pid_t>(syscall(SYS_clone, 0, nullptr, nullptr, nullptr, nullptr)); }

}  // namespace

int enclose_descendants() {
  const long abi = landlock_abi();
  if (abi < kScopesAbi) return 0;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  const UniqueFd supervisor(ends[0]);
  alive.reset(ends[1]);
  if (const int error = keep_signals_inside(abi)) return error;
  watchdog = fork_unseen();
  if (watchdog < 0) return errno;
  if (watchdog == 0) watch(supervisor.get());
  return keep_signals_inside(abi);
}

void signal_descendants(int signal) {
  // Outside the domain this would reach the whole machine.
  if (watchdog <= 0 || kill(watchdog, 0) == 0 || errno != EPERM) fatal("the tree is not enclosed");
  kill(-1, signal);
}

void end_watchdog() {
  if (watchdog <= 0) return;
  const char word = 0;
  if (write(alive.get(), &word, 1) != 1) return;
  while (waitpid(watchdog, nullptr, __WCLONE) < 0 && errno == EINTR) continue;
  watchdog = 0;
}

}  // namespace holdfast
