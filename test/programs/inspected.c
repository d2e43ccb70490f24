// Does what is easy to look at, and says where that is.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile uint64_t counter, flag;
static volatile int other;

static void* reads(void* argument) {
  (void)argument;
  other = (int)syscall(SYS_gettid);
  char byte;
  while (read(0, &byte, 1) > 0) continue;
  return NULL;
}

static void escape(void) { _exit(42); }

// Counts until somebody sets the flag, and then prints what somebody has written where it may only read.
static int counts(void) {
  char* const text = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pthread_t thread;
  if (text == MAP_FAILED || pthread_create(&thread, NULL, reads, NULL) != 0) return 2;
  while (other == 0) usleep(1000);
  usleep(20000);
  printf("%lu %lu %lu %d\n", (unsigned long)&counter, (unsigned long)&flag, (unsigned long)text, other);
  fflush(stdout);
  while (flag == 0) counter = counter + 1;
  printf("%s\n", text);
  fflush(stdout);
  pthread_join(thread, NULL);
  return 0;
}

static int waits(void) {
  struct epoll_event event = {.events = EPOLLIN};
  const int set = epoll_create1(0);
  if (epoll_ctl(set, EPOLL_CTL_ADD, 0, &event) != 0) return 2;
  printf("waits %lu\n", (unsigned long)&escape);
  fflush(stdout);
  return epoll_wait(set, &event, 1, -1) == 1 ? 0 : 3;
}

static int opens(void) {
  char line[16];
  printf("%lu\n", (unsigned long)&counter);
  fflush(stdout);
  if (fgets(line, sizeof line, stdin) == NULL) return 2;
  counter = 7;
  const int fd = open(getenv("SECRET"), O_RDONLY);
  counter = 8;
  if (fd >= 0 || errno != EPERM) return 3;
  printf("%lu\n", (unsigned long)counter);
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) continue;
  return 0;
}

// A page that may only be read, and behind it one that is a file's.
static int edges(char* self) {
  const int file = open(self, O_RDONLY);
  char *const text = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), byte;
  if (text == MAP_FAILED || mmap(text + 4096, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) return 2;
  printf("%lu\n", (unsigned long)text);
  fflush(stdout);
  return read(0, &byte, 1) == 0 ? 0 : 3;
}

static void* tells(void* argument) {
  (void)argument;
  while (counter == 0) usleep(1000);
  printf("computes\n");
  fflush(stdout);
  return NULL;
}

// After a call that is answered in its place.
static int answered(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, tells, NULL) != 0) return 2;
  usleep(20000);
  if (kill(getpid(), 0) != 0) return 3;
  for (;;) counter = counter + 1;
}

// A FIFO's other end, which is waited for in the caller's place.
static int waits_for_other(void) {
  char byte;
  printf("opens\n");
  fflush(stdout);
  const int fd = open("fifo", O_RDONLY);
  return fd >= 0 && read(fd, &byte, 1) == 1 ? 0 : 2;
}

int main(int argc, char** argv) {
  if (argc < 2) return 64;
  if (strcmp(argv[1], "edges") == 0) return edges(argv[0]);
  if (strcmp(argv[1], "answered") == 0) return answered();
  if (strcmp(argv[1], "waits_for_other") == 0) return waits_for_other();
  if (strcmp(argv[1], "counts") == 0) return counts();
  if (strcmp(argv[1], "waits") == 0) return waits();
  return opens();
}
