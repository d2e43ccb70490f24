// A process calls PR_SET_DUMPABLE 0 (argument "hide") and forks; then another one of the tree looks into both, by every
// entry that the kernel guards. Prints "NAME ANSWER" for each look.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MEMORY = 70, PIPE = 71 };

static void tell(const char* entry, const char* how, long result) {
  printf("%s %s %s\n", how, strchr(entry, '/') != NULL ? strrchr(entry, '/') + 1 : entry,
         result < 0 ? strerrorname_np(errno) : "ok");
}

static void look_into(const char* whose, pid_t pid) {
  static const char* const files[] = {"mem", "environ", "maps", "auxv", "fd", "map_files", "fd/70", "fd/71"};
  static const char* const links[] = {"exe", "cwd", "root", "fd/70", "ns/mnt"};
  char name[64], target[4096];
  struct stat status;
  printf("%s\n", whose);
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    snprintf(name, sizeof name, "/proc/%d/%s", pid, files[i]);
    tell(files[i], "open", open(name, O_RDONLY | O_NONBLOCK));
  }
  for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
    snprintf(name, sizeof name, "/proc/%d/%s", pid, links[i]);
    tell(links[i], "readlink", readlink(name, target, sizeof target));
    tell(links[i], "stat", stat(name, &status));
    const int object = open(name, O_PATH);
    tell(links[i], "pin", object);
    snprintf(name, sizeof name, "/proc/self/fd/%d", object);
    if (object >= 0 && strchr(links[i], '/') != NULL) tell(links[i], "reopen", open(name, O_RDWR));
  }
}

int main(int argc, char** argv) {
  int ready[2], end[2];
  char byte;
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (pipe(ready) != 0 || pipe(end) != 0) return 2;
  const pid_t hidden = fork();
  if (hidden == 0) {
    close(end[1]);
    if (dup2(memfd_create("secret", 0), MEMORY) != MEMORY || write(MEMORY, "secret", 6) != 6) return 2;
    if (dup2(end[0], PIPE) != PIPE) return 2;
    if (argc > 1 && strcmp(argv[1], "hide") == 0 && prctl(PR_SET_DUMPABLE, 0) != 0) return 2;
    pid_t both[2] = {getpid(), fork()};
    if (both[1] != 0 && write(ready[1], both, sizeof both) != sizeof both) return 2;
    return (int)read(end[0], &byte, 1);
  }
  pid_t both[2];
  if (read(ready[0], both, sizeof both) != sizeof both) return 2;
  look_into("itself", both[0]);
  look_into("its child", both[1]);
  close(end[1]);
  waitpid(hidden, NULL, 0);
  return 0;
}
