#include "proc_view.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <mutex>
#include <vector>

#include "../call/proc_stat.h"
#include "../call/tree.h"
#include "../policy/config.h"
#include "../protocol/unique_fd.h"
#include "domains.h"

namespace holdfast {
namespace {

bool covers(std::string_view mount, std::string_view path) {
  return path.starts_with(mount) && (path.size() == mount.size() || path[mount.size()] == '/');
}

// True if the numbers in this mount are those of our own pid namespace, and its root is a whole procfs.
bool speaks_our_pids(const std::string& mount) {
  UniqueFd status(::open((mount + "/self/status").c_str(), O_RDONLY | O_CLOEXEC));
  if (!status) return false;
  char text[4096];
  const ssize_t n = ::read(status.get(), text, sizeof text - 1);
  if (n <= 0) return false;
  text[n] = '\0';
  // One number for each pid namespace from the mount's to the process's own (proc(5)); ours is the same if there is
  // one.
  const char* at = std::strstr(text, "\nNSpid:\t");
  if (at == nullptr) return false;
  at += std::strlen("\nNSpid:\t");
  const char* end = std::strchr(at, '\n');
  return end != nullptr && std::none_of(at, end, [](char c) { return c == '\t' || c == ' '; });
}

// The mounts that look_at_proc can judge. Taken once: the tree cannot mount.
const std::vector<std::string>& whole_mounts(const Config& config) {
  static const std::vector<std::string> mounts = [&config] {
    std::vector<std::string> found;
    for (const std::string& mount : config.proc_mounts)
      if (speaks_our_pids(mount)) found.push_back(mount);
    return found;
  }();
  return mounts;
}

pid_t number(std::string_view text) {
  pid_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value > 0 ? value : 0;
}

// Takes the first component off.
std::string_view take(std::string_view& rest) {
  const size_t slash = rest.find('/');
  const std::string_view first = rest.substr(0, slash);
  rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  return first;
}

}  // namespace

// Everything else (environment, descriptors, working directory, mappings) the kernel guards by their ids.
bool is_harmless(std::string_view entry) {
  static constexpr std::string_view kNames[] = {
      "",         "stat",      "statm",     "status",   "cmdline",   "comm",      "task",
      "children", "cgroup",    "cpuset",    "limits",   "oom_score", "oom_adj",   "oom_score_adj",
      "sched",    "schedstat", "wchan",     "loginuid", "mounts",    "mountinfo", "mountstats",
      "net",      "sessionid", "setgroups", "uid_map",  "gid_map",   "autogroup"};
  const std::string_view first = entry.substr(0, entry.find('/'));
  return std::find(std::begin(kNames), std::end(kNames), first) != std::end(kNames);
}

bool is_procfs(int fd) {
  struct statfs fs;
  return ::fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

bool below_proc_mount(const Config& config, std::string_view canonical) {
  for (const std::string& mount : config.proc_mounts)
    if (covers(mount, canonical)) return true;
  return false;
}

bool needs_own_walk(const Config& config, std::string_view canonical) {
  return below_proc_mount(config, canonical) || (!config.leads.empty() && config.lead_of(canonical) != nullptr);
}

pid_t process_of_directory(const Config& config, std::string_view canonical) {
  for (const std::string& mount : whole_mounts(config)) {
    if (!covers(mount, canonical) || canonical.size() == mount.size()) continue;
    const pid_t pid = number(canonical.substr(mount.size() + 1));
    if (pid != 0) return pid;
  }
  return -1;
}

ProcPlace look_at_proc(const Sandbox& sandbox, const Held& call, std::string_view canonical) {
  ProcPlace place;
  const std::string* mount = nullptr;
  for (const std::string& each : whole_mounts(sandbox.config))
    if (covers(each, canonical)) mount = &each;
  if (mount == nullptr) {
    place.error = EACCES;  // a procfs whose numbers mean other processes, or a piece of one somewhere else
    return place;
  }
  std::string_view rest = canonical.substr(mount->size());
  if (!rest.empty()) rest.remove_prefix(1);
  if (rest.empty()) {
    place.root = true;
    return place;
  }
  const pid_t pid = number(take(rest));
  if (pid == 0) return place;
  const pid_t group = process_of_tree(sandbox.tree, pid);
  if (group == 0) {
    place.error = ENOENT;
    return place;
  }
  place.process = true;
  place.own = group == call.tgid();
  pid_t looked_at = pid;
  std::string_view below = rest;
  if (take(below) == "task" && !below.empty()) {
    const pid_t thread = number(take(below));
    if (thread != group && sandbox.tree.group_of(thread) != group) {
      place.error = ENOENT;
      return place;
    }
    rest = below;
    looked_at = thread;
  }
  place.entry = rest;
  place.guarded = !place.own && !is_harmless(rest);
  if (place.guarded && (rest == "mem" || sandbox.tree.hidden(group) || !domain_lets_look(call.tid, looked_at)))
    place.error = EACCES;
  return place;
}

bool is_magic_link(std::string_view entry) {
  return entry == "cwd" || entry == "root" || entry == "exe" || entry.starts_with("fd/") ||
         entry.starts_with("map_files/") || entry.starts_with("ns/");
}

int descriptor_of(std::string_view entry) {
  if (!entry.starts_with("fd/")) return -1;
  entry.remove_prefix(3);
  int value = -1;
  const auto [end, error] = std::from_chars(entry.data(), entry.data() + entry.size(), value);
  return error == std::errc() && end == entry.data() + entry.size() ? value : -1;
}

}  // namespace holdfast
