// cflags: -static -no-pie
// A thread that is not the leader executes a program while the leader's call is held. leader_replaced WHAT ARGUMENT...
// The program is this one again, at the same addresses: what was answered to the old one would be found in its memory.
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char target[64];  // of the old program's call, in the new one's memory
static char** words;
static atomic_int ready;

static void* execute(void* how) {
  while (!ready) usleep(1000);
  usleep(50000);  // the leader is in its call by then; if it is not, nothing is tried
  char* const next[] = {words[0], "new", words[2], NULL};
  if (strcmp(how, "fails") == 0) {
    execv(words[3], next);
    printf("exec %d\n", errno);
    fflush(stdout);
    return NULL;
  }
  execv(words[0], next);
  _exit(9);
}

int main(int argc, char** argv) {
  words = argv;
  if (argc < 3) return 2;
  pthread_t other;
  if (strcmp(argv[1], "new") == 0) {
    char line[8];
    puts("new");
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL) return 3;
    size_t i = 0;
    while (i < sizeof target && target[i] == 0) i++;
    puts(i == sizeof target ? "untouched" : target);
    return 0;
  }
  if (pthread_create(&other, NULL, execute, argv[1]) != 0) return 2;
  ready = 1;
  if (strcmp(argv[1], "unlink") == 0) {
    unlink(argv[2]);
    pause();
  }
  const ssize_t length = readlink(argv[2], target, sizeof target - 1);
  printf("%zd %s\n", length, target);
  pthread_join(other, NULL);
  return 0;
}
