// Makes every path call in every odd way that it has and prints, a line each, what the kernel answered: the same
// program bare and sandboxed must print the same. Raw system calls, so that no libc checks or falls back.
//   errno_probe DIR      DIR is empty and becomes the working directory
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static const char* topic = "";
static void* bad;            // an address that is not mapped
static char longest[4096];   // a path of 4095 bytes and its NUL
static char too_long[4097];  // one more
static char long_name[300];

// Prints the result. Descriptors and other positive numbers that differ from run to run are shown as "ok".
static long say(const char* what, long result) {
  if (result < 0)
    printf("%s %s: %s\n", topic, what, strerrorname_np(errno) ? strerrorname_np(errno) : "?");
  else
    printf("%s %s: ok\n", topic, what);
  return result;
}

static void number(const char* what, long result) {
  if (result < 0)
    say(what, result);
  else
    printf("%s %s: %ld\n", topic, what, result);
}

#define CALL(...) syscall(__VA_ARGS__)

// Opens, tells how, and closes.
static void opened(const char* what, long fd) {
  if (fd < 0) {
    say(what, fd);
    return;
  }
  struct stat st;
  CALL(SYS_fstat, fd, &st);
  printf("%s %s: ok type %o mode %o size %ld flags %o cloexec %d\n", topic, what, st.st_mode & S_IFMT,
         st.st_mode & 07777, S_ISREG(st.st_mode) ? (long)st.st_size : 0, fcntl((int)fd, F_GETFL) & ~O_NOFOLLOW,
         fcntl((int)fd, F_GETFD));
  close((int)fd);
}

static void make(const char* path, const char* text) {
  const int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) abort();
  close(fd);
}

static void fixtures(void) {
  make("file", "hello\n");
  make("secret", "no\n");
  chmod("secret", 0);
  mkdir("dir", 0755);
  mkdir("dir/inner", 0755);
  make("dir/inner/deep", "deep\n");
  mkdir("closed", 0755);
  make("closed/file", "in\n");
  symlink("file", "link");
  symlink("dir", "dirlink");
  symlink("nowhere", "dangling");
  symlink("missing-dir/x", "dangling2");
  symlink("loop2", "loop1");
  symlink("loop1", "loop2");
  symlink("dir/", "slashlink");
  symlink("/proc/self/fd", "fds");
  char name[16], target[16];
  symlink("file", "chain0");
  for (int i = 1; i <= 41; i++) {
    snprintf(name, sizeof name, "chain%d", i);
    snprintf(target, sizeof target, "chain%d", i - 1);
    symlink(target, name);
  }
  mkfifo("fifo", 0644);
  const int s = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "sock"};
  if (bind(s, (struct sockaddr*)&un, sizeof un) != 0) perror("bind");
  close(s);
}

static const char* odd_paths[] = {"file",
                                  "file/",
                                  "file/.",
                                  "file/..",
                                  "file/x",
                                  "dir",
                                  "dir/",
                                  "dir/.",
                                  "dir/..",
                                  "dir/inner/../inner/deep",
                                  "link",
                                  "link/",
                                  "dirlink",
                                  "dirlink/",
                                  "dirlink/inner",
                                  "dirlink/../file",
                                  "slashlink",
                                  "dangling",
                                  "dangling/",
                                  "dangling2",
                                  "loop1",
                                  "loop1/",
                                  "loop1/x",
                                  "chain39",
                                  "chain40",
                                  "chain41",
                                  "missing",
                                  "missing/",
                                  "missing/x",
                                  "missing/../file",
                                  "",
                                  ".",
                                  "..",
                                  "/",
                                  "//",
                                  "/.",
                                  "/..",
                                  "./file",
                                  "dir//inner///deep",
                                  "secret",
                                  "closed/file",
                                  "fifo/",
                                  "sock",
                                  "fds/0/x",
                                  "/proc/self/cwd/file",
                                  "/proc/self/cwd",
                                  "/proc/self/root/proc/self/cwd/file",
                                  "/proc/self/fd",
                                  "/proc/self/fd/",
                                  "/proc/self/fd/99",
                                  "/proc/self/fd/x",
                                  "/proc/thread-self/comm",
                                  "/proc/self/task",
                                  "/proc/self/nothing",
                                  "/proc/self/exe",
                                  "/proc/self/exe/",
                                  "/proc/self/exe/x",
                                  "/proc/self/ns/mnt",
                                  "/proc/self",
                                  "/proc/self/",
                                  "/proc/thread-self",
                                  "/proc/mounts",
                                  "/proc/net",
                                  "/proc/net/dev",
                                  "/proc/0",
                                  "/proc/99999999",
                                  "/proc/99999999/stat",
                                  "/proc/sys/kernel/ostype",
                                  "/proc/self/status",
                                  "/proc/self/map_files",
                                  "/dev/fd",
                                  "/dev/null",
                                  "/dev/tty",
                                  "/dev/stdin/x",
                                  "fds",
                                  "fds/"};
#define EACH(p)                                                        \
  for (size_t i_ = 0; i_ < sizeof odd_paths / sizeof *odd_paths; i_++) \
    for (const char* p = odd_paths[i_]; p; p = NULL)

static char label[5000];
static const char* at(const char* call, const char* path) {
  snprintf(label, sizeof label, "%s \"%.60s\"", call, path);
  return label;
}

static void show_stat(const char* what, long result, const struct stat* st) {
  if (result < 0)
    say(what, result);
  else
    printf("%s %s: %o nlink %s size %ld\n", topic, what, st->st_mode,
           S_ISDIR(st->st_mode) ? "-"
           : st->st_nlink > 1   ? "many"
                                : "one",
           S_ISREG(st->st_mode) && st->st_size < 100 ? (long)st->st_size : 0);
}

