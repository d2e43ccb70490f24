// Makes every call that is performed, bounced or let go on while a timer and a second process rain signals on it, and
// prints for each call what it answered, each answer once. The kernel gives none of these calls EINTR.
//   signal_storm plain|restart ROUNDS [stops]    the handlers without or with SA_RESTART; stops: SIGSTOP and SIGCONT,
//   too
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static volatile sig_atomic_t rained;
static void on_signal(int signal) {
  (void)signal;
  rained++;
}

static int handler_flags;
static pid_t rain;

static void handle(int signal) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = handler_flags};
  sigaction(signal, &action, NULL);
}

static void arm(void) {
  const struct itimerval each = {{0, 400}, {0, 400}};
  setitimer(ITIMER_REAL, &each, NULL);
}

static void disarm(void) {
  const struct itimerval never = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &never, NULL);
}

// Another process's signals come at other moments than a timer's.
static pid_t start_rain(pid_t on, int stops) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (unsigned i = 0;; i++) {
    usleep(300 + i * 7 % 400);
    if (kill(on, i % 2 ? SIGUSR1 : SIGCHLD) != 0) _exit(0);
    if (stops && i % 16 == 0) {
      kill(on, SIGSTOP);
      usleep(100);
      kill(on, SIGCONT);
    }
  }
}

// ---- What is called
// --------------------------------------------------------------------------------------------------

static int file = -1, folder = -1, self_fd = -1, watches = -1, datagrams = -1, target = -1;
static struct sockaddr_in there;
static struct sockaddr_un by_path;
// Abstract, and as long as an address of the internet: a worker receives it, but only the caller can make it.
static const struct sockaddr_un nobody = {AF_UNIX, "\0storm-of-peer"};
static char text[4096];

static long opened(long fd) { return fd < 0 ? -1 : close((int)fd); }
static long made(long result, const char* name) { return result < 0 ? -1 : unlink(name); }

static long socket_calls(int which) {
  // A stream's connect can wait for its peer, and then EINTR is right.
  const int fd = socket(which < 3 ? AF_INET : AF_UNIX, which == 2 || which == 5 ? SOCK_DGRAM : SOCK_STREAM, 0);
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_un here = {.sun_family = AF_UNIX, .sun_path = "s"};
  long result = -1;
  switch (which) {
    case 0:
      result = bind(fd, (void*)&any, sizeof any);
      break;
    case 1:
      result = bind(fd, (void*)&any, sizeof any) < 0 ? -1 : listen(fd, 5);
      break;
    case 2:
      result = connect(fd, (void*)&there, sizeof there);
      break;
    case 3:
      result = made(bind(fd, (void*)&here, sizeof here), "s");
      break;
    case 4:
      result = connect(fd, (void*)&by_path, sizeof by_path);
      break;
    case 5:
      result = connect(fd, (const void*)&nobody, sizeof there);
      break;
  }
  const int error = errno;
  if (which == 4) {
    const int peer = result == 0 ? accept(self_fd, NULL, NULL) : -1;
    if (peer >= 0) close(peer);
  }
  close(fd);
  errno = error;
  return result;
}

static long messages(int which) {
  struct iovec part = {"message", 7};
  struct mmsghdr message = {
      .msg_hdr = {.msg_name = &there, .msg_namelen = sizeof there, .msg_iov = &part, .msg_iovlen = 1}};
  if (which == 0) return sendto(datagrams, "message", 7, 0, (void*)&there, sizeof there) == 7 ? 0 : -1;
  if (which == 1) return sendmsg(datagrams, &message.msg_hdr, 0) == 7 ? 0 : -1;
  return sendmmsg(datagrams, &message, 1, 0) == 1 ? 0 : -1;
}

// A child whose first bounced call comes while it rains, so that calls of the supervisor's are made in it.
static long first_bounce(void) {
  const pid_t pid = fork();
  if (pid == 0) {
    arm();
    for (int i = 0; i < 4; i++)
      if (chdir(".") != 0) _exit(errno);
    _exit(0);
  }
  int status;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return -1;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
  errno = WIFEXITED(status) ? WEXITSTATUS(status) : ENOEXEC;
  return -1;
}

