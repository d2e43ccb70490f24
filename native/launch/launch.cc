#include "launch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../arch/raw_syscall.h"
#include "../protocol/unique_fd.h"
#include "../syscalls/guards.h"
#include "landlock.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)  // linux/seccomp.h, since Linux 5.19
#endif

extern char** environ;

namespace holdfast {

using arch::raw;
using arch::raw_syscall;
using protocol::Stage;

bool CommandLine::parse(int argc, char** argv) {
  if (argc < 5) return false;
  char* end;
  const long fd = strtol(argv[1], &end, 10);
  if (*end != '\0' || fd < 3 || fd > 1 << 20) return false;
  channel = static_cast<int>(fd);
  int group_kind, count, which, used = 0;
  if (sscanf(argv[2], "group=%d,stdio=%d,engine=%d%n", &group_kind, &count, &which, &used) != 3 ||
      argv[2][used] != '\0' || group_kind < 0 || group_kind > static_cast<int>(protocol::JobGroup::session) ||
      count < 0 || count > channel || which < 0 || which > static_cast<int>(protocol::Engine::kernel))
    return false;
  engine = static_cast<protocol::Engine>(which);
  group = static_cast<protocol::JobGroup>(group_kind);
  stdio_count = count;
  command = argv[4];
  argv[4] = argv[3];  // the command's own list begins with its argv0
  arguments = argv + 4;
  return true;
}

namespace {

// A file that execve(2) would at least open: found, regular, executable for us.
int executable(const char* path) {
  struct stat status;
  if (stat(path, &status) != 0) return errno;
  if (!S_ISREG(status.st_mode)) return EACCES;
  if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0) return 0;
  return errno;  // EPERM: a container that does not know faccessat2 refuses it so
}

}  // namespace

int Launch::find_command() {
  const std::string command = line.command;
  if (command.empty()) return ENOENT;
  if (command.size() > NAME_MAX && command.find('/') == std::string::npos) return ENAMETOOLONG;  // as execvp(3)
  if (command.find('/') != std::string::npos) {
    file = command;
    return executable(file.c_str());
  }
  const char* path = getenv("PATH");
  if (path == nullptr) path = "/bin:/usr/bin";  // execvp(3): the default without PATH, in glibc
  bool denied = false;
  for (const char* at = path;; at++) {
    const char* end = strchrnul(at, ':');
    std::string candidate(at, static_cast<size_t>(end - at));
    if (!candidate.empty()) candidate += '/';
    candidate += command;
    const int error = executable(candidate.c_str());
    if (error == 0) {
      file = candidate;
      return 0;
    }
    if (error == EACCES) denied = true;
    if (*end == '\0') break;
    at = end;
  }
  return denied ? EACCES : ENOENT;
}

namespace {

// The terminal's signals and a closed pipe are the command's business, not the supervisor's.
constexpr int kIgnored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU, SIGXFSZ};

constexpr char kShell[] = "/bin/sh";

[[noreturn]] void fail(LaunchArea* area, Stage stage, long error) {
  area->error.store(static_cast<int32_t>(error));
  area->stage.store(static_cast<int32_t>(stage));
  // A rule on system calls can refuse the first.
  for (;;) {
    raw_syscall(SYS_exit_group, 127);
    __builtin_trap();
  }
}

