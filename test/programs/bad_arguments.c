// Held calls with arguments that are none: pointers to nowhere, flags that nobody knows, sizes that do not fit,
// descriptors of other kinds. Prints what each answered: bare and held the same.
//   bad_arguments DIR      DIR is empty and becomes the working directory
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static void* nowhere;  // a whole page that nobody may read or write
static char* edge;     // the last bytes before it

static void say(const char* what, long result) {
  printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
  fflush(stdout);
}
#define CALL(name, ...) say(#name "(" #__VA_ARGS__ ")", syscall(SYS_##name, ##__VA_ARGS__))

// The same with each kind of bad address in the place of `at`.
#define BAD(name, ...)       \
  do {                       \
    void* at = nowhere;      \
    CALL(name, __VA_ARGS__); \
    at = (void*)1;           \
    CALL(name, __VA_ARGS__); \
    at = edge - 1;           \
    CALL(name, __VA_ARGS__); \
  } while (0)

static void files(void) {
  const int file = open("file", O_CREAT | O_RDWR, 0644), path = open("file", O_PATH);
  symlink("file", "link");
  mkdir("folder", 0755);
  const int folder = open("folder", O_DIRECTORY);
  memset(edge - 1, 'x', 1);  // a path that has no end before the page does
  BAD(chdir, at);
  BAD(openat, AT_FDCWD, at, O_RDONLY);
  BAD(openat, AT_FDCWD, at, O_CREAT | O_WRONLY, 0600);
  BAD(openat2, AT_FDCWD, "file", at, 24);
  BAD(openat2, AT_FDCWD, "file", at, 16);
  BAD(openat2, AT_FDCWD, at, edge - 24, 24);
  BAD(truncate, at, 0);
  BAD(execve, at, NULL, NULL);
  BAD(execve, "/bin/true", at, NULL);
  BAD(execve, "/bin/true", NULL, at);
  // A list whose second place is in no page any more, and one whose argument is not.
  char** const list = (char**)nowhere - 1;
  *list = "true";
  CALL(execve, "/bin/true", list, NULL);
  char* const straddling = (char*)nowhere - 12;
  memcpy(straddling, list, 8);
  CALL(execve, "/bin/true", straddling, NULL);
  char* const bad[] = {"true", nowhere, NULL};
  CALL(execve, "/bin/true", bad, NULL);
  memset(edge - 8, 'x', 8);
  char* const endless[] = {"true", edge - 8, NULL};
  CALL(execve, "/bin/true", endless, NULL);
  BAD(execveat, AT_FDCWD, at, NULL, NULL, 0);
  CALL(execveat, AT_FDCWD, "link", NULL, NULL, AT_SYMLINK_NOFOLLOW);
  CALL(execveat, AT_FDCWD, "file", NULL, NULL, 0x4000);
  CALL(execveat, path, "", NULL, NULL, AT_EMPTY_PATH);
  CALL(execveat, folder, "", NULL, NULL, AT_EMPTY_PATH);
  struct stat st;
  BAD(newfstatat, AT_FDCWD, at, &st, 0);
  BAD(newfstatat, AT_FDCWD, "file", at, 0);
  BAD(newfstatat, file, at, &st, AT_EMPTY_PATH);
  CALL(newfstatat, 999, "", &st, AT_EMPTY_PATH);
  CALL(newfstatat, -5, "", &st, AT_EMPTY_PATH);
  CALL(newfstatat, AT_FDCWD, "", &st, AT_EMPTY_PATH);
  CALL(newfstatat, 999, "file", &st, 0);
  CALL(newfstatat, AT_FDCWD, "file", &st, 0x8000000);
  char statx_buffer[256];
  BAD(statx, AT_FDCWD, at, 0, 0x7ff, statx_buffer);
  BAD(statx, AT_FDCWD, "file", 0, 0x7ff, at);
  BAD(statx, file, at, AT_EMPTY_PATH, 0x7ff, statx_buffer);
  BAD(statx, file, "", AT_EMPTY_PATH, 0x7ff, at);
  CALL(statx, 999, "", AT_EMPTY_PATH, 0x7ff, statx_buffer);
  CALL(statx, -5, "", AT_EMPTY_PATH, 0x7ff, statx_buffer);
  CALL(statx, -5, NULL, AT_EMPTY_PATH, 0x7ff, statx_buffer);
  CALL(statx, AT_FDCWD, "file", 0x8000000, 0x7ff, statx_buffer);
  CALL(statx, AT_FDCWD, "file", 0, 0x80000000, statx_buffer);
  BAD(faccessat, AT_FDCWD, at, R_OK);
  CALL(faccessat, AT_FDCWD, "file", 8);
  CALL(faccessat2, AT_FDCWD, "file", R_OK, 0x8000000);
  BAD(utimensat, AT_FDCWD, at, NULL, 0);
  BAD(utimensat, AT_FDCWD, "file", at, 0);
  BAD(utimensat, AT_FDCWD, at, NULL, AT_EMPTY_PATH);
  CALL(utimensat, file, NULL, NULL, 0);
  CALL(utimensat, file, NULL, NULL, AT_SYMLINK_NOFOLLOW);
  CALL(utimensat, 999, NULL, NULL, 0);
  CALL(utimensat, path, NULL, NULL, 0);
  CALL(utimensat, AT_FDCWD, NULL, NULL, 0);
  CALL(utimensat, AT_FDCWD, "file", NULL, 0x8000000);
#ifdef SYS_utime
  BAD(utime, "file", at);
  BAD(utimes, "file", at);
  BAD(futimesat, AT_FDCWD, "file", at);
#endif
  BAD(fchmodat, AT_FDCWD, at, 0644);
  CALL(fchmod, path, 0644);
  CALL(fchmod, 999, 0644);
  CALL(fchmod, AT_FDCWD, 0755);
  CALL(fchmodat, AT_FDCWD, "link", 0644);
  CALL(fchmodat2, AT_FDCWD, "link", 0644, AT_SYMLINK_NOFOLLOW);
  CALL(fchmodat2, AT_FDCWD, "file", 0644, 0x8000000);
  CALL(fchown, path, -1, -1);
  CALL(fchown, 999, -1, -1);
  CALL(fchown, AT_FDCWD, -1, -1);
  BAD(fchownat, AT_FDCWD, at, -1, -1, 0);
  CALL(fchownat, AT_FDCWD, "file", -1, -1, 0x8000000);
  char value[64];
  BAD(getxattr, at, "user.a", value, sizeof value);
  BAD(getxattr, "file", at, value, sizeof value);
  BAD(fgetxattr, file, at, value, sizeof value);
  BAD(fsetxattr, file, "user.a", at, 2, 0);
  BAD(fsetxattr, file, at, "v", 1, 0);
  BAD(setxattr, "file", "user.a", at, 2, 0);
  BAD(setxattr, "file", at, "v", 1, 0);
  BAD(removexattr, "file", at);
  BAD(fremovexattr, file, at);
  CALL(setxattr, "file", "user.a", "v", 1, 77);
  CALL(fsetxattr, file, "user.a", "v", 1, 77);
  CALL(fsetxattr, file, "user.a", "v", 1 << 20, 0);
  CALL(fsetxattr, path, "user.a", "v", 1, 0);
  CALL(fgetxattr, path, "user.a", value, sizeof value);
  CALL(fremovexattr, path, "user.a");
  CALL(flistxattr, path, value, sizeof value);
  CALL(fsetxattr, 999, "user.a", "v", 1, 0);
  CALL(fgetxattr, 999, "user.a", value, sizeof value);
  CALL(fremovexattr, 999, "user.a");
  CALL(flistxattr, 999, value, sizeof value);
  CALL(fsetxattr, file, "", "v", 1, 0);
  CALL(fsetxattr, file, "user.a", "value", 5, 0);
  BAD(fgetxattr, file, "user.a", at, 60);
  BAD(flistxattr, file, at, 60);
  CALL(fgetxattr, file, "user.a", value, 2);
  BAD(readlinkat, AT_FDCWD, at, value, sizeof value);
  BAD(readlinkat, AT_FDCWD, "link", at, 60);
  CALL(readlinkat, AT_FDCWD, "link", value, 0);
  CALL(readlinkat, AT_FDCWD, "link", value, -1);
  CALL(readlinkat, AT_FDCWD, "file", value, 60);
  CALL(readlinkat, AT_FDCWD, "folder", value, 60);
  CALL(readlinkat, file, "", value, 60);
  CALL(readlinkat, path, "", value, 60);
  CALL(readlinkat, AT_FDCWD, "", value, 60);
  BAD(mkdirat, AT_FDCWD, at, 0755);
  BAD(mknodat, AT_FDCWD, at, S_IFREG | 0644, 0);
  CALL(mknodat, AT_FDCWD, "odd", 0150000, 0);
  CALL(mknodat, AT_FDCWD, "directory", S_IFDIR | 0755, 0);
  BAD(unlinkat, AT_FDCWD, at, 0);
  CALL(unlinkat, AT_FDCWD, "file", 1);
  BAD(symlinkat, at, AT_FDCWD, "new");
  BAD(symlinkat, "to", AT_FDCWD, at);
  CALL(symlinkat, "", AT_FDCWD, "new");
  BAD(linkat, AT_FDCWD, at, AT_FDCWD, "new", 0);
  BAD(linkat, AT_FDCWD, "file", AT_FDCWD, at, 0);
  CALL(linkat, AT_FDCWD, "file", AT_FDCWD, "new", 0x8000000);
  BAD(renameat2, AT_FDCWD, at, AT_FDCWD, "new", 0);
  BAD(renameat2, AT_FDCWD, "file", AT_FDCWD, at, 0);
  CALL(renameat2, AT_FDCWD, "file", AT_FDCWD, "new", 8);
  CALL(renameat2, AT_FDCWD, "file", AT_FDCWD, "new", 3);
  CALL(renameat2, AT_FDCWD, "file", AT_FDCWD, "new", 2);
  const int instance = inotify_init();
  BAD(inotify_add_watch, instance, at, IN_MODIFY);
  CALL(inotify_add_watch, file, "file", IN_MODIFY);
  CALL(inotify_add_watch, 999, "file", IN_MODIFY);
  CALL(inotify_add_watch, instance, "file", 0);
  CALL(inotify_add_watch, instance, "missing", IN_MODIFY);
  CALL(fcntl, file, 15 /* F_SETOWN_EX */, nowhere);
  CALL(fcntl, 999, F_SETOWN, 0);
  CALL(fcntl, path, F_SETOWN, 0);
  CALL(fcntl, file, F_SETOWN, INT_MIN);
  const int kinds[2] = {7, 0};
  CALL(fcntl, file, 15, kinds);
}

