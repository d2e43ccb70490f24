// The caller's own mappings, where they come near the sealed page.
#include <errno.h>
#include <sys/mman.h>

#include <memory>
#include <utility>

#include "../policy/violation.h"
#include "handlers.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000  // linux/mman.h, since Linux 4.17
#endif

namespace holdfast::families {

// The kernel honours a hint wherever there is room (arch_get_unmapped_area() in mm/mmap.c), before the page is mapped
// also in its place. A hint promises nothing, so it is left out; every argument is a register.
Finish map_memory(Sandbox& sandbox, Held& call) {
  if ((call.arg(Arg::flags) & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0) {
    report(sandbox, call, EPERM, "a fixed place below the end of the sealed page");
    return Finish::error(EPERM);
  }
  auto changed = std::make_unique<Bounce>();
  changed->value(call.row->index(Arg::pointer), 0);
  return Finish::bounce(std::move(changed));
}

}  // namespace holdfast::families
