// What lies low in an address space, and filters of a program's own. Prints what each call answered.
//   low_memory    or, after an exec of its own under a filter,    low_memory filtered
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void show(const char* what, long result) { printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "0"); }

static void bounced(const char* when) {
  char name[80];
  const struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0x7f000001)};
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  snprintf(name, sizeof name, "chdir %s", when);
  show(name, chdir("."));
  snprintf(name, sizeof name, "connect %s", when);
  show(name, connect(fd, (const void*)&there, sizeof there));
  close(fd);
}

static void* map(unsigned long at, int flags) {
  return mmap((void*)at, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static int filter(int by_prctl, const int* numbers, int count, unsigned action) {
  struct sock_filter code[16] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
  int length = 1;
  for (int i = 0; i < count; i++) {
    code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)numbers[i], 0, 1);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
  }
  code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const struct sock_fprog program = {(unsigned short)length, code};
  return (int)(by_prctl ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)
                        : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

static const int kOpening[] = {SYS_openat, SYS_mmap, SYS_close};

static void under_filter(const char* what, int by_prctl, int count, unsigned action) {
  fflush(stdout);
  const pid_t pid = fork();
  if (pid == 0) {
    setvbuf(stdout, NULL, _IONBF, 0);
    show(what, filter(by_prctl, kOpening, count, action));
    const struct sockaddr_in there = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0x7f000001)};
    show("chdir under it", chdir("."));
    show("connect under it", connect(0, (const void*)&there, sizeof there));
    const pid_t child = fork();
    if (child == 0) _exit(chdir(".") == 0 ? 0 : errno);
    int status = 0;
    waitpid(child, &status, 0);
    printf("chdir in a child: %d\n", status);
    _exit(0);
  }
  int status;
  waitpid(pid, &status, 0);
  printf("ended: %d\n", status);
}

int main(int argc, char** argv) {
  if (argc > 1) {
    bounced("after an exec under a filter");
    return 0;
  }
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  setvbuf(stdout, NULL, _IONBF, 0);
  const int datagrams = socket(AF_INET, SOCK_DGRAM, 0);
  dup2(datagrams, 0);  // numbers that need no opening
  // Each in a process whose first bounced call comes after the filter.
  under_filter("prctl, openat and mmap kill", 1, 2, SECCOMP_RET_KILL_PROCESS);
  under_filter("seccomp, openat and mmap answer EACCES", 0, 2, SECCOMP_RET_ERRNO | EACCES);
  under_filter("seccomp, openat, mmap and close ask a tracer", 0, 3, SECCOMP_RET_TRACE);
  fflush(stdout);
  if (fork() == 0) {
    // Calls that the supervisor would stop, and that this filter gives to a tracer that is not there.
    const int numbers[] = {SYS_sendto};
    show("filter", filter(0, numbers, 1, SECCOMP_RET_TRACE));
    show("send, traced by nobody", send(0, "x", 1, 0));
    _exit(0);
  }
  wait(NULL);
  // Ranges at 0, where nothing is: the kernel's own answers.
  show("munmap(0)", munmap(NULL, 4096));
  show("munmap(0, 0)", munmap(NULL, 0));
  show("mprotect(0)", mprotect(NULL, 4096, PROT_READ));
  show("madvise(0)", madvise(NULL, 4096, MADV_NORMAL));
  show("mremap(0)", mremap(NULL, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
  // What is no page's address, of no bytes, or below the page.
  const unsigned long ranges[][2] = {{0, 0x10000}, {1, 4096},        {0xfff, 1},     {0x1000, 4096},
                                     {0x1000, 0},  {0x2001, 0x1000}, {0xf000, 4096}, {0xf000, 1},
                                     {0x10000, 0}, {0x10001, 4096},  {0xff000, 0}};
  for (unsigned i = 0; i < sizeof ranges / sizeof *ranges; i++) {
    void* const at = (void*)ranges[i][0];
    const unsigned long size = ranges[i][1];
    printf("%#lx, %#lx\n", ranges[i][0], size);
    show("munmap", munmap(at, size));
    show("mprotect", mprotect(at, size, PROT_READ));
    show("pkey_mprotect", syscall(SYS_pkey_mprotect, at, size, PROT_READ, -1));
    show("madvise", madvise(at, size, MADV_DONTNEED));
    show("madvise of no kind", madvise(at, size, 9999));
    show("mbind", syscall(SYS_mbind, at, size, 0, NULL, 0, 0));
    if (ranges[i][0] % 4096 != 0)
      show("mmap", mmap(at, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -1 : 0);
    if (ranges[i][0] >= 0x10000) continue;
    show("mremap", mremap(at, size, 4096, 0) == MAP_FAILED ? -1 : 0);
    show("mremap to nothing", mremap(at, size, 0, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
    if (ranges[i][0] % 4096 == 0) show("remap", syscall(SYS_remap_file_pages, at, size, 0, 0, 0));
  }
  // Hints never fail, and do not stand in the way of the page, before it is there and after.
  for (int round = 0; round < 2; round++) {
    const unsigned long hints[] = {0x1000, 0x10000, 0x40000, 0xff000, 0x108000, 0x200000};
    for (int i = 0; i < 6; i++) {
      void* const at = map(hints[i], 0);
      show("hint", at == MAP_FAILED ? -1 : 0);
      if (at != MAP_FAILED) show("munmap", munmap(at, 4096));
    }
    for (unsigned long at = 0x100000; at <= 0x300000; at += 0x40000) {
      void* const fixed = map(at, MAP_FIXED_NOREPLACE);
      show("fixed", fixed == (void*)at ? 0 : -1);
      if (fixed != MAP_FAILED) munmap(fixed, 4096);
    }
    bounced("with hints before it");
  }
  const int harmless[] = {SYS_getppid};
  show("filter", filter(0, harmless, 1, SECCOMP_RET_ERRNO | EACCES));
  execl("/proc/self/exe", argv[0], "filtered", NULL);
  return 9;
}
