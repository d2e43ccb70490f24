// Calls that wait and answer EINTR to any handler, while signals come that the program ignores.
//   waits_ignored NUMBER     of the signal; those that are not ignored by default are ignored by SIG_IGN
//   waits_ignored others     signals that are not ignored, with such ones and alone
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT 300  // milliseconds; a socket's is counted in ticks of the kernel, up to 10

static int signal_number, silent[2], stream[2], datagrams[2], files, listener, semaphore, epoll;
static aio_context_t io;
static char space[4096];
static const struct timespec limit = {0, LIMIT * 1000000};
static struct epoll_event event;

static void pause_for(int milliseconds) {
  const struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
  nanosleep(&time, NULL);
}

// Until a process has been asleep for a while. If it is not in its wait then, less is tested, and nothing fails.
static void see_asleep(pid_t pid) {
  char name[40], line[300];
  snprintf(name, sizeof name, "/proc/%d/stat", pid);
  for (int looks = 0, asleep = 0; looks < 200 && asleep < 4; looks++) {
    const int file = open(name, O_RDONLY);
    const ssize_t size = file < 0 ? -1 : read(file, line, sizeof line - 1);
    close(file);
    if (size <= 0) continue;
    line[size] = '\0';
    asleep = strstr(line, ") S ") == NULL ? 0 : asleep + 1;
    pause_for(10);
  }
}

static long passed(const struct timespec* since) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

static void report(const char* what, long result, int error, long took) {
  printf("%s: %s%s\n", what,
         result < 0    ? strerrorname_np(error)
         : result == 0 ? "0"
                       : "done",
         took < 0       ? ""
         : took < LIMIT - 10 ? ", too early"
                        : ", not early");
  fflush(stdout);
}

// Once, and then what ends the wait; or until it is killed.
static pid_t disturb(int often, void (*end)(void)) {
  const pid_t waiting = getpid();
  fflush(stdout);
  // One that just ends, as children do.
  if (fork() == 0) {
    see_asleep(waiting);
    _exit(0);
  }
  const pid_t helper = fork();
  if (helper != 0) return helper;
  see_asleep(waiting);
  do {
    kill(waiting, signal_number);
    pause_for(20);
  } while (often);
  if (end != NULL) {
    pause_for(50);
    end();
  }
  _exit(0);
}

static void settle(void) {
  while (wait(NULL) > 0 || errno == EINTR) continue;
}

static void limited(const char* what, int often, long (*waits)(void)) {
  const pid_t helper = disturb(often, NULL);
  struct timespec since;
  clock_gettime(CLOCK_MONOTONIC, &since);
  errno = 0;
  const long result = waits();
  report(what, result, errno, passed(&since));
  if (often) kill(helper, SIGKILL);
  settle();
}

static void endless(const char* what, long (*waits)(void), void (*end)(void)) {
  disturb(0, end);
  errno = 0;
  const long result = waits();
  report(what, result, errno, -1);
  settle();
}

