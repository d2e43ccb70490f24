// Flips one letter of a path between two folders while it is used: race_path MODE CALL ROUNDS FOLDER OTHER
// FOLDER and OTHER differ in their last letter; each holds `file`. What OTHER's file says, or whether it is gone, tells
// whether a call that was approved for FOLDER reached OTHER. For connect, OTHER has a listening `socket`; bind makes
// one.
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "race.h"

static const char* folder;
static int server = -1;

static char* own(const char* name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void make_file(void) {
  const int fd = open(own("file"), O_WRONLY | O_CREAT, 0644);
  if (fd < 0) die(own("file"));
  close(fd);
}

static int is_secret(int fd) {
  char text[6] = "";
  const int secret = read(fd, text, sizeof text) == sizeof text && memcmp(text, "secret", sizeof text) == 0;
  close(fd);
  return secret;
}

// 1: done and it was ours; 2: done to the other; 0: refused.
static int use_open(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  return is_secret(fd) ? 2 : 1;
}

static int use_stat(const char* path) {
  struct stat status;
  if (stat(path, &status) != 0) return 0;
  return status.st_size == 6 ? 2 : 1;  // "secret"
}

static int use_rename(const char* path) {
  make_file();
  if (rename(path, own("moved")) != 0) return 0;
  const int fd = open(own("moved"), O_RDONLY | O_CLOEXEC);
  if (fd < 0) die(own("moved"));
  return is_secret(fd) ? 2 : 1;
}

static int use_unlink(const char* path) {
  make_file();
  if (unlink(path) != 0) return 0;
  return access(own("file"), F_OK) == 0 ? 2 : 1;
}

static int use_chdir(const char* path) {
  char there[4096];
  if (chdir(path) != 0) return 0;
  if (getcwd(there, sizeof there) == NULL) die("getcwd");
  return strcmp(there, folder) == 0 ? 1 : 2;
}

// The path is flipped in place, within the address that the kernel is given.
static const struct sockaddr* address_of(const char* path) {
  return (const struct sockaddr*)(path - offsetof(struct sockaddr_un, sun_path));
}

static int use_bind(const char* path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  const int bound = bind(fd, address_of(path), sizeof(struct sockaddr_un)) == 0;
  close(fd);
  if (!bound) return 0;
  return unlink(own("socket")) == 0 ? 1 : 2;
}

static int use_connect(const char* path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  struct sockaddr_un peer = {0};
  socklen_t size = sizeof peer;
  const int connected = connect(fd, address_of(path), sizeof peer) == 0;
  if (connected && getpeername(fd, (struct sockaddr*)&peer, &size) != 0) die("getpeername");
  close(fd);
  if (!connected) return 0;
  if (strcmp(peer.sun_path, own("socket")) != 0) return 2;
  close(accept(server, NULL, NULL));
  return 1;
}

static void listen_at(const char* path) {
  server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  strcpy(at.sun_path, path);
  if (server < 0 || bind(server, (struct sockaddr*)&at, sizeof at) != 0 || listen(server, 8) != 0) die(path);
}

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  int (*use)(const char*) = NULL;
  if (strcmp(argv[2], "open") == 0) use = use_open;
  if (strcmp(argv[2], "stat") == 0) use = use_stat;
  if (strcmp(argv[2], "rename") == 0) use = use_rename;
  if (strcmp(argv[2], "unlink") == 0) use = use_unlink;
  if (strcmp(argv[2], "chdir") == 0) use = use_chdir;
  if (strcmp(argv[2], "bind") == 0) use = use_bind;
  if (strcmp(argv[2], "connect") == 0) use = use_connect;
  if (use == NULL) return 2;
  const long rounds = atol(argv[3]);
  folder = argv[4];
  race_init();
  make_file();
  const int socket_name = use == use_bind || use == use_connect;
  struct sockaddr_un* address = race_memory(8192);
  address->sun_family = AF_UNIX;
  char* path = address->sun_path;
  snprintf(path, 4096, "%s/%s", folder, socket_name ? "socket" : use == use_chdir ? "." : "file");
  if (use == use_connect) listen_at(path);
  const size_t letter = strlen(folder) - 1;
  race_start(argv[1], path + letter, 1, (uint8_t)folder[letter], (uint8_t)argv[5][letter]);
  while (race_goes_on(rounds)) {
    race_call_begins();
    const int done = use(path);
    race_call_ends();
    if (done == 0) race_refusals++;
    if (done == 1) race_approvals++;
    if (done == 2) race_escapes++;
  }
  return race_report();
}
