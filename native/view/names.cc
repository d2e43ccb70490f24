#include "names.h"

#include <map>

namespace holdfast {
namespace {

// Of one file system. There are few, and they are never forgotten.
std::timed_mutex& entries_of(dev_t device) {
  static std::mutex guard;
  static std::map<dev_t, std::timed_mutex> all;
  const std::lock_guard<std::mutex> hold(guard);
  return all[device];
}

template <typename Lock>
bool take(const Held& call, Lock& lock) {
  while (!lock.try_lock_for(std::chrono::milliseconds(100)))
    if (!call.still_held()) return false;
  return true;
}

}  // namespace

ChangesNames::ChangesNames(const Held& call, dev_t device, bool moves_folder) {
  if (moves_folder) {
    held_ = take(call, alone_);
    return;
  }
  if (!take(call, folders_)) return;
  entries_ = std::unique_lock<std::timed_mutex>(entries_of(device), std::defer_lock);
  held_ = take(call, entries_);
}

}  // namespace holdfast