// The longer walk, by way of /proc: the same limits on where it may lead.
static void walks(void) {
  symlink("/", "to_root");
  symlink("folder", "to_folder");
  const int here = open(".", O_PATH), proc = open("/proc", O_PATH), own = open("/proc/self", O_PATH);
  const struct {
    int from;
    const char* path;
  } ways[] = {{AT_FDCWD, "/proc/self/cwd/file"},
              {AT_FDCWD, "/proc/self/fd"},
              {proc, "self/cwd/file"},
              {proc, "self/status"},
              {proc, "self/../self/status"},
              {proc, "../etc"},
              {proc, "/proc/self/status"},
              {own, "cwd/to_folder"},
              {own, "cwd/to_root"},
              {own, "root/etc"},
              {own, "cwd/../../.."},
              {own, "status/"},
              {own, "../self"},
              {here, "to_root/proc/self/status"}};
  // Not IN_ROOT, which is refused below /proc, nor NO_XDEV, which is told by another errno there.
  const unsigned long long limits[] = {0, 2 /* NO_MAGICLINKS */, 4 /* NO_SYMLINKS */, 8 /* BENEATH */, 10, 64, 24};
  for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++)
    for (unsigned k = 0; k < sizeof limits / sizeof *limits; k++) {
      const unsigned long long how[3] = {O_RDONLY, 0, limits[k]};
      printf("%s with %llu ", ways[i].path, limits[k]);
      say("openat2", syscall(SYS_openat2, ways[i].from, ways[i].path, how, sizeof how));
    }
  CALL(openat, AT_FDCWD, "missing/new/", O_CREAT | O_WRONLY, 0600);
  CALL(openat, AT_FDCWD, "file/new/", O_CREAT | O_WRONLY, 0600);
  CALL(truncate, "file", -1L);
  CALL(truncate, "missing", -1L);
  const unsigned long sizes[] = {0, 8, 16, 23, 24, 25, 4096, 4097, -1UL};
  for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    static unsigned long long long_how[1024];
    printf("size %ld\n", sizes[i]);
    CALL(openat2, AT_FDCWD, "file", long_how, sizes[i]);
  }
}

