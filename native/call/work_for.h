// Work for a thread of the tree that no held call of its stands behind.
#pragma once

#include "tree.h"
#include "workers.h"

namespace holdfast {

// While it lives the number is not reaped, if it is in the tree at all (`is_there`).
class WorkFor {
 public:
  WorkFor(const Tree& tree, pid_t tid) {
    begin_work_for(tid);
    is_there = tree.contains(tid);
  }
  ~WorkFor() { end_work(); }
  WorkFor(const WorkFor&) = delete;
  WorkFor& operator=(const WorkFor&) = delete;
  bool is_there;
};

}  // namespace holdfast