// As the root user the tree would have powers that reach around any path rule or around the supervisor. With
// no_new_privs no exec gives them back (execve(2), capabilities(7)).
// 0 or a positive errno: then they are still there. `must_end_it`: only a signal ends the tree, so nobody becomes a
// user whom the supervisor may not signal.
int drop_capabilities(uint64_t kept, bool must_end_it) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2];
  if (const long result = raw_syscall(SYS_capget, raw(&header), raw(data))) return static_cast<int>(-result);
  bool any = false;
  const auto drop = [&](int capability) {
    const uint32_t bit = ~(1u << (capability & 31));
    __user_cap_data_struct& word = data[capability >> 5];
    any |= ((word.effective | word.permitted | word.inheritable) & ~bit) != 0;
    word.effective &= bit;
    word.permitted &= bit;
    word.inheritable &= bit;
  };
  if (must_end_it && (data[0].effective >> CAP_KILL & 1) == 0) drop(CAP_SETUID);
  constexpr int kDropped[] = {
      CAP_SYS_ADMIN,     CAP_SYS_MODULE,       CAP_SYS_RAWIO,       CAP_SYS_PTRACE,
      CAP_SYS_BOOT,      CAP_SYS_TIME,         CAP_SYS_CHROOT,      CAP_MAC_ADMIN,
      CAP_MAC_OVERRIDE,  CAP_SYSLOG,           CAP_DAC_READ_SEARCH, CAP_NET_ADMIN,
      CAP_NET_RAW,       CAP_AUDIT_CONTROL,    CAP_AUDIT_READ,      CAP_WAKE_ALARM,
      CAP_MKNOD,         CAP_LINUX_IMMUTABLE,  CAP_SYS_PACCT,       CAP_SYS_TTY_CONFIG,
      CAP_SYS_NICE,      CAP_SYS_RESOURCE,     CAP_IPC_LOCK,        CAP_IPC_OWNER,
      CAP_LEASE,         CAP_SETFCAP,          CAP_AUDIT_WRITE,     CAP_NET_BROADCAST,
      CAP_BLOCK_SUSPEND, 38 /* CAP_PERFMON */, 39 /* CAP_BPF */,    40 /* CAP_CHECKPOINT_RESTORE */};
  for (const int capability : kDropped) {
    if ((kept >> capability & 1) == 0) drop(capability);
  }
  // Ambient capabilities would come back at the exec, those that are not dropped too. They are never more than the
  // inheritable ones (capabilities(7)), so where a host refuses the plain way, those go.
  if (raw_syscall(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL) != 0) {
    for (__user_cap_data_struct& word : data) {
      any |= word.inheritable != 0;
      word.inheritable = 0;
    }
  }
  // Who has none of them does not need to ask; who has some must not go on with them.
  return any ? static_cast<int>(-raw_syscall(SYS_capset, raw(&header), raw(data))) : 0;
}

// The kernel's own: signal(7). libc's struct sigaction is another.
struct KernelAction {
  void* handler;
  unsigned long flags;
  void* restorer;
  uint64_t mask;
};

__attribute__((no_sanitize("address"))) void tell(std::atomic<uint32_t>& word) {
  word.store(1);
  raw_syscall(SYS_futex, raw(&word), FUTEX_WAKE, 1);
}

// The child is in our memory until its exec: to copy even a small one, and to give the copy up again, takes longer than
// all that it does. Sanitizers know of no second process in theirs, so under them it has a copy, but for the area.
#ifdef HOLDFAST_SANITIZERS
constexpr int kSharedByChild = CLONE_FILES, kPagesOfChild = MAP_SHARED;
#else
constexpr int kSharedByChild = CLONE_VM | CLONE_FILES, kPagesOfChild = MAP_PRIVATE;
#endif

// With the signals that the command begins with.
__attribute__((no_sanitize("address"))) void take_signals_back() {
  const KernelAction by_default = {};
  for (const int signal : kIgnored)
    raw_syscall(SYS_rt_sigaction, static_cast<uint64_t>(signal), raw(&by_default), 0, sizeof by_default.mask);
  const uint64_t unblocked = 0;
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, raw(&unblocked), 0, sizeof unblocked);
}

// By the engine `kernel` nobody keeps it from joining the groups of its session.
__attribute__((no_sanitize("address"))) bool begins_session(const CommandLine& line) {
  using protocol::JobGroup;
  return line.group == JobGroup::session || (line.group == JobGroup::own && line.engine == protocol::Engine::kernel);
}

// Of an own group it was made a member (fork_child()), and so it was if it was made ahead.
__attribute__((no_sanitize("address"))) void take_group(const Launch& launch) {
  using protocol::JobGroup;
  const JobGroup group = launch.line.group;
  const pid_t outside = launch.area->group;
  long result = 0;
  if (begins_session(launch.line))
    result = raw_syscall(SYS_setsid);
  else if (launch.ahead && group == JobGroup::shared && outside != 0)
    result = raw_syscall(SYS_setpgid, 0, static_cast<uint64_t>(outside));
  else if (launch.ahead && group == JobGroup::own && outside == 0)
    result = raw_syscall(SYS_setpgid, 0, 0);
  if (result < 0) fail(launch.area, Stage::session, -result);
}

