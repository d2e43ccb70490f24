// So often as it is told, a process is killed while a thread of its that does not lead it executes a program: the thread
// has taken the leader's number by then, and the kernel takes its time to give back what was mapped.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static _Atomic pid_t* executes;

static void* execute(void* argument) {
  char* const command[] = {argument, NULL};
  *executes = (pid_t)syscall(SYS_gettid);
  execv(command[0], command);
  _exit(3);
}

int main(int count, char** arguments) {
  if (count < 3) return 64;
  executes = mmap(NULL, sizeof *executes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int killed = 0;
  for (int left = atoi(arguments[1]); left > 0; left--) {
    *executes = 0;
    const pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) {
      const size_t size = 128 << 20;
      memset(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, size);
      pthread_t thread;
      pthread_create(&thread, NULL, execute, arguments[2]);
      for (;;) pause();
    }
    while (*executes == 0) continue;
    while (syscall(SYS_tgkill, child, *executes, 0) == 0) continue;
    if (errno != ESRCH || kill(child, SIGKILL) != 0) return 2;
    int status = 0;
    if (waitpid(child, &status, 0) != child) return 2;
    killed += WIFSIGNALED(status);
  }
  return killed > 0 ? 0 : 4;  // none: it came too late each time
}