static void stats(void) {
  topic = "stat";
  struct stat st;
  struct statx sx;
  EACH(p) {
    show_stat(at("stat", p), CALL(SYS_newfstatat, AT_FDCWD, p, &st, 0), &st);
    show_stat(at("lstat", p), CALL(SYS_newfstatat, AT_FDCWD, p, &st, AT_SYMLINK_NOFOLLOW), &st);
    say(at("statx", p), CALL(SYS_statx, AT_FDCWD, p, 0, STATX_ALL, &sx));
#ifdef SYS_stat
    say(at("old stat", p), CALL(SYS_stat, p, &st));
    say(at("old lstat", p), CALL(SYS_lstat, p, &st));
#endif
  }
  const int dir = open("dir", O_RDONLY | O_DIRECTORY), file = open("file", O_RDONLY), path = open("dir", O_PATH);
  int pipes[2];
  if (pipe(pipes) != 0) abort();
  show_stat("at dir inner/deep", CALL(SYS_newfstatat, dir, "inner/deep", &st, 0), &st);
  show_stat("at O_PATH dir", CALL(SYS_newfstatat, path, "inner/deep", &st, 0), &st);
  show_stat("at file x", CALL(SYS_newfstatat, file, "x", &st, 0), &st);
  show_stat("at file empty", CALL(SYS_newfstatat, file, "", &st, AT_EMPTY_PATH), &st);
  show_stat("at pipe empty", CALL(SYS_newfstatat, pipes[0], "", &st, AT_EMPTY_PATH), &st);
  show_stat("at pipe x", CALL(SYS_newfstatat, pipes[0], "x", &st, 0), &st);
  show_stat("at cwd empty", CALL(SYS_newfstatat, AT_FDCWD, "", &st, AT_EMPTY_PATH), &st);
  show_stat("at file empty, no flag", CALL(SYS_newfstatat, file, "", &st, 0), &st);
  show_stat("at 99 file", CALL(SYS_newfstatat, 99, "file", &st, 0), &st);
  show_stat("at 99 empty", CALL(SYS_newfstatat, 99, "", &st, AT_EMPTY_PATH), &st);
  show_stat("at -5 file", CALL(SYS_newfstatat, -5, "file", &st, 0), &st);
  show_stat("at 99 absolute", CALL(SYS_newfstatat, 99, "/", &st, 0), &st);
  show_stat("null", CALL(SYS_newfstatat, file, NULL, &st, AT_EMPTY_PATH), &st);
  show_stat("null, no flag", CALL(SYS_newfstatat, AT_FDCWD, NULL, &st, 0), &st);
  show_stat("bad path", CALL(SYS_newfstatat, AT_FDCWD, bad, &st, 0), &st);
  show_stat("bad buffer", CALL(SYS_newfstatat, AT_FDCWD, "file", bad, 0), &st);
  show_stat("bad flags", CALL(SYS_newfstatat, AT_FDCWD, "file", &st, 0x40000000), &st);
  show_stat("4095 bytes", CALL(SYS_newfstatat, AT_FDCWD, longest, &st, 0), &st);
  show_stat("4096 bytes", CALL(SYS_newfstatat, AT_FDCWD, too_long, &st, 0), &st);
  show_stat("name of 256", CALL(SYS_newfstatat, AT_FDCWD, long_name, &st, 0), &st);
  say("statx empty", CALL(SYS_statx, file, "", AT_EMPTY_PATH, STATX_ALL, &sx));
  say("statx pipe", CALL(SYS_statx, pipes[1], "", AT_EMPTY_PATH, STATX_ALL, &sx));
  say("statx null", CALL(SYS_statx, file, NULL, AT_EMPTY_PATH, STATX_ALL, &sx));
  say("statx reserved mask", CALL(SYS_statx, AT_FDCWD, "file", 0, 0x80000000, &sx));
  say("statx bad flags", CALL(SYS_statx, AT_FDCWD, "file", 0x40000000, STATX_ALL, &sx));
  say("statx sync both", CALL(SYS_statx, AT_FDCWD, "file", AT_STATX_SYNC_TYPE, STATX_ALL, &sx));
  say("statx bad buffer", CALL(SYS_statx, AT_FDCWD, "file", 0, STATX_ALL, bad));
  // The end of a mapping: a path whose NUL is its last byte, and one that has none.
  char* page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(page, 4096);
  page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(page + 4096, 4096);
  memcpy(page + 4091, "file", 5);
  show_stat("path at the end of a page", CALL(SYS_newfstatat, AT_FDCWD, page + 4091, &st, 0), &st);
  memcpy(page + 4091, "filee", 5);
  show_stat("path beyond the end of a page", CALL(SYS_newfstatat, AT_FDCWD, page + 4091, &st, 0), &st);
  close(dir), close(file), close(path), close(pipes[0]), close(pipes[1]);
}

