// What a program finds of the calls by which it fetches what it opens, where there is no listener: fetches WHAT FILE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char* what, long result) {
  printf("%s %s\n", what, result < 0 ? strerrorname_np(errno) : "done");
  fflush(stdout);
}

// The page that addresses to connect to lie in: 0 if there is none.
static unsigned long names(void) {
  FILE* const maps = fopen("/proc/self/maps", "r");
  char line[512];
  unsigned long start, end, inode;
  char rights[5];
  while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
    if (sscanf(line, "%lx-%lx %4s %*x %*s %lu", &start, &end, rights, &inode) == 4 && end <= 0x100000 && inode == 0 &&
        strcmp(rights, "r--p") == 0)
      return start;
  return 0;
}

static int write_names(const char* file) {
  say("open", open(file, O_WRONLY));
  const unsigned long at = names();
  if (at == 0) return 3;
  const pid_t child = fork();
  if (child == 0) {
    *(volatile long*)at = 1;
    _exit(0);
  }
  int status;
  waitpid(child, &status, 0);
  printf("store %s\n", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV ? "SIGSEGV" : "done");
  say("mprotect", mprotect((void*)at, 4096, PROT_READ | PROT_WRITE));
  say("munmap", munmap((void*)at, 4096));
  say("mmap", (long)mmap((void*)at, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
  say("mremap", (long)mremap((void*)at, 4096, 8192, MREMAP_MAYMOVE));
  long word = 1;
  const struct iovec from = {&word, sizeof word}, to = {(void*)at, sizeof word};
  say("process_vm_writev", process_vm_writev(getpid(), &from, 1, &to, 1, 0));
  say("mem", open("/proc/self/mem", O_WRONLY));
  return 0;
}

static void stop_many(const char* file) {
  enum { kMany = 300 };
  static pid_t all[kMany];
  int begin[2];
  char none;
  if (pipe(begin) != 0) exit(3);
  for (int i = 0; i < kMany; i++) {
    all[i] = fork();
    if (all[i] == 0) {
      // Only when all are there: else those that open keep the others from being made, for minutes where it is slow.
      close(begin[1]);
      if (read(begin[0], &none, 1) != 0) _exit(3);
      for (;;) close(open(file, O_WRONLY));
    }
  }
  close(begin[1]);
  usleep(300000);
  for (int i = 0; i < kMany; i++) kill(all[i], SIGSTOP);
  for (int i = 0; i < kMany; i++) {
    int status;
    waitpid(all[i], &status, WUNTRACED);
  }
  say("open", open(file, O_WRONLY));
  for (int i = 0; i < kMany; i++) kill(all[i], SIGKILL);
}

static void forbid(int number) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  say("filter", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  if (strcmp(argv[1], "names") == 0) return write_names(argv[2]);
  if (strcmp(argv[1], "stopped") == 0) stop_many(argv[2]);
  if (strcmp(argv[1], "filter") == 0) {
    forbid(SYS_close_range);
    for (int i = 0; i < 3; i++) printf("%d\n", open(argv[2], O_WRONLY));
  }
  if (strcmp(argv[1], "user") == 0) {
    say("setresuid", setresuid(65534, 65534, 65534));
    say("write", open(argv[2], O_WRONLY));
    say("read", open("/etc/passwd", O_RDONLY));
    fflush(stdout);
    execl("/bin/echo", "echo", "executed", NULL);
    return 4;
  }
  return 0;
}