// Executes itself while another process sends what the new image ignores.
static long executes(void) {
  const pid_t pid = fork();
  if (pid == 0) {
    handle(SIGURG);
    char* arguments[] = {"signal_storm", "ends", NULL};
    execv("/proc/self/exe", arguments);
    _exit(errno);
  }
  int status;
  pid_t ended;
  while ((ended = waitpid(pid, &status, WNOHANG)) <= 0) {
    if (ended < 0 && errno != EINTR) return -1;
    kill(pid, SIGURG);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
  errno = WIFEXITED(status) ? WEXITSTATUS(status) : ENOEXEC;
  return -1;
}

static long own_owner(void) {
  const long result = fcntl(datagrams, F_SETOWN, getpid());
  return result;
}

static long opens_how(void) {
  struct open_how how = {.flags = O_RDONLY};
  return opened(syscall(SYS_openat2, AT_FDCWD, "f", &how, sizeof how));
}

static long watches_file(void) {
  const int watch = inotify_add_watch(watches, "f", IN_ATTRIB);
  return watch < 0 ? -1 : 0;
}

static long renames(void) {
  if (rename("f2", "f3") < 0) return -1;
  return rename("f3", "f2");
}

static const struct timespec kTimes[2] = {{1, 0}, {2, 0}};
static const struct timeval kMicros[2] = {{1, 0}, {2, 0}};
static char name_buffer[64];

#define CALLS(_)                                                                           \
  _(access, access("f", R_OK))                                                             \
  _(faccessat2, syscall(439, AT_FDCWD, "f", R_OK, 0))                                      \
  _(stat, stat("f", (struct stat*)text))                                                   \
  _(lstat, lstat("l", (struct stat*)text))                                                 \
  _(statx, statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, (struct statx*)text))                \
  _(stat_missing, stat("missing", (struct stat*)text))                                     \
  _(statfs, statfs(".", (struct statfs*)text))                                             \
  _(readlink, readlink("l", name_buffer, sizeof name_buffer) == 1 ? 0 : -1)                \
  _(open, opened(open("f", O_RDONLY)))                                                     \
  _(open_for_writing, opened(open("f", O_RDWR)))                                           \
  _(open_creating, made(opened(open("n", O_RDWR | O_CREAT | O_EXCL, 0600)), "n"))          \
  _(open_truncating, opened(open("f", O_WRONLY | O_TRUNC)))                                \
  _(open_unnamed, opened(open(".", O_TMPFILE | O_RDWR, 0600)))                             \
  _(open_path, opened(open("f", O_PATH)))                                                  \
  _(open_missing, opened(open("missing", O_RDONLY)))                                       \
  _(open_directory, opened(open(".", O_RDONLY | O_DIRECTORY)))                             \
  _(open_proc, opened(open("/proc/self/stat", O_RDONLY)))                                  \
  _(creat, made(opened(creat("n", 0600)), "n"))                                            \
  _(openat2, opens_how())                                                                  \
  _(mkdir, mkdir("d", 0700) < 0 ? -1 : rmdir("d"))                                         \
  _(mkdirat, mkdirat(folder, "d", 0700) < 0 ? -1 : unlinkat(folder, "d", AT_REMOVEDIR))    \
  _(mkfifo, made(mkfifo("n", 0600), "n"))                                                  \
  _(symlink, made(symlink("f", "n"), "n"))                                                 \
  _(link, made(link("f", "n"), "n"))                                                       \
  _(rename, renames())                                                                     \
  _(renameat2, syscall(SYS_renameat2, folder, "f", folder, "f2", 2 /* RENAME_EXCHANGE */)) \
  _(chmod, chmod("f", 0640))                                                               \
  _(fchmod, fchmod(file, 0600))                                                            \
  _(fchmodat2, syscall(SYS_fchmodat2, AT_FDCWD, "f", 0600, 0))                             \
  _(chown, chown("f", -1, -1))                                                             \
  _(lchown, lchown("l", -1, -1))                                                           \
  _(fchown, fchown(file, -1, -1))                                                          \
  _(truncate, truncate("f", 3))                                                            \
  _(utime, utime("f", NULL))                                                               \
  _(utimes, utimes("f", kMicros))                                                          \
  _(utimensat, utimensat(AT_FDCWD, "f", kTimes, 0))                                        \
  _(futimens, futimens(file, kTimes))                                                      \
  _(getxattr, getxattr("f", "user.none", text, 8))                                         \
  _(listxattr, listxattr("f", text, sizeof text) < 0 ? -1 : 0)                             \
  _(removexattr, removexattr("f", "user.none"))                                            \
  _(fremovexattr, fremovexattr(file, "user.none"))                                         \
  _(kill, kill(getpid(), 0))                                                               \
  _(kill_signal, kill(getpid(), SIGUSR1))                                                  \
  _(tgkill, syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1))                              \
  _(pidfd_open, opened(syscall(SYS_pidfd_open, getpid(), 0)))                              \
  _(getpgid, getpgid(getpid()) < 0 ? -1 : 0)                                               \
  _(getsid, getsid(getpid()) < 0 ? -1 : 0)                                                 \
  _(getpriority, (errno = 0, getpriority(PRIO_PROCESS, getpid()), errno != 0 ? -1 : 0))    \
  _(sched_getscheduler, sched_getscheduler(getpid()) < 0 ? -1 : 0)                         \
  _(prlimit, prlimit(getpid(), RLIMIT_NOFILE, NULL, (struct rlimit*)text))                 \
  _(setresuid, setresuid(-1, geteuid(), -1))                                               \
  _(setresgid, setresgid(-1, getegid(), -1))                                               \
  _(dumpable, prctl(PR_SET_DUMPABLE, 0) < 0 ? -1 : prctl(PR_SET_DUMPABLE, 1))              \
  _(chdir, chdir("."))                                                                     \
  _(chdir_missing, chdir("missing"))                                                       \
  _(inotify_add_watch, watches_file())                                                     \
  _(fcntl_setown, own_owner())                                                             \
  _(bind, socket_calls(0))                                                                 \
  _(listen, socket_calls(1))                                                               \
  _(connect, socket_calls(2))                                                              \
  _(bind_path, socket_calls(3))                                                            \
  _(connect_path, socket_calls(4))                                                         \
  _(connect_abstract, socket_calls(5))                                                     \
  _(sendto, messages(0))                                                                   \
  _(sendmsg, messages(1))                                                                  \
  _(sendmmsg, messages(2))                                                                 \
  _(execve_missing, execl("./missing", "missing", NULL))                                   \
  _(execve_refused, execl("./f", "f", NULL))

