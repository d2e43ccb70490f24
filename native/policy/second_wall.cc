#include "second_wall.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <utility>

#include "../arch/arch.h"
#include "../launch/program_file.h"

namespace holdfast {
namespace {

using protocol::kBind, protocol::kConnect, protocol::kExecute, protocol::kRead, protocol::kWrite;

// A rule costs some microseconds. Above this, what lies deepest is widened to the folder above it.
constexpr size_t kMostPlaces = 256;
constexpr size_t kMostPorts = 64;
// Of a folder that holds programs, so many are asked for their ELF interpreter.
constexpr int kSampled = 32;

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == path.npos ? "/" : path.substr(0, slash);
}

class Wall {
 public:
  explicit Wall(const Config& config) : config_(config) {}

  Confinement build() {
    Confinement out;
    if (config_.lets_by) {  // all that a rule could give; what is denied, the wall has no word for
      out.execute_anywhere = out.abstract_sockets = true;
      return out;
    }
    out.execute_anywhere = config_.hooked(Event::exec) || config_.exec.allows_anywhere();  // a hook may allow any
    if (!out.execute_anywhere) {
      add_executable();
      out.executable = take_places();
      out.error = error_;
    }
    // A hook on connect can redirect, too; one on send is asked for what a connection begins with.
    const bool hooked = config_.hooked(Event::connect) || config_.hooked(Event::send);
    if (!hooked) out.connect_ports = ports(kConnect);
    if (!config_.hooked(Event::bind)) out.bind_ports = ports(kBind);
    out.abstract_sockets = hooked || config_.rules.any_abstract(kConnect);
    return out;
  }

 private:
  using Event = protocol::Event;

  void add_executable() {
    add_all(config_.rules.allowed_paths(kExecute));
    if (config_.any_exec) add_all(config_.rules.allowed_paths(kRead));
    for (const Rules::Pattern& rule : config_.rules.patterns())
      if (rule.effect == Effect::allow && (rule.access & (config_.any_exec ? kExecute | kRead : kExecute)) != 0)
        add(rule.folder, rule.label, !config_.any_exec);
    for (const ExecRules::Rule& rule : config_.exec.all())
      if (rule.effect == Effect::allow)
        for (const std::string& folder : rule.folders) add(folder, rule.label, !config_.any_exec);
    if (!config_.command.empty()) add(config_.command, "", !config_.any_exec);
    if (config_.any_exec) return;
    // Programs that are made later are made for one of these.
    const bool x86 = strcmp(arch::kName, "x86_64") == 0;
    add_interpreter(x86 ? "/lib64/ld-linux-x86-64.so.2" : "/lib/ld-linux-aarch64.so.1");
    add_interpreter(x86 ? "/lib/ld-musl-x86_64.so.1" : "/lib/ld-musl-aarch64.so.1");
  }

  // Folders come before what lies in them, so that this is not looked at.
  void add_all(std::vector<Rules::Allowed> rules) {
    std::sort(rules.begin(), rules.end(), [](const auto& a, const auto& b) { return a.path.size() < b.path.size(); });
    for (const Rules::Allowed& rule : rules) add(rule.path, rule.label, !config_.any_exec);
  }

  // Whether another file may come to stand under this name.
  bool may_be_replaced(const std::string& path) const {
    const PathMatch match = config_.rules.look(path);
    return match.name.effect == Effect::allow || match.movable;
  }

  bool in_proc(std::string_view path) const {
    return std::any_of(config_.proc_mounts.begin(), config_.proc_mounts.end(),
                       [&](const std::string& mount) { return path == mount || lies_below(path, mount); });
  }

  // Whether something that was added lies at or above it. What was to be taken for a folder above that one has made
  // that one be taken for it too.
  bool is_covered(std::string path) const {
    if (folders_.empty()) return false;
    for (;; path = parent_of(path)) {
      if (folders_.contains(path)) return true;
      if (path == "/") return false;
    }
  }

  bool may_be_made(const std::string& path) const { return config_.rules.path(path, kWrite).effect == Effect::allow; }

  // Neither devices, nor files that lack the right and are not the tree's to give it.
  bool may_be_executed(const std::string& path, const struct stat& status) const {
    if (S_ISDIR(status.st_mode)) return true;
    if (!S_ISREG(status.st_mode)) return false;
    return (status.st_mode & 0111) != 0 || config_.hooked(Event::chmod) || may_be_made(path);
  }

  // Where there is no descriptor left, a place would be missing without a word.
  UniqueFd opened(int fd) {
    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) error_ = errno;
    return UniqueFd(fd);
  }

