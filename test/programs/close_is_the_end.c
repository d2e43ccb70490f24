// What a close() ends has ended when it returns: nobody else has had the file open.
//   close_is_the_end ROUNDS    prints for each kind in how many rounds somebody still had it
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char* what) {
  perror(what);
  exit(9);
}

// A script that was written and closed can be executed: ETXTBSY, execve(2).
static int executes(void) {
  const int fd = open("script", O_CREAT | O_TRUNC | O_WRONLY, 0755);
  if (fd < 0 || write(fd, "#!/bin/true\n", 12) != 12) fail("script");
  close(fd);
  const pid_t pid = vfork();
  if (pid == 0) {
    char* arguments[] = {"script", NULL};
    execv("./script", arguments);
    _exit(errno == ETXTBSY ? 26 : 99);
  }
  int status;
  if (waitpid(pid, &status, 0) != pid) fail("waitpid");
  return status == 0;
}

static int other = -1;
static int unlocks(void) {
  const int fd = open("file", O_RDWR);
  if (fd < 0 || flock(fd, LOCK_EX) != 0) fail("flock");
  close(fd);
  const int free = flock(other, LOCK_EX | LOCK_NB) == 0;
  flock(other, LOCK_UN);
  return free;
}

// A write lease needs that nobody else has the file open, and a read lease nobody who writes: fcntl(2).
static int leases(void) {
  const int before = open("leased", O_RDWR | O_CREAT, 0600);
  if (before < 0) fail("leased");
  close(before);
  const int fd = open("leased", O_RDONLY);
  if (fd < 0) fail("leased");
  int free = fcntl(fd, F_SETLEASE, F_RDLCK) == 0;
  free &= fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
  close(fd);
  return free;
}

static int events = -1;
static int tells(void) {
  char buffer[4096];
  while (read(events, buffer, sizeof buffer) > 0) continue;
  const int fd = open("file", O_WRONLY);
  if (fd < 0) fail("file");
  close(fd);
  return read(events, buffer, sizeof buffer) > 0;  // IN_CLOSE_WRITE
}

static int unlinked(void) {
  char buffer[4096];
  const int fd = open("gone", O_CREAT | O_RDWR, 0600);
  const int watch = inotify_add_watch(events, "gone", IN_DELETE_SELF);
  if (fd < 0 || watch < 0) fail("gone");
  close(fd);
  while (read(events, buffer, sizeof buffer) > 0) continue;
  unlink("gone");
  return read(events, buffer, sizeof buffer) > 0;
}

static int hangs_up(void) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) fail("pty");
  const int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
  if (slave < 0) fail("slave");
  close(slave);
  struct pollfd entry = {master, POLLIN, 0};
  poll(&entry, 1, 0);
  close(master);
  return (entry.revents & POLLHUP) != 0;
}

// The last writer's end of a FIFO.
static int reader = -1;
static int ends(void) {
  const int writer = open("fifo", O_WRONLY | O_NONBLOCK);
  if (writer < 0) fail("fifo");
  close(writer);
  char byte;
  return read(reader, &byte, 1) == 0;
}

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? atoi(argv[1]) : 1;
  signal(SIGIO, SIG_IGN);
  close(open("file", O_CREAT | O_RDWR, 0600));
  mkfifo("fifo", 0600);
  other = open("file", O_RDONLY);
  reader = open("fifo", O_RDONLY | O_NONBLOCK);
  events = inotify_init1(IN_NONBLOCK);
  if (inotify_add_watch(events, "file", IN_CLOSE_WRITE) < 0) fail("inotify");
  static const struct {
    const char* name;
    int (*ended)(void);
  } kinds[] = {{"exec", executes},   {"flock", unlocks}, {"lease", leases}, {"inotify", tells},
               {"unlink", unlinked}, {"pty", hangs_up},  {"fifo", ends}};
  for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    int late = 0;
    for (int round = 0; round < rounds; round++) late += !kinds[i].ended();
    printf("%s: %d\n", kinds[i].name, late);
  }
  return 0;
}