static void sockets(void) {
  const int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
  const int six = socket(AF_INET6, SOCK_DGRAM, 0), local = socket(AF_UNIX, SOCK_STREAM, 0);
  const int datagrams = socket(AF_UNIX, SOCK_DGRAM, 0), file = open("file", O_CREAT | O_RDWR, 0644);
  struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0x7f000001)};
  struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "socket"};
  BAD(connect, tcp, at, 16);
  BAD(bind, tcp, at, 16);
  BAD(connect, local, at, 20);
  BAD(bind, local, at, 20);
  BAD(sendto, udp, "x", 1, 0, at, 16);
  BAD(sendto, datagrams, "x", 1, 0, at, 20);
  const unsigned lengths[] = {0, 1, 2, 3, 8, 15, 16, 27, 28, 109, 110, 111, 128, 129, 4096, 0x80000000u, 0xffffffffu};
  for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    static char space[8192];
    memset(space, 0, sizeof space);
    memcpy(space, &there, sizeof there);
    const int one = socket(AF_INET, SOCK_DGRAM, 0), other = socket(AF_UNIX, SOCK_DGRAM, 0);
    const long length = (int)lengths[i];
    printf("length %ld\n", length);
    CALL(connect, one, space, length);
    CALL(sendto, one, "x", 1, 0, space, length);
    CALL(bind, one, space, length);
    memset(space, 'n', sizeof space);
    space[0] = AF_UNIX, space[1] = 0;
    CALL(connect, other, space, length);
    CALL(sendto, other, "x", 1, 0, space, length);
    close(one), close(other);
  }
  CALL(connect, 999, &there, sizeof there);
  CALL(connect, file, &there, sizeof there);
  CALL(bind, 999, &there, sizeof there);
  CALL(bind, file, &there, sizeof there);
  CALL(sendto, 999, "x", 1, 0, &there, sizeof there);
  CALL(sendto, file, "x", 1, 0, &there, sizeof there);
  CALL(connect, tcp, &un, sizeof un);
  CALL(bind, tcp, &un, sizeof un);
  CALL(connect, file, &un, sizeof un);
  CALL(bind, file, &un, sizeof un);
  CALL(sendto, file, "x", 1, 0, &un, sizeof un);
  CALL(sendto, udp, "x", 1, 0, &un, sizeof un);
  CALL(bind, local, &un, sizeof un);
  CALL(bind, local, &un, sizeof un);
  CALL(bind, datagrams, &un, sizeof un);
  const char* const names[] = {".", "..", "folder/", "new/", "folder/new/", "missing/new", "file"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
    const int one = socket(AF_UNIX, SOCK_DGRAM, 0);
    strcpy(un.sun_path, names[i]);
    printf("name %s\n", names[i]);
    CALL(connect, one, &un, sizeof un);
    CALL(sendto, one, "x", 1, 0, &un, sizeof un);
    CALL(bind, one, &un, sizeof un);
    close(one);
  }
  const unsigned group[34] = {0, 0, AF_INET6}, other[34] = {0, 0, AF_INET};
  CALL(setsockopt, udp, IPPROTO_IP, MCAST_JOIN_GROUP, group, 136);
  CALL(setsockopt, six, IPPROTO_IPV6, MCAST_JOIN_GROUP, other, 136);
  CALL(listen, 999, 1);
  CALL(listen, file, 1);
  CALL(listen, datagrams, 1);
  CALL(listen, udp, 1);
  CALL(listen, socket(AF_UNIX, SOCK_STREAM, 0), 1);
  CALL(listen, socket(AF_NETLINK, SOCK_RAW, 0), 1);
  CALL(listen, local, 1);
  CALL(listen, local, -1);
  // Two sockets may have a port; only one can listen there.
  struct sockaddr_in same = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
  socklen_t same_size = sizeof same;
  const int first = socket(AF_INET, SOCK_STREAM, 0), second = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(first, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(second, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  CALL(bind, first, &same, sizeof same);
  getsockname(first, (struct sockaddr*)&same, &same_size);
  CALL(bind, second, &same, sizeof same);
  CALL(listen, first, 1);
  CALL(listen, second, 1);
  BAD(setsockopt, udp, SOL_SOCKET, SO_BROADCAST, at, 4);
  BAD(setsockopt, local, SOL_SOCKET, SO_PASSCRED, at, 4);
  BAD(setsockopt, udp, IPPROTO_IP, IP_ADD_MEMBERSHIP, at, 8);
  BAD(setsockopt, six, IPPROTO_IPV6, IPV6_JOIN_GROUP, at, 20);
  BAD(setsockopt, udp, IPPROTO_IP, MCAST_JOIN_GROUP, at, 136);
  CALL(setsockopt, local, SOL_SOCKET, SO_PASSCRED, &there, 3);
  CALL(setsockopt, 999, SOL_SOCKET, SO_PASSCRED, &there, 4);
  CALL(setsockopt, file, SOL_SOCKET, SO_PASSCRED, &there, 4);
  CALL(setsockopt, 999, SOL_SOCKET, SO_BROADCAST, &there, 4);
  CALL(setsockopt, file, IPPROTO_IP, IP_ADD_MEMBERSHIP, &there, 8);
  CALL(setsockopt, udp, IPPROTO_IP, IP_ADD_MEMBERSHIP, &there, 3);
  BAD(sendmsg, udp, at, 0);
  BAD(sendmsg, datagrams, at, 0);
  BAD(sendmmsg, udp, at, 1, 0);
  struct iovec part = {"x", 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  message.msg_name = nowhere, message.msg_namelen = 16;
  CALL(sendmsg, udp, &message, 0);
  message.msg_namelen = 5000;
  CALL(sendmsg, udp, &message, 0);
  message.msg_namelen = -1;
  CALL(sendmsg, udp, &message, 0);
  message.msg_name = NULL;
  CALL(sendmsg, udp, &message, 0);
  message.msg_namelen = 16;
  CALL(sendmsg, udp, &message, 0);
  CALL(sendto, udp, "x", 1, 0, NULL, 16);
  CALL(sendto, udp, "x", 1, 0, NULL, -1);
  message.msg_name = &un, message.msg_namelen = sizeof un;
  CALL(sendmsg, udp, &message, 0);
  message.msg_name = &there, message.msg_namelen = sizeof there;
  message.msg_iov = nowhere;
  CALL(sendmsg, udp, &message, 0);
  message.msg_iov = &part, message.msg_iovlen = 5000;
  CALL(sendmsg, udp, &message, 0);
  message.msg_iovlen = 1, message.msg_control = nowhere, message.msg_controllen = 32;
  CALL(sendmsg, udp, &message, 0);
  message.msg_control = NULL, message.msg_controllen = 0;
  CALL(sendmsg, 999, &message, 0);
  CALL(sendmsg, file, &message, 0);
}

// Paths of unix sockets: as long as they can be, and what is sent to them.
static void paths(void) {
  const int there = socket(AF_UNIX, SOCK_DGRAM, 0), from = socket(AF_UNIX, SOCK_DGRAM, 0);
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  // No room for the NUL: unix(7), BUGS.
  memset(un.sun_path, 'l', sizeof un.sun_path);
  CALL(bind, socket(AF_UNIX, SOCK_DGRAM, 0), &un, sizeof un);
  CALL(connect, socket(AF_UNIX, SOCK_DGRAM, 0), &un, sizeof un);
  CALL(sendto, from, "x", 1, 0, &un, sizeof un);
  memset(un.sun_path, 'm', sizeof un.sun_path - 1);
  un.sun_path[sizeof un.sun_path - 1] = 0;
  CALL(bind, socket(AF_UNIX, SOCK_STREAM, 0), &un, sizeof un);
  CALL(connect, socket(AF_UNIX, SOCK_STREAM, 0), &un, sizeof un);
  strcpy(un.sun_path, "there");
  CALL(bind, there, &un, sizeof un);
  BAD(sendto, from, at, 8, 0, &un, sizeof un);
  CALL(sendto, from, "x", -1, 0, &un, sizeof un);
  CALL(sendto, from, "x", 1, MSG_OOB, &un, sizeof un);
  struct iovec parts[2] = {{"one", 3}, {"two", 3}};
  struct mmsghdr message = {.msg_hdr = {.msg_name = &un, .msg_namelen = sizeof un, .msg_iov = parts, .msg_iovlen = 2}};
  CALL(sendmmsg, from, &message, 0, 0);
  CALL(sendmmsg, from, &message, 1, 0);
  printf("%u sent\n", message.msg_len);
  char text[16];
  printf("%zd received\n", recv(there, text, sizeof text, MSG_DONTWAIT));
  parts[1].iov_base = nowhere;
  CALL(sendmmsg, from, &message, 1, 0);
  CALL(sendmsg, from, &message.msg_hdr, 0);
  // Sent, but there is no place to say how much.
  struct mmsghdr* const fixed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  parts[1].iov_base = "two";
  *fixed = message;
  mprotect(fixed, 4096, PROT_READ);
  CALL(sendmmsg, from, fixed, 1, 0);
  printf("%zd received\n", recv(there, text, sizeof text, MSG_DONTWAIT));
  const int udp = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0x7f000001)};
  mprotect(fixed, 4096, PROT_READ | PROT_WRITE);
  fixed->msg_hdr.msg_name = &nobody, fixed->msg_hdr.msg_namelen = sizeof nobody;
  mprotect(fixed, 4096, PROT_READ);
  CALL(sendmmsg, udp, fixed, 1, 0);
  parts[1].iov_base = nowhere;
  message.msg_hdr.msg_iov = nowhere;
  CALL(sendmsg, from, &message.msg_hdr, 0);
}

