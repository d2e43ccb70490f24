// The control group that Node has made for the tree and put its first process into: what the kernel tells of it.
#pragma once

#include <cstdint>
#include <string>

#include "../protocol/unique_fd.h"

namespace holdfast {

class ControlGroup {
 public:
  // 0, or a positive errno. Without it nobody would hear of the end that its limit brings.
  int open(const std::string& path);

  // Whether the kernel has killed the tree because memory.max was reached. A parent's limit, or a machine without
  // memory, kills without that.
  bool has_run_out_of_memory() const;

  // The most bytes that it has had; what is there now where the kernel does not say (memory.peak, since Linux 5.19).
  int64_t peak() const;

  // When nobody is in it. If that fails Node tries again.
  void remove();

 private:
  std::string path_;
  UniqueFd folder_, events_;
};

}  // namespace holdfast