#define MORE(_)                   \
  _(first_bounce, first_bounce()) \
  _(execve, executes())

static unsigned char answered[256];

static void begin(void) { memset(answered, 0, sizeof answered); }

static void note(long result) { answered[result == 0 ? 0 : result == -1 && errno < 255 ? errno : 255] = 1; }

static void show(const char* name) {
  printf("%s:", name);
  for (int i = 0; i < 256; i++)
    if (answered[i]) printf(" %s", i == 0 ? "0" : i == 255 ? "a strange result" : strerrorname_np(i));
  printf("\n");
}

static void prepare(void) {
  file = open("f", O_RDWR | O_CREAT, 0600);
  close(open("f2", O_RDWR | O_CREAT, 0600));
  if (symlink("f", "l") < 0 && errno != EEXIST) exit(9);
  folder = open(".", O_RDONLY | O_DIRECTORY);
  watches = inotify_init();
  datagrams = socket(AF_INET, SOCK_DGRAM, 0);
  there = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

// Bounced calls, so not before first_bounce().
static void prepare_sockets(void) {
  socklen_t size = sizeof there;
  target = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (bind(target, (void*)&there, size) < 0 || listen(target, 64) < 0) exit(8);
  getsockname(target, (void*)&there, &size);
  by_path = (struct sockaddr_un){.sun_family = AF_UNIX, .sun_path = "listener"};
  self_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  unlink("listener");
  if (bind(self_fd, (void*)&by_path, sizeof by_path) < 0 || listen(self_fd, 64) < 0) exit(7);
}

int main(int argc, char** argv) {
  if (argc == 2) return 0;
  if (argc < 3) return 64;
  handler_flags = strcmp(argv[1], "restart") == 0 ? SA_RESTART : 0;
  const int rounds = atoi(argv[2]);
  prepare();
  handle(SIGALRM);
  handle(SIGUSR1);
  handle(SIGCHLD);
  handle(SIGCONT);
  rain = start_rain(getpid(), argc > 3);
  arm();
#define RUN(name, call)              \
  begin();                           \
  for (int i = 0; i < rounds; i++) { \
    errno = 0;                       \
    note(call);                      \
  }                                  \
  show(#name);
  MORE(RUN)
  disarm();
  prepare_sockets();
  arm();
  CALLS(RUN)
  disarm();
  kill(rain, SIGKILL);
  while (waitpid(rain, NULL, 0) < 0 && errno == EINTR) continue;
  printf("%s\n", rained > 0 ? "it rained" : "it did not rain");
  return 0;
}