static void opens(void) {
  topic = "open";
  static const struct {
    const char* name;
    int flags;
  } kinds[] = {{"r", O_RDONLY},
               {"w", O_WRONLY},
               {"rw", O_RDWR},
               {"3", O_ACCMODE},
               {"path", O_PATH},
               {"path nofollow", O_PATH | O_NOFOLLOW},
               {"r nofollow", O_RDONLY | O_NOFOLLOW},
               {"r directory", O_RDONLY | O_DIRECTORY},
               {"path directory", O_PATH | O_DIRECTORY},
               {"rw directory", O_RDWR | O_DIRECTORY},
               {"r cloexec", O_RDONLY | O_CLOEXEC},
               {"w append", O_WRONLY | O_APPEND}};
  EACH(p) for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    snprintf(label, sizeof label, "%s \"%s\"", kinds[k].name, p);
    // Writing to what is not ours to change says nothing about us.
    if ((kinds[k].flags & O_ACCMODE) != 0 && strncmp(p, "/proc/sys", 9) == 0) continue;
    opened(label, CALL(SYS_openat, AT_FDCWD, p, kinds[k].flags | O_NONBLOCK, 0));
  }
  static const struct {
    const char* name;
    int flags;
  } makes[] = {{"creat", O_CREAT | O_WRONLY},
               {"creat r", O_CREAT | O_RDONLY},
               {"creat excl", O_CREAT | O_EXCL | O_WRONLY},
               {"creat directory", O_CREAT | O_DIRECTORY},
               {"creat nofollow", O_CREAT | O_NOFOLLOW | O_RDWR},
               {"creat trunc", O_CREAT | O_TRUNC | O_WRONLY},
               {"creat path", O_CREAT | O_PATH}};
  static const char* names[] = {"new",
                                "new/",
                                "dir/new",
                                "dangling",
                                "dangling2",
                                "loop1",
                                "file",
                                "file/",
                                "dir",
                                "dir/",
                                "link",
                                "dirlink",
                                ".",
                                "..",
                                "/",
                                "missing/new",
                                "fifo",
                                "",
                                "new/.",
                                "fds/9",
                                "/proc/self/cwd/new",
                                "/proc/self/new",
                                "slashlink",
                                "secret",
                                "closed/new"};
  for (size_t k = 0; k < sizeof makes / sizeof *makes; k++)
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
      make("file", "hello\n");
      snprintf(label, sizeof label, "%s \"%s\"", makes[k].name, names[n]);
      opened(label, CALL(SYS_openat, AT_FDCWD, names[n], makes[k].flags | O_NONBLOCK, 0666));
      unlink("new"), unlink("dir/new"), unlink("nowhere"), unlink("closed/new");
    }
  make("file", "hello\n");
  opened("missing, no creat", CALL(SYS_openat, AT_FDCWD, "missing", O_WRONLY, 0));
  opened("bad path", CALL(SYS_openat, AT_FDCWD, bad, O_RDONLY, 0));
  opened("4095 bytes", CALL(SYS_openat, AT_FDCWD, longest, O_RDONLY, 0));
  opened("4096 bytes", CALL(SYS_openat, AT_FDCWD, too_long, O_RDONLY, 0));
  opened("name of 256", CALL(SYS_openat, AT_FDCWD, long_name, O_RDONLY, 0));
  opened("creat name of 256", CALL(SYS_openat, AT_FDCWD, long_name, O_CREAT | O_WRONLY, 0666));
  opened("unknown flags", CALL(SYS_openat, AT_FDCWD, "file", 0x40000000, 0));
  opened("tmpfile", CALL(SYS_openat, AT_FDCWD, "dir", O_TMPFILE | O_RDWR, 0600));
  opened("tmpfile r", CALL(SYS_openat, AT_FDCWD, "dir", O_TMPFILE | O_RDONLY, 0600));
  opened("tmpfile on file", CALL(SYS_openat, AT_FDCWD, "file", O_TMPFILE | O_RDWR, 0600));
  opened("tmpfile missing", CALL(SYS_openat, AT_FDCWD, "missing", O_TMPFILE | O_RDWR, 0600));
  opened("fifo w nonblock", CALL(SYS_openat, AT_FDCWD, "fifo", O_WRONLY | O_NONBLOCK, 0));
  opened("trunc", CALL(SYS_openat, AT_FDCWD, "file", O_RDONLY | O_TRUNC, 0));
  make("file", "hello\n");
#ifdef SYS_creat
  opened("old creat", CALL(SYS_creat, "new", 0640));
  opened("old open", CALL(SYS_open, "file", O_RDONLY, 0));
  unlink("new");
