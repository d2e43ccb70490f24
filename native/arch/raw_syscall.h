// System calls without libc: for code that shares its memory with another task, which libc's errno would be shared with
// too.
#pragma once

#include <cstdint>

namespace holdfast::arch {

// The result, or a negative errno: syscall(2), "Architecture-specific requirements".
inline long raw_syscall(long number, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0, uint64_t e = 0,
                        uint64_t f = 0) {
#if defined(__x86_64__)
  long result;
  register uint64_t r10 asm("r10") = d;
  register uint64_t r8 asm("r8") = e;
  register uint64_t r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 asm("x8") = number;
  register uint64_t x0 asm("x0") = a;
  register uint64_t x1 asm("x1") = b;
  register uint64_t x2 asm("x2") = c;
  register uint64_t x3 asm("x3") = d;
  register uint64_t x4 asm("x4") = e;
  register uint64_t x5 asm("x5") = f;
  asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return static_cast<long>(x0);
#else
#error "one branch for each architecture"
#endif
}

inline uint64_t raw(const volatile void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

}  // namespace holdfast::arch
