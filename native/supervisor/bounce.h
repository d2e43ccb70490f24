// The sealed page: arguments that the tree can read and nobody in it can write, move or unmap.
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdfast {

// One fixed place at the low end of the address space, below which and in which the tree may map, move or unmap nothing
// (guard `low_address`). vm.mmap_min_addr is at most 64 KiB on the kernels that we support (checked at launch).
inline constexpr uint64_t kBouncePageAddress = 0x10000;
inline constexpr size_t kBounceSlotBytes = 4096;
inline constexpr size_t kBounceSlots = 960;
inline constexpr uint64_t kBouncePageEnd = kBouncePageAddress + kBounceSlots * kBounceSlotBytes;
static_assert(kBouncePageEnd <= 0x400000, "below where programs that are not position-independent are loaded");

}  // namespace holdfast
