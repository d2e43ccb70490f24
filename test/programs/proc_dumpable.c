// Tries to hide from its supervisor: PR_SET_DUMPABLE 0, then opens what it may not and what it may. Arguments: two
// paths.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char* try_open(const char* path) {
  const int fd = open(path, O_RDONLY);
  if (fd < 0) return strerrorname_np(errno);
  close(fd);
  return "opened";
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("set %d\n", prctl(PR_SET_DUMPABLE, 0));
  printf("secret %s\nfree %s\n", try_open(argv[1]), try_open(argv[2]));
  if (fork() == 0) {
    printf("child secret %s\nchild free %s\n", try_open(argv[1]), try_open(argv[2]));
    execl("/bin/cat", "cat", argv[1], NULL);
    return 1;
  }
  int status;
  wait(&status);
  printf("cat %d\n", WEXITSTATUS(status));
  return 0;
}
