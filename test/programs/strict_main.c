// For a tree that is strict from this program's main on:
//   strict_main write | call | thread | vdso | alarm | again
// Before main it opens a file, and, where asked to, makes a thread that spins or goes on with calls, or executes itself
// again.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int opened = -1;
static volatile int rung, begun;

static void *calls(void *unused) {
  begun = 1;
  for (;;) syscall(SYS_getppid);
  return unused;
}

static void *spins(void *unused) {
  // Until here its libc has made calls for it.
  begun = 1;
  for (;;) rung = rung;
  return unused;
}

static void ring(int signal) {
  (void)signal;
  rung = 1;
}

__attribute__((constructor)) static void before(int argc, char **argv, char **envp) {
  pthread_t thread;
  opened = open("/etc/ld.so.cache", O_RDONLY);
  if (syscall(SYS_getppid) <= 0) _exit(9);
  if (argc > 1 && strcmp(argv[1], "thread") == 0) pthread_create(&thread, NULL, calls, NULL);
  if (argc > 1 && strcmp(argv[1], "write") == 0) {
    pthread_create(&thread, NULL, spins, NULL);
    while (!begun) continue;
  }
  if (argc > 1 && strcmp(argv[1], "again") == 0) {
    argv[1] = "call";
    execve("/proc/self/exe", argv, envp);
    execve(argv[0], argv, envp);
    _exit(8);
  }
  if (argc > 1 && strcmp(argv[1], "alarm") == 0) {
    const struct itimerval often = {{0, 200}, {0, 200}};
    signal(SIGALRM, ring);
    setitimer(ITIMER_REAL, &often, NULL);
  }
}

static void say(const char *text) {
  if (write(1, text, strlen(text)) < 0) syscall(SYS_exit, 7);
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  char bytes[4];
  say("main\n");
  if (opened < 0 || read(opened, bytes, sizeof bytes) != sizeof bytes) return 3;
  if (strcmp(what, "vdso") == 0) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 4;
  }
  if (strcmp(what, "alarm") == 0)
    while (!rung) continue;
  if (strcmp(what, "call") == 0 || strcmp(what, "again") == 0) syscall(SYS_getpid);
  if (strcmp(what, "thread") == 0)
    for (;;) rung = rung;
  say("over\n");
  syscall(SYS_exit_group, 0);
  return 0;
}
