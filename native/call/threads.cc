#include "threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

namespace holdfast {

bool start_thread(void* (*run)(void*), void* argument) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 512 << 10);
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, run, argument);
  pthread_attr_destroy(&attributes);
  return error == 0;
}

void fatal(const char* reason) {
  // The stdio is the command's and is closed here, so there is no one to tell but the exit status: Node reports a lost
  // supervisor, with this status.
  static_cast<void>(reason);
  _exit(70);  // EX_SOFTWARE, sysexits.h
}

}  // namespace holdfast
