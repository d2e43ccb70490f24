// Calls that wait while signals with a handler come, and the handler makes calls of its own: each goes on with the arguments
// that it was made with, although a register of them may hold its result by then. Prints what each answered.
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define MOST_SIGNALS 400

static struct shared {
  volatile int handled;
  volatile int restarted;  // the handler has seen that the call is to be made again, with its first argument
  volatile int stopped;    // how often the parent was stopped
  volatile uint32_t word;  // for futex
} *shared;
static volatile uint64_t first_argument;

// Where the kernel makes the call again, the handler comes back to its instruction, with its arguments.
static void on_signal(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)info;
  const int error = errno;
  const mcontext_t *registers = &((ucontext_t *)context)->uc_mcontext;
#ifdef __x86_64__
  const uint64_t at = (uint64_t)registers->gregs[REG_RIP], first = (uint64_t)registers->gregs[REG_RDI];
  const int is_call = memcmp((void *)at, "\x0f\x05", 2) == 0;
#else
  const uint64_t at = registers->pc, first = registers->regs[0];
  const int is_call = memcmp((void *)at, "\x01\x00\x00\xd4", 4) == 0;
#endif
  if (is_call && first == first_argument) shared->restarted++;
  shared->handled++;
  struct stat status;
  stat("/usr", &status);
  close(open("/etc/passwd", O_RDONLY));
  errno = error;
}

static int ends[2];      // a pipe with unusual numbers
static int sockets[2];
static char got[16];

static long reads(void) { return first_argument = 61, read(61, got, sizeof got); }
static long reads_parts(void) {
  const struct iovec parts[2] = {{got, 1}, {got + 1, 14}};
  return first_argument = 61, readv(61, parts, 2);
}
static void writes(void) { (void)!write(ends[1], "come", 4); }
static long receives(void) { return first_argument = (unsigned)sockets[0], recv(sockets[0], got, sizeof got, 0); }
static void sends(void) { send(sockets[1], "come", 4, 0); }

// Into a pipe without room: what has written some bytes is not made again.
static int room;
static long fills(void) { return first_argument = (unsigned)ends[1], write(ends[1], "x", 1); }
static void empties(void) {
  static char much[1 << 16];
  for (int left = room + 1; left > 0;) {
    const ssize_t size = read(61, much, sizeof much);
    if (size <= 0) _exit(3);
    left -= (int)size;
  }
}

static pid_t waited_for;
static int alive[2];
static long waits(void) {
  int status = 0;
  first_argument = (unsigned)waited_for;
  const pid_t pid = waitpid(waited_for, &status, 0);
  return pid == waited_for ? WEXITSTATUS(status) : pid;
}
static void lets_end(void) { (void)!write(alive[1], "x", 1); }

static int locked;
static long locks(void) { return first_argument = (unsigned)locked, flock(locked, LOCK_EX); }
static void unlocks(void) { (void)!write(alive[1], "x", 1); }

static long opens(void) {
  first_argument = (uint64_t)(long)AT_FDCWD;
  const long result = syscall(SYS_openat, (long)AT_FDCWD, "fifo", O_RDONLY) >= 0 ? 0 : -1;
  shared->word = 1;
  return result;
}
// Until it has: before Linux 5.19 a call that a signal has ended can be performed all the same, and have met this one.
static void opens_other_end(void) {
  while (shared->word == 0) {
    const int fd = open("fifo", O_WRONLY | O_NONBLOCK);
    usleep(10000);
    close(fd);
  }
}

static int listener;
static const struct sockaddr_un place = {.sun_family = AF_UNIX, .sun_path = "place"};
static long connects(void) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  first_argument = (unsigned)fd;
  return connect(fd, (const void *)&place, sizeof place);
}
static void accepts(void) {
  for (int i = 0; i < 2; i++) accept(listener, NULL, NULL);
}

