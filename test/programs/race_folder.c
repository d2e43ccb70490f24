// Flips the folder that a relative path starts in while it is used: race_folder WAY CALL ROUNDS FOLDER OTHER
//   cwd         the working directory, by fchdir in another thread
//   descriptor  what a number stands for, by dup2 in another thread
// Each folder holds `file`, and OTHER's says `secret`. CALL: open, stat, access, readlink, create (`made`), unlink.
#include <sys/stat.h>

#include "race.h"

static int folders[2], number;

static void flip_folder(int which) {
  if (fchdir(folders[which]) != 0) die("fchdir");
}

static void flip_number(int which) {
  if (dup2(folders[which], number) < 0) die("dup2");
}

static int is_secret(int fd) {
  char text[6] = "";
  const int secret = read(fd, text, sizeof text) == sizeof text && memcmp(text, "secret", sizeof text) == 0;
  close(fd);
  return secret;
}

static void make_file(void) {
  const int fd = openat(folders[0], "gone", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) die("gone");
  close(fd);
}

// 1: done and it was ours; 2: done to the other; 0: refused.
static int use(const char* call, int at) {
  struct stat status;
  char text[64];
  if (strcmp(call, "open") == 0) {
    const int fd = openat(at, "file", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? 0 : is_secret(fd) ? 2 : 1;
  }
  if (strcmp(call, "stat") == 0) return fstatat(at, "file", &status, 0) != 0 ? 0 : status.st_size == 6 ? 2 : 1;
  if (strcmp(call, "readlink") == 0) {
    const ssize_t n = readlinkat(at, "link", text, sizeof text);
    return n < 0 ? 0 : n == 6 ? 2 : 1;
  }
  if (strcmp(call, "create") == 0) {
    const int fd = openat(at, "made", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return 0;
    close(fd);
    return unlinkat(folders[0], "made", 0) == 0 ? 1 : 2;
  }
  make_file();
  if (unlinkat(at, "gone", 0) != 0) return 0;
  return faccessat(folders[0], "gone", F_OK, 0) == 0 ? 2 : 1;
}

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const long rounds = atol(argv[3]);
  for (int i = 0; i < 2; i++) {
    folders[i] = open(argv[4 + i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folders[i] < 0) die(argv[4 + i]);
  }
  number = dup(folders[0]);
  race_init();
  const int by_number = strcmp(argv[1], "descriptor") == 0;
  race->flip = by_number ? flip_number : flip_folder;
  race_start("thread", NULL, 8, 0, 1);
  while (race_goes_on(rounds)) {
    race_call_begins();
    const int done = use(argv[2], by_number ? number : AT_FDCWD);
    race_call_ends();
    if (done == 0) race_refusals++;
    if (done == 1) race_approvals++;
    if (done == 2) race_escapes++;
  }
  return race_report();
}
