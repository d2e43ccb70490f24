// Hooks on calls that make processes and threads. A call is stopped only where one of them may hear of what it makes.
#pragma once

#include <cstdint>

#include "config.h"

namespace holdfast {

// What the call makes (protocol::kProcess, kThread or kVfork) and by which flags of clone(2): those that fork and vfork
// stand for, too. All of it is in registers.
struct Newborn {
  uint8_t kind;
  uint32_t flags;
};
Newborn newborn_of(const Held& call);

// Stops the calls that a hook may hear of. Said once, before the filter is made.
void stop_forks(Config& config);

}  // namespace holdfast
