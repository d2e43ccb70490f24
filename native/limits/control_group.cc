#include "control_group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

namespace holdfast {
namespace {

// These files are made anew for each read from their beginning.
std::string read_from_start(const UniqueFd& file) {
  char text[1024];
  const ssize_t size = file ? pread(file.get(), text, sizeof text, 0) : 0;
  return std::string(text, size > 0 ? static_cast<size_t>(size) : 0);
}

// Of lines as "oom_kill 3". cgroup-v2.rst: more of them may come, in any order.
int64_t entry(const std::string& text, const char* name) {
  const std::string key = std::string(name) + ' ';
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    if (text.compare(at, key.size(), key) == 0) return atoll(text.c_str() + at + key.size());
    if (text.find('\n', at) == std::string::npos) break;
  }
  return 0;
}

}  // namespace

int ControlGroup::open(const std::string& path) {
  path_ = path;
  folder_.reset(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder_) return errno;
  events_.reset(openat(folder_.get(), "memory.events", O_RDONLY | O_CLOEXEC));
  return events_ || errno == ENOENT ? 0 : errno;  // it has no memory controller if nobody has asked for that
}

bool ControlGroup::has_run_out_of_memory() const {
  if (!events_) return false;
  const std::string text = read_from_start(events_);
  return entry(text, "oom") > 0 && entry(text, "oom_kill") > 0;
}

int64_t ControlGroup::peak() const {
  for (const char* const name : {"memory.peak", "memory.current"}) {
    const UniqueFd file(openat(folder_.get(), name, O_RDONLY | O_CLOEXEC));
    if (file) return atoll(read_from_start(file).c_str());
  }
  return 0;
}

void ControlGroup::remove() {
  if (folder_) rmdir(path_.c_str());
}

}  // namespace holdfast
