// The names that the tree can change, standing still for a moment: all renames, removals and links of the tree are made
// by the supervisor. A call that is judged by names and done by them must find them as they were, and a bound unix
// socket keeps the very text that bind() was given, so that one call must walk the caller's own text.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <mutex>
#include <shared_mutex>

#include "../call/held.h"

namespace holdfast {

inline std::shared_timed_mutex names_guard;

// Around a rename, a removal, or a new link, from the last look at what was judged to the call itself. No folder of the
// tree is moved meanwhile, and nothing else changes an entry on this file system; another one, which may be slow, is
// not waited for. Whoever moves a folder is alone, since what lies below it gets other names, on other file systems
// too.
class ChangesNames {
 public:
  ChangesNames(const Held& call, dev_t device, bool moves_folder = false);
  // False if the caller died while something slow was waited for.
  bool held() const { return held_; }

 private:
  std::shared_lock<std::shared_timed_mutex> folders_{names_guard, std::defer_lock};
  std::unique_lock<std::timed_mutex> entries_;
  std::unique_lock<std::shared_timed_mutex> alone_{names_guard, std::defer_lock};
  bool held_ = false;
};

// While it lives and `held`, the tree renames and removes nothing. It is not held if a change takes long.
class NamesStandStill {
 public:
  bool held() const { return lock_.owns_lock(); }

 private:
  std::unique_lock<std::shared_timed_mutex> lock_{names_guard, std::chrono::milliseconds(100)};
};

}  // namespace holdfast
