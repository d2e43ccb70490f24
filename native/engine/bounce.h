// The sealed page: arguments that the tree can read and nobody in it can write, move or unmap.
#pragma once

#include <sys/types.h>

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "../protocol/unique_fd.h"
#include "../syscalls/sealed_range.h"

namespace holdfast {

// Used by the tracer thread only.
class BouncePage {
 public:
  // Makes the memory, maps it writable here, then seals it: memfd_create(2), F_SEAL_FUTURE_WRITE in fcntl(2). 0 or
  // errno. Most programs never need it, so it is called before the page is mapped into a process; the second time does
  // nothing.
  int create();
  // A read-only descriptor of it, for the tree to map. Any thread, once it is known that the page is to be mapped.
  int read_only_fd() const { return read_only_.get(); }

  // A slot of its own for one call in flight, with room for so many bytes; -1 if all are taken.
  int take_slot(size_t size);
  void free_slot(int slot);
  // The tracee's address of a slot; its contents must be complete before the tracee goes on.
  static uint64_t address(int slot) { return kBouncePageAddress + place_of(static_cast<size_t>(slot)); }
  void fill(int slot, const void* bytes, size_t size);

  // Whether this very memory, read-only and shared, stands at its place in the address space of a stopped tracee.
  bool mapped_in(pid_t tid) const;

 private:
  static size_t place_of(size_t slot) {
    return slot < kLargeSlots ? slot * kLargeSlotBytes
                              : kLargeSlots * kLargeSlotBytes + (slot - kLargeSlots) * kSmallSlotBytes;
  }
  // Of so many slots from the first on. -1 if all are taken.
  int take(size_t first, size_t count, size_t& next);
  int take_run(size_t count);

  UniqueFd read_only_;
  uint8_t* memory_ = nullptr;
  std::bitset<kLargeSlots + kSmallSlots> taken_;
  std::unordered_map<int, size_t> runs_;  // of large ones beside each other, more than one: how many
  size_t next_large_ = 0, next_small_ = 0;
  uint64_t device_ = 0, inode_ = 0;
};

}  // namespace holdfast
