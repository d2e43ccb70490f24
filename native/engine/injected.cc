#include "injected.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace holdfast {
namespace {

// A count stands before the look-up.
std::atomic<int> injections{0};
std::mutex injected_guard;
std::unordered_map<pid_t, Injected> injected;

}  // namespace

void expect_injected(pid_t tid, Injected call) {
  std::lock_guard<std::mutex> lock(injected_guard);
  if (injected.insert_or_assign(tid, std::move(call)).second) injections.fetch_add(1);
}

void expect_nothing(pid_t tid) {
  std::lock_guard<std::mutex> lock(injected_guard);
  if (injected.erase(tid) != 0) injections.fetch_sub(1);
}

bool is_injected(const Held& call, int number) {
  if (injections.load(std::memory_order_acquire) == 0) return false;
  std::lock_guard<std::mutex> lock(injected_guard);
  const auto expected = injected.find(call.tid);
  if (expected == injected.end() || expected->second.number != number) return false;
  const Injected& its = expected->second;
  const bool first = call.args[0] == its.args[0] || (its.at_entry && call.args[0] == its.own_first);
  return first && std::equal(std::begin(call.args) + 1, std::end(call.args), std::begin(its.args) + 1);
}

bool is_hand_over(pid_t tid, int& fd, bool& close_on_exec) {
  std::lock_guard<std::mutex> lock(injected_guard);
  const auto expected = injected.find(tid);
  if (expected == injected.end() || !expected->second.hands_over) return false;
  close_on_exec = expected->second.close_on_exec;
  fd = expected->second.hand_over.get();
  return true;
}

}  // namespace holdfast