#endif
  umask(027);
  opened("umask 027", CALL(SYS_openat, AT_FDCWD, "new", O_CREAT | O_WRONLY, 0666));
  opened("read only, open for writing", (unlink("new"), CALL(SYS_openat, AT_FDCWD, "new", O_CREAT | O_RDWR, 0400)));
  unlink("new");
  umask(022);
  const int dir = open("dir", O_RDONLY | O_DIRECTORY), file = open("file", O_RDWR);
  opened("at dir", CALL(SYS_openat, dir, "inner/deep", O_RDONLY, 0));
  opened("at dir ..", CALL(SYS_openat, dir, "../file", O_RDONLY, 0));
  opened("at file", CALL(SYS_openat, file, "x", O_RDONLY, 0));
  opened("at 99", CALL(SYS_openat, 99, "x", O_RDONLY, 0));
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  opened("own descriptor", CALL(SYS_openat, AT_FDCWD, path, O_RDWR, 0));
  opened("own descriptor nofollow", CALL(SYS_openat, AT_FDCWD, path, O_RDWR | O_NOFOLLOW, 0));
  opened("own descriptor path nofollow", CALL(SYS_openat, AT_FDCWD, path, O_PATH | O_NOFOLLOW, 0));
  snprintf(path, sizeof path, "/dev/fd/%d", file);
  opened("own descriptor by /dev/fd", CALL(SYS_openat, AT_FDCWD, path, O_RDONLY, 0));
  snprintf(path, sizeof path, "/proc/self/fd/%d/x", file);
  opened("below own descriptor", CALL(SYS_openat, AT_FDCWD, path, O_RDONLY, 0));
  snprintf(path, sizeof path, "/proc/self/fd/%d/", file);
  opened("own descriptor with slash", CALL(SYS_openat, AT_FDCWD, path, O_RDONLY, 0));
  snprintf(path, sizeof path, "/proc/self/fd/%d/inner/deep", dir);
  opened("below own directory", CALL(SYS_openat, AT_FDCWD, path, O_RDONLY, 0));
  const int memory = (int)CALL(SYS_memfd_create, "probe", 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
  opened("memfd", CALL(SYS_openat, AT_FDCWD, path, O_RDWR, 0));
  int pipes[2];
  if (pipe(pipes) != 0) abort();
  snprintf(path, sizeof path, "/proc/self/fd/%d", pipes[0]);
  opened("pipe", CALL(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0));
  const int sock = socket(AF_UNIX, SOCK_STREAM, 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", sock);
  opened("socket", CALL(SYS_openat, AT_FDCWD, path, O_RDONLY, 0));
  make("gone", "x");
  const int gone = open("gone", O_RDWR);
  unlink("gone");
  snprintf(path, sizeof path, "/proc/self/fd/%d", gone);
  opened("deleted", CALL(SYS_openat, AT_FDCWD, path, O_RDWR, 0));
  make("odd (deleted)", "x");
  opened("named so", CALL(SYS_openat, AT_FDCWD, "odd (deleted)", O_RDWR, 0));
  close(dir), close(file), close(memory), close(pipes[0]), close(pipes[1]), close(sock), close(gone);
}

static void open_hows(void) {
  topic = "openat2";
  const int dir = open("dir", O_RDONLY | O_DIRECTORY);
  static const struct {
    const char* path;
    uint64_t flags, mode, resolve;
  } cases[] = {{"inner/deep", O_RDONLY, 0, 0},
               {"inner/deep", O_RDONLY, 0644, 0},
               {"inner/deep", 0x4000000000, 0, 0},
               {"inner/deep", O_RDONLY, 0, 0x8000},
               {"../file", O_RDONLY, 0, RESOLVE_BENEATH},
               {"inner/../inner/deep", O_RDONLY, 0, RESOLVE_BENEATH},
               {"/etc", O_RDONLY, 0, RESOLVE_BENEATH},
               {"../file", O_RDONLY, 0, RESOLVE_IN_ROOT},
               {"/inner/deep", O_RDONLY, 0, RESOLVE_IN_ROOT},
               {"../../inner/deep", O_RDONLY, 0, RESOLVE_IN_ROOT},
               {"../link", O_RDONLY, 0, RESOLVE_NO_SYMLINKS},
               {"../dirlink/inner", O_RDONLY, 0, RESOLVE_NO_SYMLINKS},
               {"../link", O_RDONLY | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS},
               {"/proc/self/cwd", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS},
               {"/proc/self/stat", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS},
               {"/proc/self/stat", O_RDONLY, 0, RESOLVE_NO_SYMLINKS},
               {"/proc/self/cwd/file", O_RDONLY, 0, RESOLVE_NO_XDEV},
               {"/proc/version", O_RDONLY, 0, RESOLVE_NO_XDEV},
               {"inner/deep", O_RDONLY, 0, RESOLVE_NO_XDEV},
               {"new", O_CREAT | O_WRONLY, 0640, RESOLVE_BENEATH},
               {"../new", O_CREAT | O_WRONLY, 0640, RESOLVE_BENEATH},
               {"new", O_CREAT | O_WRONLY, 010000, 0},
               {"missing/x", O_RDONLY, 0, RESOLVE_BENEATH},
               {"missing", O_RDONLY, 0, RESOLVE_BENEATH},
               {"", O_RDONLY, 0, 0},
               {"inner", O_PATH | O_RDWR, 0, 0},
               {"inner", O_RDONLY | O_DIRECTORY, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct open_how how = {cases[i].flags, cases[i].mode, cases[i].resolve};
    snprintf(label, sizeof label, "\"%s\" flags %llo mode %llo resolve %llx", cases[i].path, how.flags, how.mode,
             how.resolve);
    opened(label, CALL(SYS_openat2, dir, cases[i].path, &how, sizeof how));
    unlink("dir/new");
  }
  struct {
    struct open_how how;
    uint64_t more;
  } big = {{O_RDONLY, 0, 0}, 0};
  opened("bigger, zero", CALL(SYS_openat2, dir, "inner/deep", &big, sizeof big));
  big.more = 1;
  opened("bigger, not zero", CALL(SYS_openat2, dir, "inner/deep", &big, sizeof big));
  opened("smaller", CALL(SYS_openat2, dir, "inner/deep", &big, 23));
  opened("much bigger", CALL(SYS_openat2, dir, "inner/deep", &big, 5000));
  opened("bad how", CALL(SYS_openat2, dir, "inner/deep", bad, sizeof big.how));
  big.how.resolve = RESOLVE_BENEATH;
  opened("at 99", CALL(SYS_openat2, 99, "x", &big.how, sizeof big.how));
  close(dir);
}

static void accesses(void) {
  topic = "access";
  EACH(p) for (int mode = 0; mode < 8; mode++) {
    if (strncmp(p, "/proc/sys", 9) == 0) continue;
    // Nobody but the process itself may "write" there (fs/proc/fd.c, proc_fd_permission), which means nothing anyway.
    if ((mode & W_OK) != 0 && (strstr(p, "fd") != NULL || strstr(p, "map_files") != NULL)) continue;
    snprintf(label, sizeof label, "%d \"%s\"", mode, p);
    say(label, CALL(SYS_faccessat, AT_FDCWD, p, mode));
  }
  say("mode 8", CALL(SYS_faccessat, AT_FDCWD, "file", 8));
  say("nofollow", CALL(SYS_faccessat2, AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
  say("effective", CALL(SYS_faccessat2, AT_FDCWD, "secret", R_OK, AT_EACCESS));
  say("bad flags", CALL(SYS_faccessat2, AT_FDCWD, "file", R_OK, 0x40000000));
  const int file = open("file", O_RDONLY);
  say("empty", CALL(SYS_faccessat2, file, "", R_OK | W_OK, AT_EMPTY_PATH));
  say("bad path", CALL(SYS_faccessat, AT_FDCWD, bad, F_OK));
  close(file);
}

static void links(void) {
  topic = "readlink";
  char text[PATH_MAX];
  EACH(p) {
    const long n = CALL(SYS_readlinkat, AT_FDCWD, p, text, sizeof text);
    // Numbers of processes and mounts differ from run to run.
    if (n >= 0 && strncmp(p, "/proc", 5) != 0 && strcmp(p, "/dev/fd") != 0)
      printf("%s %s: %.*s\n", topic, p, (int)n, text);
    else
      say(p, n);
  }
  long n = CALL(SYS_readlinkat, AT_FDCWD, "/proc/self", text, sizeof text);
  printf("own number: %d\n", n > 0 && (text[n] = 0, atoi(text) == getpid()));
  n = CALL(SYS_readlinkat, AT_FDCWD, "/proc/self/cwd", text, sizeof text);
  char cwd[PATH_MAX];
  printf("own directory: %d\n", n > 0 && (text[n] = 0, getcwd(cwd, sizeof cwd) != NULL) && strcmp(cwd, text) == 0);
  number("short buffer", CALL(SYS_readlinkat, AT_FDCWD, "link", text, 2));
  number("no buffer", CALL(SYS_readlinkat, AT_FDCWD, "link", text, 0));
  number("negative buffer", CALL(SYS_readlinkat, AT_FDCWD, "link", text, -1));
  number("bad buffer", CALL(SYS_readlinkat, AT_FDCWD, "link", bad, 10));
  const int fd = open("link", O_PATH | O_NOFOLLOW), file = open("file", O_RDONLY);
  number("empty on a link", CALL(SYS_readlinkat, fd, "", text, sizeof text));
  number("empty on a file", CALL(SYS_readlinkat, file, "", text, sizeof text));
  close(fd), close(file);

  topic = "symlink";
  static const char* names[] = {"new",      "new/",       "file",           "dir",   ".", "..", "/", "missing/new", "",
                                "dangling", "closed/new", "/proc/self/new", "file/x"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    say(names[i], CALL(SYS_symlinkat, "target", AT_FDCWD, names[i]));
    unlink("new"), unlink("closed/new");
  }
  say("empty text", CALL(SYS_symlinkat, "", AT_FDCWD, "new"));
  say("bad text", CALL(SYS_symlinkat, bad, AT_FDCWD, "new"));
  say("long text", CALL(SYS_symlinkat, longest, AT_FDCWD, "new"));
  unlink("new");
  say("too long text", CALL(SYS_symlinkat, too_long, AT_FDCWD, "new"));

  topic = "link";
  static const char* from[] = {"file", "dir", "link",           "dangling", "missing",  "file/",
                               "",     ".",   "/proc/self/exe", "loop1",    "missing/x"};
  for (size_t i = 0; i < sizeof from / sizeof *from; i++)
    for (int flags = 0; flags <= AT_SYMLINK_FOLLOW; flags += AT_SYMLINK_FOLLOW) {
      if (strcmp(from[i], "/proc/self/exe") == 0 && flags != 0) continue;
      snprintf(label, sizeof label, "from \"%s\" %x", from[i], flags);
      say(label, CALL(SYS_linkat, AT_FDCWD, from[i], AT_FDCWD, "new", flags));
      unlink("new");
    }
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    say(names[i], CALL(SYS_linkat, AT_FDCWD, "file", AT_FDCWD, names[i], 0));
    unlink("new"), unlink("closed/new");
  }
  say("bad flags", CALL(SYS_linkat, AT_FDCWD, "file", AT_FDCWD, "new", 0x40000000));
  const int unnamed = open("dir", O_TMPFILE | O_RDWR, 0600);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", unnamed);
  say("unnamed", CALL(SYS_linkat, AT_FDCWD, path, AT_FDCWD, "new", AT_SYMLINK_FOLLOW));
  say("named by it", access("new", F_OK));
  unlink("new");
  close(unnamed);
}

// After a rename, which may have moved anything of these to any other.
static void put_back(void) {
  static const char* moved[] = {"a",    "b",       "d",          "e",    "f",        "l",
                                "full", "nowhere", "closed/new", "link", "dangling", "loop1"};
  for (size_t i = 0; i < sizeof moved / sizeof *moved; i++) {
    char inside[32];
    snprintf(inside, sizeof inside, "%s/x", moved[i]);
    if (unlink(inside) != 0 && errno == EISDIR) rmdir(inside);
    snprintf(inside, sizeof inside, "%s/sub", moved[i]);
    if (unlink(inside) != 0 && errno == EISDIR) rmdir(inside);
    if (unlink(moved[i]) != 0 && errno == EISDIR) rmdir(moved[i]);
  }
  if (symlink("file", "link") != 0 || symlink("nowhere", "dangling") != 0 || symlink("loop2", "loop1") != 0) abort();
}

static void names(void) {
  static const char* paths[] = {
      "new",    "new/",  "file",       "file/",          "dir",        "dir/",         "dir/inner",
      "link",   "link/", "dirlink",    "dirlink/",       "dangling",   "dangling/",    "loop1",
      ".",      "..",    "/",          "dir/.",          "dir/..",     "dir/inner/..", "missing/new",
      "file/x", "",      "closed/new", "/proc/self/new", "/proc/self", "fifo",         "sock"};
  const size_t count = sizeof paths / sizeof *paths;
  struct stat st;
  topic = "mkdir";
  for (size_t i = 0; i < count; i++) {
    say(paths[i], CALL(SYS_mkdirat, AT_FDCWD, paths[i], 0777));
    rmdir("new"), rmdir("closed/new"), rmdir("nowhere");
  }
  umask(027);
  say("umask", CALL(SYS_mkdirat, AT_FDCWD, "new", 01777));
  show_stat("umask", CALL(SYS_newfstatat, AT_FDCWD, "new", &st, 0), &st);
  rmdir("new");
  umask(022);
  say("name of 256", CALL(SYS_mkdirat, AT_FDCWD, long_name, 0777));
  say("bad", CALL(SYS_mkdirat, AT_FDCWD, bad, 0777));

  topic = "mknod";
  for (size_t i = 0; i < count; i++) {
    say(paths[i], CALL(SYS_mknodat, AT_FDCWD, paths[i], S_IFREG | 0666, 0));
    unlink("new"), unlink("closed/new"), unlink("nowhere");
  }
  static const mode_t kinds[] = {0, S_IFREG, S_IFIFO, S_IFSOCK, S_IFDIR, S_IFLNK, 0170000};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    snprintf(label, sizeof label, "kind %o", kinds[i]);
    say(label, CALL(SYS_mknodat, AT_FDCWD, "new", kinds[i] | 0644, 0));
    unlink("new");
  }

  topic = "unlink";
  for (size_t i = 0; i < count; i++) {
    static const char* safe[] = {"file/",        "dir",         "dir/",   "dir/inner", "link/",          "dirlink/",
                                 "dangling/",    ".",           "..",     "/",         "dir/.",          "dir/..",
                                 "dir/inner/..", "missing/new", "file/x", "",          "/proc/self/new", "/proc/self",
                                 "new",          "new/"};
    for (size_t k = 0; k < sizeof safe / sizeof *safe; k++)
      if (strcmp(paths[i], safe[k]) == 0) say(paths[i], CALL(SYS_unlinkat, AT_FDCWD, paths[i], 0));
    if (strcmp(paths[i], "dir/inner") != 0)
      say(at("rmdir", paths[i]), CALL(SYS_unlinkat, AT_FDCWD, paths[i], AT_REMOVEDIR));
  }
  say("not empty", CALL(SYS_unlinkat, AT_FDCWD, "dir", AT_REMOVEDIR));
  say("bad flags", CALL(SYS_unlinkat, AT_FDCWD, "file", 0x40000000));
  make("new", "");
  say("file", CALL(SYS_unlinkat, AT_FDCWD, "new", 0));
  mkdir("new", 0755);
  say("directory", CALL(SYS_unlinkat, AT_FDCWD, "new/", AT_REMOVEDIR));
  symlink("file", "new");
  say("link", CALL(SYS_unlinkat, AT_FDCWD, "new", 0));

  topic = "rename";
  static const char* from[] = {"a", "a/", "d", "d/", "l",   "l/",    "missing",  "missing/x",
                               ".", "..", "/", "",   "d/.", "loop1", "dangling", "a/x"};
  static const char* to[] = {"b",  "b/", "a", "e",    "e/",       "f",   "d/sub",      "missing/x",      ".",
                             "..", "/",  "",  "link", "dangling", "a/x", "closed/new", "/proc/self/new", "full"};
  for (size_t i = 0; i < sizeof from / sizeof *from; i++)
    for (size_t k = 0; k < sizeof to / sizeof *to; k++)
      for (int flags = 0; flags < 4; flags++) {
        make("a", "a"), mkdir("d", 0755), mkdir("e", 0755), mkdir("full", 0755), make("full/x", ""), make("f", "f"),
            symlink("a", "l");
        snprintf(label, sizeof label, "\"%s\" to \"%s\" flags %d", from[i], to[k], flags);
        say(label, CALL(SYS_renameat2, AT_FDCWD, from[i], AT_FDCWD, to[k], flags));
        put_back();
      }
  say("bad flags", CALL(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "b", 0x100));
  say("bad from", CALL(SYS_renameat2, AT_FDCWD, bad, AT_FDCWD, "b", 0));
  say("bad to", CALL(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, bad, 0));
  say("across devices", CALL(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "/proc/b", 0));
  say("at 99", CALL(SYS_renameat2, 99, "file", AT_FDCWD, "b", 0));
}

static void attributes(void) {
  struct stat st;
  topic = "chmod";
  EACH(p) {
    if (p[0] == '/' || strcmp(p, "..") == 0) continue;
    say(p, CALL(SYS_fchmodat, AT_FDCWD, p, strcmp(p, "secret") == 0 ? 0 : 0755));
  }
  chmod("file", 0644);
  say("nofollow link", CALL(SYS_fchmodat2, AT_FDCWD, "link", 0600, AT_SYMLINK_NOFOLLOW));
  say("nofollow file", CALL(SYS_fchmodat2, AT_FDCWD, "file", 0600, AT_SYMLINK_NOFOLLOW));
  say("bad flags", CALL(SYS_fchmodat2, AT_FDCWD, "file", 0600, 0x40000000));
  say("sticky directory", CALL(SYS_fchmodat, AT_FDCWD, "dir", 01777));
  say("group directory", CALL(SYS_fchmodat, AT_FDCWD, "dir", 02755));
  const int file = open("file", O_RDONLY), path = open("file", O_PATH), dir = open("dir", O_RDONLY);
  int pipes[2];
  if (pipe(pipes) != 0) abort();
  say("descriptor", CALL(SYS_fchmod, file, 0640));
  say("O_PATH descriptor", CALL(SYS_fchmod, path, 0640));
  say("pipe", CALL(SYS_fchmod, pipes[0], 0600));
  say("no descriptor", CALL(SYS_fchmod, 99, 0640));
  say("negative descriptor", CALL(SYS_fchmod, -1, 0640));
  show_stat("after", CALL(SYS_newfstatat, AT_FDCWD, "file", &st, 0), &st);

  topic = "chown";
  const uid_t uid = getuid();
  const gid_t gid = getgid();
  EACH(p) {
    if (p[0] == '/' || strcmp(p, "..") == 0) continue;
    say(at("chown", p), CALL(SYS_fchownat, AT_FDCWD, p, uid, gid, 0));
    say(at("lchown", p), CALL(SYS_fchownat, AT_FDCWD, p, -1, -1, AT_SYMLINK_NOFOLLOW));
  }
  say("bad flags", CALL(SYS_fchownat, AT_FDCWD, "file", -1, -1, 0x40000000));
  say("empty", CALL(SYS_fchownat, file, "", uid, gid, AT_EMPTY_PATH));
  say("empty on O_PATH", CALL(SYS_fchownat, path, "", uid, gid, AT_EMPTY_PATH));
  say("descriptor", CALL(SYS_fchown, file, uid, gid));
  say("O_PATH descriptor", CALL(SYS_fchown, path, uid, gid));
  say("no descriptor", CALL(SYS_fchown, 99, uid, gid));

  topic = "utimes";
  const struct timespec some[2] = {{1000, 5}, {2000, 7}}, omit[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}},
                        now[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}}, wrong[2] = {{0, 2000000000}, {0, 0}};
  EACH(p) {
    if (p[0] == '/' || strcmp(p, "..") == 0) continue;
    say(at("follow", p), CALL(SYS_utimensat, AT_FDCWD, p, some, 0));
    say(at("nofollow", p), CALL(SYS_utimensat, AT_FDCWD, p, some, AT_SYMLINK_NOFOLLOW));
  }
  stat("file", &st);
  printf("times: %ld.%ld %ld.%ld\n", (long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec,
         st.st_mtim.tv_nsec);
  say("null times", CALL(SYS_utimensat, AT_FDCWD, "file", NULL, 0));
  say("omit", CALL(SYS_utimensat, AT_FDCWD, "missing", omit, 0));
  say("now", CALL(SYS_utimensat, AT_FDCWD, "file", now, 0));
  say("wrong", CALL(SYS_utimensat, AT_FDCWD, "file", wrong, 0));
  say("bad times", CALL(SYS_utimensat, AT_FDCWD, "file", bad, 0));
  say("bad flags", CALL(SYS_utimensat, AT_FDCWD, "file", some, 0x40000000));
  say("descriptor", CALL(SYS_utimensat, file, NULL, some, 0));
  say("descriptor, flags", CALL(SYS_utimensat, file, NULL, some, AT_SYMLINK_NOFOLLOW));
  say("O_PATH descriptor", CALL(SYS_utimensat, path, NULL, some, 0));
  say("empty", CALL(SYS_utimensat, file, "", some, AT_EMPTY_PATH));
  say("null path", CALL(SYS_utimensat, AT_FDCWD, NULL, some, 0));
  say("no descriptor", CALL(SYS_utimensat, 99, NULL, some, 0));
#ifdef SYS_utime
  const struct utimbuf old = {5, 6};
  const struct timeval parts[2] = {{1, 2}, {3, 4}}, beyond[2] = {{1, 1000000}, {3, 4}};
  say("utime", CALL(SYS_utime, "file", &old));
  say("utime null", CALL(SYS_utime, "file", NULL));
  say("utimes", CALL(SYS_utimes, "file", parts));
  stat("file", &st);
  printf("times: %ld.%ld %ld.%ld\n", (long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec,
         st.st_mtim.tv_nsec);
  say("utimes beyond", CALL(SYS_utimes, "file", beyond));
  say("futimesat", CALL(SYS_futimesat, dir, "inner", parts));
  say("futimesat null", CALL(SYS_futimesat, dir, NULL, parts));
#endif

  topic = "truncate";
  EACH(p) {
    if (p[0] == '/' || strcmp(p, "..") == 0) continue;
    say(p, CALL(SYS_truncate, p, 100));
  }
  say("negative", CALL(SYS_truncate, "file", -1));
  say("too much", CALL(SYS_truncate, "file", INT64_MAX));
  signal(SIGXFSZ, SIG_IGN);
  const struct rlimit limit = {1000, RLIM_INFINITY};
  setrlimit(RLIMIT_FSIZE, &limit);
  say("beyond the limit", CALL(SYS_truncate, "file", 2000));
  say("within the limit", CALL(SYS_truncate, "file", 1000));
  const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_FSIZE, &none);
  make("file", "hello\n");

  topic = "statfs";
  struct statfs fs;
  EACH(p) {
    const long r = CALL(SYS_statfs, p, &fs);
    if (r == 0)
      printf("%s %s: %lx\n", topic, p, (long)fs.f_type);
    else
      say(p, r);
  }
  say("bad buffer", CALL(SYS_statfs, "file", bad));

  topic = "xattr";
  char value[100] = "";
  static const char* named[] = {"user.probe",     "user.", "user",           "trusted.probe",
                                "security.probe", "",      "nothing.at.all", "system.posix_acl_access"};
  static const char* on[] = {"file", "dir", "link", "dangling", "missing", "fifo", "file/"};
  for (size_t i = 0; i < sizeof on / sizeof *on; i++)
    for (size_t k = 0; k < sizeof named / sizeof *named; k++) {
      snprintf(label, sizeof label, "set %s %s", on[i], named[k]);
      say(label, CALL(SYS_setxattr, on[i], named[k], "value", 5, 0));
      snprintf(label, sizeof label, "lset %s %s", on[i], named[k]);
      say(label, CALL(SYS_lsetxattr, on[i], named[k], "value", 5, 0));
      snprintf(label, sizeof label, "get %s %s", on[i], named[k]);
      number(label, CALL(SYS_getxattr, on[i], named[k], value, sizeof value));
      snprintf(label, sizeof label, "lget %s %s", on[i], named[k]);
      number(label, CALL(SYS_lgetxattr, on[i], named[k], value, sizeof value));
      snprintf(label, sizeof label, "list %s", on[i]);
      number(label, CALL(SYS_listxattr, on[i], value, sizeof value));
      snprintf(label, sizeof label, "llist %s", on[i]);
      number(label, CALL(SYS_llistxattr, on[i], value, sizeof value));
      snprintf(label, sizeof label, "remove %s %s", on[i], named[k]);
      say(label, CALL(SYS_removexattr, on[i], named[k]));
      snprintf(label, sizeof label, "lremove %s %s", on[i], named[k]);
      say(label, CALL(SYS_lremovexattr, on[i], named[k]));
    }
  say("create", CALL(SYS_setxattr, "file", "user.a", "value", 5, XATTR_CREATE));
  say("create again", CALL(SYS_setxattr, "file", "user.a", "value", 5, XATTR_CREATE));
  say("replace none", CALL(SYS_setxattr, "file", "user.b", "value", 5, XATTR_REPLACE));
  say("bad flags", CALL(SYS_setxattr, "file", "user.b", "value", 5, 8));
  say("too big", CALL(SYS_setxattr, "file", "user.b", "value", 65537, 0));
  say("bad value", CALL(SYS_setxattr, "file", "user.b", bad, 5, 0));
  say("bad name", CALL(SYS_setxattr, "file", bad, "value", 5, 0));
  say("long name", CALL(SYS_setxattr, "file", long_name, "value", 5, 0));
  number("size", CALL(SYS_getxattr, "file", "user.a", NULL, 0));
  number("short", CALL(SYS_getxattr, "file", "user.a", value, 2));
  number("bad buffer", CALL(SYS_getxattr, "file", "user.a", bad, 10));
  number("list size", CALL(SYS_listxattr, "file", NULL, 0));
  number("list short", CALL(SYS_listxattr, "file", value, 1));
  say("descriptor set", CALL(SYS_fsetxattr, file, "user.c", "value", 5, 0));
  say("O_PATH set", CALL(SYS_fsetxattr, path, "user.c", "value", 5, 0));
  say("pipe set", CALL(SYS_fsetxattr, pipes[0], "user.c", "value", 5, 0));
  say("descriptor remove", CALL(SYS_fremovexattr, file, "user.c"));
  say("no descriptor", CALL(SYS_fremovexattr, 99, "user.c"));

  topic = "inotify";
  const int watch = inotify_init1(IN_NONBLOCK);
  EACH(p) {
    if (strncmp(p, "/proc", 5) == 0 || strncmp(p, "fds", 3) == 0) continue;
    say(p, CALL(SYS_inotify_add_watch, watch, p, IN_MODIFY));
    say(at("nofollow", p), CALL(SYS_inotify_add_watch, watch, p, IN_MODIFY | IN_DONT_FOLLOW));
    say(at("directory", p), CALL(SYS_inotify_add_watch, watch, p, IN_MODIFY | IN_ONLYDIR));
  }
  say("no mask", CALL(SYS_inotify_add_watch, watch, "file", 0));
  say("not inotify", CALL(SYS_inotify_add_watch, file, "file", IN_MODIFY));
  say("no descriptor", CALL(SYS_inotify_add_watch, 99, "file", IN_MODIFY));
  close(file), close(path), close(dir), close(pipes[0]), close(pipes[1]), close(watch);
}

static void* other_end(void* path) {
  const int fd = open(path, O_WRONLY);
  if (fd >= 0) {
    if (write(fd, "x", 1) != 1) abort();
    close(fd);
  }
  return NULL;
}

static volatile sig_atomic_t rang;
static void ring(int signal) { rang += signal != 0; }

static void blocking(void) {
  topic = "fifo";
  pthread_t thread;
  if (pthread_create(&thread, NULL, other_end, "fifo") != 0) abort();
  const int fd = open("fifo", O_RDONLY);
  char byte;
  number("two threads meet", read(fd, &byte, 1));
  close(fd);
  pthread_join(thread, NULL);
  const pid_t child = fork();
  if (child == 0) {
    other_end("fifo");
    _exit(0);
  }
  const int fd2 = open("fifo", O_RDONLY);
  number("two processes meet", read(fd2, &byte, 1));
  close(fd2);
  waitpid(child, NULL, 0);

  struct sigaction action = {.sa_handler = ring};
  sigaction(SIGALRM, &action, NULL);
  const struct itimerval soon = {{0, 0}, {0, 150000}};
  setitimer(ITIMER_REAL, &soon, NULL);
  say("interrupted", CALL(SYS_openat, AT_FDCWD, "fifo", O_RDONLY, 0));
  printf("handler ran: %d\n", (int)rang);

  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, NULL);
  const pid_t late = fork();
  if (late == 0) {
    usleep(500000);
    other_end("fifo");
    _exit(0);
  }
  setitimer(ITIMER_REAL, &soon, NULL);
  const long restarted = say("restarted", CALL(SYS_openat, AT_FDCWD, "fifo", O_RDONLY, 0));
  printf("handler ran: %d\n", (int)rang);
  if (restarted >= 0) close((int)restarted);
  waitpid(late, NULL, 0);

  const pid_t stuck = fork();
  if (stuck == 0) {
    CALL(SYS_openat, AT_FDCWD, "fifo", O_RDONLY, 0);
    _exit(0);
  }
  usleep(100000);
  kill(stuck, SIGTERM);
  int status = 0;
  waitpid(stuck, &status, 0);
  printf("killed while it waits: %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
}

static void depths(void) {
  topic = "deep";
  char name[201];
  memset(name, 'd', 200);
  name[200] = '\0';
  int made = 0;
  for (; made < 25; made++)
    if (mkdir(name, 0755) != 0 || chdir(name) != 0) break;
  printf("levels: %d\n", made);
  struct stat st;
  char text[PATH_MAX * 2];
  make("bottom", "x");
  show_stat("stat", CALL(SYS_newfstatat, AT_FDCWD, "bottom", &st, 0), &st);
  show_stat("stat .", CALL(SYS_newfstatat, AT_FDCWD, ".", &st, 0), &st);
  show_stat("stat ..", CALL(SYS_newfstatat, AT_FDCWD, "..", &st, 0), &st);
  opened("open", CALL(SYS_openat, AT_FDCWD, "bottom", O_RDWR, 0));
  say("mkdir", CALL(SYS_mkdirat, AT_FDCWD, "more", 0755));
  say("rmdir", CALL(SYS_unlinkat, AT_FDCWD, "more", AT_REMOVEDIR));
  say("missing", CALL(SYS_newfstatat, AT_FDCWD, "missing", &st, 0));
  say("rename", CALL(SYS_renameat2, AT_FDCWD, "bottom", AT_FDCWD, "top", 0));
  say("unlink", CALL(SYS_unlinkat, AT_FDCWD, "top", 0));
  say("getcwd", CALL(SYS_getcwd, text, sizeof text));
  for (int i = 0; i < made; i++)
    if (chdir("..") != 0) perror("chdir");
  say("remove", system("rm -rf ddd*"));

  topic = "deleted";
  mkdir("leave", 0755);
  if (chdir("leave") != 0) abort();
  rmdir("../leave");
  show_stat("stat .", CALL(SYS_newfstatat, AT_FDCWD, ".", &st, 0), &st);
  show_stat("stat ..", CALL(SYS_newfstatat, AT_FDCWD, "..", &st, 0), &st);
  say("stat x", CALL(SYS_newfstatat, AT_FDCWD, "x", &st, 0));
  opened("open x", CALL(SYS_openat, AT_FDCWD, "x", O_CREAT | O_WRONLY, 0644));
  say("mkdir x", CALL(SYS_mkdirat, AT_FDCWD, "x", 0755));
  opened("open .", CALL(SYS_openat, AT_FDCWD, ".", O_RDONLY | O_DIRECTORY, 0));
  say("getcwd", CALL(SYS_getcwd, text, sizeof text));
}

// As root, bare: what takes this is refused in a sandbox on purpose (trusted and security attributes).
static void give_up_administration(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data) != 0) return;
  data[0].effective &= ~(1u << CAP_SYS_ADMIN);
  syscall(SYS_capset, &header, data);
}

int main(int argc, char** argv) {
  if (argc != 2 || chdir(argv[1]) != 0) return 2;
  give_up_administration();
  setvbuf(stdout, NULL, _IOFBF, 1 << 20);
  umask(022);
  bad = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(bad, 4096);
  for (size_t i = 0; i < sizeof longest - 1; i += 2) memcpy(longest + i, "./", 2);
  memcpy(longest + sizeof longest - 1 - 4, "file", 4);
  longest[4095] = '\0';
  longest[0] = '.', longest[1] = '/';
  for (size_t i = 0; i < sizeof too_long - 1; i += 2) memcpy(too_long + i, "./", 2);
  memset(long_name, 'n', 256);
  fixtures();
  stats();
  opens();
  open_hows();
  accesses();
  links();
  names();
  attributes();
  blocking();
  depths();
  return 0;
}
