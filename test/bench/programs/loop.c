// One call, made again and again, and what an iteration took: loop <what> <path or port> <iterations>
// Prints nanoseconds per iteration and how many of the calls failed.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
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

static int do_getppid(const char* unused) {
  (void)unused;
  return syscall(SYS_getppid) > 0;
}

static int do_connect(const char* port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  // Reset instead of TIME_WAIT: the next thousand connections need the ports.
  const struct linger reset = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  const int ok = connect(fd, (struct sockaddr*)&to, sizeof to) == 0;
  close(fd);
  return ok;
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

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    int (*call)(const char*);
  } kCalls[] = {{"stat", do_stat},       {"open", do_open}, {"getppid", do_getppid},
                {"connect", do_connect}, {"exec", do_exec}, {"fork", do_fork}};
  if (argc == 2 && strcmp(argv[1], "nothing") == 0) return 0;
  if (argc == 2 && strcmp(argv[1], "serve") == 0) return serve();
  if (argc != 4) return 64;
  self = argv[0];
  const long count = atol(argv[3]);
  for (size_t i = 0; i < sizeof kCalls / sizeof kCalls[0]; i++) {
    if (strcmp(kCalls[i].name, argv[1]) != 0) continue;
    for (long warm = count / 20; warm > 0; warm--) kCalls[i].call(argv[2]);
    long failed = 0;
    const double start = now_ns();
    for (long n = 0; n < count; n++) failed += !kCalls[i].call(argv[2]);
    printf("%.1f %ld\n", (now_ns() - start) / (double)count, failed);
    return 0;
  }
  return 64;
}