static void processes(void) {
  int ready[2];
  if (pipe(ready) != 0) abort();
  const pid_t child = fork();
  if (child == 0) {
    if (write(ready[1], "x", 1) != 1) abort();
    for (;;) pause();
  }
  char byte;
  if (read(ready[0], &byte, 1) != 1) abort();
  siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
  signal(SIGUSR1, SIG_IGN);
  const pid_t other = fork();
  if (other == 0)
    for (;;) pause();
  const pid_t own = getpid(), nobody = fork();
  if (nobody == 0) _exit(0);
  const int fd_of_nobody = (int)syscall(SYS_pidfd_open, nobody, 0);
  waitpid(nobody, NULL, 0);
  BAD(rt_sigqueueinfo, child, SIGUSR1, at);
  BAD(rt_tgsigqueueinfo, child, child, SIGUSR1, at);
  const int codes[] = {SI_QUEUE, SI_USER, SI_TKILL, SI_KERNEL, 1, SI_TIMER, SI_MESGQ};
  for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++) {
    printf("code %d\n", codes[i]);
    info.si_code = codes[i];
    CALL(rt_sigqueueinfo, child, 0, &info);
    CALL(rt_tgsigqueueinfo, child, child, 0, &info);
    CALL(rt_sigqueueinfo, own, SIGUSR1, &info);
    CALL(rt_tgsigqueueinfo, own, own, SIGUSR1, &info);
    // What is said of the signal is looked at before whose number that is.
    CALL(rt_sigqueueinfo, nobody, 0, &info);
    CALL(rt_sigqueueinfo, -nobody, 0, &info);
    CALL(rt_tgsigqueueinfo, nobody, nobody, 0, &info);
    CALL(rt_tgsigqueueinfo, child, nobody, 0, &info);
  }
  info.si_code = SI_QUEUE;
  CALL(rt_sigqueueinfo, 0, 0, &info);
  CALL(rt_sigqueueinfo, -own, 0, &info);
  CALL(rt_sigqueueinfo, INT_MIN, 0, &info);
  CALL(rt_sigqueueinfo, child, 99, &info);
  CALL(rt_tgsigqueueinfo, 0, child, 0, &info);
  CALL(rt_tgsigqueueinfo, own, child, 0, &info);
  CALL(rt_tgsigqueueinfo, child, 0, 0, &info);
  CALL(kill, child, 99);
  CALL(kill, child, -1);
  CALL(kill, INT_MIN, 0);
  CALL(tkill, 0, 0);
  CALL(tkill, -1, 0);
  CALL(tgkill, 0, child, 0);
  CALL(tgkill, child, 0, 0);
  CALL(tgkill, own, child, 0);
  CALL(tgkill, other, child, 0);
  CALL(tgkill, child, child, 99);
  const int fd = (int)syscall(SYS_pidfd_open, child, 0), file = open("file", O_CREAT | O_RDWR, 0644);
  CALL(pidfd_open, child, 0x8000000);
  CALL(pidfd_open, -1, 0);
  CALL(pidfd_open, 0, 0);
  const int itself = (int)syscall(SYS_pidfd_open, own, 0);
  BAD(pidfd_send_signal, fd, SIGUSR1, at, 0);
  BAD(pidfd_send_signal, fd, SIGUSR1, at, 0x8000000);
  BAD(pidfd_send_signal, file, SIGUSR1, at, 0);
  BAD(pidfd_send_signal, 999, SIGUSR1, at, 0);
  BAD(pidfd_send_signal, fd_of_nobody, SIGUSR1, at, 0);
  info.si_signo = SIGUSR2;
  CALL(pidfd_send_signal, fd, SIGUSR1, &info, 0);
  for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++) {
    printf("code %d\n", codes[i]);
    info.si_code = codes[i];
    info.si_signo = 0;
    CALL(pidfd_send_signal, fd, 0, &info, 0);
    CALL(pidfd_send_signal, fd_of_nobody, 0, &info, 0);
    CALL(pidfd_send_signal, fd_of_nobody, SIGUSR1, &info, 0);
    CALL(pidfd_send_signal, -10000, 0, &info, 0);  // PIDFD_SELF_THREAD, linux/fcntl.h
    info.si_signo = SIGUSR1;
    // By a descriptor the supervisor sends it, who may not say that the kernel did.
    if (codes[i] < 0 && codes[i] != SI_TKILL) CALL(pidfd_send_signal, itself, SIGUSR1, &info, 0);
  }
  CALL(pidfd_send_signal, fd, 0, NULL, 0);
  CALL(pidfd_send_signal, fd, 0, NULL, 0x8000000);
  CALL(pidfd_send_signal, fd, 99, NULL, 0);
  CALL(pidfd_send_signal, file, 0, NULL, 0);
  CALL(pidfd_send_signal, 999, 0, NULL, 0);
  CALL(pidfd_send_signal, fd_of_nobody, 0, NULL, 0);
  for (int itself_too = -9999; itself_too >= -10003; itself_too--) CALL(pidfd_send_signal, itself_too, 0, NULL, 0);
  struct sched_param parameter = {0};
  BAD(sched_setparam, child, at);
  BAD(sched_getparam, child, at);
  CALL(sched_getparam, child, NULL);
  CALL(sched_setparam, child, NULL);
  BAD(sched_setscheduler, child, SCHED_OTHER, at);
  CALL(sched_setscheduler, child, 77, &parameter);
  parameter.sched_priority = 5;
  CALL(sched_setscheduler, child, SCHED_OTHER, &parameter);
  unsigned attributes[64] = {48};
  BAD(sched_setattr, child, at, 0);
  // Its size can be read, and no more.
  unsigned* const only_size = (unsigned*)nowhere - 1;
  *only_size = 48;
  CALL(sched_setattr, child, only_size, 0);
  BAD(sched_getattr, child, at, 48, 0);
  CALL(sched_getattr, child, attributes, 47, 0);
  CALL(sched_getattr, child, attributes, 5000, 0);
  CALL(sched_getattr, child, attributes, 48, 1);
  CALL(sched_getattr, child, NULL, 48, 0);
  CALL(sched_setattr, child, NULL, 0);
  memset(attributes, 0, sizeof attributes);
  attributes[4] = (unsigned)getpriority(PRIO_PROCESS, 0);  // nicer than it is nobody becomes
  CALL(sched_setattr, child, attributes, 0);
  attributes[0] = 47;
  CALL(sched_setattr, child, attributes, 0);
  attributes[0] = 5000;
  CALL(sched_setattr, child, attributes, 0);
  BAD(sched_setaffinity, child, 8, at);
  BAD(sched_getaffinity, child, 128, at);
  CALL(sched_getaffinity, child, 3, attributes);
  struct rlimit limit = {1, 0};
  BAD(prlimit64, child, RLIMIT_CORE, at, NULL);
  BAD(prlimit64, child, RLIMIT_CORE, NULL, at);
  CALL(prlimit64, child, 99, NULL, &limit);
  CALL(prlimit64, child, RLIMIT_CORE, &limit, NULL);
  CALL(getpriority, 7, 0);
  CALL(setpriority, 7, 0, 0);
  CALL(ioprio_get, 9, 0);
  CALL(ioprio_set, 9, 0, 0);
  CALL(ioprio_set, 1, child, 5 << 13);
  CALL(prctl, PR_SET_PDEATHSIG, 99, 0, 0, 0);
  CALL(prctl, PR_SET_CHILD_SUBREAPER, 7, 0, 0, 0);
  CALL(prctl, PR_SET_DUMPABLE, 2, 0, 0, 0);
  CALL(prctl, PR_SET_DUMPABLE, -1L, 0, 0, 0);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  kill(other, SIGKILL);
  waitpid(other, NULL, 0);
}

