// Chains of processes that never stand still: each makes the next one and ends. life_chain CHAINS [stay]
// A look at the list of processes takes longer than a process of a chain lives. Raw calls: nothing between them.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// Whatever is to end them may have failed: then they end by themselves.
static void run(void) {
  const time_t last = time(NULL) + 60;
  while (time(NULL) < last)
    if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) > 0) syscall(SYS_exit_group, 0);
  _exit(0);
}

int main(int argc, char** argv) {
  const int chains = argc > 1 ? atoi(argv[1]) : 1;
  for (int i = 0; i < chains; i++) {
    const pid_t made = fork();
    if (made < 0) return 1;
    if (made == 0) run();
  }
  puts("on");
  fflush(stdout);
  if (argc > 2) pause();
  return 0;
}
