// reaper COMMAND...: runs it, and takes in whoever loses its parent below it. When nobody is left any more, alive or as
// a zombie, it says so and ends.
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc < 2 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return 1;
  const pid_t child = fork();
  if (child == 0) {
    execvp(argv[1], argv + 1);
    _exit(2);
  }
  int orphans = -1;
  while (wait(NULL) > 0 || errno == EINTR) orphans++;
  printf("nobody is left, after %d\n", orphans);
  return 0;
}
