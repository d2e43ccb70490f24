// Puts two descriptors at one number in turn while the number is used.
//   race_fd open ROUNDS FOLDER OTHER_FD   openat(number, "file"): FOLDER, or a folder outside that came as OTHER_FD
//   race_fd listen ROUNDS PORT            listen(number): a socket bound to PORT, or one that was never bound
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "race.h"

static int number, choices[2];

static void flip(int which) { dup2(choices[which], number); }

static int new_socket(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (port != 0 && bind(fd, (struct sockaddr*)&at, sizeof at) != 0) die("bind");
  return fd;
}

static int listens(int fd) {
  int on = 0;
  socklen_t size = sizeof on;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on;
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const int listening = strcmp(argv[1], "listen") == 0;
  const long rounds = atol(argv[2]);
  race_init();
  choices[0] = listening ? new_socket((uint16_t)atoi(argv[3])) : open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  choices[1] = listening ? new_socket(0) : atoi(argv[4]);
  if (choices[0] < 0) die(argv[3]);
  number = fcntl(choices[0], F_DUPFD_CLOEXEC, 100);
  race->flip = flip;
  race_start("thread", NULL, 0, 0, 1);
  while (race_goes_on(rounds)) {
    int done = 0;
    race_call_begins();
    if (listening) {
      done = listen(number, 1) == 0;
    } else {
      char text[6] = "";
      const int fd = openat(number, "file", O_RDONLY | O_CLOEXEC);
      if (fd >= 0) {
        done = read(fd, text, sizeof text) == sizeof text && memcmp(text, "secret", sizeof text) == 0 ? 2 : 1;
        close(fd);
      }
    }
    race_call_ends();
    if (done == 0) race_refusals++;
    if (done == 1) race_approvals++;
    if (done == 2) race_escapes++;
    if (listening && listens(choices[1])) race_escapes++;
  }
  return race_report();
}
