// Runs a program where a host answers some system calls with EPERM, or where something else listens to seccomp
// notifications already: refuse_calls NAME... -- PROGRAM ARGUMENT... The name `namespaces` stands for all that makes or
// enters one, `ambient` for prctl() on ambient capabilities, `listener` for the other listener, which holds no call;
// who makes one of those after `kill` is killed.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALL(name) \
  { #name, SYS_##name }
static const struct {
  const char* name;
  int number;
} calls[] = {CALL(ptrace),
             CALL(process_vm_readv),
             CALL(process_vm_writev),
             CALL(memfd_create),
             CALL(pwrite64),
             CALL(eventfd2),
             CALL(capset),
             CALL(socketpair),
             CALL(openat2),
             {"faccessat2", 439},
             {"pidfd_getfd", 438},
             CALL(seccomp),
             {"landlock_restrict_self", 446},
             {"landlock_create_ruleset", 444},
             {"landlock_add_rule", 445}};

static struct sock_filter filter[64];
static unsigned short length;
static unsigned answer = SECCOMP_RET_ERRNO | EPERM;
static void put(unsigned short code, unsigned value, unsigned char yes, unsigned char no) {
  filter[length++] = (struct sock_filter)BPF_JUMP(code, value, yes, no);
}
static void refuse(int number) {
  put(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1);
  put(BPF_RET | BPF_K, answer, 0, 0);
}
static int add(const char* name) {
  if (strcmp(name, "namespaces") == 0) {
    refuse(SYS_unshare);
    refuse(SYS_setns);
    // clone with such a flag; what clone3 is asked for lies in memory.
    put(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1);
    put(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS, 0, 0);
    put(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4);
    put(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]), 0, 0);
    put(BPF_JMP | BPF_JSET | BPF_K,
        CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP, 0,
        1);
    put(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM, 0, 0);
    put(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    return 1;
  }
  if (strcmp(name, "ambient") == 0) {
    put(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 4);
    put(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]), 0, 0);
    put(BPF_JMP | BPF_JEQ | BPF_K, PR_CAP_AMBIENT, 0, 1);
    put(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM, 0, 0);
    put(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    return 1;
  }
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    if (strcmp(calls[i].name, name) == 0) {
      refuse(calls[i].number);
      return 1;
    }
  return 0;
}

int main(int argc, char** argv) {
  unsigned long flags = 0;
  put(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
  int i = 1;
  for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
    if (strcmp(argv[i], "listener") == 0)
      flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
    else if (strcmp(argv[i], "kill") == 0)
      answer = SECCOMP_RET_KILL_PROCESS;
    else if (!add(argv[i])) {
      fprintf(stderr, "refuse_calls: %s is not known\n", argv[i]);
      return 2;
    }
  }
  if (i + 1 >= argc) return 2;
  put(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
  const struct sock_fprog program = {length, filter};
  const long put_on =
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ? -1 : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  if (put_on < 0) {
    perror("refuse_calls");
    return 2;
  }
  // Kept open over the exec, so that the listener lives as long as the program.
  if (flags != 0 && dup((int)put_on) < 0) return 2;
  execvp(argv[i + 1], argv + i + 1);
  perror(argv[i + 1]);
  return 2;
}
