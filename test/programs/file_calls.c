// Makes the path calls that its arguments name, one after the other, and prints for each what the kernel answered:
//   file_calls 'stat /x' 'rename /x /y' ...
// %parent in a path is the pid of the parent process, %self its own.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static char first[PATH_MAX], second[PATH_MAX];

static void expand(const char* from, char* to) {
  char* end = to + PATH_MAX - 32;
  while (*from != '\0' && to < end) {
    if (strncmp(from, "%parent", 7) == 0)
      to += sprintf(to, "%d", (int)getppid()), from += 7;
    else if (strncmp(from, "%self", 5) == 0)
      to += sprintf(to, "%d", (int)getpid()), from += 5;
    else
      *to++ = *from++;
  }
  *to = '\0';
}

static int reads(int fd) {
  char byte;
  if (fd < 0) return -1;
  const ssize_t n = read(fd, &byte, 1);
  const int error = errno;
  close(fd);
  errno = error;
  return n < 0 && error != EISDIR ? -1 : 0;
}

static int closes(int fd) { return fd < 0 ? -1 : close(fd); }

// Opens without access, and then that descriptor anew by its name in /proc.
static int reopens(const char* path, int flags) {
  const int fd = open(path, O_PATH);
  if (fd < 0) return -1;
  char name[64];
  sprintf(name, "/proc/self/fd/%d", fd);
  const int result = closes(open(name, flags));
  close(fd);
  return result;
}

static int at_directory(const char* directory, const char* name) {
  const int fd = open(directory, O_RDONLY | O_DIRECTORY);
  if (fd < 0) return -1;
  const int result = reads(openat(fd, name, O_RDONLY));
  close(fd);
  return result;
}

static int with_descriptor(const char* path, int what) {
  const int fd = open(path, O_RDONLY);
  if (fd < 0) return -1;
  int result = -1;
  if (what == 0) result = fchmod(fd, 0700);
  if (what == 1) result = fchown(fd, getuid(), getgid());
  if (what == 2) result = futimens(fd, NULL);
  if (what == 3) result = fsetxattr(fd, "user.held", "x", 1, 0);
  const int error = errno;
  close(fd);
  errno = error;
  return result;
}

static int lists(const char* path) {
  DIR* list = opendir(path);
  if (list == NULL) return -1;
  int n = 0;
  while (readdir(list) != NULL) n++;
  closedir(list);
  return n > 0 ? 0 : -1;
}

static int says(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY);
  if (fd < 0) return -1;
  const ssize_t n = write(fd, text, strlen(text));
  close(fd);
  return n < 0 ? -1 : 0;
}

// What a process of its own, forked here and waiting, lets be seen of itself.
static int of_child(const char* entry) {
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  char path[PATH_MAX + 32];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)child, entry);
  const int result = reads(open(path, O_RDONLY));
  const int error = errno;
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  errno = error;
  return result;
}

static int run(const char* verb, const char* a, const char* b) {
  struct stat st;
  char text[PATH_MAX];
  const mode_t mode = (mode_t)strtoul(b, NULL, 8);
  if (strcmp(verb, "stat") == 0) return stat(a, &st);
  if (strcmp(verb, "lstat") == 0) return lstat(a, &st);
  if (strcmp(verb, "access") == 0) return access(a, (int)mode);
  if (strcmp(verb, "read") == 0) return reads(open(a, O_RDONLY));
  if (strcmp(verb, "write") == 0) return closes(open(a, O_WRONLY));
  if (strcmp(verb, "truncating") == 0) return closes(open(a, O_RDONLY | O_TRUNC));
  if (strcmp(verb, "create") == 0) return closes(open(a, O_CREAT | O_WRONLY, *b ? mode : 0666));
  if (strcmp(verb, "tmpfile") == 0) return closes(open(a, O_TMPFILE | O_RDWR, 0600));
  if (strcmp(verb, "path") == 0) return closes(open(a, O_PATH));
  if (strcmp(verb, "reopen") == 0) return reopens(a, O_RDONLY);
  if (strcmp(verb, "reopen-write") == 0) return reopens(a, O_WRONLY);
  if (strcmp(verb, "at") == 0) return at_directory(a, b);
  if (strcmp(verb, "list") == 0) return lists(a);
  if (strcmp(verb, "say") == 0) return says(a, b);
  if (strcmp(verb, "rename") == 0) return rename(a, b);
  if (strcmp(verb, "exchange") == 0) return (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
  if (strcmp(verb, "link") == 0) return link(a, b);
  if (strcmp(verb, "symlink") == 0) return symlink(a, b);
  if (strcmp(verb, "unlink") == 0) return unlink(a);
  if (strcmp(verb, "rmdir") == 0) return rmdir(a);
  if (strcmp(verb, "mkdir") == 0) return mkdir(a, *b ? mode : 0777);
  if (strcmp(verb, "fifo") == 0) return mkfifo(a, 0666);
  if (strcmp(verb, "node") == 0) return mknod(a, S_IFREG | mode, 0);
  if (strcmp(verb, "device") == 0) return mknod(a, S_IFCHR | 0666, makedev(1, 3));
  if (strcmp(verb, "chmod") == 0) return chmod(a, mode);
  if (strcmp(verb, "fchmod") == 0) return with_descriptor(a, 0);
  if (strcmp(verb, "chown") == 0) return chown(a, getuid(), getgid());
  if (strcmp(verb, "fchown") == 0) return with_descriptor(a, 1);
  if (strcmp(verb, "utimes") == 0) return utimensat(AT_FDCWD, a, NULL, 0);
  if (strcmp(verb, "futimes") == 0) return with_descriptor(a, 2);
  if (strcmp(verb, "truncate") == 0) return truncate(a, 1);
  if (strcmp(verb, "setxattr") == 0) return setxattr(a, *b ? b : "user.test", "x", 1, 0);
  if (strcmp(verb, "fsetxattr") == 0) return with_descriptor(a, 3);
  if (strcmp(verb, "readlink") == 0) return readlink(a, text, sizeof text) < 0 ? -1 : 0;
  if (strcmp(verb, "watch") == 0) return inotify_add_watch(inotify_init(), a, IN_CREATE) < 0 ? -1 : 0;
  if (strcmp(verb, "of-child") == 0) return of_child(a);
  if (strcmp(verb, "chdir") == 0) return chdir(a);
  if (strcmp(verb, "umask") == 0) return umask((mode_t)strtoul(a, NULL, 8)), 0;
  if (strcmp(verb, "become") == 0) return setresgid(1000, 1000, 1000) != 0 ? -1 : setresuid(1000, 1000, 1000);
  fprintf(stderr, "no such call: %s\n", verb);
  exit(64);
}

int main(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    char line[3 * PATH_MAX];
    snprintf(line, sizeof line, "%s", argv[i]);
    char *verb = strtok(line, " "), *a = strtok(NULL, " "), *b = strtok(NULL, " ");
    expand(a != NULL ? a : "", first);
    expand(b != NULL ? b : "", second);
    errno = 0;
    const int result = run(verb, first, second);
    printf("%s: %s\n", argv[i], result < 0 ? strerrorname_np(errno) : "ok");
    fflush(stdout);
  }
  return 0;
}
