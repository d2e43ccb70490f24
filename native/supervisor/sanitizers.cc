// How a supervisor built with sanitizers (test/sanitizers/build.mjs) reports: its stdio and its environment are the
// command's, so the options stand here, and a finding goes into a file that test/sanitizers/run.mjs looks for.
#ifdef HOLDFAST_SANITIZERS

#include <pthread.h>
#include <time.h>

// The supervisor ends by _exit() with memory that other threads still use, so nothing is a leak; and nobody waits for
// what those threads may do.
#define COMMON "log_path=" HOLDFAST_SANITIZERS ":detect_leaks=0:"

extern "C" {

const char* __asan_default_options() { return COMMON "detect_stack_use_after_return=1:handle_abort=1"; }
const char* __ubsan_default_options() { return COMMON "print_stacktrace=1"; }
const char* __tsan_default_options() { return COMMON "atexit_sleep_ms=0:second_deadlock_stack=1:history_size=4"; }

#ifdef __SANITIZE_THREAD__

// By these libstdc++ waits with a limit, and GCC 12's ThreadSanitizer does not know them: it would see an unlock
// without a lock. They are made of those that it knows, on the one clock that those have.

static timespec by_wall_clock(clockid_t clock, const timespec* until) {
  timespec now, wall;
  clock_gettime(clock, &now);
  clock_gettime(CLOCK_REALTIME, &wall);
  constexpr long kSecond = 1'000'000'000;
  const long nanoseconds = wall.tv_nsec + until->tv_nsec - now.tv_nsec + kSecond;  // 0 to 3 seconds
  return {wall.tv_sec + until->tv_sec - now.tv_sec - 1 + nanoseconds / kSecond, nanoseconds % kSecond};
}

int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock, const timespec* until) noexcept {
  const timespec limit = by_wall_clock(clock, until);
  return pthread_mutex_timedlock(mutex, &limit);
}

int pthread_rwlock_clockrdlock(pthread_rwlock_t* lock, clockid_t clock, const timespec* until) noexcept {
  const timespec limit = by_wall_clock(clock, until);
  return pthread_rwlock_timedrdlock(lock, &limit);
}

int pthread_rwlock_clockwrlock(pthread_rwlock_t* lock, clockid_t clock, const timespec* until) noexcept {
  const timespec limit = by_wall_clock(clock, until);
  return pthread_rwlock_timedwrlock(lock, &limit);
}

#endif
}

#endif
