// Makes the calls on sockets that it reads from standard input, one a line: OP KIND ADDRESS PORT, each on a new socket.
// Answers each with its errno (0: it worked). test/boundary/layers-network.test.ts says what it is for.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

union name {
  struct sockaddr any;
  struct sockaddr_in four;
  struct sockaddr_in6 six;
  struct sockaddr_un un;
  struct sockaddr_nl netlink;
};

// tcp4, tcp6, udp4, udp6; path and abstract (streams), dpath and dabstract (datagrams); netlink; none (no address).
static int prepare(const char* kind, const char* address, int port, union name* name, socklen_t* size) {
  memset(name, 0, sizeof *name);
  const int datagram = kind[0] == 'd' || kind[0] == 'u';
  const int type = (datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC;
  if (kind[0] == 't' || kind[0] == 'u') {
    const int six = kind[3] == '6';
    name->any.sa_family = six ? AF_INET6 : AF_INET;
    name->four.sin_port = htons((uint16_t)port);  // at the same place in both
    inet_pton(name->any.sa_family, address, six ? (void*)&name->six.sin6_addr : (void*)&name->four.sin_addr);
    *size = six ? sizeof name->six : sizeof name->four;
    return socket(name->any.sa_family, type, 0);
  }
  if (kind[0] == 'n' && kind[1] == 'e') {
    name->netlink.nl_family = AF_NETLINK;
    *size = sizeof name->netlink;
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  }
  if (kind[0] == 'n') {
    name->any.sa_family = AF_UNSPEC;
    *size = sizeof name->four;
    return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  }
  const int abstract = strstr(kind, "abstract") != NULL;
  name->un.sun_family = AF_UNIX;
  snprintf(name->un.sun_path + abstract, sizeof name->un.sun_path - (size_t)abstract, "%s", address);
  *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(address) + 1);
  return socket(AF_UNIX, type, 0);
}

static int act(int fd, char op, const union name* name, socklen_t size) {
  char text[] = "text";
  struct iovec data = {text, 4};
  struct mmsghdr message = {
      .msg_hdr = {.msg_name = (void*)(uintptr_t)name, .msg_namelen = size, .msg_iov = &data, .msg_iovlen = 1}};
  // A source route by way of 127.0.0.2 (ip(7)).
  union {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(8)];
  } route = {.head = {.cmsg_len = CMSG_LEN(8), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_RETOPTS}};
  memcpy(CMSG_DATA(&route.head), "\x83\x07\x04\x7f\0\0\x02", 8);
  switch (op) {
    case 'c':
      return connect(fd, &name->any, size);
    case 'b':
      return bind(fd, &name->any, size);
    case 'l':
      return bind(fd, &name->any, size) == 0 ? listen(fd, 4) : -1;
    case 'L':
      return listen(fd, 4);
    case 's':
      return (int)sendto(fd, text, 4, MSG_NOSIGNAL, &name->any, size);
    case 'F':
      return (int)sendto(fd, text, 4, MSG_NOSIGNAL | MSG_FASTOPEN, &name->any, size);
    case 'm':
      return (int)sendmsg(fd, &message.msg_hdr, MSG_NOSIGNAL);
    case 'f':
      return (int)sendmsg(fd, &message.msg_hdr, MSG_NOSIGNAL | MSG_FASTOPEN);
    case 'M':
      return sendmmsg(fd, &message, 1, MSG_NOSIGNAL);
    case 'r':
      message.msg_hdr.msg_control = &route;
      message.msg_hdr.msg_controllen = sizeof route;
      return (int)sendmsg(fd, &message.msg_hdr, MSG_NOSIGNAL);
  }
  errno = ENOSYS;
  return -1;
}

// So that nobody who sends has to wait.
static void* receive_all(void* fd) {
  char text[64];
  while (recv((int)(intptr_t)fd, text, sizeof text, 0) >= 0) continue;
  return NULL;
}

int main(void) {
  char line[4096];
  signal(SIGPIPE, SIG_IGN);
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = '\0';
    const char* op = strtok(line, "\t");
    const char* kind = strtok(NULL, "\t");
    const char* address = strtok(NULL, "\t");
    const char* port = strtok(NULL, "\t");
    if (!op || !kind || !address || !port) return 2;
    union name name;
    socklen_t size = 0;
    const int fd = prepare(kind, address, atoi(port), &name, &size);
    if (fd < 0) return 3;
    const int keep = op[0] == 'k';  // bound, and stays
    const int failed = act(fd, keep ? op[1] : op[0], &name, size) < 0;
    printf("%d\n", failed ? errno : 0);
    fflush(stdout);
    pthread_t thread;
    if (!keep)
      close(fd);
    else if (pthread_create(&thread, NULL, receive_all, (void*)(intptr_t)fd) != 0)
      return 4;
  }
  return 0;
}
