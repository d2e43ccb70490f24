#include "reaper.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../call/tree.h"
#include "../channel/channel.h"
#include "../channel/report.h"
#include "../policy/config.h"
#include "descendants.h"

namespace holdfast {
namespace {

constexpr timespec kLook = {0, 2'000'000}, kSoon = {0, 5'000'000};

bool has_ended(pid_t child) {
  siginfo_t ended = {};
  return waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == child;
}

}  // namespace

bool Reaper::see_begin() {
  LaunchArea* const area = launch_.area;
  // The kernel clears the word and wakes who waits for it, when the child has given up our memory: by its exec, or by
  // its end (CLONE_CHILD_CLEARTID in clone(2)).
  while (area->in_our_memory.load() != 0 && area->stage.load() == 0 && !has_ended(launch_.child))
    syscall(SYS_futex, &area->in_our_memory, FUTEX_WAIT, area->in_our_memory.load(), &kLook, nullptr, 0);
  if (area->stage.load() != 0) {
    int status;
    waitpid(launch_.child, &status, 0);
    report_failed_launch(sandbox_, launch_);
    return false;
  }
  launch_.launched = true;
  sandbox_.tree.begin();
  launch_.close_inherited();
  report_launched(sandbox_, launch_.child);
  sandbox_.channel.wake();
  return true;
}

void Reaper::command_ended(int status) {
  command_has_ended_ = true;
  report_exit(sandbox_, launch_.child, status);
  if (sandbox_.config.wait_for_tree) return;
  const int signal = sandbox_.tree.spared_by();
  kills_ = signal == 0;
  if (signal > 0) signal_descendants(signal);
}

// Of nobody else: what the others of the tree do to each other is not to keep us from seeing ends.
void Reaper::look_at_command() {
  siginfo_t now = {};
  if (command_has_ended_ ||
      waitid(P_PID, static_cast<id_t>(launch_.child), &now, WSTOPPED | WCONTINUED | WNOHANG) != 0 || now.si_pid == 0)
    return;
  report_stopped(sandbox_, now.si_code == CLD_CONTINUED ? 0 : now.si_status);
}

void Reaper::run() {
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGCHLD);
  sigaddset(&wanted, SIGUSR1);
  for (;;) {
    int status = 0;
    rusage used = {};
    pid_t ended;
    {
      // Until then its number is nobody else's.
      const std::lock_guard<std::mutex> reaping(sandbox_.tree.reaping());
      ended = wait4(-1, &status, WNOHANG, &used);
      if (ended == launch_.child) sandbox_.tree.remove(ended);
    }
    if (ended < 0 && errno == ECHILD) break;
    if (ended > 0) {
      const auto nanoseconds = [](const timeval& time) {
        return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_usec) * 1000;
      };
      Figures figures;
      figures.user = nanoseconds(used.ru_utime);
      figures.system = nanoseconds(used.ru_stime);
      figures.peak = static_cast<uint64_t>(used.ru_maxrss) * 1024;
      sandbox_.tree.usage().add_ended(ended, figures, "");
      if (ended == launch_.child) command_ended(status);
      continue;
    }
    look_at_command();
    if (kills_) signal_descendants(SIGKILL);
    sigtimedwait(&wanted, nullptr, &kSoon);
  }
}

}  // namespace holdfast
