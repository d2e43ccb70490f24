// Runs a program where something that holdfast needs is forbidden: life_forbid WHAT PROGRAM ARGUMENT...
// `listener`: there is a seccomp notification listener already. `memory`: process_vm_readv and process_vm_writev are.
// `handing`: a listener adds no descriptor.
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
  const char* const what = argv[1];
  const int listener = strcmp(what, "listener") == 0;
  const int handing = strcmp(what, "handing") == 0;
  unsigned first = ~0u, second = ~0u;
  if (strcmp(what, "ptrace") == 0) first = SYS_ptrace;
  if (strcmp(what, "seccomp") == 0) first = SYS_seccomp;
  if (strcmp(what, "capset") == 0) first = SYS_capset;
  if (strcmp(what, "memory") == 0) first = SYS_process_vm_readv, second = SYS_process_vm_writev;
  if (handing) first = SYS_ioctl;
  if (!listener && first == ~0u) return 2;
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, second, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, first, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, handing ? offsetof(struct seccomp_data, args[1]) : 0 /* the number again */),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, handing ? (unsigned)SECCOMP_IOCTL_NOTIF_ADDFD : first, 0, 1),
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
