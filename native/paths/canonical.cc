#include "canonical.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>

namespace holdfast {
namespace {

constexpr int kMostLinks = 40;  // MAXSYMLINKS, path_resolution(7)

bool is_number(std::string_view text) { return !text.empty() && text.find_first_not_of("0123456789") == text.npos; }

// The directory of a process, or one in it, if it is in procfs.
bool is_of_process(std::string_view directory) {
  while (!directory.empty()) {
    const size_t slash = directory.rfind('/');
    const std::string_view name = directory.substr(slash + 1);
    if (is_number(name) || name == "self" || name == "thread-self") return true;
    directory = directory.substr(0, slash);
  }
  return false;
}

// `self` and `thread-self` are another directory for each process, and the links of a process lead to what it has open:
// nothing that a rule could mean by their names.
bool is_followed(const std::string& parent, const std::string& place) {
  const std::string_view name = std::string_view(place).substr(parent.size() + 1);
  if (name != "self" && name != "thread-self" && !is_of_process(parent)) return true;
  struct statfs status;
  return statfs(parent.empty() ? "/" : parent.c_str(), &status) != 0 || status.f_type != PROC_SUPER_MAGIC;
}

bool is_of_type(const char* place, long type) {
  struct statfs status;
  return statfs(place, &status) == 0 && status.f_type == type;
}

// sysctls and the files of control groups are no links: proc_sys(5), cgroups(7). Most of the policy's defaults that lie
// deep are of these.
bool has_no_links(const std::string& place) {
  static const bool is_procfs = is_of_type("/proc", PROC_SUPER_MAGIC),
                    is_cgroup = is_of_type("/sys/fs/cgroup", CGROUP2_SUPER_MAGIC);
  return (is_procfs && place.starts_with("/proc/sys/")) || (is_cgroup && place.starts_with("/sys/fs/cgroup/"));
}

}  // namespace

void Canonicaliser::tell(std::string_view place, std::string_view target) {
  targets_[std::string(place)] = target;
  last_ = {};
}

// Most of many rules lie in few folders, and the kernel need not walk to each of those again.
ssize_t Canonicaliser::read_link(const std::string& parent, const std::string& place, char* target, size_t size) {
  constexpr size_t kWorthOpening = 4;
  if (last_.path.empty() || parent != last_.path) return readlink(place.c_str(), target, size);
  if (++last_.asked == kWorthOpening)
    last_.fd.reset(open(parent.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!last_.fd) return readlink(place.c_str(), target, size);
  return readlinkat(last_.fd.get(), place.c_str() + parent.size() + 1, target, size);
}

const std::string& Canonicaliser::target_of(const std::string& parent, const std::string& place) {
  static const std::string none;
  if (links_ == Links::as_told) {
    const auto told = targets_.find(place);
    return told == targets_.end() ? none : told->second;
  }
  const auto [at, is_new] = targets_.try_emplace(place);
  if (!is_new || has_no_links(place)) return at->second;
  // Nothing is in what is not there.
  if (missing_.contains(parent)) {
    missing_.insert(place);
    return at->second;
  }
  char target[PATH_MAX];
  const ssize_t length = read_link(parent, place, target, sizeof target);
  if (length < 0 && errno == ENOENT) missing_.insert(place);
  if (length > 0 && is_followed(parent, place)) at->second.assign(target, static_cast<size_t>(length));
  return at->second;
}

// Most paths of most policies.
bool Canonicaliser::is_canonical(std::string_view path) const {
  constexpr size_t kFew = 32;
  if (links_ != Links::as_told || targets_.size() > kFew) return false;
  if (path.size() < 2 || path.back() == '/' || path.back() == '.') return false;
  if (path.find("//") != path.npos || path.find("/.") != path.npos) return false;
  for (const auto& told : targets_) {
    const std::string& place = told.first;
    if (path.starts_with(place) && (path.size() == place.size() || path[place.size()] == '/')) return false;
  }
  return true;
}

bool Canonicaliser::is_neighbour(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (last_.path.empty() || path.substr(0, slash) != last_.path) return false;
  const std::string_view name = path.substr(slash + 1);
  return !name.empty() && name != "." && name != ".." && target_of(last_.path, std::string(path)).empty();
}

bool Canonicaliser::follow(std::string_view path, CanonicalPath& out, const Trusts& trusts) {
  out = {};
  if (path.empty() || path[0] != '/') return false;
  if (is_canonical(path) || is_neighbour(path)) {
    out.path = path;
    return true;
  }
  std::string left(path);
  std::string at;  // canonical; empty: /
  int links = 0;
  for (size_t next = 0; next < left.size();) {
    const size_t begin = left.find_first_not_of('/', next);
    if (begin == left.npos) break;
    const size_t end = std::min(left.find('/', begin), left.size());
    const std::string_view name(left.data() + begin, end - begin);
    next = end;
    if (name == ".") continue;
    if (name == "..") {
      at.resize(at.empty() ? 0 : at.rfind('/'));
      continue;
    }
    const std::string place = at + "/" + std::string(name);
    const std::string& target = target_of(at, place);
    if (target.empty() || links == kMostLinks) {
      at = place;
      continue;
    }
    if (trusts && !trusts(place)) {
      out.planted.push_back({place, target});
      at = place;
      continue;
    }
    links++;
    std::string rest;
    bool upwards = false;
    for (size_t from = end; from < left.size();) {
      const size_t start = left.find_first_not_of('/', from);
      if (start == left.npos) break;
      from = std::min(left.find('/', start), left.size());
      const std::string_view component(left.data() + start, from - start);
      upwards |= component == "..";
      if (component != ".") rest.append("/").append(component);
    }
    // With `..` in it what follows has no name that begins with the link's.
    out.links.push_back({place, upwards ? "" : rest});
    if (target[0] == '/') at.clear();
    left = target + rest;
    next = 0;
  }
  out.path = at.empty() ? "/" : at;
  const size_t slash = path.rfind('/');
  const bool plain = out.path == path && out.links.empty() && out.planted.empty();
  if (plain && slash != 0 && path.substr(0, slash) != last_.path) last_ = {std::string(path.substr(0, slash)), 0, {}};
  return true;
}

}  // namespace holdfast
