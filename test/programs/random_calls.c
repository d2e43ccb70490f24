// Makes the system calls that a script on standard input holds, in several threads: test/fuzz/run.mjs draws them.
// Layout of the script, all little-endian u64: magic, arena bytes, threads, calls, the arena, then for each call:
// thread, number, six arguments. The arena lies at one address, so that structures in it can point into it.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define ARENA ((char*)0x200000000)

struct call {
  uint64_t thread, number, args[6];
};
static struct call* calls;
static uint64_t count;

static int read_all(void* to, size_t size) {
  for (size_t have = 0; have < size;) {
    ssize_t got = read(0, (char*)to + have, size - have);
    if (got <= 0) return -1;
    have += (size_t)got;
  }
  return 0;
}

static void* make(void* thread) {
  for (uint64_t i = 0; i < count; i++) {
    const struct call* c = &calls[i];
    if (c->thread != (uintptr_t)thread) continue;
    syscall((long)c->number, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4], c->args[5]);
  }
  return NULL;
}

static void nothing(int signal) { (void)signal; }

int main(void) {
  uint64_t head[4];
  if (read_all(head, sizeof head) || head[0] != 0x7a7a7566) return 2;
  if (mmap(ARENA, head[1], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != ARENA)
    return 3;
  count = head[3];
  calls = mmap(NULL, count * sizeof *calls + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (calls == MAP_FAILED || read_all(ARENA, head[1]) || read_all(calls, count * sizeof *calls)) return 4;
  // What waits is interrupted; who runs for too long is ended by the kernel.
  struct sigaction action = {.sa_handler = nothing};
  sigaction(SIGALRM, &action, NULL);
  const struct itimerval often = {{0, 5000}, {0, 5000}};
  setitimer(ITIMER_REAL, &often, NULL);
  pthread_t threads[8];
  for (uintptr_t i = 1; i < head[2]; i++) pthread_create(&threads[i], NULL, make, (void*)i);
  make(NULL);
  for (uintptr_t i = 1; i < head[2]; i++) pthread_join(threads[i], NULL);
  return 0;
}
