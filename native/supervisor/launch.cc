#include "launch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "landlock.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)  // linux/seccomp.h, since Linux 5.19
#endif

extern char** environ;

namespace holdfast {

using protocol::Stage;

bool CommandLine::parse(int argc, char** argv) {
  if (argc < 5) return false;
  char* end;
  const long fd = strtol(argv[1], &end, 10);
  if (*end != '\0' || fd < 3 || fd > 1 << 20) return false;
  channel = static_cast<int>(fd);
  int is_detached, count, used = 0;
  if (sscanf(argv[2], "detached=%d,stdio=%d%n", &is_detached, &count, &used) != 2 || argv[2][used] != '\0' ||
      (is_detached & ~1) != 0 || count < 0 || count > channel)
    return false;
  detached = is_detached != 0;
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
  return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

}  // namespace

int Launch::find_command() {
  const std::string command = line.command;
  if (command.empty()) return ENOENT;
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

[[noreturn]] void fail(LaunchArea* area, Stage stage, int error) {
  area->error.store(error);
  area->stage.store(static_cast<int32_t>(stage));
  _exit(127);
}

// As the root user the tree would have powers that reach around any path rule or around the supervisor. With
// no_new_privs no exec gives them back (execve(2), capabilities(7)).
void drop_capabilities(uint64_t kept) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data) != 0) return;
  constexpr int kDropped[] = {CAP_SYS_ADMIN,
                              CAP_SYS_MODULE,
                              CAP_SYS_RAWIO,
                              CAP_SYS_PTRACE,
                              CAP_SYS_BOOT,
                              CAP_SYS_TIME,
                              CAP_SYS_CHROOT,
                              CAP_MAC_ADMIN,
                              CAP_MAC_OVERRIDE,
                              CAP_SYSLOG,
                              CAP_DAC_READ_SEARCH,
                              CAP_NET_ADMIN,
                              CAP_NET_RAW,
                              CAP_AUDIT_CONTROL,
                              CAP_AUDIT_READ,
                              CAP_WAKE_ALARM,
                              CAP_MKNOD,
                              CAP_LINUX_IMMUTABLE,
                              CAP_SYS_PACCT,
                              CAP_SYS_TTY_CONFIG,
                              38 /* CAP_PERFMON */,
                              39 /* CAP_BPF */,
                              40 /* CAP_CHECKPOINT_RESTORE */};
  for (const int capability : kDropped) {
    if ((kept >> capability & 1) != 0) continue;
    const uint32_t bit = ~(1u << (capability & 31));
    __user_cap_data_struct& word = data[capability >> 5];
    word.effective &= bit;
    word.permitted &= bit;
    word.inheritable &= bit;
  }
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  syscall(SYS_capset, &header, data);
}

// Runs in the child, alone in a copy of the supervisor's memory.
[[noreturn]] void become_command(Launch& launch, pid_t supervisor) {
  LaunchArea* area = launch.area;
  // Until the supervisor has attached, nothing else would end us with it.
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (getppid() != supervisor) _exit(127);
  while (area->go.load() == 0) syscall(SYS_futex, &area->go, FUTEX_WAIT, 0, nullptr, nullptr, 0);
  prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);

  if (launch.line.detached && setsid() < 0) fail(area, Stage::session, errno);
  for (int signal = 1; signal < NSIG; signal++) {
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
  }
  sigset_t unblocked;
  sigemptyset(&unblocked);
  sigprocmask(SIG_SETMASK, &unblocked, nullptr);

  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail(area, Stage::no_new_privs, errno);
  drop_capabilities(0);

  bool confined;
  if (const int error = confine_by_landlock(confined)) fail(area, Stage::landlock, error);
  if (!confined) {
    // The kernel itself writes core files, in any directory that the process is in: core(5). Landlock would not let it.
    const rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
  }

  sock_fprog program = {static_cast<unsigned short>(area->filter_length), area->filter};
  unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
  long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  area->wait_killable.store(listener >= 0);
  if (listener < 0 && errno == EINVAL)
    listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  if (listener < 0) fail(area, errno == EBUSY ? Stage::listener : Stage::seccomp, errno);
  area->listener.store(static_cast<int32_t>(listener));

  execve(launch.file.c_str(), launch.line.arguments, environ);
  if (errno == ENOEXEC) {
    // A text file without #!: execvp(3) runs it by the shell, and so does child_process.
    size_t count = 0;
    while (launch.line.arguments[count] != nullptr) count++;
    std::vector<char*> arguments;
    char shell[] = "/bin/sh";
    arguments.push_back(shell);
    arguments.push_back(launch.file.data());
    for (size_t i = 1; i <= count; i++) arguments.push_back(launch.line.arguments[i]);
    execve(shell, arguments.data(), environ);
  }
  fail(area, Stage::command, errno);
}

}  // namespace

int Launch::fork_child(const std::vector<sock_filter>& filter) {
  if (filter.size() > sizeof LaunchArea::filter / sizeof(sock_filter)) return E2BIG;
  void* memory = mmap(nullptr, sizeof(LaunchArea), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return errno;
  area = static_cast<LaunchArea*>(memory);  // zero pages: every field starts as 0
  area->listener.store(-1);
  memcpy(area->filter, filter.data(), filter.size() * sizeof(sock_filter));
  area->filter_length = static_cast<uint32_t>(filter.size());
  const pid_t supervisor = getpid();
  // A signal that comes before the child has its dispositions back waits: a blocked signal is never thrown away as
  // ignored (signal(7), and sig_ignored() in kernel/signal.c).
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  // Flags come first on both architectures, and everything else is zero, so their different orders do not matter.
  const long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0L, 0L, 0L, 0L);
  if (pid == 0) become_command(*this, supervisor);
  const int error = errno;
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return error;
  child = static_cast<pid_t>(pid);
  return 0;
}

void Launch::let_go() {
  area->go.store(1);
  syscall(SYS_futex, &area->go, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

void Launch::count_inherited() {
  struct stat status;
  // Its size is the number of descriptors since Linux 6.2 (proc_pid_fd(5)), before that 0.
  only_stdio_ = stat("/proc/self/fd", &status) == 0 && status.st_size == line.stdio_count + 1;
}

void Launch::find_inherited() {
  if (null_) return;
  null_.reset(open("/dev/null", O_RDWR | O_CLOEXEC));
  // Whatever survives an exec. Ours are all close-on-exec.
  const auto look_at = [this](int fd) {
    const int flags = fcntl(fd, F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) inherited_.push_back(fd);
  };
  DIR* const all = only_stdio_ ? nullptr : opendir("/proc/self/fd");
  if (all == nullptr) {
    for (int fd = 0; fd < line.stdio_count; fd++) look_at(fd);
    return;
  }
  while (const dirent* entry = readdir(all))
    if (entry->d_name[0] != '.') look_at(atoi(entry->d_name));
  closedir(all);
}

void Launch::close_inherited() {
  find_inherited();
  for (const int fd : inherited_) {
    // 0 to 2 stay taken, so that nothing else lands there.
    if (fd < 3 && null_)
      dup3(null_.get(), fd, O_CLOEXEC);
    else
      close(fd);
  }
  if (null_.get() < 3) null_.release();
  null_.reset();
}

void give_up_capabilities() { drop_capabilities(uint64_t{1} << CAP_SYS_PTRACE); }

}  // namespace holdfast
