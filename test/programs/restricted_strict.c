// Says back each line that it reads, by nothing but read and write; "open" opens a file.
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int main(void) {
  char line[64];
  ssize_t size;
  if (write(1, "ready\n", 6) != 6) return 2;
  while ((size = read(0, line, sizeof line)) > 0) {
    if (strncmp(line, "open", 4) == 0 && open("/dev/null", O_RDONLY) >= 0) return 3;
    if (write(1, line, (size_t)size) != size) return 2;
  }
  return 0;
}
