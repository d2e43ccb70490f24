// Where the sealed page lies in every address space of the tree. The guards keep the tree's own mappings off it
// (`low_address`), the engine fills it (engine/bounce.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdfast {

// One fixed place at the low end of the address space, below whose end the tree may map, move or unmap nothing.
// vm.mmap_min_addr is at most 64 KiB on the kernels that we support (checked at launch). The end leaves room for what
// is fixed above it: lld links programs at 0x200000, valgrind maps at 0x108000.
inline constexpr uint64_t kBouncePageAddress = 0x10000;
inline constexpr uint64_t kBouncePageEnd = 0x100000;
inline constexpr size_t kScratchBytes = 0x8000;
inline constexpr size_t kBouncePageBytes = kBouncePageEnd - kScratchBytes - kBouncePageAddress;

// Behind the page itself, where there is no listener: memory of each process's own, for the calls by which its threads
// fetch descriptors (engine/fetching.cc). A place for each thread that does so: names of sockets in a page that nobody
// in the tree can write, the rest in memory of which nothing is trusted.
inline constexpr uint64_t kNamesAddress = kBouncePageAddress + kBouncePageBytes;
inline constexpr size_t kNamesBytes = 0x1000;
inline constexpr uint64_t kScratchAddress = kNamesAddress + kNamesBytes;
inline constexpr size_t kScratchPlaceBytes = 128, kScratchPlaces = (kScratchBytes - kNamesBytes) / kScratchPlaceBytes;
static_assert(kScratchPlaces * sizeof(uint64_t) <= kNamesBytes);

// Slots of two sizes, large ones first: most arguments are addresses of sockets, and those calls are the ones that may
// wait for long.
inline constexpr size_t kLargeSlotBytes = 4096, kLargeSlots = 112;
inline constexpr size_t kSmallSlotBytes = 256, kSmallSlots = 1920;
static_assert(kLargeSlotBytes * kLargeSlots + kSmallSlotBytes * kSmallSlots == kBouncePageBytes);
// A program's arguments take as many large slots beside each other.
inline constexpr size_t kMostSlotBytes = 32 * kLargeSlotBytes;

}  // namespace holdfast