static long epoll_limited(void) { return epoll_wait(epoll, &event, 1, LIMIT); }
static long epoll_masked(void) {
  sigset_t none;
  sigemptyset(&none);
  return epoll_pwait(epoll, &event, 1, LIMIT, &none);
}
static long epoll_fine(void) { return syscall(SYS_epoll_pwait2, epoll, &event, 1, &limit, NULL, 8); }
static long receives(void) { return recv(stream[0], space, 1, 0); }
static long receives_message(void) {
  struct iovec part = {space, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  return recvmsg(stream[0], &message, 0);
}
static long receives_messages(void) {
  struct iovec part = {space, 1};
  struct mmsghdr message = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
  return recvmmsg(stream[0], &message, 1, 0, NULL);
}
static long reads(void) { return read(stream[0], space, 1); }
static long reads_parts(void) {
  struct iovec part = {space, 1};
  return readv(stream[0], &part, 1);
}
static long reads_parts_with_flags(void) {
  struct iovec part = {space, 1};
  return preadv2(stream[0], &part, 1, -1, 0);
}
static long splices(void) {
  int pipe_of[2];
  if (pipe(pipe_of) != 0) return 0;
  const long result = splice(stream[0], NULL, pipe_of[1], NULL, 1, 0);
  const int error = errno;
  close(pipe_of[0]);
  close(pipe_of[1]);
  errno = error;
  return result;
}
static long accepts(void) { return accept(listener, NULL, NULL); }
static long accepts_with_flags(void) { return accept4(listener, NULL, NULL, SOCK_CLOEXEC); }
static struct sockaddr_in full;  // a listener whose backlog is full
static long connects(void) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const struct timeval time = {0, LIMIT * 1000};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  return connect(fd, (const void*)&full, sizeof full);
}
static long sends(void) { return send(datagrams[0], space, 1000, 0); }
static long sends_message(void) {
  struct iovec part = {space, 1000};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  return sendmsg(datagrams[0], &message, 0);
}
static long sends_messages(void) {
  struct iovec part = {space, 1000};
  struct mmsghdr message = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
  return sendmmsg(datagrams[0], &message, 1, 0);
}
static long writes(void) { return write(datagrams[0], space, 1000); }
static long writes_parts(void) {
  struct iovec part = {space, 1000};
  return writev(datagrams[0], &part, 1);
}
static long writes_parts_with_flags(void) {
  struct iovec part = {space, 1000};
  return pwritev2(datagrams[0], &part, 1, -1, 0);
}
static long sends_file(void) {
  off_t at = 0;
  return sendfile(datagrams[0], files, &at, 1000);
}
static struct sembuf down = {0, -1, 0}, up = {0, 1, 0};
static long takes_limited(void) { return semtimedop(semaphore, &down, 1, &limit); }
static long awaits_signal(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  return sigtimedwait(&set, NULL, &limit);
}
static long gets_events(void) {
  struct io_event done;
  struct timespec time = limit;
  return syscall(SYS_io_getevents, io, 1, 1, &done, &time);
}
static long selects(void) {
  fd_set set;
  FD_ZERO(&set);
  FD_SET(silent[0], &set);
  struct timeval time = {0, LIMIT * 1000};
  return select(silent[0] + 1, &set, NULL, NULL, &time);
}

static long epoll_endless(void) { return epoll_wait(epoll, &event, 1, -1); }
static long takes(void) { return semop(semaphore, &down, 1); }
static long takes_endless(void) { return semtimedop(semaphore, &down, 1, NULL); }
static void gives(void) { semop(semaphore, &up, 1); }
static void writes_byte(void) { (void)!write(silent[1], "x", 1); }
static void reads_byte(void) { (void)!read(silent[0], space, 1); }

// The registers with the arguments are the program's own, whatever was made of them in between.
static void keeps_registers(void) {
#ifdef __x86_64__
  const pid_t helper = disturb(1, NULL);
  register long time __asm__("r10") = LIMIT;
  long fd = epoll, events = (long)&event, most = 1, result = SYS_epoll_wait;
  __asm__ volatile("syscall" : "+a"(result), "+D"(fd), "+S"(events), "+d"(most), "+r"(time) : : "rcx", "r11", "memory");
  printf("registers: %ld, %s\n", result,
         fd == epoll && events == (long)&event && most == 1 && time == LIMIT ? "kept" : "changed");
  kill(helper, SIGKILL);
  settle();
#else
  printf("registers: 0, kept\n");
#endif
}

static int ignored(void) {
  limited("epoll_wait", 0, epoll_limited);
  limited("epoll_pwait", 0, epoll_masked);
  limited("epoll_pwait2", 0, epoll_fine);
  limited("recv", 0, receives);
  limited("recvmsg", 0, receives_message);
  limited("recvmmsg", 0, receives_messages);
  limited("read", 0, reads);
  limited("readv", 0, reads_parts);
  limited("preadv2", 0, reads_parts_with_flags);
  limited("splice", 0, splices);
  limited("accept", 0, accepts);
  limited("accept4", 0, accepts_with_flags);
  limited("connect", 0, connects);
  limited("send", 0, sends);
  limited("sendmsg", 0, sends_message);
  limited("sendmmsg", 0, sends_messages);
  limited("write", 0, writes);
  limited("writev", 0, writes_parts);
  limited("pwritev2", 0, writes_parts_with_flags);
  limited("sendfile", 0, sends_file);
  limited("semtimedop", 0, takes_limited);
  limited("sigtimedwait", 0, awaits_signal);
  limited("io_getevents", 0, gets_events);
  limited("select", 0, selects);
  // Again and again.
  limited("epoll_wait, often", 1, epoll_limited);
  limited("epoll_pwait2, often", 1, epoll_fine);
  limited("recv, often", 1, receives);
  limited("connect, often", 1, connects);
  limited("send, often", 1, sends);
  limited("semtimedop, often", 1, takes_limited);
  limited("sigtimedwait, often", 1, awaits_signal);
  limited("io_getevents, often", 1, gets_events);
  endless("epoll_wait without a limit", epoll_endless, writes_byte);
  reads_byte();
  endless("semop", takes, gives);
  endless("semtimedop without a limit", takes_endless, gives);
  keeps_registers();
  return 0;
}

