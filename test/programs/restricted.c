// Calls, made all the time by threads, processes and their children, of which some are to be refused from a moment on:
//   restricted FILE FOLDER
// Prints "ready"; after a line on its input it marks that moment, goes on for a while, and prints as JSON what it saw.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES 3
#define THREADS 3
#define MOST_LOOPS 200000000L

struct shared {
  atomic_int marked, over;
  atomic_long before;   // calls that succeeded before the moment
  atomic_long escaped;  // that began after it, and succeeded
  atomic_long refused;  // that began after it, and were refused
  atomic_long wrong;    // answered what they answer in no case
  atomic_long cut;      // waits that ended by EINTR
  atomic_long early;    // sleeps that were too short
  atomic_long children;
};

static struct shared *shared;
static const char *file, *folder;

static void once(int what) {
  const int marked = atomic_load(&shared->marked);
  long result;
  char made[4096];
  struct stat status;
  switch (what % 3) {
    case 0:
      result = open(file, O_RDONLY | O_CLOEXEC);
      if (result >= 0) close((int)result);
      break;
    case 1:
      snprintf(made, sizeof made, "%s/%d-%ld", folder, getpid(), (long)pthread_self());
      result = open(made, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
      if (result >= 0) close((int)result);
      break;
    default:
      result = stat(file, &status);
      break;
  }
  if (result < 0 && errno != EACCES)
    atomic_fetch_add(&shared->wrong, 1);
  else if (result < 0)
    atomic_fetch_add(marked ? &shared->refused : &shared->wrong, marked ? 1 : 0);
  else
    atomic_fetch_add(marked ? &shared->escaped : &shared->before, 1);
}

static void *calls(void *argument) {
  for (long i = (long)argument; !atomic_load(&shared->over); i++) once((int)i);
  return NULL;
}

// Makes no call at all until the moment has come.
static void *spins(void *argument) {
  (void)argument;
  for (volatile long i = 0; i < MOST_LOOPS && !atomic_load(&shared->marked);) i = i + 1;
  for (int i = 0; i < 30; i++) once(i);
  return NULL;
}

static void *waits(void *argument) {
  int ends[2];
  struct epoll_event event = {.events = EPOLLIN};
  const int set = epoll_create1(EPOLL_CLOEXEC);
  if (pipe(ends) != 0 || epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event) != 0) exit(2);
  while (!atomic_load(&shared->over)) {
    if (argument == NULL) {
      if (epoll_wait(set, &event, 1, 50) < 0) atomic_fetch_add(&shared->cut, 1);
      continue;
    }
    struct timespec before, after, sleep = {0, 50000000};
    clock_gettime(CLOCK_MONOTONIC, &before);
    if (nanosleep(&sleep, NULL) != 0) atomic_fetch_add(&shared->cut, 1);
    clock_gettime(CLOCK_MONOTONIC, &after);
    if ((after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec < sleep.tv_nsec)
      atomic_fetch_add(&shared->early, 1);
  }
  return NULL;
}

static void process(long number) {
  pthread_t threads[THREADS + 3];
  for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, calls, (void *)(number + i));
  pthread_create(&threads[THREADS], NULL, spins, NULL);
  pthread_create(&threads[THREADS + 1], NULL, waits, NULL);
  pthread_create(&threads[THREADS + 2], NULL, waits, (void *)1);
  for (int i = 0; i < THREADS + 3; i++) pthread_join(threads[i], NULL);
}

// Newborns, some of them by vfork, so that somebody waits for them where nobody can stop him.
static void parent(void) {
  static int i;
  for (; !atomic_load(&shared->over); i++) {
    const pid_t child = i % 2 == 0 ? fork() : vfork();
    if (child < 0) _exit(3);
    if (child == 0) {
      once(i / 2);
      _exit(0);
    }
    waitpid(child, NULL, 0);
    atomic_fetch_add(&shared->children, 1);
  }
}

int main(int argc, char **argv) {
  if (argc < 3) return 64;
  file = argv[1];
  folder = argv[2];
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 2;
  for (long i = 0; i < PROCESSES + 1; i++) {
    if (fork() != 0) continue;
    if (i < PROCESSES)
      process(i);
    else
      parent();
    _exit(0);
  }
  while (atomic_load(&shared->before) < 100) usleep(1000);
  printf("ready\n");
  fflush(stdout);
  char line[16];
  if (fgets(line, sizeof line, stdin) == NULL) return 2;
  atomic_store(&shared->marked, 1);
  // So many of them that every thread has made some.
  for (int i = 0; i < 5000 && atomic_load(&shared->refused) < 3000 && atomic_load(&shared->escaped) == 0; i++) usleep(1000);
  atomic_store(&shared->over, 1);
  while (wait(NULL) > 0 || errno == EINTR) continue;
  printf("{\"before\":%ld,\"escaped\":%ld,\"refused\":%ld,\"wrong\":%ld,\"cut\":%ld,\"early\":%ld,\"children\":%ld}\n",
         shared->before, shared->escaped, shared->refused, shared->wrong, shared->cut, shared->early, shared->children);
  return 0;
}
