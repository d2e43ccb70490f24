// cflags: -no-pie
// Ways from 64-bit code into the kernel's 32-bit entries, beside int 0x80 itself (proc_foreign.c):
//   foreign_doors far-int80 | sysenter PATH
// Each makes the file PATH by the i386 call `open` and prints its result; sysenter does not come back to 64-bit code.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __x86_64__
// Below 4 GiB, as this program is linked at a fixed low address.
static char path[4096];
static struct {
  char below[32768];
  uint32_t top[16];
} stack __attribute__((aligned(16)));

// 0x23 and 0x33: __USER32_CS and __USER_CS, arch/x86/include/asm/segment.h. They are there in every process.
__asm__(
    ".data\n"
    "saved: .quad 0\n"
    "down: .long code32\n"
    "      .word 0x23\n"
    ".text\n"
    ".globl by_far_jump\n"
    "by_far_jump:\n"
    "  push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "  mov %rsp, saved(%rip)\n"
    "  mov %rcx, %rsp\n"
    "  mov $5, %eax\n mov %edi, %ebx\n mov %esi, %ecx\n"
    "  mov $0x2b, %r8d\n mov %r8d, %ds\n mov %r8d, %es\n"
    "  ljmp *down(%rip)\n"
    ".code32\n"
    "code32:\n"
    "  int $0x80\n"
    "  ljmp $0x33, $up\n"
    ".code64\n"
    "up:\n"
    "  mov saved(%rip), %rsp\n"
    "  pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
    "  ret\n"
    // The kernel takes the stack from ebp and the sixth argument from its top: arch/x86/entry/entry_64_compat.S.
    ".globl by_sysenter\n"
    "by_sysenter:\n"
    "  mov $5, %eax\n mov %edi, %ebx\n mov %rcx, %rbp\n mov %esi, %ecx\n"
    "  sysenter\n"
    "  ud2\n");
int by_far_jump(const char *name, long flags, long mode, void *low_stack);
int by_sysenter(const char *name, long flags, long mode, void *low_stack);
#endif

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IONBF, 0);
  if (argc < 3) return 64;
#ifdef __x86_64__
  snprintf(path, sizeof path, "%s", argv[2]);
  const int is_far = strcmp(argv[1], "far-int80") == 0;
  printf("knocks\n");
  printf("open %d\n", (is_far ? by_far_jump : by_sysenter)(path, 0101 /* O_CREAT|O_WRONLY */, 0600, stack.top));
#else
  (void)argv;
  puts("none");
#endif
  return 0;
}
