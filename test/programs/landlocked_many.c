// landlocked_many COUNT: so many children, each in a Landlock domain of its own at the same time; how many could, what the
// others were told, and how many of two thirds can once they have ended. Then one that waits for a FIFO's other end, in a
// domain of its own, is interrupted by a signal, while another thread of its goes on opening files.
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int confine(void) {
  const uint64_t attributes[1] = {LANDLOCK_ACCESS_FS_REMOVE_FILE};
  const int ruleset = (int)syscall(SYS_landlock_create_ruleset, attributes, sizeof attributes, 0);
  if (ruleset < 0) return -1;
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const long result = syscall(SYS_landlock_restrict_self, ruleset, 0);
  const int error = errno;
  close(ruleset);
  errno = error;
  return (int)result;
}

static void many(int count) {
  int told[2], alive[2], could = 0, refused = 0, other = 0;
  if (pipe(told) != 0 || pipe(alive) != 0) exit(2);
  for (int i = 0; i < count; i++) {
    if (fork() != 0) continue;
    close(alive[1]);
    char answer = 'x';
    if (confine() == 0)
      answer = unlink("none") != 0 && errno == EACCES && close(open("/etc/passwd", O_RDONLY)) == 0 ? 'y' : 'o';
    else if (errno == ENOMEM)
      answer = 'm';
    if (write(told[1], &answer, 1) != 1) _exit(1);
    _exit(read(alive[0], &answer, 1) != 0);
  }
  for (int i = 0; i < count; i++) {
    char answer = 'o';
    if (read(told[0], &answer, 1) != 1) exit(2);
    could += answer == 'y', refused += answer == 'm', other += answer != 'y' && answer != 'm';
  }
  close(alive[1]);
  while (wait(NULL) > 0) continue;
  close(alive[0]), close(told[0]), close(told[1]);
  printf("could: %d, ENOMEM: %d, else: %d\n", could, refused, other);
  fflush(stdout);
}

static volatile int opened, over;
static void *opens(void *unused) {
  while (!over) {
    const int fd = open("/etc/passwd", O_RDWR);  // which takes a worker, whatever is left to the kernel
    if (fd >= 0) close(fd);
    opened++;
  }
  return unused;
}
static void on_signal(int signal) { (void)signal; }
static pthread_t waiter;
static void *signals(void *unused) {
  for (int before = opened; opened < before + 100;) usleep(1000);
  pthread_kill(waiter, SIGUSR1);
  return unused;
}

#define WAITERS 40
static pthread_barrier_t together;
static void *opens_fifo(void *name) {
  pthread_barrier_wait(&together);
  close(open(name, O_RDONLY));
  return NULL;
}
static void *makes_folder(void *name) {
  pthread_barrier_wait(&together);
  mkdir(name, 0700);
  rmdir(name);
  return NULL;
}

// Whoever waits is not waited for by the others.
static void waiters(void) {
  static char fifos[WAITERS][20], folders[WAITERS][20];
  pthread_t openers[WAITERS], makers[WAITERS];
  pthread_barrier_init(&together, NULL, WAITERS);
  for (int i = 0; i < WAITERS; i++) {
    snprintf(fifos[i], sizeof fifos[i], "fifo-%d", i);
    snprintf(folders[i], sizeof folders[i], "folder-%d", i);
    mkfifo(fifos[i], 0600);
  }
  for (int i = 0; i < WAITERS; i++) pthread_create(&openers[i], NULL, opens_fifo, fifos[i]);
  usleep(300000);  // most of them wait by now
  for (int i = 0; i < WAITERS; i++) pthread_create(&makers[i], NULL, makes_folder, folders[i]);
  for (int i = 0; i < WAITERS; i++) pthread_join(makers[i], NULL);
  printf("all have made their folder\n");
  fflush(stdout);
  int ends[WAITERS];
  for (int i = 0; i < WAITERS; i++) ends[i] = open(fifos[i], O_RDWR);
  for (int i = 0; i < WAITERS; i++) pthread_join(openers[i], NULL), close(ends[i]);
}

int main(int argc, char **argv) {
  const int count = argc > 1 ? atoi(argv[1]) : 10;
  close(open("none", O_WRONLY | O_CREAT, 0600));
  many(count);
  many(count * 2 / 3);
  mkfifo("fifo", 0600);
  const struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGUSR1, &action, NULL);
  if (confine() != 0) return 1;
  waiters();
  pthread_t threads[2];
  waiter = pthread_self();
  pthread_create(&threads[0], NULL, opens, NULL);
  pthread_create(&threads[1], NULL, signals, NULL);
  const int fd = open("fifo", O_RDONLY);
  printf("interrupted: %s\n", fd < 0 ? strerrorname_np(errno) : "no");
  over = 1;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  return 0;
}
