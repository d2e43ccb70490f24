// What the C++ runtime, linked into the addon, takes from glibc in newer versions than 2.28: given here, so that older
// systems load the addon (Debian 10 and 11, Ubuntu 20.04, RHEL 8). test/packaging looks at the versions that are left.
// The symbols are hidden: nobody else's are replaced.
#include <pthread.h>

#if defined(__x86_64__)
#define FIRST_GLIBC "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define FIRST_GLIBC "GLIBC_2.17"
#endif
#define HIDDEN __attribute__((visibility("hidden")))

extern "C" {

// NOLINTBEGIN(bugprone-reserved-identifier): their names are glibc's.

// 2.32, sys/single_threaded.h: only whether counters may do without atomics.
HIDDEN char __libc_single_threaded = 0;

// 2.35, dlfcn.h, where the unwinder finds its tables. The addon is built without exceptions, so nothing of it is ever
// unwound: what the library throws (std::bad_alloc) ends the process, with or without them.
HIDDEN int _dl_find_object(void*, void*) { return -1; }

// 2.34 moved both from libpthread to libc under a new version; the old one is still there.
int holdfast_old_once(pthread_once_t* control, void (*routine)());
__asm__(".symver holdfast_old_once, pthread_once@" FIRST_GLIBC);
HIDDEN int pthread_once(pthread_once_t* control, void (*routine)()) { return holdfast_old_once(control, routine); }

int holdfast_old_key_create(pthread_key_t* key, void (*destroy)(void*));
__asm__(".symver holdfast_old_key_create, __pthread_key_create@" FIRST_GLIBC);
HIDDEN int __pthread_key_create(pthread_key_t* key, void (*destroy)(void*)) {
  return holdfast_old_key_create(key, destroy);
}

// NOLINTEND(bugprone-reserved-identifier)
}
