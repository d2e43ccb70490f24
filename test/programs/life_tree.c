// A tree with every kind of process that could survive its command. Each says "role pid"; when all have, "ready" is
// printed, and the command does what the first argument says:
//   pause                 waits for ever
//   exec-storm            children that run /bin/true again and again
//   open-storm            children and threads that open a file again and again
//   open PATH             opens the path (somebody may hold that call for ever)
//   exit CODE             ends at once
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int done[2];

static void say(const char* role) {
  dprintf(STDOUT_FILENO, "%s %d\n", role, (int)getpid());
  if (write(done[1], "x", 1) != 1) _exit(99);
}

static void linger(void) {
  close(STDOUT_FILENO);
  close(STDERR_FILENO);
  close(done[1]);
  for (;;) pause();
}

static int shares_memory(void* unused) {
  (void)unused;
  say("shares-memory");
  linger();
  return 0;
}

static void* opens(void* path) {
  for (;;) {
    int fd = open(path, O_RDONLY);
    if (fd >= 0) close(fd);
  }
  return NULL;
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "pause";
  int members = 1;
  if (pipe(done) != 0) return 99;

  members++;
  if (fork() == 0) {
    say("child");
    linger();
  }
  members++;
  if (fork() == 0) {
    if (fork() == 0) {
      say("grandchild");
      linger();
    }
    linger();
  }
  members++;
  if (fork() == 0) {  // its parent ends: an orphan
    const pid_t parent = getpid();
    if (fork() == 0) {
      while (getppid() == parent) sched_yield();
      say("orphan");
      linger();
    }
    _exit(0);
  }
  members++;
  if (fork() == 0) {  // a daemon as daemon(3) makes it, with a session of its own
    setsid();
    if (fork() == 0) {
      setsid();
      say("daemon");
      linger();
    }
    _exit(0);
  }
  members++;
  if (fork() == 0) {
    say("stopped");
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    for (;;) raise(SIGSTOP);
  }
  members++;
  if (fork() == 0) {  // deaf to every signal that can be ignored or blocked
    sigset_t all;
    for (int signal = 1; signal < NSIG; signal++)
      (void)!sigaction(signal, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setpgid(0, 0);
    say("deaf");
    linger();
  }
  dprintf(STDOUT_FILENO, "command %d\n", (int)getpid());
  members++;
  {
    // From here until it has spoken nobody else in this memory may: they share the C library's thread-local state.
    const size_t size = 64 << 10;
    char* stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    // Descriptors of its own: the stream that the test reads to its end must not depend on it.
    if (clone(shares_memory, stack + size, CLONE_VM | SIGCHLD, NULL) < 0) return 98;
  }

  for (int i = 1; i < members; i++) {
    char byte;
    if (read(done[0], &byte, 1) != 1) return 97;
  }
  dprintf(STDOUT_FILENO, "ready 0\n");

  if (strcmp(what, "exec-storm") == 0) {
    for (int i = 0; i < 3; i++) {
      if (fork() != 0) continue;
      for (;;) {
        if (fork() == 0) {
          execl("/bin/true", "true", NULL);
          _exit(96);
        }
        wait(NULL);
      }
    }
  } else if (strcmp(what, "open-storm") == 0) {
    for (int i = 0; i < 2; i++) {
      pthread_t thread;
      if (fork() == 0) {
        pthread_create(&thread, NULL, opens, argv[0]);
        opens(argv[0]);
      }
      pthread_create(&thread, NULL, opens, argv[0]);
    }
  } else if (strcmp(what, "open") == 0) {
    int fd = open(argv[2], O_RDONLY);
    dprintf(STDOUT_FILENO, "opened %d\n", fd < 0 ? -errno : fd);
    return 0;
  } else if (strcmp(what, "exit") == 0) {
    return atoi(argv[2]);
  }
  for (;;) pause();
}
