// Prints its argument list and one line of its environment, a line each.
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char** argv) {
  printf("leader %s\n", getpid() == syscall(SYS_gettid) ? "yes" : "no");
  for (int i = 0; i < argc; i++) printf("%d [%s]\n", i, argv[i]);
  printf("SHOWN=%s\n", getenv("SHOWN") ? getenv("SHOWN") : "");
  return 33;
}
