#include "prepared.h"

#include <atomic>
#include <mutex>
#include <unordered_map>

namespace holdfast {
namespace {

struct Prepared {
  int slot, argument;
  uint64_t own;
};

std::mutex guard;  // also of the slots' contents: none is filled that was given back
std::unordered_map<pid_t, Prepared> calls;
std::atomic<size_t> count{0};  // stands before the look-up

}  // namespace

bool prepare_call(pid_t tid, int slot, int argument, uint64_t own) {
  if (count.load() >= kMostPrepared) return false;
  std::lock_guard<std::mutex> lock(guard);
  calls.insert_or_assign(tid, Prepared{slot, argument, own});
  count.store(calls.size());
  return true;
}

void forget_prepared(pid_t tid) {
  if (count.load() == 0) return;
  std::lock_guard<std::mutex> lock(guard);
  calls.erase(tid);
  count.store(calls.size());
}

bool is_prepared(Held& call) {
  if (count.load() == 0) return false;
  std::lock_guard<std::mutex> lock(guard);
  const auto at = calls.find(call.tid);
  if (at == calls.end() || call.args[at->second.argument] != BouncePage::address(at->second.slot)) return false;
  call.args[at->second.argument] = at->second.own;
  return true;
}

bool fill_prepared(const Held& call, BouncePage& page, const Bounce& with) {
  std::lock_guard<std::mutex> lock(guard);
  const auto at = calls.find(call.tid);
  if (at == calls.end() || with.replaced != 1 || with.number >= 0 || with.lends || with.inner_count != 0) return false;
  const Bounce::Replacement& argument = with.replace[0];
  if (call.args[at->second.argument] != at->second.own) return false;
  if (argument.index != at->second.argument || !argument.in_slot || argument.value != 0) return false;
  page.fill(at->second.slot, with.bytes, with.size);
  return true;
}

}  // namespace holdfast
