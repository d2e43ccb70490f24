// An interpreter for the programs that the supervisor makes.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace bpf {

inline constexpr uint32_t kInvalid = 0x7ffc0001;  // no answer of seccomp's

// What the kernel's checker allows (seccomp_check_filter, bpf_check_classic), so that anything else is a failure here
// too; and what `each` does not take.
inline uint32_t run(const std::vector<sock_filter>& program, const seccomp_data& data, size_t* steps = nullptr,
                    bool (*each)(const sock_filter&) = nullptr) {
  uint32_t a = 0, x = 0;
  size_t count = 0;
  for (size_t at = 0; at < program.size();) {
    const sock_filter& i = program[at++];
    if (each != nullptr && !each(i)) return kInvalid;
    count++;
    switch (i.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (i.k % 4 != 0 || i.k + 4 > sizeof data) return kInvalid;
        std::memcpy(&a, reinterpret_cast<const char*>(&data) + i.k, 4);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        a &= i.k;
        break;
      case BPF_ALU | BPF_SUB | BPF_K:
        a -= i.k;
        break;
      case BPF_ALU | BPF_LSH | BPF_X:
        if (x >= 32) return kInvalid;
        a <<= x;
        break;
      case BPF_LD | BPF_IMM:
        a = i.k;
        break;
      case BPF_MISC | BPF_TAX:
        x = a;
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        at += (a & i.k) != 0 ? i.jt : i.jf;
        break;
      case BPF_JMP | BPF_JA:
        at += i.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        at += a == i.k ? i.jt : i.jf;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        at += a >= i.k ? i.jt : i.jf;
        break;
      case BPF_RET | BPF_K:
        if (steps) *steps = count;
        return i.k;
      default:
        return kInvalid;
    }
  }
  return kInvalid;
}

}  // namespace bpf
