// cflags: -static
// What libc says of the time: time(), clock_gettime(), gettimeofday(), in seconds, without a dynamic loader.
#include <stdio.h>
#include <sys/time.h>
#include <time.h>

int main(void) {
  struct timespec precise;
  struct timeval coarse;
  clock_gettime(CLOCK_REALTIME, &precise);
  gettimeofday(&coarse, NULL);
  printf("%ld %ld %ld\n", (long)time(NULL), (long)precise.tv_sec, (long)coarse.tv_sec);
  return 0;
}
