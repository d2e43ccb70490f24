// cflags: -no-pie
// At a place of its own, and its libc is found when it is first called.
#include "strict_main.c"
