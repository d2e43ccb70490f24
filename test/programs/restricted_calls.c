// uname, called all the time by threads, processes and their children, and by threads that wait or spin until a moment
// from which on it is to be refused with ENOTTY. Prints "ready"; a line on its input marks that moment; then prints as JSON what it saw.
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 2
#define THREADS 3
#define MOST_LOOPS 400000000L

struct shared {
  atomic_int marked, over;
  atomic_long before, escaped, refused, wrong, cut, children, late;
};

static struct shared *shared;
static int ends[2];  // nobody writes; closed at the end

static int once(void) {
  struct utsname name;
  const int marked = atomic_load(&shared->marked);
  const int result = uname(&name);
  if (result < 0 && errno != ENOTTY)
    atomic_fetch_add(&shared->wrong, 1);
  else if (result < 0)
    atomic_fetch_add(marked ? &shared->refused : &shared->late, 1);
  else
    atomic_fetch_add(marked ? &shared->escaped : &shared->before, 1);
  return result;
}

static void *calls(void *unused) {
  while (!atomic_load(&shared->over)) once();
  return unused;
}

static void *spins(void *unused) {
  for (volatile long i = 0; i < MOST_LOOPS && !atomic_load(&shared->marked);) i = i + 1;
  for (int i = 0; i < 20; i++) once();
  return unused;
}

// In one call from before the moment to long after it.
static void *waits(void *unused) {
  char byte;
  if (read(ends[0], &byte, 1) != 0) atomic_fetch_add(&shared->cut, 1);
  for (int i = 0; i < 20; i++) once();
  return unused;
}

static void process(void) {
  pthread_t threads[THREADS + 2];
  close(ends[1]);
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, calls, NULL);
  pthread_create(&threads[THREADS], NULL, spins, NULL);
  pthread_create(&threads[THREADS + 1], NULL, waits, NULL);
  for (int i = 0; i < THREADS + 2; i++) pthread_join(threads[i], NULL);
}

static void parent(void) {
  close(ends[1]);
  for (int i = 0; !atomic_load(&shared->over); i++) {
    const pid_t child = i % 2 == 0 ? fork() : vfork();
    if (child < 0) _exit(3);
    if (child == 0) {
      once();
      _exit(0);
    }
    waitpid(child, NULL, 0);
    atomic_fetch_add(&shared->children, 1);
  }
}

int main(void) {
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED || pipe(ends) != 0) return 2;
  for (int i = 0; i < PROCESSES + 1; i++) {
    if (fork() != 0) continue;
    if (i < PROCESSES)
      process();
    else
      parent();
    _exit(0);
  }
  close(ends[0]);
  while (atomic_load(&shared->before) < 100) usleep(1000);
  printf("ready\n");
  fflush(stdout);
  char line[16];
  if (fgets(line, sizeof line, stdin) == NULL) return 2;
  atomic_store(&shared->marked, 1);
  const long children = atomic_load(&shared->children);
  for (int i = 0; i < 5000 && atomic_load(&shared->escaped) == 0; i++) {
    if (atomic_load(&shared->refused) >= 1000 && atomic_load(&shared->children) > children + 3) break;
    usleep(1000);
  }
  close(ends[1]);
  atomic_store(&shared->over, 1);
  while (wait(NULL) > 0 || errno == EINTR) continue;
  printf("{\"before\":%ld,\"escaped\":%ld,\"refused\":%ld,\"wrong\":%ld,\"cut\":%ld,\"children\":%ld}\n", shared->before,
         shared->escaped, shared->refused, shared->wrong, shared->cut, shared->children);
  return 0;
}