static volatile sig_atomic_t seen;
static void on_signal(int number) {
  (void)number;
  seen++;
}

// What two signals make of a wait without end, many times over.
static void two(const char* what, int first, int second) {
  int cut = 0, handled = 0;
  for (int i = 0; i < 40; i++) {
    const pid_t waiting = getpid(), helper = fork();
    if (helper == 0) {
      see_asleep(waiting);
      kill(waiting, first);
      kill(waiting, second);
      // The handled one can come before the wait where this machine is slow.
      for (;;) {
        pause_for(2000);
        kill(waiting, SIGUSR2);
      }
    }
    seen = 0;
    if (epoll_endless() < 0 && errno == EINTR) cut++;
    if (seen > 0) handled++;
    kill(helper, SIGKILL);
    settle();
  }
  printf("%s: %d cut short, %d handled\n", what, cut, handled);
  fflush(stdout);
}

static void stopped(const char* what, int before) {
  const pid_t waiting = getpid(), helper = fork();
  if (helper == 0) {
    see_asleep(waiting);
    if (before != 0) kill(waiting, before);
    kill(waiting, SIGSTOP);
    pause_for(50);
    kill(waiting, SIGCONT);
    pause_for(300);
    writes_byte();
    _exit(0);
  }
  const long result = epoll_endless();
  report(what, result, errno, -1);
  settle();
  reads_byte();
}

static int others(void) {
  const struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGUSR2, &action, NULL);
  signal(SIGUSR1, SIG_IGN);
  two("an ignored one and a handled one", SIGUSR1, SIGUSR2);
  two("a handled one and an ignored one", SIGUSR2, SIGUSR1);
  two("a handled one and SIGWINCH", SIGUSR2, SIGWINCH);
  stopped("a stop", 0);
  stopped("an ignored one and a stop", SIGUSR1);
  // A blocked one waits although it is ignored, and cuts the call short that lets it in.
  sigset_t set, none;
  sigemptyset(&none);
  sigemptyset(&set);
  sigaddset(&set, SIGWINCH);
  sigprocmask(SIG_BLOCK, &set, NULL);
  raise(SIGWINCH);
  errno = 0;
  const long result = epoll_pwait(epoll, &event, 1, LIMIT, &none);
  report("one that was blocked", result, errno, -1);
  return 0;
}

int main(int count, char** arguments) {
  if (count < 2) return 99;
  const struct timeval time = {0, LIMIT * 1000};
  struct sockaddr_un place = {.sun_family = AF_UNIX, .sun_path = "waits"};
  char name[] = "content-XXXXXX";
  listener = socket(AF_UNIX, SOCK_STREAM, 0);
  semaphore = semget(IPC_PRIVATE, 1, 0600);
  epoll = epoll_create1(0);
  event.events = EPOLLIN;
  files = mkstemp(name);
  if (pipe(silent) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, stream) != 0 ||
      socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams) != 0 || bind(listener, (void*)&place, sizeof place) != 0 ||
      listen(listener, 1) != 0 || semaphore < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, silent[0], &event) != 0 ||
      syscall(SYS_io_setup, 1, &io) != 0 || files < 0 || write(files, space, sizeof space) != sizeof space)
    return 98;
  unlink(name);
  while (send(datagrams[0], space, 1000, MSG_DONTWAIT) > 0) continue;
  setsockopt(stream[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  setsockopt(datagrams[0], SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  full = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof full;
  const int busy = socket(AF_INET, SOCK_STREAM, 0), first = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(busy, (void*)&full, size) != 0 || listen(busy, 0) != 0 || getsockname(busy, (void*)&full, &size) != 0 ||
      connect(first, (void*)&full, size) != 0)
    return 97;
  int end;
  if (strcmp(arguments[1], "others") == 0) {
    end = others();
  } else {
    signal_number = atoi(arguments[1]);
    if (signal_number != SIGCHLD && signal_number != SIGWINCH && signal_number != SIGURG && signal_number != SIGCONT)
      signal(signal_number, SIG_IGN);
    end = ignored();
  }
  semctl(semaphore, 0, IPC_RMID);
  return end;
}
