#include "watcher.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <mutex>

#include "threads.h"

namespace holdfast {
namespace {

constexpr long kTickNanoseconds = 1'000'000;
constexpr unsigned kSlowTicks = 20;
constexpr unsigned kQuietTicks = 50;  // then it sleeps

std::atomic<bool (*)()> looks[2];  // by pace
std::atomic<uint32_t> asleep{0};   // futex word
std::once_flag started;

bool look(Pace pace) {
  bool (*const at)() = looks[static_cast<int>(pace)].load();
  return at != nullptr && at();
}

void* run(void*) {
  const timespec tick = {0, kTickNanoseconds}, slow = {0, kTickNanoseconds * kSlowTicks};
  unsigned quiet = 0;
  for (unsigned ticks = 0;; ticks++) {
    nanosleep(&tick, nullptr);
    bool seen = look(Pace::tick);
    if (ticks % kSlowTicks == 0) seen |= look(Pace::slow);
    quiet = seen ? 0 : quiet + 1;
    if (quiet < kQuietTicks) continue;
    // What began before this store is seen now; whoever begins after it wakes us.
    asleep.store(1);
    if (look(Pace::tick)) {
      quiet = 0;
    } else {
      const timespec* const until = look(Pace::slow) ? &slow : nullptr;
      syscall(SYS_futex, &asleep, FUTEX_WAIT_PRIVATE, 1, until, nullptr, 0);
    }
    if (asleep.exchange(0) == 0) quiet = 0;
  }
}

}  // namespace

void watch(Pace pace, bool (*at)()) {
  looks[static_cast<int>(pace)].store(at);
  std::call_once(started, [] {
    if (!start_thread(run, nullptr, true)) fatal("the watching thread cannot be started", protocol::Stage::threads);
  });
  wake_watcher();
}

void wake_watcher() {
  if (asleep.load() != 0 && asleep.exchange(0) != 0)
    syscall(SYS_futex, &asleep, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

}  // namespace holdfast
