// Descriptors handed over between processes and threads of other users: what is opened, changed, found, connected to
// and executed by them, once for each way of becoming somebody else. The argument is a folder. Prints "WAY CALL
// ANSWER".
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { SOMEBODY = 65534 };
static const char* way;
static int pair[2];

// One side hands over, the other takes.
static void give(int fd) {
  union {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
  } control = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
  struct iovec byte = {"", 1};
  memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
  const struct msghdr message = {
      .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  if (fd < 0 || sendmsg(pair[0], &message, 0) != 1) {
    fprintf(stderr, "give %d: %s in %s\n", fd, strerrorname_np(errno), way);
    exit(97);
  }
  close(fd);
}
static int take(void) {
  union {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
  } control;
  char byte;
  struct iovec into = {&byte, 1};
  struct msghdr message = {
      .msg_iov = &into, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  int fd;
  if (recvmsg(pair[1], &message, 0) != 1 || message.msg_controllen < CMSG_LEN(sizeof fd)) exit(96);
  memcpy(&fd, CMSG_DATA(&control.head), sizeof fd);
  return fd;
}

#define TRY(name, call)                                                              \
  do {                                                                               \
    errno = 0;                                                                       \
    const long result_ = (long)(call);                                               \
    printf("%s %s: %s\n", way, name, result_ == -1 ? strerrorname_np(errno) : "ok"); \
  } while (0)

static const char* by_number(int fd, const char* rest) {
  static char name[64];
  snprintf(name, sizeof name, "/proc/self/fd/%d%s", fd, rest);
  return name;
}
static int connect_to(const char* name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path, name);
  return connect(socket(AF_UNIX, SOCK_STREAM, 0), (const void*)&address, sizeof address);
}
static int bind_to(const char* name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path, name);
  return bind(socket(AF_UNIX, SOCK_STREAM, 0), (const void*)&address, sizeof address);
}
static int executed(int folder) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    syscall(SYS_execveat, folder, "program", (char* const[]){"program", NULL}, environ, 0);
    _exit(errno);
  }
  int status;
  waitpid(child, &status, 0);
  if (status == 0) return 0;
  errno = WIFEXITED(status) ? WEXITSTATUS(status) : EOWNERDEAD;
  return -1;
}

static void use_them(void) {
  char text[4096];
  struct stat status;
  struct statfs system;
  // private/ is its owner's alone, and private/shared/ in it everybody's.
  const int private = take(), shared = take(), secret = take(), writable = take(), private_path = take(),
            shared_path = take(), secret_path = take();
  TRY("open by path", open("private/shared/file", O_RDONLY));
  TRY("stat by path", stat("private/shared/file", &status));
  TRY("access by path", access("private/shared/file", R_OK));
  TRY("open below private", openat(private, "shared/file", O_RDONLY));
  TRY("open below its O_PATH", openat(private_path, "shared", O_RDONLY));
  TRY("open in shared", openat(shared, "file", O_RDONLY));
  TRY("open in its O_PATH", openat(shared_path, "file", O_RDONLY));
  TRY("write in shared", openat(shared, "file", O_WRONLY));
  TRY("open a secret", openat(shared, "secret", O_RDONLY));
  TRY("open above", openat(shared, "../file", O_RDONLY));
  TRY("list above", openat(shared, "..", O_RDONLY));
  TRY("pin above", openat(shared, "..", O_PATH));
  TRY("list", openat(shared, ".", O_RDONLY));
  TRY("open by a link", openat(shared, "link", O_RDONLY));
  TRY("make", openat(shared, "made", O_CREAT | O_RDWR, 0644));
  TRY("make above", openat(shared, "../made", O_CREAT | O_RDWR, 0644));
  TRY("mkdir", mkdirat(shared, "folder", 0777));
  TRY("unlink", unlinkat(shared, "old", 0));
  TRY("rename", renameat(shared, "older", shared, "oldest"));
  TRY("stat in shared", fstatat(shared, "file", &status, 0));
  TRY("readlink", readlinkat(shared, "link", text, sizeof text));
  TRY("access to a secret", faccessat(shared, "secret", R_OK, 0));
  TRY("effective access", faccessat(AT_FDCWD, "own", R_OK, AT_EACCESS));
  TRY("reopen", open(by_number(secret, ""), O_RDONLY));
  TRY("reopen to write", open(by_number(secret, ""), O_WRONLY));
  TRY("reopen O_PATH", open(by_number(secret_path, ""), O_RDONLY));
  TRY("reopen what is written", open(by_number(writable, ""), O_RDONLY));
  TRY("reopen what is written to write", open(by_number(writable, ""), O_WRONLY));
  TRY("open by number", open(by_number(shared, "/file"), O_RDONLY));
  TRY("open by number below", open(by_number(private, "/shared/file"), O_RDONLY));
  TRY("open by number beside", open(by_number(shared, "/../file"), O_RDONLY));
  TRY("stat by number", stat(by_number(secret, ""), &status));
  TRY("truncate by number", truncate(by_number(secret, ""), 5));
  TRY("getxattr by number", getxattr(by_number(secret, ""), "user.a", text, sizeof text));
  TRY("chmod by number", chmod(by_number(secret, ""), 0666));
  TRY("link by number", linkat(AT_FDCWD, by_number(secret, ""), AT_FDCWD, "open/1", AT_SYMLINK_FOLLOW));
  TRY("link what is written", linkat(AT_FDCWD, by_number(writable, ""), AT_FDCWD, "open/2", AT_SYMLINK_FOLLOW));
  TRY("fchmod", fchmod(secret, 0644));
  TRY("fchown", fchown(secret, getuid(), -1));
  TRY("futimens", futimens(writable, NULL));
  TRY("ftruncate", ftruncate(writable, 6));
  TRY("execute below", executed(shared));
  TRY("fchdir to private", fchdir(private));
  TRY("fchdir to its O_PATH", fchdir(private_path));
  TRY("fchdir to shared", fchdir(shared));
  TRY("open from there", open("file", O_RDONLY));
  TRY("open above from there", open("../file", O_RDONLY));
  TRY("stat from there", stat("file", &status));
  TRY("statfs there", statfs(".", &system));
  TRY("getcwd", getcwd(text, sizeof text) != NULL ? 0 : -1);
  TRY("chdir to .", chdir("."));
  TRY("chdir to ..", chdir(".."));
  TRY("watch", inotify_add_watch(inotify_init1(0), "file", IN_ACCESS));
  TRY("connect", connect_to("everybodys"));
  TRY("connect to another's", connect_to("owners"));
  TRY("bind", bind_to("bound"));
}