// A group of which one process may not become what is asked for: who it could be changed for keeps it, and it is an
// error all the same (setpriority(2) in kernel/sys.c).
static void groups(void) {
  const pid_t leader = fork();
  if (leader != 0) {
    waitpid(leader, NULL, 0);
    return;
  }
  setpgid(0, 0);
  if (getuid() == 0 && setresuid(65534, 65534, 65534) != 0) abort();
  int ready[2];
  if (pipe(ready) != 0) abort();
  const int own = getpriority(PRIO_PROCESS, 0);
  const pid_t nicer = fork();
  if (nicer == 0) {
    setpriority(PRIO_PROCESS, 0, own + 2);
    if (write(ready[1], "x", 1) != 1) abort();
    for (;;) pause();
  }
  char byte;
  if (read(ready[0], &byte, 1) != 1) abort();
  CALL(setpriority, PRIO_PGRP, 0, own - 1);
  CALL(setpriority, PRIO_PGRP, 0, own + 1);
  printf("%d %d\n", getpriority(PRIO_PROCESS, 0) - own, getpriority(PRIO_PROCESS, nicer) - own);
  CALL(ioprio_set, 2, 0, 1 << 13);
  kill(nicer, SIGKILL);
  // Nobody raises the hard limit of another, who has ended here.
  struct rlimit lower = {0, 1000};
  setrlimit(RLIMIT_CORE, &lower);
  const pid_t ended = fork();
  if (ended == 0) _exit(0);
  siginfo_t about;
  waitid(P_PID, (id_t)ended, &about, WEXITED | WNOWAIT);
  CALL(prlimit64, ended, RLIMIT_CORE, &lower, NULL);
  lower.rlim_max = 2000;
  CALL(prlimit64, ended, RLIMIT_CORE, &lower, NULL);
  lower.rlim_cur = 3000;
  CALL(prlimit64, ended, RLIMIT_CORE, &lower, NULL);
  lower.rlim_cur = lower.rlim_max = 0;
  CALL(prlimit64, ended, 99, &lower, NULL);
  CALL(setpriority, PRIO_PROCESS, ended, own - 3);
  fflush(stdout);
  _exit(0);
}

