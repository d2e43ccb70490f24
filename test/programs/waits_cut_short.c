// Calls that really wait, while a signal with a handler comes: the handler's SA_RESTART says whether they go on
// waiting.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
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
  return 0;
}
