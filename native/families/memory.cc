// The caller's own mappings, where they come near the sealed page.
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "../policy/violation.h"
#include "../syscalls/sealed_range.h"
#include "handlers.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000  // linux/mman.h, since Linux 4.17
#endif

namespace holdfast::families {
namespace {

constexpr uint64_t kSmallestPage = 4096;

// Whether a range cannot reach the sealed page: it ends where that begins. With high bits, which the processor may be
// told to ignore (syscalls/guards.cc), an address is not looked at.
bool ends_below(uint64_t address, uint64_t length) {
  return address < kBouncePageAddress && length <= kBouncePageAddress - address;
}

Finish refuse_range(Sandbox& sandbox, const Held& call) {
  report(sandbox, call, EPERM, call.row->reason);
  return Finish::error(EPERM);
}

}  // namespace

// Of what is no page's address, of no bytes, or where nothing is mapped, the kernel has an errno of its own; and every
// argument is a register.
Finish change_range(Sandbox& sandbox, Held& call) {
  const uint64_t address = call.args[0], length = call.args[1];
  const bool nothing = length == 0 || (address < kBouncePageEnd && address % kSmallestPage != 0);
  const bool rounds = call.row->number() == SYS_remap_file_pages;  // the others take only a page's address
  return ends_below(address, length) || (nothing && !rounds) ? Finish::proceed() : refuse_range(sandbox, call);
}

// Below the page nothing can come to lie, so that there is nothing to move or to grow there.
Finish move_range(Sandbox& sandbox, Held& call) {
  const uint64_t longest = std::max({call.args[1], call.args[2], uint64_t{1}});
  const bool moves = (call.args[3] & (MREMAP_FIXED | 4 /* MREMAP_DONTUNMAP */)) != 0;
  return ends_below(call.args[0], longest) && !moves ? Finish::proceed() : refuse_range(sandbox, call);
}

// The kernel honours a hint wherever there is room (arch_get_unmapped_area() in mm/mmap.c), before the page is mapped
// also in its place. A hint promises nothing, so it is left out; every argument is a register.
Finish map_memory(Sandbox& sandbox, Held& call) {
  if ((call.arg(Arg::flags) & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0) {
    const uint64_t address = call.arg(Arg::pointer);
    if (address < kBouncePageEnd && address % kSmallestPage != 0) return Finish::proceed();  // EINVAL
    report(sandbox, call, EPERM, "a fixed place below the end of the sealed page");
    return Finish::error(EPERM);
  }
  auto changed = std::make_unique<Bounce>();
  changed->value(call.row->index(Arg::pointer), 0);
  return Finish::bounce(std::move(changed));
}

}  // namespace holdfast::families
