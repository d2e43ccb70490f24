// What a call's registers alone can show, as data: supervisor/filter.cc compiles it to BPF.
#pragma once

#include <cstdint>
#include <span>

#include "table.h"

namespace holdfast {

// How much of a register counts. The kernel takes an `int` from the low half and never looks at the rest, so a
// condition on such an argument must not look either; an address or `unsigned long` counts as a whole.
enum class Width : uint8_t { low32, all64 };

// Between the masked register and the values, all unsigned.
enum class Relation : uint8_t { one_of, none_of, at_least, below };

struct Condition {
  uint8_t argument;
  Width width;
  Relation relation;
  uint64_t mask;
  std::span<const uint32_t> values;  // sorted, each once; one value for at_least and below
};

// All conditions together.
using Alternative = std::span<const Condition>;

// The call is let by if any alternative holds; with none it is always held.
std::span<const Alternative> alternatives(Guard guard);

}  // namespace holdfast
