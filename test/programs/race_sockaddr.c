// Flips an address while it is used: race_sockaddr MODE CALL ROUNDS PORT OTHER
// Listens on both loopback ports itself, so it sees where its calls arrive: whatever arrives at OTHER has escaped.
// CALL: connect, sendto, sendmsg, sendmmsg flip the port; pointer flips msghdr's pointer between two addresses;
// mapped flips the port of an IPv4-mapped IPv6 address.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "race.h"

static int receiver(int type, uint16_t port) {
  const int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (fd < 0 || bind(fd, (struct sockaddr*)&at, sizeof at) != 0) die("bind");
  if (type == SOCK_STREAM && listen(fd, 64) != 0) die("listen");
  return fd;
}

static long arrived(int fd, int stream) {
  long count = 0;
  char byte;
  for (;; count++) {
    if (stream) {
      const int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
      if (peer < 0) return count;
      close(peer);
    } else if (recv(fd, &byte, 1, 0) < 0) {
      return count;
    }
  }
}

struct addresses {
  struct sockaddr_in6 flipped6;
  struct sockaddr_in flipped, fixed[2];
  struct msghdr header;
  struct mmsghdr headers[1];
  struct iovec data;
};

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const char* call = argv[2];
  const long rounds = atol(argv[3]);
  const uint16_t ports[2] = {(uint16_t)atoi(argv[4]), (uint16_t)atoi(argv[5])};
  const int mapped = strcmp(call, "mapped") == 0;
  const int stream = strcmp(call, "connect") == 0 || mapped;
  race_init();
  int receivers[2];
  for (int i = 0; i < 2; i++) receivers[i] = receiver(stream ? SOCK_STREAM : SOCK_DGRAM, ports[i]);

  struct addresses* a = race_memory(sizeof *a);
  for (int i = 0; i < 2; i++)
    a->fixed[i] = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(ports[i]), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  a->flipped = a->fixed[0];
  a->flipped6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(ports[0])};
  inet_pton(AF_INET6, "::ffff:127.0.0.1", &a->flipped6.sin6_addr);
  a->data = (struct iovec){"x", 1};
  a->header =
      (struct msghdr){.msg_name = &a->flipped, .msg_namelen = sizeof a->flipped, .msg_iov = &a->data, .msg_iovlen = 1};
  a->headers[0].msg_hdr = a->header;
  if (strcmp(call, "pointer") == 0)
    race_start(argv[1], &a->header.msg_name, 8, (uintptr_t)&a->fixed[0], (uintptr_t)&a->fixed[1]);
  else
    race_start(argv[1], mapped ? &a->flipped6.sin6_port : &a->flipped.sin_port, 2, htons(ports[0]), htons(ports[1]));

  const int datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  while (race_goes_on(rounds)) {
    int done;
    const int fd = stream ? socket(mapped ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : datagram;
    if (fd < 0) die("socket");
    race_call_begins();
    if (mapped)
      done = connect(fd, (struct sockaddr*)&a->flipped6, sizeof a->flipped6) == 0;
    else if (stream)
      done = connect(fd, (struct sockaddr*)&a->flipped, sizeof a->flipped) == 0;
    else if (strcmp(call, "sendto") == 0)
      done = sendto(fd, "x", 1, 0, (struct sockaddr*)&a->flipped, sizeof a->flipped) == 1;
    else if (strcmp(call, "sendmmsg") == 0)
      done = sendmmsg(fd, a->headers, 1, 0) == 1;
    else
      done = sendmsg(fd, &a->header, 0) == 1;
    race_call_ends();
    if (stream) {
      const struct linger at_once = {1, 0};  // no TIME_WAIT
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      close(fd);
    }
    if (!done) race_refusals++;
    race_approvals += arrived(receivers[0], stream);
    race_escapes += arrived(receivers[1], stream);
  }
  return race_report();
}
