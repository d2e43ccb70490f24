// cflags: -static
// One act by the program itself, with no help: second_wall ACT ARGUMENT. Prints "done" or the errno's name.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int tcp(const char* port, int connecting) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  return connecting ? connect(fd, (void*)&to, sizeof to) : bind(fd, (void*)&to, sizeof to);
}

static int abstract(const char* name) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  memcpy(to.sun_path + 1, name, strlen(name));
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  return connect(fd, (void*)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name)));
}

// In a child, so that the image that runs says what happened: "done" is printed by the executed program itself.
static int execute(const char* path) {
  char *const arguments[] = {(char*)path, "say", "ran", NULL}, *const environment[] = {NULL};
  return execve(path, arguments, environment);
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const char *act = argv[1], *at = argv[2];
  int result = -1;
  errno = EINVAL;
  if (!strcmp(act, "say")) return puts(at) < 0;
  if (!strcmp(act, "read")) result = open(at, O_RDONLY);
  if (!strcmp(act, "list")) result = open(at, O_RDONLY | O_DIRECTORY);
  if (!strcmp(act, "write")) result = open(at, O_WRONLY);
  if (!strcmp(act, "create")) result = open(at, O_WRONLY | O_CREAT, 0600);
  if (!strcmp(act, "truncate")) result = truncate(at, 0);
  if (!strcmp(act, "mkdir")) result = mkdir(at, 0700);
  if (!strcmp(act, "symlink")) result = symlink("/etc", at);
  if (!strcmp(act, "unlink")) result = unlink(at);
  if (!strcmp(act, "rename") && argc > 3) result = rename(at, argv[3]);
  if (!strcmp(act, "exec")) result = execute(at);
  if (!strcmp(act, "connect")) result = tcp(at, 1);
  if (!strcmp(act, "bind")) result = tcp(at, 0);
  if (!strcmp(act, "abstract")) result = abstract(at);
  if (!strcmp(act, "signal")) result = kill(atoi(at), 0);
  puts(result >= 0 ? "done" : strerrorname_np(errno));
  return 0;
}
