// What a process and those that it descends from have executed, as far as the policy speaks of it: a bit for each of
// its patterns. Whatever comes after, a bit stays: no exec, no fork and no orphan's new parent takes it away.
#pragma once

#include <bitset>

namespace holdfast {

struct Lineage {
  static constexpr int kMost = 256;
  using Bits = std::bitset<kMost>;

  Bits executed;
  bool known = true;  // its maker was ended before it could be told whose it is
};

}  // namespace holdfast