static long sleeps_by_word(void) {
  first_argument = (uint64_t)&shared->word;
  while (shared->word == 0)
    if (syscall(SYS_futex, &shared->word, FUTEX_WAIT, 0, NULL, NULL, 0) != 0 && errno != EAGAIN) return -1;
  return 0;
}
static void wakes(void) {
  shared->word = 1;
  syscall(SYS_futex, &shared->word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static const char *answer(long result) {
  static char text[32];
  if (result < 0) return strerrorname_np(errno);
  snprintf(text, sizeof text, "%ld", result);
  return text;
}

// Signals until the handler has seen the call to be made again.
static void interrupted(const char *what, long (*wait)(void), void (*lets_go)(void)) {
  memset(got, 0, sizeof got);
  memset(shared, 0, sizeof *shared);
  const struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_RESTART | SA_SIGINFO};
  sigaction(SIGUSR1, &action, NULL);
  fflush(stdout);
  const pid_t parent = getpid(), helper = fork();
  if (helper == 0) {
    for (int i = 0; i < MOST_SIGNALS && shared->restarted == 0; i++) {
      usleep(10000);
      kill(parent, SIGUSR1);
    }
    usleep(10000);
    lets_go();
    _exit(0);
  }
  const long result = wait();
  printf("%s: %s %s, made again: %s\n", what, answer(result), got, shared->restarted > 0 ? "seen" : "not seen");
  while (waitpid(helper, NULL, 0) < 0 && errno == EINTR) continue;
}

// ---- Waits with a time, which go on by restart_syscall(2) after a stop ---------------------------------------------

static long nanoseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * 1000000000L + now.tv_nsec;
}
static const struct timespec span = {0, 300000000};

static long sleeps(void) { return syscall(SYS_nanosleep, &span, NULL); }
static long sleeps_by_clock(void) { return clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL) == 0 ? 0 : -1; }
static long sleeps_until(void) {
  const long end = nanoseconds(CLOCK_MONOTONIC) + span.tv_nsec;
  const struct timespec at = {end / 1000000000L, end % 1000000000L};
  return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == 0 ? 0 : -1;
}
static long polls(void) {
  struct pollfd one = {61, POLLIN, 0};
#ifdef __x86_64__
  return syscall(SYS_poll, &one, 1, 300);
#else
  return syscall(SYS_ppoll, &one, 1, &(struct timespec){0, 300000000}, NULL, 8);
#endif
}
static long waits_for_word(void) {
  return syscall(SYS_futex, &shared->word, FUTEX_WAIT, 0, &span, NULL, 0) != 0 && errno == ETIMEDOUT ? 0 : -1;
}

static void stopped(const char *what, long (*wait)(void)) {
  memset(shared, 0, sizeof *shared);
  signal(SIGURG, SIG_IGN);
  fflush(stdout);
  const pid_t parent = getpid(), helper = fork();
  if (helper == 0) {
    for (int i = 0; i < 3; i++) {
      usleep(15000);
      kill(parent, SIGURG);
      kill(parent, SIGSTOP);
      usleep(15000);
      kill(parent, SIGCONT);
    }
    _exit(0);
  }
  const long since = nanoseconds(CLOCK_MONOTONIC);
  const long result = wait();
  const long took = nanoseconds(CLOCK_MONOTONIC) - since;
  printf("%s: %s, %s\n", what, answer(result), took >= span.tv_nsec ? "whole" : "too short");
  while (waitpid(helper, NULL, 0) < 0 && errno == EINTR) continue;
}

static void *share(size_t size) { return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0); }

int main(void) {
  shared = share(sizeof *shared);
  if (shared == MAP_FAILED || pipe(ends) != 0 || dup2(ends[0], 61) != 61 || pipe(alive) != 0) return 2;
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0) return 2;
  mkfifo("fifo", 0600);
  interrupted("read", reads, writes);
  interrupted("readv", reads_parts, writes);
  interrupted("recv", receives, sends);
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  static char page[4096];
  for (ssize_t size; (size = write(ends[1], page, sizeof page)) > 0;) room += (int)size;
  fcntl(ends[1], F_SETFL, 0);
  interrupted("write", fills, empties);
  waited_for = fork();
  if (waited_for == 0) _exit(read(alive[0], got, 1) == 1 ? 7 : 8);
  interrupted("waitpid", waits, lets_end);
  close(open("lock", O_CREAT | O_WRONLY, 0600));
  int ready[2];
  char byte;
  if (pipe(ready) != 0) return 2;
  if (fork() == 0) {
    const int mine = open("lock", O_WRONLY);
    flock(mine, LOCK_EX);
    (void)!write(ready[1], "x", 1);
    _exit(read(alive[0], &byte, 1) == 1 ? 0 : 8);
  }
  if (read(ready[0], &byte, 1) != 1) return 2;
  locked = open("lock", O_WRONLY);
  interrupted("flock", locks, unlocks);
  interrupted("open of a FIFO", opens, opens_other_end);
  listener = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(listener, (const void *)&place, sizeof place) != 0 || listen(listener, 0) != 0) return 2;
  connects();  // its backlog is full from here on
  interrupted("connect", connects, accepts);
  interrupted("futex", sleeps_by_word, wakes);
  stopped("nanosleep", sleeps);
  stopped("clock_nanosleep", sleeps_by_clock);
  stopped("clock_nanosleep until", sleeps_until);
  stopped("poll", polls);
  stopped("futex with a limit", waits_for_word);
  while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) continue;
  return 0;
}
