// Everything that a tree can be doing when it is frozen. Each kind counts in a page that the file named by the first
// argument holds, so who counts runs; at the end is a bit for each call that was cut short (EINTR). "ready" is printed
// when all have begun, with the process that has stopped itself.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { spins, forks, vforks, threads, opens, writes, stopped, waits, cut_short, stopped_pid, kinds };
static atomic_ulong* counts;

static void* spin(void* unused) {
  for (;;) counts[spins]++;
  return unused;
}

static void* nothing(void* unused) { return unused; }

static void* make_threads(void* unused) {
  for (;;) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, nothing, NULL) != 0) continue;
    pthread_join(thread, NULL);
    counts[threads]++;
  }
  return unused;
}

static void* open_files(void* path) {
  for (;;) {
    const int fd = open(path, O_RDONLY);
    if (fd >= 0) close(fd);
    counts[opens]++;
  }
  return NULL;
}

// Calls that a signal, and so a stop, ends with EINTR whatever its handler says.
static void ended(int which, long result) {
  if (result < 0 && errno == EINTR) counts[cut_short] |= 1ul << which;
  counts[waits]++;
}

static void* wait_in_epoll(void* unused) {
  const int epoll = epoll_create1(0);
  struct epoll_event event;
  for (;;) ended(0, epoll_wait(epoll, &event, 1, 20));
  return unused;
}

static void* wait_for_ever_in_epoll(void* unused) {
  const int epoll = epoll_create1(0);
  struct epoll_event event;
  ended(1, epoll_wait(epoll, &event, 1, -1));
  return unused;
}

static void* wait_for_semaphore(void* unused) {
  const int semaphore = semget(IPC_PRIVATE, 1, 0600);
  struct sembuf take = {0, -1, 0};
  if (semaphore >= 0) ended(2, semop(semaphore, &take, 1));
  return unused;
}

static void* sleep_on(void* unused) {
  for (;;) ended(3, nanosleep(&(struct timespec){0, 20000000}, NULL));
  return unused;
}

static void* wait_in_fifo(void* path) {
  ended(4, open(path, O_RDONLY));
  return NULL;
}

static void start(void* (*run)(void*), void* argument) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, argument) != 0) _exit(98);
}

static void* leave_the_rest_alone(void* unused) {
  for (;;) pause();
  return unused;
}

int main(int argc, char** argv) {
  if (argc < 3) return 97;
  const int file = open(argv[1], O_RDWR);
  counts = mmap(NULL, kinds * sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (counts == MAP_FAILED) return 96;
  if (fork() == 0) {
    for (;;) {
      const pid_t child = fork();
      if (child == 0) _exit(0);
      if (child > 0) waitpid(child, NULL, 0);
      counts[forks]++;
    }
  }
  if (fork() == 0) {
    for (;;) {
      const pid_t child = vfork();
      if (child == 0) {
        execl("/bin/true", "true", NULL);
        _exit(95);
      }
      if (child > 0) waitpid(child, NULL, 0);
      counts[vforks]++;
    }
  }
  if (fork() == 0) {
    start(make_threads, NULL);
    start(open_files, argv[0]);
    for (;;) {
      const int fd = open("/dev/null", O_WRONLY);
      if (fd >= 0) {
        if (write(fd, "x", 1) == 1) counts[writes]++;
        close(fd);
      }
    }
  }
  if (fork() == 0) {  // not of those that wait: its stops are signals to its parent
    const pid_t stops = fork();
    if (stops == 0) {
      for (;;) {
        raise(SIGSTOP);
        counts[stopped]++;
      }
    }
    int status;
    waitpid(stops, &status, WUNTRACED);
    counts[stopped_pid] = (unsigned long)stops;
    for (;;) pause();
  }
  if (fork() == 0) {  // its leader has ended
    start(leave_the_rest_alone, NULL);
    pthread_exit(NULL);
  }
  start(spin, NULL);
  start(wait_in_epoll, NULL);
  start(wait_for_ever_in_epoll, NULL);
  start(wait_for_semaphore, NULL);
  start(sleep_on, NULL);
  start(wait_in_fifo, argv[2]);
  while (!counts[stopped_pid] || !counts[spins] || !counts[forks] || !counts[vforks] || !counts[threads] ||
         !counts[opens] || !counts[writes] || !counts[waits])
    usleep(1000);
  printf("ready %d\n", (int)counts[stopped_pid]);
  fflush(stdout);
  for (;;) pause();
}
