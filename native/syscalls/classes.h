// Classes of calls that a policy can leave to the kernel as a whole: the number and the registers tell them apart, and
// Landlock, or nothing at all, decides them as the rules would (policy/layers.h).
#pragma once

#include <cstdint>
#include <vector>

#include "guards.h"
#include "table.h"

namespace holdfast {

enum class Class : uint8_t {
  metadata,    // stat, access, readlink, statfs, chdir, and opens with O_PATH
  read,        // opens for reading that can make and change nothing
  write,       // opens for writing alone
  read_write,  // opens for both; with `read`, opens for reading that may make or truncate
  make,        // directories and symbolic links
  connect,     // connect()
  send,        // sendto(), sendmsg(), sendmmsg() with an address or what may have one
  bind,        // bind(), listen()
};
inline constexpr int kClassCount = 8;

// What is left to the kernel.
struct Left {
  uint8_t classes = 0;
  static_assert(kClassCount <= 8);
  uint32_t heard = 0;  // bits of events: hooks hear of them, so they are held all the same (opens: the class tells)

  bool umask = false;  // what a process makes it makes itself, or nearly all of it: nobody asks for its umask

  bool listings = false;  // nothing is hidden in them

  bool has(Class which) const { return (classes >> static_cast<int>(which) & 1) != 0; }
  void add(Class which) { classes = static_cast<uint8_t>(classes | 1 << static_cast<int>(which)); }
  bool hears(Event event) const { return (heard >> static_cast<int>(event) & 1) != 0; }
  void hear(Event event) { heard |= uint32_t{1} << static_cast<int>(event); }
};
static_assert(protocol::kEventCount <= 32);

// Said once, before the filter is made; before that nothing is left.
void leave_to_kernel(const Left& left);

// Under any of these the call is let by because its class is left to the kernel. One without conditions: in any case.
std::vector<Alternative> left_alternatives(const Row& row);

// Of these classes stops hold again what was left: a policy that was put on top may refuse it. Never fewer again. Any
// thread.
void take_back(uint8_t classes);
// The conditions by which a program that is put on later stops them, of those classes alone.
std::vector<Alternative> taken_back_alternatives(const Row& row, uint8_t classes);
// All that were.
uint8_t taken_back();

const char* to_string(Class);

}  // namespace holdfast
