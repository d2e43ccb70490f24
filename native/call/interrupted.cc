#include "interrupted.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <mutex>
#include <unordered_map>

namespace holdfast {
namespace {

struct Call {
  int64_t number;
  uint64_t args[6];
};

std::atomic<int> noted{0};  // stands before the look-up
std::mutex guard;
std::unordered_map<pid_t, Call> calls;

}  // namespace

void note_interrupted(const Held& call) {
  Call it = {call.row->number(), {}};
  std::copy(std::begin(call.args), std::end(call.args), std::begin(it.args));
  std::lock_guard<std::mutex> lock(guard);
  if (calls.insert_or_assign(call.tid, it).second) noted.fetch_add(1);
}

void forget_interrupted(pid_t tid) {
  if (noted.load(std::memory_order_acquire) == 0) return;
  std::lock_guard<std::mutex> lock(guard);
  if (calls.erase(tid) != 0) noted.fetch_sub(1);
}

bool was_interrupted(pid_t tid, int64_t number, const uint64_t (&args)[6]) {
  if (noted.load(std::memory_order_acquire) == 0) return false;
  std::lock_guard<std::mutex> lock(guard);
  const auto at = calls.find(tid);
  return at != calls.end() && at->second.number == number &&
         std::equal(std::begin(args), std::end(args), std::begin(at->second.args));
}

}  // namespace holdfast
