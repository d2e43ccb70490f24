#include "slice.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace holdfast {
namespace {

// struct sched_attr up to its first version's end (SCHED_ATTR_SIZE_VER0, linux/sched/types.h). glibc has none before
// 2.41, and the kernel's header cannot be had beside <sched.h>.
struct Attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};
static_assert(sizeof(Attributes) == 48);

// Twice its own was enough to be later than its callers; on the safe side, and still a matter of milliseconds.
constexpr uint64_t kTimes = 3;

// A start has as many, which would not pay for the question.
constexpr int kFew = 32;

}  // namespace

void let_callers_go_first() {
  thread_local int wakes = 0;
  if (wakes > kFew || wakes++ < kFew) return;
  Attributes own = {};
  if (syscall(SYS_sched_getattr, 0, &own, sizeof own, 0) != 0 || own.policy != SCHED_OTHER || own.runtime == 0) return;
  own.runtime *= kTimes;
  syscall(SYS_sched_setattr, 0, &own, 0);
}

}  // namespace holdfast
