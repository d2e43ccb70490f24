// where_it_is FOLDER: looks at what is near by, by relative names, after everything that changes where a process is.
// And makes files, with what changes the umask between. FOLDER has a, b and c, each with a file `mark` of 1, 2 and 3
// bytes and one in `sub`. Says what it sees, a line a look.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long size_of(const char* name) {
  struct stat st;
  return stat(name, &st) == 0 ? (long)st.st_size : -errno;
}

static long size_below(int fd, const char* name) {
  struct stat st;
  return fstatat(fd, name, &st, 0) == 0 ? (long)st.st_size : -errno;
}

static long size_opened(int folder, const char* name) {
  struct stat st;
  const int fd = openat(folder, name, O_RDONLY);
  if (fd < 0) return -errno;
  const long size = fstat(fd, &st) == 0 ? (long)st.st_size : -errno;
  close(fd);
  return size;
}

static long link_size(const char* name) {
  char text[64];
  const ssize_t size = readlink(name, text, sizeof text);
  return size < 0 ? -errno : size;
}

static long made(const char* name) {
  const int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0666);
  if (fd < 0) return -errno;
  struct stat st;
  const long mode = fstat(fd, &st) == 0 ? (long)(st.st_mode & 0777) : -errno;
  close(fd);
  return unlink(name) == 0 ? mode : -errno;
}

static void look(const char* when) {
  char text[1000], where[PATH_MAX] = "(none)";
  if (getcwd(where, sizeof where) == NULL) strcpy(where, "(none)");
  const char* const last = strrchr(where, '/');
  const int size = snprintf(
      text, sizeof text,
      "%s: %s mark %ld opened %ld sub %ld/%ld up %ld missing %ld/%ld link %ld/%ld made %lo access %d\n", when,
      last == NULL ? where : last, size_of("mark"), size_opened(AT_FDCWD, "mark"), size_of("sub/mark"),
      size_opened(AT_FDCWD, "sub/mark"), size_of("../b/mark"), size_of("nothing"), size_opened(AT_FDCWD, "sub/nothing"),
      link_size("mark"), link_size("link"), made("new"), access("mark", R_OK) == 0 ? 0 : errno);
  if (write(1, text, (size_t)size) != size) _exit(3);
}

static void must(int ok, const char* what) {
  if (ok) return;
  perror(what);
  _exit(2);
}

static void go(const char* where) { must(chdir(where) == 0, where); }

static int in_turn[2], back[2];
static void tell(int to) { must(write(to, "x", 1) == 1, "write"); }
static void hear(int from) {
  char c;
  must(read(from, &c, 1) == 1, "read");
}

static void end_of(pid_t child, const char* what) {
  int status;
  must(child > 0 && waitpid(child, &status, __WALL) == child && status == 0, what);
}

static const char* folder;
static char in_a[PATH_MAX], in_b[PATH_MAX], in_c[PATH_MAX];
static const char* program;

static int shares(void* unused) {
  (void)unused;
  // No look before its maker's: who was the last to look stands where that was.
  go(in_b);
  umask(055);
  tell(back[1]);
  hear(in_turn[0]);
  look("shared child, moved by its maker");
  _exit(0);
}

// A container's profile refuses it.
static void part(void) { must(unshare(CLONE_FS) == 0 || errno == EPERM, "unshare"); }

static void* thread(void* own) {
  if (own != NULL) part();
  go(in_c);
  look(own != NULL ? "thread of its own" : "thread");
  umask(own != NULL ? 007 : 027);
  look(own != NULL ? "thread of its own, with another umask" : "thread, with another umask");
  tell(back[1]);
  hear(in_turn[0]);
  look(own != NULL ? "thread of its own, after the others" : "thread, after the others");
  if (own != NULL) go(in_a);
  return NULL;
}

static void* executes(void* unused) {
  (void)unused;
  part();
  go(in_c);
  look("before an exec by a thread");
  execl(program, program, "look", (char*)NULL);
  _exit(4);
}

static void threads(int own) {
  pthread_t other;
  go(in_a);
  look("one thread");
  must(pthread_create(&other, NULL, thread, own ? in_turn : NULL) == 0, "pthread_create");
  hear(back[0]);
  look("other threads");
  go(in_b);
  look("other threads, moved");
  tell(in_turn[1]);
  pthread_join(other, NULL);
  for (int i = 0; i < 3; i++) look("alone again");
  go(in_a);
  look("alone again, moved");
}

