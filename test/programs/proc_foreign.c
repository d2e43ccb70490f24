// cflags: -no-pie
// Calls by the other doors into the kernel: int 0x80 (i386) and the x32 numbers. Prints "door call result". On an
// architecture without them it says so.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __x86_64__
static long by_int80(long number, long first, long second, long third) {
  long result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(number), "b"(first), "c"(second), "d"(third)
                   : "memory", "r8", "r9", "r10", "r11");
  return (int)result;
}
#endif

int main(int argc, char** argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
#ifdef __x86_64__
  const char* which = argc > 1 ? argv[1] : "";
  // Below 4 GiB, as 32-bit pointers must be: this program is linked at a fixed low address.
  static char path[4096];
  if (argc > 2) snprintf(path, sizeof path, "%s", argv[2]);
  if (strcmp(which, "int80") == 0) {
    printf("int80 getpid %ld\n", by_int80(20, 0, 0, 0));
    printf("int80 open %ld\n", by_int80(5, (long)path, 0101 /* O_CREAT|O_WRONLY */, 0600));
    printf("int80 kill %ld\n", by_int80(37, getppid(), 0, 0));
  } else {
    const long bit = 0x40000000;
    const long results[] = {
        syscall(bit | SYS_getpid) < 0 ? -errno : 0,
        syscall(bit | SYS_open, path, 0101, 0600) < 0 ? -errno : 0,
        syscall(bit | 520, "/bin/true", NULL, NULL) < 0 ? -errno : 0,
    };
    printf("x32 getpid %ld\nx32 open %ld\nx32 execve %ld\n", results[0], results[1], results[2]);
  }
#else
  (void)argc;
  (void)argv;
  puts("none");
#endif
  return 0;
}
