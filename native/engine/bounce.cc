#include "bounce.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "../call/as_itself.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010  // linux/fcntl.h, since Linux 5.1
#endif

namespace holdfast {

int BouncePage::create() {
  if (read_only_) return 0;
  UniqueFd memory(memfd_create("holdfast-arguments", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory) return errno;
  if (ftruncate(memory.get(), kBouncePageBytes) != 0) return errno;
  void* mapped = mmap(nullptr, kBouncePageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (mapped == MAP_FAILED) return errno;
  if (memory_ != nullptr) munmap(memory_, kBouncePageBytes);  // of an attempt that failed below
  memory_ = static_cast<uint8_t*>(mapped);
  if (fcntl(memory.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return errno;
  struct stat status;
  if (fstat(memory.get(), &status) != 0) return errno;
  device_ = status.st_dev;
  inode_ = status.st_ino;
  char name[32];
  snprintf(name, sizeof name, "/proc/self/fd/%d", memory.get());
  read_only_.reset(open(name, O_RDONLY | O_CLOEXEC));
  return read_only_ ? 0 : errno;
}

int BouncePage::take(size_t first, size_t count, size_t& next) {
  // Round robin: a slot that was freed last is used again last.
  for (size_t tried = 0; tried < count; tried++) {
    const size_t slot = first + next;
    next = (next + 1) % count;
    if (taken_[slot]) continue;
    taken_[slot] = true;
    return static_cast<int>(slot);
  }
  return -1;
}

int BouncePage::take_slot(size_t size) {
  if (size <= kSmallSlotBytes)
    if (const int slot = take(kLargeSlots, kSmallSlots, next_small_); slot >= 0) return slot;
  if (size <= kLargeSlotBytes) return take(0, kLargeSlots, next_large_);
  return size <= kMostSlotBytes ? take_run((size + kLargeSlotBytes - 1) / kLargeSlotBytes) : -1;
}

int BouncePage::take_run(size_t count) {
  for (size_t first = 0; first + count <= kLargeSlots; first++) {
    size_t free = 0;
    while (free < count && !taken_[first + free]) free++;
    if (free < count) {
      first += free;
      continue;
    }
    for (size_t i = 0; i < count; i++) taken_[first + i] = true;
    runs_[static_cast<int>(first)] = count;
    return static_cast<int>(first);
  }
  return -1;
}

void BouncePage::free_slot(int slot) {
  if (slot < 0) return;
  const auto run = runs_.find(slot);
  for (size_t i = run == runs_.end() ? 1 : run->second; i > 0; i--) taken_[static_cast<size_t>(slot) + i - 1] = false;
  if (run != runs_.end()) runs_.erase(run);
}

void BouncePage::fill(int slot, const void* bytes, size_t size) {
  memcpy(memory_ + place_of(static_cast<size_t>(slot)), bytes, size);
}

bool BouncePage::mapped_in(pid_t tid) const {
  if (!read_only_) return false;
  char name[32];
  snprintf(name, sizeof name, "/proc/%d/maps", tid);
  UniqueFd maps(look_by_ids(tid, [&] { return open(name, O_RDONLY | O_CLOEXEC); }));
  if (!maps) return false;
  // The page is the lowest thing that can be mapped, so it is the first line (proc_pid_maps(5)).
  char text[512];
  const ssize_t size = read(maps.get(), text, sizeof text - 1);
  if (size <= 0) return false;
  text[size] = '\0';
  unsigned long start, end, offset, inode;
  unsigned device_major, device_minor;
  char rights[5];
  if (sscanf(text, "%lx-%lx %4s %lx %x:%x %lu", &start, &end, rights, &offset, &device_major, &device_minor, &inode) !=
      7)
    return false;
  return start == kBouncePageAddress && end == kBouncePageAddress + kBouncePageBytes && strcmp(rights, "r--s") == 0 &&
         offset == 0 && makedev(device_major, device_minor) == device_ && inode == inode_;
}

}  // namespace holdfast
