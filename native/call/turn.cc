#include "turn.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <mutex>

#include "watcher.h"

namespace holdfast {
namespace {

constexpr int kIdleWorkers = 8;  // kept for the next burst

// Whose turn it is: 0 nobody's, else a number that is used once. Odd: its holder waits for a call; even: it works on
// one.
std::atomic<uint64_t> turn{0};
std::atomic<uint64_t> issued{0};
thread_local uint64_t mine = 0;

std::atomic<uint32_t> passed{0};  // futex word: counts how often the turn became nobody's
std::atomic<int> idle{0};         // workers that wait for it

bool (*more_workers)(void*) = nullptr;
void* more_workers_context = nullptr;

uint64_t waiting_number() { return issued.fetch_add(2) + 1; }
uint64_t working_number() { return issued.fetch_add(2) + 2; }
bool is_working(uint64_t number) { return number != 0 && number % 2 == 0; }

void futex_wait(const std::atomic<uint32_t>& word, uint32_t expected) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}

void futex_wake(const std::atomic<uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

// Makes it nobody's, and sees to it that somebody comes.
void pass(uint64_t number) {
  if (!turn.compare_exchange_strong(number, 0)) return;
  passed.fetch_add(1);
  if (idle.load() == 0)
    more_workers(more_workers_context);
  else
    futex_wake(passed);
}

// The watcher's look. Only a worker that waits for a call as it did a tick ago is nothing to see.
bool look_at_turn() {
  static uint64_t last = 0;
  const uint64_t now = turn.load();
  if (now == 0 && idle.load() == 0) more_workers(more_workers_context);
  if (now == last && is_working(now)) pass(now);
  const bool same = now == last && now % 2 == 1;
  last = now;
  return !same;
}

std::once_flag watched;

}  // namespace

bool start_turns(bool (*add_worker)(void*), void* context) {
  more_workers = add_worker;
  more_workers_context = context;
  return add_worker(context);
}

bool take_turn() {
  std::call_once(watched, [] { watch(Pace::tick, look_at_turn); });
  bool counted = false;
  for (;;) {
    const uint32_t seen = passed.load();
    uint64_t nobody = 0;
    const uint64_t number = waiting_number();
    if (turn.compare_exchange_strong(nobody, number)) {
      mine = number;
      if (counted) idle.fetch_sub(1);
      return true;
    }
    if (!counted && idle.fetch_add(1) >= kIdleWorkers) {
      idle.fetch_sub(1);
      return false;
    }
    counted = true;
    futex_wait(passed, seen);
  }
}

void begin_turn_work() {
  mine = working_number();
  turn.store(mine);
  wake_watcher();
}

bool keep_turn() {
  uint64_t before = mine;
  const uint64_t number = waiting_number();
  if (!turn.compare_exchange_strong(before, number)) {
    mine = 0;
    return false;
  }
  mine = number;
  return true;
}

void pass_turn() {
  if (mine == 0) return;
  pass(mine);
  mine = 0;
}

}  // namespace holdfast
