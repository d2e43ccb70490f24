// life_forks N: N orphans that say "orphan PID" and stay; ends when a line is read.
// life_forks storm: eight processes that run away from whoever counts them.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

// A process that is never the same for long: the child goes on, the parent is gone.
static void run_away(void) {
  for (;;) {
    const pid_t child = fork();
    if (child > 0) _exit(0);
    if (child == 0) setsid();
    usleep(200);
  }
}

int main(int argc, char** argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc > 1 && strcmp(argv[1], "storm") == 0) {
    for (int i = 0; i < 8; i++)
      if (fork() == 0) run_away();
    puts("ready");
    for (;;) {
      while (waitpid(-1, NULL, WNOHANG) > 0) continue;
      usleep(1000);
    }
  }
  const int count = argc > 1 ? atoi(argv[1]) : 0;
  int pipes[2];
  if (pipe(pipes) != 0) return 99;
  for (int i = 0; i < count; i++) {
    const pid_t child = fork();
    if (child < 0) return 98;
    if (child == 0) {
      if (fork() == 0) {
        dprintf(STDOUT_FILENO, "orphan %d\n", (int)getpid());
        if (write(pipes[1], "x", 1) != 1) _exit(97);
        for (int fd = 0; fd < 8; fd++) close(fd);
        for (;;) pause();
      }
      _exit(0);
    }
    waitpid(child, NULL, 0);
  }
  for (int i = 0; i < count; i++) {
    char byte;
    if (read(pipes[0], &byte, 1) != 1) return 96;
  }
  puts("ready");
  getchar();
  return 0;
}