// Made ahead, and told what it is to become. What came while it waited was not for the command; what comes from now on
// is, and waits, for all signals are blocked.
__attribute__((no_sanitize("address"))) void catch_up(const Launch& launch) {
  LaunchArea* const area = launch.area;
  while (area->told.load() == 0) raw_syscall(SYS_futex, raw(&area->told), FUTEX_WAIT, 0);
  const uint64_t all = ~uint64_t{0};
  const timespec at_once = {};
  while (raw_syscall(SYS_rt_sigtimedwait, raw(&all), 0, raw(&at_once), sizeof all) > 0) continue;
  if (const long result = raw_syscall(SYS_fchdir, static_cast<uint64_t>(area->directory)); result < 0)
    fail(area, Stage::internal, -result);
  raw_syscall(SYS_close, static_cast<uint64_t>(area->directory));  // the supervisor's too
  raw_syscall(SYS_umask, area->mask);
  take_group(launch);
  tell(area->begun);
}

__attribute__((no_sanitize("address"))) void put_on_filter(LaunchArea* area) {
  for (;;) {
    while (area->filtered.load() == 0) raw_syscall(SYS_futex, raw(&area->filtered), FUTEX_WAIT, 0);
    const sock_fprog program = {area->filter_length, area->filter};
    const auto put_on = [&](uint64_t flags) {
      return raw_syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, raw(&program));
    };
    if (area->by_stops) {
      if (const long result = put_on(0); result < 0) fail(area, Stage::seccomp, -result);
      break;
    }
    long listener = put_on(SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
    if (listener == -EINVAL) listener = put_on(SECCOMP_FILTER_FLAG_NEW_LISTENER);
    if (listener >= 0) {
      area->listener.store(static_cast<int32_t>(listener));
      break;
    }
    // seccomp(2): a task has one listener at most, its own or one that it was born with.
    if (listener != -EBUSY && listener != -EINVAL) fail(area, Stage::seccomp, -listener);
    if (!area->is_awaited) fail(area, Stage::listener, -listener);
    area->filtered.store(0);
    area->no_listener.store(true);
    tell(area->settled);
  }
  tell(area->settled);
}

// Runs in the child, in the supervisor's memory, on a stack of its own: nothing here may change what the supervisor
// uses, libc's errno included, so it makes raw system calls only. A sanitizer would look for that stack at each fail().
__attribute__((no_sanitize("address"))) int become_command(void* argument) {
  Launch& launch = *static_cast<Launch*>(argument);
  LaunchArea* const area = launch.area;
  // Until the supervisor has attached, nothing else would end us with it.
  raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
  if (raw_syscall(SYS_getppid) != area->supervisor) fail(area, Stage::fork, ESRCH);

  if (!launch.ahead) {
    take_group(launch);
    take_signals_back();
  }

  if (const long result = raw_syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1)) fail(area, Stage::no_new_privs, -result);
  if (const int error = drop_capabilities(0, launch.line.engine == protocol::Engine::kernel))
    fail(area, Stage::capabilities, error);

  if (launch.ahead) {
    catch_up(launch);
    take_signals_back();
  }

  put_on_filter(area);

  while (area->go.load() == 0) raw_syscall(SYS_futex, raw(&area->go), FUTEX_WAIT, 0);
  if (const int error = put_on_limits(area->limits)) fail(area, Stage::limits, error);
  // For this memory, which may be the supervisor's too, and for that of every program after it. The kernel refuses what
  // is writable and executable at once, and what becomes executable later: PR_SET_MDWE(2const), since Linux 6.3.
  constexpr int kSetMdwe = 65, kRefuseExecGain = 1;
  if (area->no_writable_code) {
    if (const long result = raw_syscall(SYS_prctl, kSetMdwe, kRefuseExecGain, 0, 0, 0))
      fail(area, Stage::internal, -result);
  }
  if (area->ruleset >= 0) {
    if (const int error = put_on_ruleset(area->ruleset)) fail(area, Stage::landlock, error);
  } else {
    // The kernel itself writes core files, in any directory that the process is in: core(5). Landlock would not let it.
    const rlimit none = {0, 0};
    raw_syscall(SYS_prlimit64, 0, RLIMIT_CORE, raw(&none));
  }
  // Whom nobody traces no exec lets outlive us: it is cleared by programs that give rights (prctl(2)), and there are
  // none under no_new_privs.
  if (!area->dies_with_us) raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, 0);
  // From here on rules on system calls hold for us, too: nothing is left to do but the exec, which is held.
  if (area->rules_length != 0) {
    const sock_fprog rules = {area->rules_length, area->rules};
    if (const long result = raw_syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, raw(&rules), own_ruleset_mark()))
      fail(area, Stage::seccomp, -result);
  }
  const auto execute = [](const char* file, auto arguments) {
    return raw_syscall(SYS_execve, raw(file), raw(arguments), raw(environ), 0, 0, kStopsExec);
  };
  long result = execute(launch.file.c_str(), launch.line.arguments);
  // A text file without #!: execvp(3) runs it by the shell, and so does child_process.
  if (result == -ENOEXEC) result = execute(kShell, launch.by_shell.data());
  fail(area, Stage::command, -result);
}