  // The place that a rule's name stands for. Landlock knows files and folders, not names: one that the tree may replace
  // by another file is taken for the folder that it lies in, and so is one that is still to come.
  void add(std::string path, std::string_view label, bool with_interpreters) {
    if (in_proc(path) || path.starts_with("/sys/")) return;  // nothing in there is executed under its own name
    // Nor are devices, and what may be executed can be read: a terminal that is opened becomes the controlling one.
    constexpr char kSharedMemory[] = "/dev/shm";
    struct stat memory;
    if (path == "/dev") path = kSharedMemory;
    const bool in_memory = path == kSharedMemory || lies_below(path, kSharedMemory);
    if (lies_below(path, "/dev") && !in_memory) return;
    if (path == kSharedMemory && (lstat(kSharedMemory, &memory) != 0 || !S_ISDIR(memory.st_mode))) return;
    if (!with_interpreters && is_covered(path)) return;
    UniqueFd fd;
    struct stat status = {};
    // Most of the defaults are not there or nothing to execute, so a look comes before anything is opened.
    const auto find = [&] { return lstat(path.c_str(), &status) == 0 && !S_ISLNK(status.st_mode); };
    bool found = find();
    if (found && !may_be_executed(path, status)) return;
    if (!found && label == "defaults" && !may_be_made(path)) return;
    const bool to_come = may_be_made(path);
    for (; path != "/" && may_be_replaced(path); found = false) path = parent_of(path);
    while (!found && !find()) {
      // The defaults name what some distribution has; and everything is too much for one that may never come.
      if (!to_come && (label == "defaults" || parent_of(path) == "/")) return;
      path = parent_of(path);
    }
    fd = opened(open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!fd || fstat(fd.get(), &status) != 0) return;
    if (with_interpreters) {
      if (S_ISREG(status.st_mode)) look_at_program(path.c_str());
      if (S_ISDIR(status.st_mode)) look_at_folder(path);
    }
    if (S_ISDIR(status.st_mode)) folders_.insert(path);
    places_.push_back({path, static_cast<UniqueFd&&>(fd), S_ISDIR(status.st_mode), status.st_dev, status.st_ino});
  }

  // Who may execute a program may execute its ELF interpreter by it, if that may be read.
  void add_interpreter(const std::string& name) {
    if (!interpreters_.insert(name).second) return;
    char canonical[PATH_MAX];
    if (realpath(name.c_str(), canonical) == nullptr) return;
    if (config_.rules.path(canonical, kRead).effect == Effect::allow) add(canonical, "defaults", false);
  }

  void look_at_program(const char* name, int folder = AT_FDCWD) {
    const UniqueFd file = opened(openat(folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC));
    char head[256];
    const ssize_t size = file ? pread(file.get(), head, sizeof head, 0) : -1;
    std::string interpreter;
    if (size < SELFMAG || memcmp(head, ELFMAG, SELFMAG) != 0) return;
    if (read_elf_interpreter(file.get(), head, static_cast<size_t>(size), interpreter) == 0 && !interpreter.empty())
      add_interpreter(interpreter);
  }

  void look_at_folder(const std::string& path) {
    DIR* const all = opendir(path.c_str());
    if (all == nullptr) return;
    int sampled = 0;
    while (const dirent* entry = sampled < kSampled ? readdir(all) : nullptr) {
      if (entry->d_type != DT_REG) continue;
      sampled++;
      look_at_program(entry->d_name, dirfd(all));
    }
    closedir(all);
  }

  // Without those that lie below others, and not too many.
  std::vector<Confinement::Place> take_places() {
    prune();
    while (places_.size() > kMostPlaces) {
      const auto depth = [](const Confinement::Place& place) {
        return std::count(place.path.begin(), place.path.end(), '/');
      };
      ptrdiff_t deepest = 0;
      for (const auto& place : places_) deepest = std::max(deepest, depth(place));
      std::set<std::string> folders;
      for (auto& place : places_)
        if (place.path != "/" && depth(place) == deepest) folders.insert(parent_of(place.path));
      folders_.clear();
      std::erase_if(places_, [&](const auto& place) { return place.path != "/" && depth(place) == deepest; });
      for (const std::string& folder : folders) add(folder, "", false);
      prune();
    }
    return std::move(places_);
  }

  // Ancestors sort before what is below them.
  void prune() {
    std::sort(places_.begin(), places_.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    folders_.clear();
    std::vector<Confinement::Place> kept;
    for (auto& place : places_) {
      if (is_covered(place.path) || (!kept.empty() && kept.back().path == place.path)) continue;
      if (place.folder) folders_.insert(place.path);
      kept.push_back(static_cast<Confinement::Place&&>(place));
    }
    places_ = std::move(kept);
  }

  // Landlock's rules are on ports alone, so any address is as good as the one that a rule names.
  std::optional<std::vector<uint16_t>> ports(uint8_t operation) const {
    std::vector<uint16_t> out;
    for (const auto& [low, high] : config_.rules.allowed_ports(operation)) {
      if (out.size() + (high - low) >= kMostPorts) return std::nullopt;
      for (uint32_t port = low; port <= high; port++) out.push_back(static_cast<uint16_t>(port));
    }
    return out;
  }

  const Config& config_;
  std::vector<Confinement::Place> places_;
  std::set<std::string> folders_;  // of them
  std::set<std::string> interpreters_;
  int error_ = 0;
};

}  // namespace

Confinement second_wall(const Config& config) { return Wall(config).build(); }

}  // namespace holdfast
