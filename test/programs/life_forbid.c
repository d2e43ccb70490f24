// Runs a program where something that holdfast needs is forbidden: life_forbid ptrace|seccomp|listener|handing
// PROGRAM ARGUMENT... `listener`: there is a seccomp notification listener already. `handing`: a listener adds no
// descriptor.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const int listener = strcmp(argv[1], "listener") == 0;
  const int handing = strcmp(argv[1], "handing") == 0;
  const unsigned number = listener                         ? ~0u
                          : handing                        ? SYS_ioctl
                          : strcmp(argv[1], "ptrace") == 0 ? SYS_ptrace
                                                           : SYS_seccomp;
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, handing ? offsetof(struct seccomp_data, args[1]) : 0 /* the number again */),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, handing ? (unsigned)SECCOMP_IOCTL_NOTIF_ADDFD : number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  const unsigned flags = listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 2;
  const int fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  if (fd < 0 || (listener && dup(fd) < 0)) {  // the copy is not closed on exec: the listener lives as long as we do
    perror("life_forbid");
    return 2;
  }
  execv(argv[2], argv + 2);
  perror(argv[2]);
  return 2;
}
