// One call, made again and again, and what an iteration took: loop <what> <path or port> <iterations> [crowd N |
// threads N] crowd: N processes in all, of which the others wait; threads: N of them share the iterations. Prints
// nanoseconds per iteration and how many of the calls failed.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <libgen.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char* self;
static int folder = AT_FDCWD;

static double now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

// Raw calls: which syscall a libc function makes differs by architecture and version.
static int do_stat(const char* path) {
  struct stat status;
  return syscall(SYS_newfstatat, AT_FDCWD, path, &status, 0) == 0;
}

static int do_open(const char* path) {
  const int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  return fd >= 0 && close(fd) == 0;
}

// The same by a name in a folder that is open.
static int do_openat(const char* name) {
  const int fd = (int)syscall(SYS_openat, folder, name, O_RDONLY | O_CLOEXEC, 0);
  return fd >= 0 && close(fd) == 0;
}

static int do_fstatat(const char* name) {
  struct stat status;
  return syscall(SYS_newfstatat, folder, name, &status, 0) == 0;
}

static int do_getppid(const char* unused) {
  (void)unused;
  return syscall(SYS_getppid) > 0;
}

static struct sockaddr_in loopback(const char* port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return to;
}

static int do_connect(const char* port) {
  const struct sockaddr_in to = loopback(port);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  // Reset instead of TIME_WAIT: the next thousand connections need the ports.
  const struct linger reset = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  const int ok = connect(fd, (const struct sockaddr*)&to, sizeof to) == 0;
  close(fd);
  return ok;
}

static int do_udp(const char* port) {
  const struct sockaddr_in to = loopback(port);
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int ok = connect(fd, (const struct sockaddr*)&to, sizeof to) == 0;
  close(fd);
  return ok;
}

// One request to a web server, by a connection of its own, until the server has closed it.
static int do_get(const char* port) {
  static const char kRequest[] = "GET /page HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  const struct sockaddr_in to = loopback(port);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  char answer[16384];
  char rest[16384];
  ssize_t size = -1;
  if (connect(fd, (const struct sockaddr*)&to, sizeof to) == 0 && write(fd, kRequest, sizeof kRequest - 1) > 0) {
    size = read(fd, answer, sizeof answer);
    while (read(fd, rest, sizeof rest) > 0) continue;
  }
  close(fd);
  return size > 12 && memcmp(answer, "HTTP/1.1 200", 12) == 0;
}

static int do_exec(const char* unused) {
  (void)unused;
  const pid_t pid = fork();
  if (pid == 0) {
    execl(self, self, "nothing", (char*)NULL);
    _exit(1);
  }
  int status;
  return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static int do_fork(const char* unused) {
  (void)unused;
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  int status;
  return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

// Takes connections until it is killed, and says first where.
static int serve(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof at;
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(fd, (struct sockaddr*)&at, size) != 0 || listen(fd, 1024) != 0) return 1;
  getsockname(fd, (struct sockaddr*)&at, &size);
  printf("%d\n", ntohs(at.sin_port));
  fflush(stdout);
  for (;;) close(accept(fd, NULL, NULL));
}

struct call {
  const char* name;
  int (*make)(const char*);
};

struct share {
  const struct call* call;
  const char* argument;
  long count;
  long failed;
};

static void* make_all(void* pointer) {
  struct share* share = pointer;
  for (long n = 0; n < share->count; n++) share->failed += !share->call->make(share->argument);
  return NULL;
}

enum { kMost = 1000 };
static pid_t others[kMost];

static long crowd_of(long count) {
  for (long i = 0; i + 1 < count; i++) {
    others[i] = fork();
    if (others[i] == 0)
      for (;;) pause();
    if (others[i] < 0) return -1;
  }
  return count;
}

int main(int argc, char** argv) {
  static const struct call kCalls[] = {{"stat", do_stat},
                                       {"open", do_open},
                                       {"openat", do_openat},
                                       {"fstatat", do_fstatat},
                                       {"stat-relative", do_stat},
                                       {"getppid", do_getppid},
                                       {"connect", do_connect},
                                       {"udp", do_udp},
                                       {"get", do_get},
                                       {"exec", do_exec},
                                       {"fork", do_fork}};
  if (argc == 2 && strcmp(argv[1], "nothing") == 0) return 0;
  if (argc == 2 && strcmp(argv[1], "serve") == 0) return serve();
  if (argc == 2 && strcmp(argv[1], "wait") == 0) {
    puts("waiting");
    fflush(stdout);
    for (;;) pause();
  }
  if (argc != 4 && argc != 6) return 64;
  self = argv[0];
  const long count = atol(argv[3]);
  const long many = argc == 6 ? atol(argv[5]) : 1;
  if (many < 1 || many > kMost) return 64;
  const int threaded = argc == 6 && strcmp(argv[4], "threads") == 0;
  const struct call* call = NULL;
  for (size_t i = 0; i < sizeof kCalls / sizeof kCalls[0]; i++)
    if (strcmp(kCalls[i].name, argv[1]) == 0) call = &kCalls[i];
  if (call == NULL) return 64;

  const char* argument = argv[2];
  if (strcmp(call->name, "stat-relative") == 0) {
    argument = basename(strdup(argument));
    if (chdir(dirname(argv[2])) != 0) return 1;
  } else if (strcmp(call->name, "openat") == 0 || strcmp(call->name, "fstatat") == 0) {
    argument = basename(strdup(argument));
    folder = open(dirname(argv[2]), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return 1;
  }
  if (argc == 6 && !threaded && crowd_of(many) < 0) return 1;

  struct share warm = {call, argument, count / 20, 0};
  make_all(&warm);
  long failed = 0;
  const double start = now_ns();
  if (threaded) {
    static pthread_t threads[kMost];
    static struct share shares[kMost];
    for (long i = 0; i < many; i++) {
      shares[i] = (struct share){call, argument, count / many, 0};
      if (pthread_create(&threads[i], NULL, make_all, &shares[i]) != 0) return 1;
    }
    for (long i = 0; i < many; i++) {
      pthread_join(threads[i], NULL);
      failed += shares[i].failed;
    }
  } else {
    struct share all = {call, argument, count, 0};
    make_all(&all);
    failed = all.failed;
  }
  printf("%.1f %ld\n", (now_ns() - start) / (double)count, failed);
  for (long i = 0; i + 1 < many && !threaded; i++) {
    kill(others[i], SIGKILL);
    waitpid(others[i], NULL, 0);
  }
  return 0;
}
