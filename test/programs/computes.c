// Computes in several threads, with memory of its own, and prints the sum and whether there is a time.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void *sum(void *to) {
  long result = 0;
  for (long i = 0; i < 1000; i++) result += i;
  *(long *)to = result;
  return NULL;
}

int main(void) {
  enum { kThreads = 4 };
  pthread_t threads[kThreads];
  long *const results = calloc(1 << 20, sizeof *results), all = 0;
  for (int i = 0; i < kThreads; i++)
    if (pthread_create(&threads[i], NULL, sum, &results[i]) != 0) return 2;
  for (int i = 0; i < kThreads; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < kThreads; i++) all += results[i];
  printf("%ld %d\n", all, time(NULL) > 0);
  return 0;
}