static void queues(void) {
  struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 8};
  BAD(mq_open, at, O_CREAT | O_RDWR, 0600, &attributes);
  BAD(mq_open, "bad", O_CREAT | O_RDWR, 0600, at);
  BAD(mq_unlink, at);
  CALL(mq_open, "", O_CREAT | O_RDWR, 0600, &attributes);
  CALL(mq_open, "a/b", O_CREAT | O_RDWR, 0600, &attributes);
  CALL(mq_open, ".", O_CREAT | O_RDWR, 0600, &attributes);
  CALL(mq_open, "..", O_RDWR, 0600, NULL);
  attributes.mq_maxmsg = -1;
  CALL(mq_open, "bad", O_CREAT | O_RDWR, 0600, &attributes);
  CALL(mq_unlink, "");
  CALL(mq_unlink, "a/b");
  CALL(mq_unlink, "missing");
  CALL(semget, IPC_PRIVATE, -1, 0600);
  CALL(semget, IPC_PRIVATE, 0, 0600);
  CALL(semget, IPC_PRIVATE, 1 << 30, 0600);
  CALL(semget, 4711, 1, 0600);
  CALL(shmget, IPC_PRIVATE, 0, 0600);
  // 4 GiB of addresses, not of memory; bare it would stay on the machine.
  const long made = syscall(SYS_shmget, IPC_PRIVATE, UINT_MAX, 0600);
  say("shmget(IPC_PRIVATE, UINT_MAX, 0600)", made);
  if (made >= 0) CALL(shmctl, made, IPC_RMID, NULL);
  CALL(msgget, 4711, 0600);
  CALL(shmctl, -1, IPC_STAT, nowhere);
  CALL(shmctl, 1 << 30, IPC_RMID, NULL);
  CALL(shmctl, 0, 99, NULL);
  const int id = (int)syscall(SYS_semget, 4711, 3, IPC_CREAT | IPC_EXCL | 0400);
  say("semget", id);
  CALL(semget, 4711, 4, 0);
  CALL(semget, 4711, 3, IPC_CREAT | IPC_EXCL | 0600);
  BAD(semctl, id, 0, IPC_STAT, at);
  BAD(semctl, id, 0, IPC_SET, at);
  CALL(semctl, id, 0, IPC_RMID, 0);
  CALL(semctl, id, 0, IPC_RMID, 0);
  // What is wrong with a size is said before the key is looked for, or the mode.
  CALL(semget, 4711, -1, 0);
  CALL(semget, 4711, 1 << 30, 0);
  CALL(shmget, 4711, -1, 0);
  const int closed = (int)syscall(SYS_semget, 4712, 1, IPC_CREAT | IPC_EXCL | 0);
  CALL(semget, 4712, 2, 0600);
  CALL(semctl, closed, 0, IPC_RMID, 0);
  umask(027);
  const int queue = (int)syscall(SYS_mq_open, "mode", O_CREAT | O_RDWR, 0666, NULL);
  struct stat status = {0};
  say("fstat", fstat(queue, &status));
  printf("mode %o\n", status.st_mode & 07777);
  CALL(mq_unlink, "mode");
  umask(022);
}

