// Two threads that wait while the tree is stopped from outside: one is interrupted by a signal's handler all the time, and
// each handler ends exactly one wait with EINTR; the other has no handler, and none of its waits is cut short. When its
// input ends, it prints as JSON what they saw.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

static volatile int over;
static volatile long handled, ended, lost, strange;  // of the first
static volatile long waits, cut, wrong;               // of the second

static void on_signal(int signal) {
  (void)signal;
  handled++;
}

static int new_set(int ready) {
  const int set = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN};
  const int counter = eventfd((unsigned)ready, 0);
  if (epoll_ctl(set, EPOLL_CTL_ADD, counter, &event) != 0) _exit(2);
  return set;
}

// The signal comes in here only: it is blocked elsewhere. A wait that is made again after a handler ends by the next one.
static void *is_handled(void *unused) {
  const int set = new_set(0);
  sigset_t none;
  sigemptyset(&none);
  struct epoll_event event;
  while (!over) {
    const long before = handled;
    const int result = epoll_pwait(set, &event, 1, -1, &none);
    const int error = errno;
    if (result != -1 || error != EINTR) strange++;
    if (handled - before > 1) lost++;
    ended++;
  }
  return unused;
}

// The same call for sets that answer otherwise, so that it is seen with which of them a wait was made again.
static void *is_not(void *unused) {
  const int silent = new_set(0), ready = new_set(1);
  struct epoll_event event;
  for (long i = 0; !over; i++) {
    const int set = i % 2 == 0 ? silent : ready;
    const int result = epoll_wait(set, &event, 1, 3);
    if (result < 0)
      cut += errno == EINTR, wrong += errno != EINTR;
    else
      wrong += result != (set == ready);
    waits++;
  }
  return unused;
}

int main(void) {
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  sigprocmask(SIG_BLOCK, &alarm, NULL);
  const struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGALRM, &action, NULL);
  const struct itimerval often = {{0, 1000}, {0, 1000}};
  pthread_t threads[2];
  pthread_create(&threads[0], NULL, is_handled, NULL);
  pthread_create(&threads[1], NULL, is_not, NULL);
  setitimer(ITIMER_REAL, &often, NULL);
  puts("ready");
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0 || errno == EINTR) continue;
  over = 1;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  printf("{\"handled\":%ld,\"ended\":%ld,\"lost\":%ld,\"strange\":%ld,\"waits\":%ld,\"cut\":%ld,\"wrong\":%ld}\n", handled,
         ended, lost, strange, waits, cut, wrong);
  return 0;
}
