// Makes children and kills each at once, so often as it is told: some die between their first stop and its being seen.
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char** arguments) {
  for (int left = count > 1 ? atoi(arguments[1]) : 1; left > 0; left--) {
    const pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0)
      for (;;) pause();
    if (kill(child, SIGKILL) != 0 || waitpid(child, NULL, 0) != child) return 2;
  }
  return 0;
}