// Of who has ended and is not waited for everything can be asked, and nothing reaches it; of nobody, what is wrong with
// the arguments is said all the same.
static void ended(void) {
  const int unread = socket(AF_UNIX, SOCK_DGRAM, 0);
  for (int kind = 0; kind < 3; kind++) {
    pid_t child = kind == 2 ? INT_MAX : fork();
    if (child == 0) {
      if (kind == 1) setpgid(0, 0);
      _exit(0);
    }
    printf("ended %d\n", kind);
    siginfo_t info = {0};
    if (kind != 2) waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
    CALL(kill, child, 0);
    CALL(kill, child, 99);
    CALL(kill, -child, 0);
    CALL(tkill, child, 0);
    CALL(tgkill, child, child, 0);
    CALL(tgkill, getpid(), child, 0);
    info = (siginfo_t){.si_signo = SIGUSR1, .si_code = SI_USER};
    CALL(rt_sigqueueinfo, child, SIGUSR1, &info);
    const int fd = (int)syscall(SYS_pidfd_open, child, 0);
    for (unsigned flags = 0; flags < 9; flags++) CALL(pidfd_send_signal, fd, 0, NULL, flags);
    struct sched_param parameter = {0};
    CALL(sched_setparam, child, &parameter);
    CALL(sched_setscheduler, child, SCHED_BATCH, &parameter);
    CALL(sched_setscheduler, child, SCHED_FIFO, &parameter);
    CALL(sched_setscheduler, child, -1, &parameter);
    CALL(sched_setscheduler, child, 77, &parameter);
    parameter.sched_priority = 5;
    CALL(sched_setscheduler, child, SCHED_OTHER, &parameter);
    unsigned attributes[32] = {0};
    CALL(sched_setaffinity, child, 8, attributes);
    CALL(sched_getaffinity, child, 1, attributes);
    CALL(sched_getattr, child, attributes, 1, 0);
    attributes[0] = 120, attributes[28] = 7;
    CALL(sched_setattr, child, attributes, 0);
    attributes[0] = 47;
    CALL(sched_setattr, child, attributes, 0);
    attributes[0] = 48;
    CALL(sched_setattr, child, attributes, 1);
    CALL(setpriority, PRIO_PROCESS, child, 19);
    CALL(getpriority, PRIO_PGRP, child);
    CALL(setpriority, PRIO_PGRP, child, 19);
    CALL(getpriority, PRIO_PGRP, -child);
    CALL(getpriority, PRIO_USER, INT_MAX - kind);
    CALL(ioprio_get, 1, child);
    CALL(ioprio_get, 2, child);
    CALL(ioprio_get, 3, INT_MAX - kind);
    CALL(ioprio_set, 1, child, 4 << 13);
    CALL(ioprio_set, 1, child, 2 << 13 | 7);
    struct rlimit limits[2] = {{2, 1}};
    CALL(prlimit64, child, RLIMIT_CORE, limits, NULL);
    CALL(prlimit64, child, 99, NULL, limits);
    CALL(prlimit64, child, RLIMIT_NOFILE, NULL, &limits[0]);
    CALL(prlimit64, child, RLIMIT_NOFILE, &limits[0], &limits[1]);
    printf("%d\n", memcmp(&limits[0], &limits[1], sizeof limits[0]) == 0);
    CALL(fcntl, unread, F_SETOWN, child);
    CALL(fcntl, unread, F_SETOWN, -child);
    const int owners[3][2] = {{0, child}, {1, child}, {2, child}};
    for (int i = 0; i < 3; i++) CALL(fcntl, unread, 15 /* F_SETOWN_EX */, owners[i]);
    CALL(ioctl, unread, 0x8901 /* FIOSETOWN */, &child);
    struct timespec time;
    CALL(clock_gettime, (~child) * 8 | 2, &time);
    CALL(clock_getres, (~child) * 8 | 2, NULL);
    if (kind != 2) waitpid(child, NULL, 0);
    close(fd);
  }
  struct timespec time;
  void* head;
  size_t length;
  CALL(clock_gettime, (~getpid()) * 8 | 2, &time);
  CALL(clock_gettime, (~getpid()) * 8 | 2, nowhere);
  CALL(clock_getres, (~getpid()) * 8, &time);
  CALL(get_robust_list, getpid(), &head, &length);
  CALL(get_robust_list, INT_MAX, &head, &length);
}

