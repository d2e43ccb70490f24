// The names that the tree can change, standing still for a moment. A bound unix socket keeps the very text that bind()
// was given, for getsockname() and for its peers, so that one call must walk the caller's own text; it is safe to walk
// while nothing on the way can come to mean something else. All renames and removals of the tree are made by the
// supervisor.
#pragma once

#include <chrono>
#include <mutex>
#include <shared_mutex>

namespace holdfast {

inline std::shared_timed_mutex names_guard;

// Around a rename or removal that is made for the tree. New names alone change no walk that finds its way already.
class ChangesNames {
 private:
  std::shared_lock<std::shared_timed_mutex> lock_{names_guard};
};

// Around one that is judged by what stands under a name just now: nothing else is renamed or removed meanwhile.
class ChangesNamesAlone {
 private:
  std::unique_lock<std::shared_timed_mutex> lock_{names_guard};
};

// While it lives and `held`, the tree renames and removes nothing. It is not held if a change takes long.
class NamesStandStill {
 public:
  bool held() const { return lock_.owns_lock(); }

 private:
  std::unique_lock<std::shared_timed_mutex> lock_{names_guard, std::chrono::milliseconds(100)};
};

}  // namespace holdfast
