// Calls that really wait, while a signal with a handler comes: the handler's SA_RESTART says whether they go on
// waiting.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t seen;
static int go[2];  // what is written there lets the other process act

// The wait goes on after the handler, so only then the other process may end it.
static void on_signal(int signal) {
  (void)signal;
  seen++;
  if (write(go[1], "", 1) < 0) _exit(99);
}

static void handle(int signal, int flags) {
  const struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
  sigaction(signal, &action, NULL);
}

static const struct sockaddr_un place = {.sun_family = AF_UNIX, .sun_path = "waits"};

static int opens_fifo(void) { return open("fifo", O_RDONLY); }
static int connects(void) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  return connect(fd, (const void*)&place, sizeof place);
}

static void lets_fifo_go(void) { (void)!open("fifo", O_WRONLY); }

static int listener;
static void lets_connect(void) {
  for (int i = 0; i < 2; i++) accept(listener, NULL, NULL);
}

static void try(const char* what, int flags, int by_stop, int (*waits)(void), void (*lets_go)(void)) {
  if (pipe(go) != 0) exit(98);
  handle(by_stop ? SIGCONT : SIGALRM, flags);
  seen = 0;
  fflush(stdout);
  const pid_t parent = getpid(), helper = fork();
  if (helper == 0) {
    usleep(150000);
    if (by_stop) {
      kill(parent, SIGSTOP);
      usleep(150000);
      kill(parent, SIGCONT);
    } else {
      kill(parent, SIGALRM);
    }
    char byte;
    if (read(go[0], &byte, 1) == 1) {
      usleep(100000);
      lets_go();
    }
    _exit(0);
  }
  const int result = waits();
  printf("%s%s%s: %s, %d handled\n", what, flags ? ", SA_RESTART" : "", by_stop ? ", SIGCONT" : "",
         result < 0 ? strerrorname_np(errno) : "done", (int)seen);
  if (result < 0) kill(helper, SIGKILL);
  if (result > 0) close(result);
  while (waitpid(helper, NULL, 0) < 0 && errno == EINTR) continue;
  close(go[0]);
  close(go[1]);
}

// A socket with a time limit answers EINTR whatever SA_RESTART says (signal(7)). The signals go on until it has, so it
// does not matter when one comes.
static void count(int signal) {
  (void)signal;
  if (++seen == 500) _exit(96);  // 10 s: it is made again and again
}
static const char* among_signals(int flags, int (*waits)(int), int on) {
  const struct sigaction action = {.sa_handler = count, .sa_flags = flags};
  const struct itimerval often = {{0, 20000}, {0, 20000}}, off = {{0, 0}, {0, 0}};
  sigaction(SIGALRM, &action, NULL);
  seen = 0;
  setitimer(ITIMER_REAL, &often, NULL);
  const int result = waits(on);
  const int error = errno;
  setitimer(ITIMER_REAL, &off, NULL);
  return result < 0 ? strerrorname_np(error) : "done";
}
static void limited(const char* what, int type, int (*waits)(int)) {
  const struct timeval limit = {60, 0};
  const int fd = socket(AF_UNIX, type, 0);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  printf("%s with a time limit: %s\n", what, among_signals(SA_RESTART, waits, fd));
  close(fd);
}
static int connects_by(int fd) { return connect(fd, (const void*)&place, sizeof place); }
static const struct sockaddr_un box = {.sun_family = AF_UNIX, .sun_path = "box"};
static int sends_to(int fd) {  // until nothing more has room
  while (sendto(fd, "", 1, 0, (const void*)&box, sizeof box) == 1) continue;
  return -1;
}
static int sends_message(int fd) {
  struct iovec one = {"", 1};
  const struct msghdr message = {.msg_name = (void*)&box, .msg_namelen = sizeof box, .msg_iov = &one, .msg_iovlen = 1};
  while (sendmsg(fd, &message, 0) == 1) continue;
  return -1;
}

// Held for its key's sake, and then it waits in the kernel: EINTR after any handler (signal(7)).
static int receives(int queue) {
  struct {
    long type;
    char text[8];
  } message;
  return (int)msgrcv(queue, &message, sizeof message.text, 0, 0);
}
static int lowers(int semaphores) {
  struct sembuf by_one = {0, -1, 0};
  return semop(semaphores, &by_one, 1);
}
static void waits_by_itself(const char* what, int id, int flags, int (*waits)(int)) {
  printf("%s%s: %s\n", what, flags ? ", SA_RESTART" : "", among_signals(flags, waits, id));
}

int main(void) {
  mkfifo("fifo", 0600);
  listener = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(listener, (const void*)&place, sizeof place) != 0 || listen(listener, 0) != 0) return 97;
  for (int by_stop = 0; by_stop < 2; by_stop++)
    for (int restart = 0; restart < 2; restart++) {
      try("open of a FIFO", restart ? SA_RESTART : 0, by_stop, opens_fifo, lets_fifo_go);
      const int filler = connects();  // its backlog is full from here on
      try("connect to a full backlog", restart ? SA_RESTART : 0, by_stop, connects, lets_connect);
      fcntl(listener, F_SETFL, O_NONBLOCK);
      while (accept(listener, NULL, NULL) >= 0) continue;
      fcntl(listener, F_SETFL, 0);
      (void)filler;
    }
  const int filler = connects(), receiver = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (bind(receiver, (const void*)&box, sizeof box) != 0) return 97;
  limited("connect", SOCK_STREAM, connects_by);
  limited("sendto", SOCK_DGRAM, sends_to);
  limited("sendmsg", SOCK_DGRAM, sends_message);
  close(filler);
  const int queue = msgget(IPC_PRIVATE, 0600), semaphores = semget(IPC_PRIVATE, 1, 0600);
  for (int restart = 0; restart < 2; restart++) {
    waits_by_itself("msgrcv", queue, restart ? SA_RESTART : 0, receives);
    waits_by_itself("semop", semaphores, restart ? SA_RESTART : 0, lowers);
  }
  msgctl(queue, IPC_RMID, NULL);
  semctl(semaphores, 0, IPC_RMID);
  return 0;
}
