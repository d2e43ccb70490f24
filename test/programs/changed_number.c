// A process that another one traces is made to call something else: changed_number PATH
// The child asks getpgid(AT_FDCWD, PATH, 0700); its parent makes mkdirat of it, at the entry. On aarch64 the number is not in
// the registers any more then but in a register set of its own (NT_ARM_SYSTEM_CALL). Prints what each step answered.
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef NT_ARM_SYSTEM_CALL
#define NT_ARM_SYSTEM_CALL 0x404
#endif

static const char *answer(long result) { return result < 0 ? strerrorname_np(errno) : "done"; }

static long number_of(pid_t pid) {
  struct user_regs_struct registers;
  struct iovec where = {&registers, sizeof registers};
  if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &where) != 0) return -1;
#ifdef __x86_64__
  return (long)registers.orig_rax;
#else
  return (long)registers.regs[8];
#endif
}

static long set_number(pid_t pid, int number) {
#ifdef __x86_64__
  return ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, orig_rax), (long)number);
#else
  struct iovec where = {&number, sizeof number};
  return ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &where);
#endif
}

int main(int argc, char **argv) {
  if (argc < 2) return 64;
  setvbuf(stdout, NULL, _IONBF, 0);
  int go[2];
  if (pipe(go) != 0) return 2;
  const pid_t child = fork();
  if (child == 0) {
    char byte;
    printf("be traced: %s\n", answer(ptrace(PTRACE_TRACEME, 0, NULL, NULL)));
    raise(SIGSTOP);
    if (read(go[0], &byte, 1) != 1) _exit(2);
    syscall(SYS_getpgid, (long)AT_FDCWD, argv[1], 0700L);
    _exit(0);
  }
  int status;
  if (waitpid(child, &status, WUNTRACED) != child) return 2;
  printf("seize: %s\n", answer(ptrace(PTRACE_SEIZE, child, NULL, NULL)));
  // Said of a process that nobody here traces, it would be refused bare, too.
  printf("set the number: %s\n", answer(set_number(child, SYS_getpgid)));
  (void)!write(go[1], "x", 1);
  while (ptrace(PTRACE_SYSCALL, child, NULL, NULL) == 0 && waitpid(child, &status, 0) == child && !WIFEXITED(status))
    if (number_of(child) == SYS_getpgid) set_number(child, SYS_mkdirat);
  kill(child, SIGCONT);
  if (!WIFEXITED(status)) waitpid(child, &status, 0);
  printf("child: %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  return 0;
}
