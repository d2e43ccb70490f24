// Seccomp filters of the tree's own: they work, but a notification listener and a filter's RET_TRACE lead nowhere.
// Arguments: a path that may not be read.
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long filter(int number, unsigned action, unsigned flags) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, action),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {4, code};
  errno = 0;
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void show(const char* what, long result) {
  printf("%s %ld %s\n", what, result, result < 0 ? strerrorname_np(errno) : "0");
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  show("listener", filter(SYS_getppid, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER) >= 0);
  show("filter", filter(SYS_getppid, SECCOMP_RET_ERRNO | 77, 0));
  errno = 0;
  const long parent = syscall(SYS_getppid);
  printf("getppid %ld %d\n", parent, errno);
  show("tsync", filter(SYS_getegid, SECCOMP_RET_ERRNO | 78, SECCOMP_FILTER_FLAG_TSYNC));
  show("trace", filter(SYS_getuid, SECCOMP_RET_TRACE | 5, 0));
  errno = 0;
  const long user = syscall(SYS_getuid);
  printf("getuid %ld %s\n", user, user < 0 ? strerrorname_np(errno) : "0");
  // A filter that allows everything loosens nothing.
  show("allow-all", filter(-1, SECCOMP_RET_ALLOW, 0));
  const int fd = open(argv[1], O_RDONLY);
  show("open", fd);
  if (fork() == 0) {
    show("kill-filter", filter(SYS_getgid, SECCOMP_RET_KILL_PROCESS, 0));
    syscall(SYS_getgid);
    _exit(0);
  }
  int status;
  wait(&status);
  printf("child signal %d\n", WTERMSIG(status));
  execl("/bin/echo", "echo", "still executes", NULL);
  show("exec", -1);
  return 1;
}
