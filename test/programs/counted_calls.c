// Makes so many system calls of one kind, as often as it is told to on standard input: "KIND N" a line. Answers "done"
// or "failed KIND ERRNO". The working directory has `file` in it.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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
#include <unistd.h>

static char here[4096], file[4200], none[4200];
static int folder, opened, udp, tcp, broken;

static void ignore(int signal) { (void)signal; }

static long discard(long fd) {
  if (fd >= 0) close((int)fd);
  return fd;
}

static const char* numbered(const char* kind, int i) {
  static _Alignas(512) char name[4400];  // no page ends in it, so that one read is enough
  snprintf(name, sizeof name, "%s/%s%d", here, kind, i);
  return name;
}

static long to_port(int sock, int port) {
  const struct sockaddr_in address = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
  return syscall(SYS_connect, sock, &address, sizeof address);
}

// One that does nothing until this process ends.
static int has_child(void) {
  static int ends[2];
  if (ends[1] != 0) return 1;
  if (pipe(ends) != 0) return 0;
  const pid_t child = fork();
  if (child != 0) return child > 0;
  close(ends[1]);
  char none;
  const ssize_t got = read(ends[0], &none, 1);
  _exit(got == 0 ? 0 : 1);
}

static int expect(long result, int error) { return result < 0 && errno == error ? 0 : -1; }

// 0 or more, or -1 with errno.
static void* end_at_once(void* argument) { return argument; }

static long call(const char* kind, int i) {
  static struct stat st;
  static struct statx stx;
  static char text[4096];
#define IS(name) (strcmp(kind, name) == 0)
  if (IS("stat")) return syscall(SYS_newfstatat, AT_FDCWD, file, &st, 0);
  if (IS("stat, relative")) return syscall(SYS_newfstatat, AT_FDCWD, "file", &st, 0);
  if (IS("stat, deeper, relative")) return syscall(SYS_newfstatat, AT_FDCWD, "below/file", &st, 0);
  if (IS("stat, below a descriptor")) return syscall(SYS_newfstatat, folder, "file", &st, 0);
  if (IS("stat, of a descriptor")) return syscall(SYS_newfstatat, opened, "", &st, AT_EMPTY_PATH);
  if (IS("stat, missing")) return expect(syscall(SYS_newfstatat, AT_FDCWD, none, &st, 0), ENOENT);
  if (IS("stat, missing, relative")) return expect(syscall(SYS_newfstatat, AT_FDCWD, "none", &st, 0), ENOENT);
  if (IS("statx, of a descriptor")) return syscall(SYS_statx, opened, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx);
  if (IS("open")) return discard(syscall(SYS_openat, AT_FDCWD, file, O_RDONLY));
  if (IS("open, relative")) return discard(syscall(SYS_openat, AT_FDCWD, "file", O_RDONLY));
  if (IS("open, below a descriptor")) return discard(syscall(SYS_openat, folder, "file", O_RDONLY));
  if (IS("open, to write")) return discard(syscall(SYS_openat, AT_FDCWD, file, O_WRONLY));
  if (IS("open, missing")) return expect(syscall(SYS_openat, AT_FDCWD, none, O_RDONLY), ENOENT);
  if (IS("open, missing, relative")) return expect(syscall(SYS_openat, AT_FDCWD, "none", O_RDONLY), ENOENT);
  if (IS("readlink")) return expect(syscall(SYS_readlinkat, AT_FDCWD, file, text, sizeof text), EINVAL);
  if (IS("readlink, of a link")) return syscall(SYS_readlinkat, AT_FDCWD, numbered("link", 0), text, sizeof text);
  if (IS("access")) return syscall(SYS_faccessat, AT_FDCWD, file, R_OK);
  if (IS("create")) return discard(syscall(SYS_openat, AT_FDCWD, numbered("new", i), O_CREAT | O_WRONLY, 0644));
  if (IS("create, relative")) {
    char name[32];
    snprintf(name, sizeof name, "new%d", i);
    return discard(syscall(SYS_openat, AT_FDCWD, name, O_CREAT | O_WRONLY, 0644));
  }
  if (IS("unlink, relative")) {
    char name[32];
    snprintf(name, sizeof name, "new%d", i);
    return syscall(SYS_unlinkat, AT_FDCWD, name, 0);
  }
  if (IS("open, deeper, relative")) return discard(syscall(SYS_openat, AT_FDCWD, "below/file", O_RDONLY));
  if (IS("readlink, relative")) return expect(syscall(SYS_readlinkat, AT_FDCWD, "file", text, sizeof text), EINVAL);
  if (IS("unlink")) return syscall(SYS_unlinkat, AT_FDCWD, numbered("new", i), 0);
  if (IS("mkdir")) return syscall(SYS_mkdirat, AT_FDCWD, numbered("folder", i), 0755);
  if (IS("rmdir")) return syscall(SYS_unlinkat, AT_FDCWD, numbered("folder", i), AT_REMOVEDIR);
  if (IS("rename")) {
    static _Alignas(512) char to[4400];
    snprintf(to, sizeof to, "%s", numbered("name", (i + 1) % 2));
    return syscall(SYS_renameat2, AT_FDCWD, numbered("name", i % 2), AT_FDCWD, to, 0);
  }
  if (IS("chdir")) return syscall(SYS_chdir, here);
  if (IS("connect, UDP")) return to_port(udp, 9);
  if (IS("connect, TCP, refused")) return expect(to_port(tcp, 1), ECONNREFUSED);
  if (IS("kill, itself")) return syscall(SYS_kill, getpid(), 0);
  // Not held, and what arrives at once is for this thread.
  if (IS("signal")) return expect(write(broken, "", 1), EPIPE);
  if (IS("signal, not alone")) return has_child() ? expect(write(broken, "", 1), EPIPE) : -1;
  if (IS("getpid")) return syscall(SYS_getpid);
  if (IS("fork")) {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    return waitpid(child, NULL, 0);
  }
  if (IS("thread")) {
    pthread_t thread;
    errno = pthread_create(&thread, NULL, end_at_once, NULL);
    return errno == 0 && pthread_join(thread, NULL) == 0 ? 0 : -1;
  }
  errno = ENOSYS;
  return -1;
}

int main(void) {
  if (getcwd(here, sizeof here) == NULL) return 2;
  snprintf(file, sizeof file, "%s/file", here);
  snprintf(none, sizeof none, "%s/none", here);
  folder = open(here, O_RDONLY | O_DIRECTORY);
  opened = open(file, O_RDONLY);
  udp = socket(AF_INET, SOCK_DGRAM, 0);
  tcp = socket(AF_INET, SOCK_STREAM, 0);
  int ends[2] = {-1, -1};
  if (pipe(ends) == 0) close(ends[0]);
  broken = ends[1];
  signal(SIGPIPE, ignore);
  if (broken < 0 || folder < 0 || opened < 0 || udp < 0 || tcp < 0) return 2;
  char line[256];
  while (fgets(line, sizeof line, stdin) != NULL) {
    char* last = strrchr(line, ' ');
    if (last == NULL) return 2;
    *last = '\0';
    const int n = atoi(last + 1);
    int error = 0;
    for (int i = 0; i < n && error == 0; i++)
      if (call(line, i) < 0) error = errno;
    if (error == 0)
      printf("done\n");
    else
      printf("failed %s %s\n", line, strerror(error));
    fflush(stdout);
  }
  return 0;
}