int main(int count, char** given) {
  program = given[0];
  folder = given[1];
  if (strcmp(folder, "look") == 0) {
    look("after an exec by a thread");
    return 0;
  }
  snprintf(in_a, sizeof in_a, "%s/a", folder);
  snprintf(in_b, sizeof in_b, "%s/b", folder);
  snprintf(in_c, sizeof in_c, "%s/c", folder);
  must(count == 2 && pipe(in_turn) == 0 && pipe(back) == 0, "pipe");
  const int a = open(in_a, O_RDONLY | O_DIRECTORY), b = open(in_b, O_PATH | O_DIRECTORY);
  must(a >= 0 && b >= 0, "open");

  go(in_a);
  look("chdir");
  umask(022);
  look("umask");
  go("../b");
  look("chdir, relative");
  must(fchdir(a) == 0, "fchdir");
  look("fchdir");
  must(fchdir(b) == 0, "fchdir");
  look("fchdir, named only");
  must(chdir("nowhere") != 0, "nowhere");
  look("failed");

  pid_t child = fork();
  if (child == 0) {
    look("child");
    go(in_c);
    look("child, moved");
    umask(077);
    look("child, with another umask");
    _exit(0);
  }
  end_of(child, "fork");
  look("its parent");
  child = vfork();
  if (child == 0) {
    const int moved = chdir(in_c) == 0 && size_of("mark") == 3;
    _exit(moved ? 0 : 1);
  }
  end_of(child, "vfork");
  look("after vfork");

  // Two processes in turn, each where it is.
  child = fork();
  if (child == 0) {
    go(in_a);
    for (int i = 0; i < 40; i++) {
      hear(in_turn[0]);
      if (i % 4 == 3) go(i % 8 == 3 ? in_c : in_a);
      must(size_of("mark") == (i % 8 >= 3 && i % 8 < 7 ? 3 : 1), "the child's mark");
      tell(back[1]);
    }
    _exit(0);
  }
  for (int i = 0; i < 40; i++) {
    tell(in_turn[1]);
    must(size_of("mark") == 2 && size_opened(AT_FDCWD, "mark") == 2, "the parent's mark");
    hear(back[0]);
    must(size_of("mark") == 2, "the parent's mark");
  }
  end_of(child, "in turn");

  threads(0);
  threads(1);
  child = fork();
  if (child == 0) {
    pthread_t other;
    go(in_b);
    look("leader");
    must(pthread_create(&other, NULL, executes, NULL) == 0, "pthread_create");
    pause();
  }
  end_of(child, "exec");

  go(in_a);
  look("before its folder is moved");
  must(rename("../a", "../z") == 0, "rename");
  look("its folder has been moved");
  must(rename("../z", "../a") == 0 && mkdir("../gone", 0777) == 0, "rename");
  go("../gone");
  look("before its folder is removed");
  must(rmdir("../gone") == 0, "rmdir");
  look("its folder has been removed");
  go(in_b);

  char text[400];
  const int file = open("mark", O_RDONLY), again = open(in_c, O_RDONLY | O_DIRECTORY);
  int size = snprintf(text, sizeof text, "descriptors: %ld %ld %ld %ld %ld %ld %ld", size_below(a, "mark"),
                      size_below(b, "mark"), size_opened(b, "mark"), size_below(file, "mark"), size_below(1234, "mark"),
                      size_below(-5, "mark"), size_below(a, "sub/mark"));
  must(dup2(again, a) == a, "dup2");
  size += snprintf(text + size, sizeof text - (size_t)size, " %ld %ld %ld\n", size_below(a, "mark"),
                   size_opened(a, "mark"), size_of("mark"));
  must(write(1, text, (size_t)size) == size, "write");

  // Last, as from then on nobody's place is known.
  go(in_a);
  look("before its folder is shared");
  static char stack[1 << 16] __attribute__((aligned(16)));
  child = clone(shares, stack + sizeof stack, CLONE_FS | SIGCHLD, NULL);
  must(child > 0, "clone");
  hear(back[0]);
  look("its folder is shared");
  go(in_c);
  look("its folder is shared, moved");
  tell(in_turn[1]);
  end_of(child, "clone");
  look("its folder was shared");
  return 0;
}
