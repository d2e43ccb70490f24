// Where the sealed page lies in every address space of the tree. The guards keep the tree's own mappings off it
// (`low_address`), the engine fills it (engine/bounce.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdfast {

// One fixed place at the low end of the address space, below whose end the tree may map, move or unmap nothing.
// vm.mmap_min_addr is at most 64 KiB on the kernels that we support (checked at launch).
inline constexpr uint64_t kBouncePageAddress = 0x10000;
inline constexpr size_t kBounceSlotBytes = 4096;
inline constexpr size_t kBounceSlots = 960;
inline constexpr size_t kBouncePageBytes = kBounceSlots * kBounceSlotBytes;
inline constexpr uint64_t kBouncePageEnd = kBouncePageAddress + kBouncePageBytes;
static_assert(kBouncePageEnd <= 0x400000, "below where programs that are not position-independent are loaded");

}  // namespace holdfast
