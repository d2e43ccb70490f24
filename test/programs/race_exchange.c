// Changes the folders on a path while it is used: race_exchange KIND CALL ROUNDS FOLDER
//   symlink  FOLDER/x, a folder, and FOLDER/l, a link to a folder outside, are exchanged all the time; FOLDER/x/... is
//   used dotdot   FOLDER/p/q moves to FOLDER/q and back; FOLDER/p/q/../q/../../... is used, which then leads out of
//   FOLDER
// CALL: open, stat (`file`, which says `secret` outside), create, mkdir, bind, rename (`made` where it must not be).
#include <linux/fs.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "race.h"

static char first[4096], second[4096], prefix[4096];
static int exchanges, inside;

static void flip(int which) {
  if (exchanges)
    renameat2(AT_FDCWD, first, AT_FDCWD, second, RENAME_EXCHANGE);
  else if (which == 0)
    rename(first, second);
  else
    rename(second, first);
}

// 0: refused; 1: done inside; 2: done outside.
static int look(const char* call) {
  char path[4400], text[6] = "";
  snprintf(path, sizeof path, "%s/file", prefix);
  struct stat status;
  if (strcmp(call, "stat") == 0) return stat(path, &status) != 0 ? 0 : status.st_size == 6 ? 2 : 1;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const int secret = read(fd, text, sizeof text) == sizeof text && memcmp(text, "secret", sizeof text) == 0;
  close(fd);
  return secret ? 2 : 1;
}

static int make(const char* call, const char* from) {
  char path[4400];
  snprintf(path, sizeof path, "%s/made", prefix);
  if (strcmp(call, "mkdir") == 0) {
    if (mkdir(path, 0755) != 0) return 0;
    return unlinkat(inside, "made", AT_REMOVEDIR) == 0 ? 1 : 2;
  }
  if (strcmp(call, "rename") == 0) {
    close(open(from, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (rename(from, path) != 0) return 0;
  } else if (strcmp(call, "bind") == 0) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof at.sun_path) return 0;
    strcpy(at.sun_path, path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int bound = bind(fd, (struct sockaddr*)&at, sizeof at) == 0;
    close(fd);
    if (!bound) return 0;
  } else {
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return 0;
    close(fd);
  }
  return unlinkat(inside, "made", 0) == 0 ? 1 : 2;
}

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const char *call = argv[2], *folder = argv[4];
  const int looks = strcmp(call, "open") == 0 || strcmp(call, "stat") == 0;
  const long rounds = atol(argv[3]);
  char from[4400];
  exchanges = strcmp(argv[1], "symlink") == 0;
  snprintf(first, sizeof first, "%s/%s", folder, exchanges ? "x" : "p/q");
  snprintf(second, sizeof second, "%s/%s", folder, exchanges ? "l" : "q");
  snprintf(prefix, sizeof prefix, "%s/%s", folder, exchanges ? "x" : "p");
  snprintf(from, sizeof from, "%s/from", folder);
  inside = open(exchanges ? first : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (inside < 0) die(first);
  race_init();
  race->flip = flip;
  if (!exchanges) {
    // Wherever q goes while this is walked, the rest leads one folder too far up. Behind a link of /proc the kernel
    // walks with references and does not begin again when something moves (Documentation/filesystems/path-lookup.rst).
    snprintf(prefix, sizeof prefix, "/proc/%d/fd/%d/p", getpid(), inside);
    for (int i = 0; i < 100; i++) strcat(prefix, "/q/..");
    strcat(prefix, "/..");
    race->pause = 60000;
  }
  race_start("thread", NULL, 0, 0, 1);
  while (race_goes_on(rounds)) {
    race_call_begins();
    const int done = looks ? look(call) : make(call, from);
    race_call_ends();
    if (done == 0) race_refusals++;
    if (done == 1) race_approvals++;
    if (done == 2) race_escapes++;
  }
  return race_report();
}
