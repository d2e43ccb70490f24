// race_where ROUNDS A B: one thread moves the process between two folders, whose files `mark` have 1 and 2 bytes, while
// the first one looks by relative names. What is looked at between two moves is of the folder moved to. Says how many
// looks there were.
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char** folders;
static int rounds;
static atomic_int moves;  // odd: it is being moved
static atomic_int looks;  // between two moves
static atomic_int done;

static void* move(void* unused) {
  for (int i = 0; i < rounds; i++) {
    moves++;
    if (chdir(folders[i % 2]) != 0) exit(2);
    moves++;
    for (const int before = looks; looks < before + 2;) sched_yield();
  }
  done = 1;
  return unused;
}

int main(int count, char** given) {
  struct stat st;
  if (count != 4) return 2;
  rounds = atoi(given[1]);
  folders = given + 2;
  if (chdir(folders[1]) != 0) return 2;
  // Threads come and go: what is remembered of one alone must not outlive them.
  for (int part = 0; part < 4; part++) {
    pthread_t other;
    done = 0;
    if (pthread_create(&other, NULL, move, NULL) != 0) return 2;
    while (!done) {
      const int before = moves;
      if (stat("mark", &st) != 0) return 2;
      if (before % 2 != 0 || before != moves) continue;
      if (st.st_size != 2 - before / 2 % 2) {
        printf("after %d moves: %ld bytes\n", before / 2, (long)st.st_size);
        return 1;
      }
      looks++;
    }
    pthread_join(other, NULL);
    if (stat("mark", &st) != 0 || st.st_size != 2 - moves / 2 % 2) {
      printf("alone: %ld bytes\n", (long)st.st_size);
      return 1;
    }
  }
  printf("%d looks or more\n", 8 * rounds);
  return looks >= 8 * rounds ? 0 : 1;
}