static void give_up_capabilities(unsigned left) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const struct __user_cap_data_struct data[2] = {{left, left, 0}, {0, 0, 0}};
  syscall(SYS_capset, &header, data);
}
static void stay(void) {}
static void become(void) {
  syscall(SYS_setgroups, 0, NULL);
  syscall(SYS_setresgid, SOMEBODY, SOMEBODY, SOMEBODY);
  syscall(SYS_setresuid, SOMEBODY, SOMEBODY, SOMEBODY);
}
static void change_effective(void) { syscall(SYS_setresuid, -1, SOMEBODY, -1); }
static void change_real(void) { syscall(SYS_setresuid, SOMEBODY, -1, -1); }
static void keep_saved(void) { syscall(SYS_setresuid, SOMEBODY, SOMEBODY, -1); }
static void change_file_user(void) { setfsuid(SOMEBODY); }
static void change_file_group(void) {
  setfsgid(SOMEBODY);
  syscall(SYS_setgroups, 0, NULL);
}
static void have_none(void) { give_up_capabilities(0); }
static void keep_override(void) {
  prctl(PR_SET_KEEPCAPS, 1);
  syscall(SYS_setresuid, SOMEBODY, SOMEBODY, SOMEBODY);
  give_up_capabilities(1 << CAP_DAC_OVERRIDE);
}
static void be_root_without_rights(void) {
  prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NO_SETUID_FIXUP);
  give_up_capabilities(0);
}

static const struct {
  const char* name;
  void (*change)(void);
  int in_a_thread;
} ways[] = {
    {"same", stay, 0},
    {"other-user", become, 0},
    {"effective", change_effective, 0},
    {"real", change_real, 0},
    {"saved", keep_saved, 0},
    {"file-user", change_file_user, 0},
    {"file-group", change_file_group, 0},
    {"no-capabilities", have_none, 0},
    {"override-kept", keep_override, 0},
    {"root-without-rights", be_root_without_rights, 0},
    {"thread-of-other-user", become, 1},
    {"thread-without-capabilities", have_none, 1},
};

static void* change_and_use(void* change) {
  (*(void (**)(void))change)();
  use_them();
  return NULL;
}

static void put(const char* name, int mode) {
  const int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, mode);
  if (fd < 0 || write(fd, "SECRET", 6) != 6 || fchmod(fd, mode) != 0) exit(98);
  close(fd);
}
static void put_program(const char* name) {
  char part[4096];
  const int from = open("/bin/true", O_RDONLY), to = open(name, O_CREAT | O_WRONLY, 0755);
  for (ssize_t n; (n = read(from, part, sizeof part)) > 0;)
    if (write(to, part, (size_t)n) != n) exit(98);
  close(from);
  close(to);
}
static void put_socket(const char* name, int mode) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path, name);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(fd, (const void*)&address, sizeof address) != 0 || chmod(name, mode) != 0 || listen(fd, 9) != 0) exit(98);
}

int main(int argc, char** argv) {
  if (argc < 2) return 99;
  umask(022);
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    way = ways[i].name;
    if (chdir(argv[1]) != 0 || mkdir(way, 0755) != 0 || chdir(way) != 0) return 98;
    if (mkdir("private", 0700) != 0 || mkdir("private/shared", 0755) != 0 || mkdir("open", 0777) != 0) return 98;
    chmod("open", 0777);
    put("own", 0600);
    put("private/file", 0644);
    if (chdir("private/shared") != 0 || symlink("secret", "link") != 0) return 98;
    put("file", 0644);
    put("old", 0644);
    put("older", 0644);
    put("secret", 0600);
    put_program("program");
    put_socket("everybodys", 0777);
    put_socket("owners", 0600);
    if (chdir("../..") != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return 98;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      void (*change)(void) = ways[i].change;
      pthread_t thread;
      if (!ways[i].in_a_thread)
        change_and_use(&change);
      else if (pthread_create(&thread, NULL, change_and_use, &change) == 0)
        pthread_join(thread, NULL);
      fflush(stdout);
      _exit(0);
    }
    give(open("private", O_RDONLY));
    give(open("private/shared", O_RDONLY));
    give(open("private/shared/secret", O_RDONLY));
    give(open("private/shared/secret", O_WRONLY));
    give(open("private", O_PATH));
    give(open("private/shared", O_PATH));
    give(open("private/shared/secret", O_PATH));
    int status;
    waitpid(child, &status, 0);
    printf("%s ended %x\n", way, status);
    close(pair[0]);
    close(pair[1]);
  }
  return 0;
}
