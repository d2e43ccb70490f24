// Ends in one way each: ends HOW. Prints "secret ADDRESS" first, where "the secret" lies.
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char secret[] = "the secret";
static char** arguments;

static void* wait_for_ever(void* argument) {
  for (;;) pause();
  return argument;
}

static void* spin(void* argument) {
  for (volatile long i = 0;; i++) continue;
  return argument;
}

static void* exit_all(void* argument) {
  usleep(20000);
  _exit(7);
  return argument;
}

static void* exit_all_at_once(void* argument) {
  _exit(0);
  return argument;
}

static void* exit_itself(void* argument) {
  usleep(20000);
  syscall(SYS_exit, 5);
  return argument;
}

static void* crash(void* argument) {
  usleep(20000);
  *(volatile int*)0 = 0;
  return argument;
}

static void* execute(void* argument) {
  usleep(20000);
  execv(arguments[0], arguments);
  return argument;
}

static void start(int count, void* (*run)(void*)) {
  pthread_t thread;
  for (int i = 0; i < count; i++)
    if (pthread_create(&thread, NULL, run, NULL) != 0) _exit(99);
}

static int by_vfork(void) {
  const pid_t child = vfork();
  if (child == 0) _exit(3);
  int status;
  return waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : 98;
}

int main(int argc, char** argv) {
  const char* how = argc > 1 ? argv[1] : "";
  printf("secret %p\n", (void*)secret);
  fflush(stdout);
  const struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  if (strcmp(how, "plain") == 0) return 4;
  if (strcmp(how, "term") == 0) raise(SIGTERM);
  if (strcmp(how, "kill") == 0) kill(getpid(), SIGKILL);
  if (strcmp(how, "vfork") == 0) return by_vfork();
  if (strcmp(how, "threads") == 0) {
    start(3, wait_for_ever);
    start(1, spin);
    start(1, exit_all);
  }
  if (strcmp(how, "crash") == 0) {
    start(3, wait_for_ever);
    start(1, crash);
  }
  if (strcmp(how, "leader") == 0 || strcmp(how, "last") == 0) {
    start(1, how[1] == 'e' ? exit_all : exit_itself);
    syscall(SYS_exit, 1);
  }
  // A program is executed by a thread while the others go on; or end everything.
  if (strcmp(how, "exec") == 0 || strcmp(how, "race") == 0) {
    char* const plain[] = {argv[0], "plain", NULL};
    arguments = (char**)plain;
    start(3, wait_for_ever);
    start(1, execute);
    if (how[0] == 'r') {
      usleep(20000 + getpid() % 20 * 20);
      start(1, exit_all_at_once);
    }
  }
  // Many, each with threads, in each other's way.
  if (strcmp(how, "many") == 0) {
    for (int i = 0; i < 40; i++) {
      if (fork() == 0) {
        start(i % 4, wait_for_ever);
        if (i % 3 == 0) raise(SIGKILL);
        _exit(i);
      }
    }
    while (wait(NULL) > 0) continue;
    return 0;
  }
  if (strcmp(how, "wait") == 0) start(2, wait_for_ever);
  wait_for_ever(NULL);
}
