// Makes system calls by number: raw_syscall NUMBER [ARGUMENT...] [-- NUMBER ...]
// An argument is a number (0x...), @TEXT for the address of that text, or %SIZE for zeroed memory of that size.
// Prints each call's result, or its errno as -N; with %SIZE the memory's bytes follow in hexadecimal. "trap N" is printed
// from a handler of SIGSYS: si_syscall.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile sig_atomic_t trapped;

static void on_trap(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)context;
  trapped = info->si_syscall + 1;
}

int main(int argc, char **argv) {
  struct sigaction action = {0};
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSYS, &action, NULL);
  setvbuf(stdout, NULL, _IONBF, 0);
  for (int i = 1; i < argc; i++) {
    long args[6] = {0};
    unsigned char *memory = NULL;
    size_t size = 0;
    long number = strtol(argv[i++], NULL, 0);
    for (int j = 0; i < argc && strcmp(argv[i], "--") != 0; i++, j++) {
      if (argv[i][0] == '@') {
        args[j] = (long)(argv[i] + 1);
      } else if (argv[i][0] == '%') {
        size = strtoul(argv[i] + 1, NULL, 0);
        memory = calloc(1, size);
        args[j] = (long)memory;
      } else {
        args[j] = (long)strtoull(argv[i], NULL, 0);
      }
    }
    trapped = 0;
    long result = syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
    if (trapped)
      printf("trap %d", (int)trapped - 1);
    else
      printf("%ld", result == -1 ? (long)-errno : result);
    for (size_t at = 0; at < size; at++) printf("%s%02x", at == 0 ? " " : "", memory[at]);
    printf("\n");
    free(memory);
  }
  return 0;
}
