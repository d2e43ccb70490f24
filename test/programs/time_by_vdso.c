// Whether libc asks the vDSO for the time, and where a handler's end lies: aarch64 has it in the vDSO, so that the kernel
// takes handlers without SA_RESTORER.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile uint64_t came_from;
static void on_signal(int signal) {
  (void)signal;
  came_from = (uint64_t)__builtin_return_address(0);
}

static int is_in_vdso(uint64_t address) {
  char line[512];
  FILE *maps = fopen("/proc/self/maps", "r");
  int found = 0;
  unsigned long start, end;
  while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
    if (strstr(line, "[vdso]") != NULL && sscanf(line, "%lx-%lx", &start, &end) == 2)
      found = address >= start && address < end;
  if (maps != NULL) fclose(maps);
  return found;
}

int main(void) {
  printf("vDSO: %s\n", getauxval(AT_SYSINFO_EHDR) != 0 ? "named" : "not named");
#ifdef __aarch64__
  // As the kernel has it (asm-generic/signal.h): handler, flags, restorer, mask.
  const struct {
    void (*handler)(int);
    unsigned long flags;
    void *restorer;
    uint64_t mask;
  } action = {on_signal, 0, NULL, 0};
  if (syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8) != 0) return 2;
#else
  signal(SIGUSR1, on_signal);
#endif
  for (int i = 0; i < 3; i++) raise(SIGUSR1);
  printf("a handler's end: %s\n", is_in_vdso(came_from) ? "in the vDSO" : "libc's");

  struct timespec before, now;
  if (syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &before) != 0) return 2;
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 38),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog whole = {4, program};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole) != 0) return 2;
  int failed = 0;
  for (int i = 0; i < 20000; i++) failed += clock_gettime(CLOCK_MONOTONIC, &now) != 0;
  const int is_later = now.tv_sec > before.tv_sec || (now.tv_sec == before.tv_sec && now.tv_nsec >= before.tv_nsec);
  printf("the time without a call: %s\n", failed > 0 ? "no" : is_later ? "goes on" : "goes back");
  return 0;
}
