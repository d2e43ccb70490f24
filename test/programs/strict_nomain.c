// cflags: -nostartfiles
// Begins without a main: goes round in its own code with calls, or calls its libc with something that is no main.
#include <sys/syscall.h>
#include <unistd.h>

static void run(long *stack) {
  if (stack[0] > 1)
    getpgid(0);
  else
    for (int i = 0; i < 100000; i++) {
#ifdef __x86_64__
      long result;
      __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_getppid) : "rcx", "r11", "memory");
#else
      register long x8 __asm__("x8") = SYS_getppid;
      register long x0 __asm__("x0");
      __asm__ volatile("svc 0" : "=r"(x0) : "r"(x8) : "memory");
#endif
    }
  // Strict by now, or the call before has ended it.
  if (write(1, "late\n", 5) == 5) getpgid(0);
  syscall(SYS_exit_group, 0);
}

__attribute__((used)) static void begin(long *stack) { run(stack); }

#ifdef __x86_64__
__asm__(".globl _start\n_start: mov %rsp, %rdi\nand $-16, %rsp\ncall begin\n");
#else
__asm__(".globl _start\n_start: mov x0, sp\nbl begin\n");
#endif
