// ptrace(2) as its requests are: addresses and values by pointer.
#pragma once

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>

namespace holdfast {

inline long request(int what, pid_t tid, void* address, void* data) {
  return syscall(SYS_ptrace, what, tid, address, data);
}

inline void* as_pointer(uint64_t value) { return reinterpret_cast<void*>(value); }

}  // namespace holdfast
