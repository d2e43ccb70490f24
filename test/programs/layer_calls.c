// Makes the path calls that it reads from standard input, one a line: OP PATH [PATH]. Answers each with its errno (0:
// it worked) and, of an open for reading, the first byte. test/boundary/layers.test.ts says what it is for.
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

static int closed(int fd) {
  if (fd < 0) return -1;
  close(fd);
  return 0;
}

static int with_flags(const char* path, int flags) { return closed(open(path, flags, 0644)); }

static int reads(const char* path) {
  char byte = '-';
  const int fd = open(path, O_RDONLY | O_NONBLOCK);
  if (fd < 0) return -1;
  if (read(fd, &byte, 1) < 0) byte = '!';
  printf("%c", byte);
  return closed(fd);
}

static int by_how(const char* path) {
  struct open_how how = {.flags = O_RDONLY};
  return closed((int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how));
}

static int by_folder(const char* path) {
  char copy[4096], *slash;
  snprintf(copy, sizeof copy, "%s", path);
  slash = strrchr(copy, '/');
  *slash = '\0';
  const int folder = open(copy[0] ? copy : "/", O_PATH | O_DIRECTORY);
  if (folder < 0) return -1;
  const int result = closed(openat(folder, slash + 1, O_RDONLY));
  const int error = errno;
  close(folder);
  errno = error;
  return result;
}

// What it ends with is its exec's errno.
static int executes(const char* path) {
  int status = 0;
  const pid_t child = vfork();
  if (child == 0) {
    char* const arguments[] = {(char*)(uintptr_t)path, NULL};
    char* const environment[] = {NULL};
    execve(path, arguments, environment);
    _exit(errno);
  }
  if (child < 0 || waitpid(child, &status, 0) != child) return -1;
  errno = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
  return errno == 0 ? 0 : -1;
}

static int act(const char* op, const char* path, const char* other) {
  struct stat st;
  struct statfs fs;
  char text[64];
  switch (op[0]) {
    case 'r':
      return reads(path);
    case 'f':
      return by_folder(path);
    case 'o':
      return by_how(path);
    case 'd':
      return with_flags(path, O_RDONLY | O_DIRECTORY);
    case 'w':
      return with_flags(path, O_WRONLY);
    case 't':
      return with_flags(path, O_WRONLY | O_TRUNC);
    case 'c':
      return with_flags(path, O_WRONLY | O_CREAT);
    case 'x':
      return with_flags(path, O_WRONLY | O_CREAT | O_EXCL);
    case 'b':
      return with_flags(path, O_RDWR);
    case 'B':
      return with_flags(path, O_RDWR | O_CREAT);
    case 'q':
      return with_flags(path, O_RDONLY | O_CREAT);
    case 'T':
      return with_flags(path, O_RDONLY | O_TRUNC);
    case 'u':
      return with_flags(path, O_WRONLY | O_TMPFILE);
    case 'p':
      return with_flags(path, O_PATH);
    case 's':
      return stat(path, &st);
    case 'l':
      return lstat(path, &st);
    case 'a':
      return access(path, F_OK);
    case 'k':
      return readlink(path, text, sizeof text) < 0 ? -1 : 0;
    case 'v':
      return statfs(path, &fs);
    case 'm':
      return mkdir(path, 0755);
    case 'y':
      return symlink(other, path);
    case 'R':
      return rmdir(path);
    case 'U':
      return unlink(path);
    case 'n':
      return rename(path, other);
    case 'h':
      return link(path, other);
    case 'C':
      return chmod(path, 0700);
    case 'E':
      return executes(path);
  }
  errno = ENOSYS;
  return -1;
}

int main(void) {
  char line[9000];
  setvbuf(stdout, NULL, _IOFBF, 4096);
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = '\0';
    const char* op = strtok(line, "\t");
    const char* path = strtok(NULL, "\t");
    const char* other = strtok(NULL, "\t");
    if (!op || !path) return 2;
    const int failed = act(op, path, other ? other : "") < 0;
    printf(" %d\n", failed ? errno : 0);
    fflush(stdout);
  }
  return 0;
}
