// What the race programs share: something that flips a few bytes of memory between two values as fast as it can, in the
// way that is asked for, while the program makes one call after another with them.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

struct race {
  volatile long flips;  // made so far
  volatile int stop;
  volatile int error;  // errno of a way of flipping that is not allowed
  void* target;        // in shared memory; aligned to its width
  uint64_t values[2];
  size_t width;       // 1, 2 or 8
  int way;            // how the bytes are written
  void (*flip)(int);  // or something else to do in turn
  uint32_t pause;     // at most so many idle turns between two flips
};

enum { WRITE_DIRECTLY, WRITE_PROC_MEM, WRITE_PROCESS_VM };

static struct race* race;
static pthread_t race_thread;
static pid_t race_process;
static long race_rounds, race_approvals, race_refusals, race_hits, race_escapes;
static long race_before;

static inline void die(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(2);
}

// Memory that threads, forked processes and CLONE_VM processes all share.
static inline void* race_memory(size_t size) {
  void* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("mmap");
  return memory;
}

static inline int race_write(int memory, uint64_t value) {
  struct iovec here = {&value, race->width}, there = {race->target, race->width};
  if (race->flip != NULL) {
    race->flip((int)value);
    return 0;
  }
  if (race->way == WRITE_PROC_MEM)
    return pwrite(memory, &value, race->width, (off_t)(uintptr_t)race->target) < 0 ? errno : 0;
  if (race->way == WRITE_PROCESS_VM) return process_vm_writev(getpid(), &here, 1, &there, 1, 0) < 0 ? errno : 0;
  if (race->width == 1)
    *(volatile uint8_t*)race->target = (uint8_t)value;
  else if (race->width == 2)
    *(volatile uint16_t*)race->target = (uint16_t)value;
  else
    *(volatile uint64_t*)race->target = value;
  return 0;
}

static inline void* race_loop(void* unused) {
  (void)unused;
  int memory = -1;
  if (race->way == WRITE_PROC_MEM) {
    memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    if (memory < 0) {
      race->error = errno;
      return NULL;
    }
  }
  uint32_t random = 2463534242u;
  for (int turn = 0; !race->stop; turn ^= 1) {
    const int error = race_write(memory, race->values[turn]);
    if (error != 0) {
      race->error = error;
      return NULL;
    }
    race->flips++;
    // Uneven pauses, so that every moment of a call is hit sooner or later.
    random ^= random << 13, random ^= random >> 17, random ^= random << 5;
    for (uint32_t spin = random % race->pause; spin > 0 && !race->stop; spin--) __asm__ volatile("" ::: "memory");
  }
  return NULL;
}

static inline int race_process_main(void* unused) {
  race_loop(unused);
  _exit(0);
}

// thread: by a thread; vm: by a process that shares the memory map; shared: by a process that shares the page;
// procmem: by a thread through /proc/self/mem; processvm: by a thread through process_vm_writev.
static inline void race_start(const char* mode, void* target, size_t width, uint64_t first, uint64_t second) {
  race->target = target;
  race->width = width;
  race->values[0] = first;
  race->values[1] = second;
  race->way = strcmp(mode, "procmem") == 0     ? WRITE_PROC_MEM
              : strcmp(mode, "processvm") == 0 ? WRITE_PROCESS_VM
                                               : WRITE_DIRECTLY;
  if (strcmp(mode, "vm") == 0) {
    const size_t size = 256 << 10;
    char* stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) die("mmap");
    race_process = clone(race_process_main, stack + size, CLONE_VM | SIGCHLD, NULL);
    if (race_process < 0) die("clone");
  } else if (strcmp(mode, "shared") == 0) {
    race_process = fork();
    if (race_process < 0) die("fork");
    if (race_process == 0) race_process_main(NULL);
  } else if (pthread_create(&race_thread, NULL, race_loop, NULL) != 0) {
    die("pthread_create");
  }
  while (race->flips == 0 && race->error == 0) sched_yield();
}

static inline void race_init(void) {
  race = race_memory(sizeof *race);
  race->pause = 3000;
}

// A fixed number of rounds, and more of them only while a busy machine has let the flipping stand still so far. One
// escape is one too many: there is nothing more to learn after it.
static inline int race_goes_on(long rounds) {
  if (race_escapes > 0) return 0;
  if (race_rounds < rounds) return 1;
  const int complete = race_hits > 0 && race_approvals > 0 && race_refusals > 0;
  return !complete && race->error == 0 && race_rounds < 50 * rounds;
}

// Around each call: counts the rounds in which a flip came between its start and its end.
static inline void race_call_begins(void) { race_before = race->flips; }
static inline void race_call_ends(void) {
  race_rounds++;
  if (race->flips != race_before) race_hits++;
}

// Ends the flipping and says what came of it.
static inline int race_report(void) {
  race->stop = 1;
  if (race_process > 0)
    waitpid(race_process, NULL, 0);
  else
    pthread_join(race_thread, NULL);
  printf("{\"rounds\":%ld,\"approvals\":%ld,\"refusals\":%ld,\"flips\":%ld,\"escapes\":%ld,\"flipError\":%d}\n",
         race_rounds, race_approvals, race_refusals, race_hits, race_escapes, race->error);
  return 0;
}