struct ChildMemory {
  LaunchArea area;  // of pages that nobody touches before they are used
  alignas(4096) char stack[64 << 10];
};

}  // namespace

void Launch::prepare_shell() {
  by_shell = {const_cast<char*>(kShell), file.data()};
  for (char** argument = line.arguments; *argument != nullptr; argument++)
    if (argument != line.arguments) by_shell.push_back(*argument);
  by_shell.push_back(nullptr);
}

bool Launch::can_go_ahead() { return (kSharedByChild & CLONE_VM) != 0; }

namespace {

__attribute__((no_sanitize("address"))) int lead_group(void*) { return raw_syscall(SYS_setpgid, 0, 0) == 0 ? 0 : 1; }

// Begins a process group that nobody leads, as a command that leads one could begin no session (setsid(2)). Until the
// leader is waited for the group is there. -1: errno says why.
pid_t begin_group(char* stack_end) {
  const pid_t leader = clone(lead_group, stack_end, (kSharedByChild & CLONE_VM) | CLONE_VFORK | SIGCHLD, nullptr);
  siginfo_t ended;
  while (leader > 0 && waitid(P_PID, static_cast<id_t>(leader), &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR)
    continue;
  return leader;
}

}  // namespace

int Launch::fork_child() {
  // Never given back: who has it last is not worth finding out.
  void* const pages =
      mmap(nullptr, sizeof(ChildMemory), PROT_READ | PROT_WRITE, kPagesOfChild | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (pages == MAP_FAILED) return errno;
  ChildMemory& memory = *static_cast<ChildMemory*>(pages);
  area = &memory.area;
  area->listener.store(-1);
  area->supervisor = getpid();
  area->group = getpgrp();
  // One that is made ahead can go back, if the group that it comes from has a number.
  const bool leaves = ahead ? area->group != 0 : line.group == protocol::JobGroup::own && !begins_session(line);
  if (!ahead) prepare_shell();
  // A signal that comes before the child has its dispositions back waits: a blocked signal is never thrown away as
  // ignored (signal(7), and sig_ignored() in kernel/signal.c).
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  area->in_our_memory.store(1);
  const pid_t leader = leaves ? begin_group(memory.stack + sizeof memory.stack) : 0;
  const int cleared = line.engine == protocol::Engine::kernel ? CLONE_CHILD_CLEARTID : 0;
  int error = leader < 0 ? errno : 0;
  if (error == 0) {
    child = clone(become_command, memory.stack + sizeof memory.stack, kSharedByChild | cleared | SIGCHLD, this, nullptr,
                  nullptr, &area->in_our_memory);
    if (child < 0) error = errno;
  }
  if (leader > 0) {
    if (error == 0 && setpgid(child, leader) != 0) error = errno;
    while (waitpid(leader, nullptr, 0) < 0 && errno == EINTR) continue;
  }
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) give_up();
  return error;
}

bool Launch::wait_for_filter() const {
  constexpr timespec kLook = {0, 2'000'000};
  siginfo_t ended = {};
  // Two seconds are enough for anybody but a child that somebody has stopped.
  for (int rounds = 0;
       rounds < 1'000 && area->settled.load() == 0 && area->stage.load() == 0 &&
       waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 && ended.si_pid == 0;
       rounds++)
    raw_syscall(SYS_futex, raw(&area->settled), FUTEX_WAIT, 0, raw(&kLook));
  const bool refused = area->no_listener.exchange(false);
  if (refused) area->settled.store(0);
  return !refused;
}

void ignore_terminal_signals() {
  for (const int signal : kIgnored) ::signal(signal, SIG_IGN);
}

bool Launch::is_waiting() const {
  int status;
  const pid_t changed = waitpid(child, &status, WNOHANG | __WALL);
  // A stop that reaches it before its command has begun is not the command's. Only its tracer can let it go on.
  if (changed == child && WIFSTOPPED(status)) ptrace(PTRACE_CONT, child, nullptr, nullptr);
  return changed == 0 || (changed == child && WIFSTOPPED(status));
}

void Launch::tell_child(int directory, mode_t mask) {
  area->directory = directory;
  area->mask = mask;
  tell(area->told);
}

bool Launch::wait_for_beginning() const {
  constexpr timespec kLook = {0, 2'000'000};
  while (area->begun.load() == 0) {
    raw_syscall(SYS_futex, raw(&area->begun), FUTEX_WAIT, 0, raw(&kLook));
    if (area->begun.load() == 0 && !is_waiting()) return false;
  }
  return true;
}

void Launch::give_up() {
  if (child <= 0) return;
  kill(child, SIGKILL);
  while (is_waiting()) {
    siginfo_t ended;
    waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WSTOPPED | WNOWAIT | __WALL);
  }
  child = 0;  // it is reaped: the number is anybody's
}

