#include "own_names.h"

#include <sys/types.h>

#include <charconv>
#include <cstring>

#include "../call/proc_stat.h"

namespace holdfast {
namespace {

// The number at `at`, if it is a whole component; 0 otherwise.
pid_t number(std::string_view name, size_t at, size_t& end) {
  pid_t value = 0;
  const auto read = std::from_chars(name.data() + at, name.data() + name.size(), value);
  end = static_cast<size_t>(read.ptr - name.data());
  return read.ec == std::errc() && (end == name.size() || name[end] == '/') ? value : 0;
}

}  // namespace

bool OwnNames::add(std::string_view mount, std::string_view alias, std::string_view rest) {
  const size_t size = mount.size() + alias.size() + rest.size();
  if (size > sizeof text_[count]) return false;
  char* to = text_[count];
  std::memcpy(to, mount.data(), mount.size());
  std::memcpy(to + mount.size(), alias.data(), alias.size());
  std::memcpy(to + mount.size() + alias.size(), rest.data(), rest.size());
  size_[count++] = size;
  return true;
}

OwnNames::OwnNames(const Config& config, const Held& call, std::string_view name) {
  for (const std::string& mount : config.proc_mounts) {
    if (name.size() < mount.size() + 2 || name.compare(0, mount.size(), mount) != 0 || name[mount.size()] != '/')
      continue;
    size_t end;
    const pid_t process = number(name, mount.size() + 1, end);
    if (process == 0 || process_of_tree(*call.tree, process) == 0) return;
    if (!add(mount, "/self", name.substr(end))) return;
    constexpr std::string_view kTask = "/task/";
    if (name.compare(end, kTask.size(), kTask) != 0) return;
    size_t thread_end;
    if (number(name, end + kTask.size(), thread_end) == call.tid) add(mount, "/thread-self", name.substr(thread_end));
    return;
  }
}

}  // namespace holdfast
