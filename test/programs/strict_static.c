// cflags: -static -nostdlib -ffreestanding -fno-stack-protector
// Has neither a libc nor a loader: what it does is the first that is done. With an argument: getpid as well.
#include <sys/syscall.h>

static long call(long number, long a, long b, long c) {
#ifdef __x86_64__
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
#else
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
  return x0;
#endif
}

void run(long *stack) {
  call(SYS_write, 1, (long)"main\n", 5);
  if (stack[0] > 1) call(SYS_getpid, 0, 0, 0);
  call(SYS_write, 1, (long)"over\n", 5);
  call(SYS_exit_group, 0, 0, 0);
}

#ifdef __x86_64__
__asm__(".globl _start\n_start: mov %rsp, %rdi\nand $-16, %rsp\ncall run\n");
#else
__asm__(".globl _start\n_start: mov x0, sp\nbl run\n");
#endif
