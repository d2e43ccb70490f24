// Makes processes and threads, one for each argument, and prints what came of it: newborns HOW...
//   fork, clone, vfork, spawn, thread, new-user: "HOW CODE" of the child's end, "HOW -ERRNO", or "HOW faked PID"
//   beside: a fork by one thread, while another prints "beside goes on"
//   many N: N forks in a row; how many came of them
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

static void tell(const char* how, pid_t child) {
  int status = 0;
  if (child < 0)
    printf("%s %d\n", how, -errno);
  else if (waitpid(child, &status, 0) != child)
    printf("%s faked %d\n", how, (int)child);
  else if (WIFSIGNALED(status))
    printf("%s signal %d\n", how, WTERMSIG(status));
  else
    printf("%s %d\n", how, WEXITSTATUS(status));
}

static pid_t raw_clone(unsigned long flags) {
  const pid_t child = (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
  if (child == 0) _exit(8);
  return child;
}

static pid_t by_vfork(void) {
  const pid_t child = vfork();
  if (child == 0) _exit(9);
  return child;
}

static void* nothing(void* argument) { return argument; }

// fork(3) would hold the locks of malloc and of streams meanwhile.
static void* fork_aside(void* argument) {
  tell("beside", raw_clone(SIGCHLD));
  return argument;
}

int main(int argc, char** argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (int i = 1; i < argc; i++) {
    const char* how = argv[i];
    if (strcmp(how, "fork") == 0) {
      const pid_t child = fork();
      if (child == 0) _exit(7);
      tell(how, child);
    } else if (strcmp(how, "clone") == 0) {
      tell(how, raw_clone(0xffffffff00000000ul | CLONE_FS | SIGCHLD));
    } else if (strcmp(how, "new-user") == 0) {
      tell(how, raw_clone(CLONE_NEWUSER | SIGCHLD));
    } else if (strcmp(how, "vfork") == 0) {
      tell(how, by_vfork());
    } else if (strcmp(how, "spawn") == 0) {
      pid_t child = -1;
      char* const arguments[] = {"true", NULL};
      errno = posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ);
      tell(how, errno == 0 ? child : -1);
    } else if (strcmp(how, "thread") == 0) {
      pthread_t thread;
      errno = pthread_create(&thread, NULL, nothing, NULL);
      if (errno == 0) pthread_join(thread, NULL);
      printf("%s %d\n", how, -errno);
    } else if (strcmp(how, "beside") == 0) {
      pthread_t thread;
      if (pthread_create(&thread, NULL, fork_aside, NULL) != 0) return 1;
      for (int j = 0; j < 3; j++)
        if (write(STDOUT_FILENO, "beside goes on\n", 15) != 15) return 1;
      pthread_join(thread, NULL);
    } else if (strcmp(how, "many") == 0) {
      int made = 0;
      const int count = atoi(argv[++i]);
      for (int j = 0; j < count; j++) {
        const pid_t child = fork();
        if (child == 0) {
          pause();
          _exit(0);
        }
        if (child > 0) made++;
      }
      printf("many %d\n", made);
      signal(SIGTERM, SIG_IGN);
      kill(0, SIGTERM);
      while (wait(NULL) > 0) continue;
    }
  }
  return 0;
}