bool Launch::give_filter(const std::vector<sock_filter>& filter) {
  if (filter.size() > sizeof LaunchArea::filter / sizeof(sock_filter)) return false;
  std::copy(filter.begin(), filter.end(), area->filter);
  area->filter_length = static_cast<unsigned short>(filter.size());
  tell(area->filtered);
  return true;
}

bool Launch::give_rules(const std::vector<sock_filter>& rules) {
  if (rules.empty() || rules.size() > sizeof LaunchArea::rules / sizeof(sock_filter)) return false;
  std::copy(rules.begin(), rules.end(), area->rules);
  area->rules_length = static_cast<unsigned short>(rules.size());
  return true;
}

void Launch::let_go(int ruleset, const Limits& limits) {
  area->limits = limits;
  area->ruleset = ruleset;
  tell(area->go);
}

void Launch::count_inherited() {
  struct stat status;
  // Its size is the number of descriptors since Linux 6.2 (proc_pid_fd(5)), before that 0.
  only_stdio_ = stat("/proc/self/fd", &status) == 0 && status.st_size == line.stdio_count + 1;
}

void Launch::close_inherited() {
  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  // Whatever survives an exec. Ours are all close-on-exec.
  std::vector<int> inherited;
  const auto look_at = [&](int fd) {
    const int flags = fcntl(fd, F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) inherited.push_back(fd);
  };
  if (DIR* const all = only_stdio_ ? nullptr : opendir("/proc/self/fd")) {
    while (const dirent* entry = readdir(all))
      if (entry->d_name[0] != '.') look_at(atoi(entry->d_name));
    closedir(all);
  } else {
    for (int fd = 0; fd < line.stdio_count; fd++) look_at(fd);
  }
  for (const int fd : inherited) {
    // 0 to 2 stay taken, so that nothing else lands there.
    if (fd < 3 && null)
      dup3(null.get(), fd, O_CLOEXEC);
    else
      close(fd);
  }
  if (null.get() < 3) null.release();
}

// Both are asked with arguments that are wrong: who may not call it is told so first, as by a kernel that does not have
// it.
bool can_connect_copies() {
  static const bool can = syscall(SYS_pidfd_getfd, -1, 0, 0) < 0 && errno == EBADF;
  return can;
}

bool may_lack_listener() {
  const uint32_t action = SECCOMP_RET_USER_NOTIF;
  return prctl(PR_GET_SECCOMP) != 0 || syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0;
}

// Before Linux 5.19 a signal interrupts a call that has been received, too.
bool holds_to_the_end() {
  constexpr unsigned long kListenToTheEnd = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, kListenToTheEnd, nullptr) < 0 && errno == EFAULT;
}

int give_up_capabilities() { return drop_capabilities(uint64_t{1} << CAP_SYS_PTRACE, false); }

}  // namespace holdfast
