// cflags: -no-pie
// Enters 32-bit code by a segment of its own and makes a system call there (getpid by the other ABI); prints its answer, or
// "none" where there are no such segments.
#include <stdio.h>
#ifdef __x86_64__
#include <asm/ldt.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// mov $20, %eax; int $0x80; lret
static const unsigned char code[] = {0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xcb};

static struct __attribute__((packed)) {
  uint32_t offset;
  uint16_t selector;
} entry;
static uint64_t own_stack, low_stack;

static int enter(void) {
  int answer;
  __asm__ volatile(
      "movq %%rsp, %1\n"
      "movq %2, %%rsp\n"
      "lcall *%3\n"
      "movq %1, %%rsp\n"
      : "=a"(answer), "+m"(own_stack)
      : "m"(low_stack), "m"(entry)
      : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
  return answer;
}

int main(void) {
  struct user_desc segment = {0};
  segment.limit = 0xfffff;
  segment.seg_32bit = 1;
  segment.contents = MODIFY_LDT_CONTENTS_CODE;
  segment.limit_in_pages = 1;
  segment.useable = 1;
  if (syscall(SYS_modify_ldt, 1, &segment, sizeof segment) != 0) {
    printf("none\n");
    return 0;
  }
  char *low = mmap(NULL, 0x4000, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (low == MAP_FAILED) return 2;
  memcpy(low, code, sizeof code);
  entry.offset = (uint32_t)(uintptr_t)low;
  entry.selector = 7;  // the first of the local table, for everybody
  low_stack = (uint64_t)(uintptr_t)low + 0x3ff0;
  printf("%d\n", enter());
  return 0;
}
#else
int main(void) {
  printf("none\n");
  return 0;
}
#endif