// Descriptors that are none, or not of the kind, with commands that are held.
static void commands(void) {
  const int path = open(".", O_PATH), file = open("file", O_CREAT | O_RDWR, 0644), null = open("/dev/null", O_RDWR);
  const int local = socket(AF_UNIX, SOCK_STREAM, 0);
  const int none[] = {-1, 999, path};
  int one = 1, zero = 0, own = getpid(), group = -getpgrp(), least = INT_MIN;
  for (unsigned i = 0; i < sizeof none / sizeof *none; i++) {
    printf("none %u\n", i);
    CALL(ioctl, none[i], 0x5412 /* TIOCSTI */, "x");
    CALL(ioctl, none[i], 0xdeadbeef, nowhere);
    CALL(ioctl, none[i], 0x5452 /* FIOASYNC */, &one);
    CALL(ioctl, none[i], 0x8902 /* SIOCSPGRP */, &own);
    CALL(fcntl, none[i], 0x7fff, 0);
    CALL(fcntl, none[i], F_SETOWN, INT_MIN);
    CALL(fcntl, none[i], F_SETFL, O_ASYNC);
    CALL(setsockopt, none[i], 999, 1, &one, 4);
    CALL(setsockopt, none[i], SOL_SOCKET, 77, &one, 4);
    CALL(setsockopt, none[i], IPPROTO_TCP, 77, &one, -1);
  }
  CALL(setsockopt, file, 999, 1, &one, 4);
  CALL(setsockopt, local, IPPROTO_TCP, 77, &one, 4);
  CALL(setsockopt, local, IPPROTO_IP, IP_ADD_MEMBERSHIP, &one, 4);
  CALL(setsockopt, local, 999, 1, &one, 4);
  CALL(setsockopt, local, 999, 1, &one, -1);
  int ends[2];
  if (pipe(ends) != 0) abort();
  const int some[] = {ends[0], local, file, null};
  for (unsigned i = 0; i < sizeof some / sizeof *some; i++) {
    printf("some %u\n", i);
    CALL(ioctl, some[i], 0x5452, &one);
    printf("%d\n", (fcntl(some[i], F_GETFL) & O_ASYNC) != 0);
    CALL(ioctl, some[i], 0x5452, &zero);
    CALL(ioctl, some[i], 0x5452, nowhere);
    CALL(fcntl, some[i], F_SETFL, O_ASYNC | O_NONBLOCK);
    printf("%d\n", fcntl(some[i], F_GETFL) & (O_ASYNC | O_NONBLOCK));
    CALL(ioctl, some[i], 0x8901, &own);
    printf("%d\n", fcntl(some[i], F_GETOWN) == own);
    CALL(ioctl, some[i], 0x8902, &group);
    CALL(ioctl, some[i], 0x8901, &least);
    CALL(ioctl, some[i], 0x8901, nowhere);
    CALL(ioctl, some[i], 0x8901, &zero);
  }
  CALL(socket, AF_INET, SOCK_RAW, 0);
  CALL(socket, AF_INET6, SOCK_RAW, 0);
  CALL(socket, AF_INET6, SOCK_PACKET, 0);
  CALL(socket, AF_NETLINK, SOCK_STREAM, 0);
  CALL(socket, AF_INET, SOCK_STREAM, IPPROTO_UDP);
  CALL(socketpair, AF_INET, SOCK_STREAM, 0, nowhere);
  CALL(socketpair, AF_INET, SOCK_STREAM, 0, NULL);
  CALL(socketpair, AF_INET, SOCK_STREAM | 0x100000, 0, nowhere);
  CALL(socketpair, AF_INET, SOCK_STREAM, IPPROTO_UDP, ends);
  CALL(socketpair, AF_INET6, SOCK_DGRAM, 0, ends);
  CALL(socketpair, AF_INET, SOCK_STREAM, 77, ends);
  CALL(socketpair, AF_NETLINK, SOCK_RAW, 0, ends);
}

// A character device 0, 0 is none; what an overlay knows by it anybody may make and remove.
static void whiteouts(void) {
  CALL(mknodat, AT_FDCWD, "whiteout", S_IFCHR | 0600, 0);
  CALL(fchmodat, AT_FDCWD, "whiteout", 0644);
  CALL(openat, AT_FDCWD, "whiteout", O_RDONLY);
  CALL(renameat2, AT_FDCWD, "whiteout", AT_FDCWD, "moved", 0);
  CALL(unlinkat, AT_FDCWD, "moved", 0);
  close(open("file", O_CREAT | O_RDWR, 0644));
  CALL(renameat2, AT_FDCWD, "file", AT_FDCWD, "moved", 4 /* RENAME_WHITEOUT */);
  CALL(unlinkat, AT_FDCWD, "file", 0);
  CALL(unlinkat, AT_FDCWD, "moved", 0);
}

int main(int argc, char** argv) {
  if (argc != 2 || chdir(argv[1]) != 0) return 2;
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  umask(022);
  char* const pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(pages + 4096, 4096, PROT_NONE);  // nothing else may come there
  nowhere = pages + 4096;
  edge = pages + 4096;
  files();
  walks();
  sockets();
  paths();
  processes();
  groups();
  queues();
  ended();
  commands();
  whiteouts();
  return 0;
}
