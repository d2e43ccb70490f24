// The time by which everything here measures how long something took.
#pragma once

#include <time.h>

#include <cstdint>

namespace holdfast {

// CLOCK_MONOTONIC, in nanoseconds.
inline int64_t monotonic_now() {
  timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1'000'000'000 + at.tv_nsec;
}

}  // namespace holdfast
