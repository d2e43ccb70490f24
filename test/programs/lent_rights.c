// Asks for what takes a capability that the tree has given up: lent_rights FILE
// Prints the errno of each: the kernel's log, an attribute in the trusted name space, one in security's.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/xattr.h>

static int error_of(long result) { return result < 0 ? errno : 0; }

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  printf("[%d,", error_of(open("/proc/kmsg", O_RDONLY | O_NONBLOCK)));
  printf("%d,", error_of(setxattr(argv[1], "trusted.holdfast", "x", 1, 0)));
  printf("%d]\n", error_of(setxattr(argv[1], "security.holdfast", "x", 1, 0)));
  return 0;
}
