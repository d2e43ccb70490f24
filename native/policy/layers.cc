#include "layers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string_view>
#include <utility>

#include "../call/sandbox.h"
#include "../channel/channel.h"
#include "../paths/plain.h"
#include "../protocol/tlv.h"
#include "../syscalls/guards.h"
#include "name_filter.h"

namespace holdfast {
namespace {

using protocol::Event, protocol::kMetadata, protocol::kRead, protocol::kWrite;

// A rule costs some microseconds of the start.
constexpr size_t kMostGrants = 512;
// So many are told; whoever removes them sees the rest.
constexpr size_t kMostObstacles = 8;

std::atomic<bool> names_changed{false};

bool is_at_or_below(std::string_view path, std::string_view folder) {
  return path == folder || lies_below(path, folder);
}

// As if / came before every other byte, so that what lies in a folder follows it at once.
bool before(std::string_view a, std::string_view b) {
  const auto [in_a, in_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (in_a == a.end() || in_b == b.end()) return in_a == a.end() && in_b != b.end();
  const auto rank = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c); };
  return rank(*in_a) < rank(*in_b);
}

// A path as it is told: all obstacles together must have room in one record.
std::string quoted(std::string_view path) {
  constexpr size_t kMost = 200;
  return "'" + (path.size() > kMost ? std::string(path.substr(0, kMost)) + "…" : std::string(path)) + "'";
}

std::string quoted(std::string_view label, std::string_view path) {
  return std::string(label) + " (" + quoted(path) + ")";
}

// What a path names, with no link on its way: another sandbox's tree may be at work there. Negative: there is none.
int open_named(const std::string& path) {
  const int opened = open_plain(path.c_str(), O_PATH | O_CLOEXEC);
  if (opened != -ENOSYS && opened != -EPERM) return opened;
  UniqueFd fd(open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  char link[32], name[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd.get());
  const ssize_t size = readlink(link, name, sizeof name);
  return size > 0 && path == std::string_view(name, static_cast<size_t>(size)) ? fd.release() : -ELOOP;
}

class Planner {
 public:
  Planner(const Config& config, const Confinement& wall, long abi) : config_(config), wall_(wall), abi_(abi) {
    config.rules.for_paths([&](const Rules::Ruled& ruled) {
      for (int i = 0; i < kRights; i++) {
        if (ruled.effect[i] == Effect::none) continue;
        (ruled.effect[i] == Effect::allow ? allows_ : denies_)[i].push_back(
            {std::string(ruled.path), ruled.label[i], ruled.data});
      }
    });
    for (const Rules::Pattern& rule : config.rules.patterns())
      for (int i = 0; i < kRights; i++)
        if ((rule.access >> i & 1) != 0)
          (rule.effect == Effect::allow ? allow_patterns_ : deny_patterns_)[i].push_back(&rule);
    for (int i = 0; i < kClassCount; i++) out_.plan.push_back({to_string(static_cast<Class>(i)), Layer::perform, {}});
    out_.abi = abi;
    for (const ExecRules::Rule& rule : config.exec.files())
      for (int i = 0; i < kRights; i++)
        if ((rule.access & 1 << i) != 0)
          for (const std::string& folder : rule.folders)
            by_descent_[i].push_back({folder.empty() ? "/" : folder, rule.label.c_str(), false});
    for (auto* lists : {&allows_, &denies_})
      for (auto& list : *lists)
        std::sort(list.begin(), list.end(), [](const Rule& a, const Rule& b) { return a.path < b.path; });
  }

  Layers plan() {
    metadata();
    places(kReadIndex, read_);
    executables();
    const bool write_known = places(kWriteIndex, write_);
    opens(write_known);
    make();
    network();
    let_go_on();
    grant();
    for (int event = 0; event < static_cast<int>(protocol::kEventCount); event++)
      if (config_.hooked(static_cast<Event>(event))) out_.left.hear(static_cast<Event>(event));
    out_.left.umask = !makes_files();
    out_.left.listings = !config_.rules.hides_anything();
    held();
    return std::move(out_);
  }

 private:
  static constexpr int kReadIndex = 0, kWriteIndex = 1, kMetadataIndex = 3, kRights = 4;

  struct Rule {
    std::string path;
    const char* label;
    bool data;
  };
  // Pinned when it is looked at: what is granted is what was seen there.
  struct Place {
    std::string path;
    UniqueFd fd;
    struct stat status;
    bool folder() const { return S_ISDIR(status.st_mode); }
  };
  // What Landlock would have to grant for one right; and why it cannot.
  struct Places {
    std::vector<Place> granted;
    std::vector<Obstacle> obstacles;
    std::vector<const Rules::Pattern*> told;
  };

  void object(std::vector<Obstacle>& to, std::string why, std::string change) {
    Obstacle obstacle{std::move(why), std::move(change)};
    if (to.size() < kMostObstacles && std::find(to.begin(), to.end(), obstacle) == to.end())
      to.push_back(std::move(obstacle));
  }

  // The first rule of a sorted list that lies below a path, or null.
  static const Rule* below(const std::vector<Rule>& rules, const std::string& path) {
    const std::string start = path == "/" ? "/" : path + "/";
    const auto at = std::upper_bound(rules.begin(), rules.end(), start,
                                     [](const std::string& value, const Rule& rule) { return value < rule.path; });
    return at != rules.end() && at->path.starts_with(start) ? &*at : nullptr;
  }

  static bool covers(const std::vector<Place>& places, std::string_view path) {
    return std::any_of(places.begin(), places.end(),
                       [&](const Place& place) { return place.folder() && is_at_or_below(path, place.path); });
  }

  // A process's own entries, by whichever name, and those of others.
  bool is_of_process(std::string_view path, std::string_view mount) const {
    if (path == mount || !is_at_or_below(path, mount)) return false;
    const std::string_view first = path.substr(mount.size() + 1, path.find('/', mount.size() + 1) - mount.size() - 1);
    return first == "self" || first == "thread-self" || (first[0] >= '0' && first[0] <= '9');
  }

  // Why Landlock cannot have the words for a rule that allows, whatever stands there.
  bool can_be_said(const Rule& rule, int right, Places& out) {
    for (const std::string& mount : config_.proc_mounts) {
      if (is_of_process(rule.path, mount))
        return object(out.obstacles,
                      quoted(rule.label, rule.path) +
                          " is another folder for each process, and Landlock cannot tell its own from others'",
                      is_default(rule) ? "policy.defaults: { proc: false }"
                                       : "a policy without " + std::string(rule.label)),
               false;
      if (is_at_or_below(mount, rule.path))
        return object(out.obstacles,
                      quoted(rule.label, rule.path) + " holds " + mount + ", where other processes are never shown",
                      "folders beside " + mount + " in place of " + std::string(rule.label)),
               false;
    }
    if (const Rule* of_some = denied_to_some(right, rule.path))
      return object(out.obstacles,
                    quoted(of_some->label, of_some->path) +
                        " is refused to some callers, and Landlock does not know whom a process descends from",
                    "a policy without " + std::string(of_some->label)),
             false;
    if (const Rule* inner = below(denies_[right], rule.path))
      return object(out.obstacles,
                    quoted(inner->label, inner->path) + " lies in " + quoted(rule.label, rule.path) +
                        ": Landlock grants folders as a whole",
                    "a policy without " + std::string(inner->label)),
             false;
    if (const Rules::Pattern* inner = denied_within(right, rule.path)) {
      // Of one pattern that is told once: it may be in the way of all that is given.
      if (std::find(out.told.begin(), out.told.end(), inner) == out.told.end())
        object(out.obstacles,
               shown(*inner) + " may refuse something in " + quoted(rule.label, rule.path) +
                   ": Landlock knows no patterns",
               "plain paths, or folders where it matches nothing");
      out.told.push_back(inner);
      return false;
    }
    return true;
  }

  // The first pattern that may deny that folder or file, or something in it, or null.
  const Rules::Pattern* denied_within(int right, std::string_view path) const {
    for (const Rules::Pattern* rule : deny_patterns_[right])
      if (rule->names.may_match_within(path)) return rule;
    return nullptr;
  }

  // As somebody has written it, or nearly so.
  static std::string shown(const Rules::Pattern& rule) {
    return quoted(rule.label, (rule.folder == "/" ? "" : rule.folder) + "/" + rule.text);
  }

  // The first rule that refuses something at, above or below a path to some callers, or null.
  const Rule* denied_to_some(int right, std::string_view path) const {
    for (const Rule& rule : by_descent_[right])
      if (is_at_or_below(rule.path, path) || is_at_or_below(path, rule.path)) return &rule;
    return nullptr;
  }

  static bool is_default(const Rule& rule) { return std::string_view(rule.label) == "defaults"; }

  bool find(const std::string& path, Place& out) {
    out.path = path;
    const int fd = open_named(path);
    out.fd.reset(fd);
    no_descriptor_ |= fd == -EMFILE || fd == -ENFILE;
    return out.fd && fstat(out.fd.get(), &out.status) == 0 && !S_ISLNK(out.status.st_mode);
  }

  // One of those: granted, or the reason why not.
  void place(const Rule& rule, int right, Places& out) {
    if (covers(out.granted, rule.path)) return;
    Place found;
    const PathMatch match = config_.rules.look(rule.path);
    const bool changeable = match.name.effect == Effect::allow || match.movable;
    if (!find(rule.path, found)) {
      if (no_descriptor_)
        return object(out.obstacles, "a limit of descriptors leaves too few to look at what Landlock would grant",
                      "a higher RLIMIT_NOFILE (ulimit -n)");
      if (is_default(rule) && match.write.effect != Effect::allow && !changeable) return;  // what some distribution has
      return object(out.obstacles,
                    quoted(rule.label, rule.path) + " is not there yet: Landlock grants what is there at the start",
                    "make it before, or leave out " + std::string(rule.label));
    }
    if (changeable)
      return object(out.obstacles,
                    "the tree may put something else in the place of " + quoted(rule.label, rule.path) +
                        ": Landlock knows files and folders, not names",
                    "the same right to the folder that it stands in");
    if (holds_terminals(found))
      return object(out.obstacles,
                    "opening a terminal in " + quoted(rule.label, rule.path) + " would make it the controlling one",
                    "the devices that are needed in place of " + std::string(rule.label));
    // What everybody may read (a time zone) may have any name, unless that is denied.
    const bool nothing_denied = denies_[right].empty() && deny_patterns_[right].empty();
    if (has_other_names(found.status) && !(is_default(rule) && rule.data && nothing_denied))
      return object(out.obstacles, quoted(rule.label, rule.path) + kOtherNames, kNoOtherNames);
    out.granted.push_back(std::move(found));
  }

  static constexpr char kRecorded[] = "record: true counts what is asked for, and what the kernel decides nobody sees";
  static constexpr char kUnrecorded[] = "record: false";
  static constexpr char kOtherNames[] = " has other names (hard links): Landlock knows files, not names";
  static constexpr char kNoOtherNames[] = "a file with one name, or the folder that all its names stand in";
  static bool has_other_names(const struct stat& status) { return S_ISREG(status.st_mode) && status.st_nlink > 1; }

  // Opened by the kernel alone, a terminal can become the controlling one (open(2), O_NOCTTY). Not memory, /dev/tty and
  // /dev/ptmx.
  static bool holds_terminals(const Place& place) {
    if (S_ISCHR(place.status.st_mode)) {
      const unsigned kind = major(place.status.st_rdev), number = minor(place.status.st_rdev);
      return kind != 1 && (kind != 5 || (number != 0 && number != 2));
    }
    struct statfs system;
    return place.folder() && (is_at_or_below("/dev", place.path) || fstatfs(place.fd.get(), &system) != 0 ||
                              system.f_type == DEVPTS_SUPER_MAGIC);
  }

  bool holds_proc(std::string_view path) const {
    return std::any_of(config_.proc_mounts.begin(), config_.proc_mounts.end(),
                       [&](const std::string& mount) { return is_at_or_below(mount, path); });
  }

  // Whether Landlock can say what the rules say of one right.
  bool places(int right, Places& out) {
    std::vector<const Rule*> said;
    for (const Rule& rule : allows_[right])
      if (can_be_said(rule, right, out)) said.push_back(&rule);
    for (const Rules::Pattern* rule : allow_patterns_[right])
      object(out.obstacles, shown(*rule) + " is a pattern: Landlock grants folders and files as a whole",
             "folders and files in place of " + std::string(rule->label));
    // A folder comes before what lies in it, so that this needs no look. And where not all can be said, only folders
    // with much in them are worth one.
    const bool all = out.obstacles.empty();
    for (const Rule* rule : said) {
      if (all || !is_default(*rule) || !rule->data) place(*rule, right, out);
      if (out.granted.size() > kMostGrants) break;
    }
    if (right == kReadIndex && !config_.command.empty() && !covers(out.granted, config_.command) &&
        config_.rules.look(config_.command).read.effect == Effect::allow) {
      Place found;
      if (find(config_.command, found) && S_ISREG(found.status.st_mode)) {
        if (has_other_names(found.status))
          object(out.obstacles, quoted(config_.command) + kOtherNames, kNoOtherNames);
        else
          out.granted.push_back(std::move(found));
      }
    }
    if (out.granted.size() > kMostGrants)
      object(out.obstacles, "Landlock would need more than " + std::to_string(kMostGrants) + " grants",
             "at most " + std::to_string(kMostGrants) + " places, by folders that hold several");
    return out.obstacles.empty();
  }

  // The kernel reads what is executed in the caller's name, so Landlock grants both together.
  void executables() {
    exec_reads_ = wall_.execute_anywhere;
    if (wall_.execute_anywhere)
      object(read_.obstacles,
             config_.hooked(Event::exec)
                 ? "a hook on exec may allow any program, which the kernel then reads for the tree"
                 : "a pattern in policy.exec allows programs in any folder, which the kernel then reads for the tree",
             config_.hooked(Event::exec) ? "no onExec" : "patterns that begin with a folder");
    for (const Confinement::Place& place : wall_.executable) {
      struct stat status;
      // Where nothing is denied and nobody asked, another name of what may be read under this one shows nothing new;
      // nor does one of what everybody may read, as a program's interpreter.
      const Match reads = config_.rules.look(place.path).read;
      const bool shown = readable(place.path) && denies_[kReadIndex].empty() && deny_patterns_[kReadIndex].empty() &&
                         (!config_.hooked(Event::open) || std::string_view(reads.label) == "defaults");
      const bool others = !shown && !place.folder && (fstat(place.fd.get(), &status) != 0 || has_other_names(status));
      const Rule* of_some = denied_to_some(kReadIndex, place.path);
      if (readable(place.path) && !holds_proc(place.path) && !others && of_some == nullptr) continue;
      exec_reads_ = true;
      if (of_some != nullptr)
        object(read_.obstacles,
               quoted(of_some->label, of_some->path) +
                   " is refused to some callers, and what may be executed Landlock lets be read",
               "a policy without " + std::string(of_some->label));
      if (others) object(read_.obstacles, quoted(place.path) + kOtherNames, kNoOtherNames);
      if (holds_proc(place.path))
        object(read_.obstacles,
               quoted(place.path) + " may be executed and holds a procfs, where other processes are never shown",
               "folders beside it");
      if (readable(place.path) || below(denies_[kReadIndex], place.path) != nullptr ||
          denied_within(kReadIndex, place.path) != nullptr)
        continue;  // told already
      object(read_.obstacles, quoted(place.path) + " may be executed and not read: Landlock grants both together",
             "reading it as well");
    }
  }

  // What nobody would hear of if the kernel decided it.
  void untold(std::vector<Obstacle>& to) {
    if (config_.records) object(to, kRecorded, kUnrecorded);
    if (config_.lets_by)
      object(to, "policy.mode: 'report' tells what rules would refuse, and a refusal by the kernel is one",
             "policy.mode: 'enforce'");
    if (config_.dry)
      object(to, "a dry rule in files.deny tells what it would refuse, and the kernel tells nobody", "no dry rules");
  }

  // What keeps any class held that rules can refuse.
  std::vector<Obstacle> common() {
    std::vector<Obstacle> out;
    if (abi_ < 1) object(out, "this kernel has no Landlock", "a kernel with Landlock (Linux 5.13)");
    if (config_.reports)
      object(out, "somebody listens to 'violation', and a refusal by the kernel is not seen",
             "no listener for 'violation'");
    untold(out);
    if (config_.ungranted != EACCES)
      object(out, "policy.files.ungranted: Landlock answers EACCES", "policy.files.ungranted: 'EACCES'");
    for (const Event event : {Event::rename, Event::link, Event::unlink})
      if (config_.hooked(event))
        object(out, "a hook on " + std::string(to_string(event)) + " may let what is given have another name",
               hook_of(event));
    if (config_.rules.hides_anything())
      object(out, "policy.files.hide: Landlock answers EACCES, and lists what is hidden",
             "a policy without files.hide");
    if (!config_.leads.empty())
      object(out, "policy.tmp: where a name leads, Landlock does not know", "policy.tmp: false");
    if (config_.own_terminals)
      object(out, "policy.scratch: Landlock cannot tell the tree's own terminals from others'",
             "policy.scratch: false");
    return out;
  }

  bool readable(const std::string& path) const {
    return config_.rules.look(path).read.effect == Effect::allow && below(denies_[kReadIndex], path) == nullptr &&
           denied_within(kReadIndex, path) == nullptr;
  }

  bool heard(Event event, uint8_t access) const {
    const auto& list = config_.hooks_of[static_cast<unsigned>(event)];
    return std::any_of(list.begin(), list.end(),
                       [&](uint32_t index) { return (config_.hooks[index].access & access) != 0; });
  }

  // Whether a hook may hear of such a call on the folder or file, or on what lies in it.
  bool may_be_heard(Event event, uint8_t access, std::string_view place) const {
    const auto& list = config_.hooks_of[static_cast<unsigned>(event)];
    return std::any_of(list.begin(), list.end(), [&](uint32_t index) {
      const HookFilter& filter = config_.hooks[index];
      return (filter.access & access) != 0 && filter.names.may_match_within(place);
    });
  }

  void add(ClassPlan& plan, const std::vector<Obstacle>& obstacles) {
    for (const Obstacle& obstacle : obstacles) object(plan.obstacles, obstacle.why, obstacle.change);
  }

  // By then all obstacles are known.
  void settle(Class which, Layer cheapest, bool asked) {
    ClassPlan& plan = out_.of(which);
    plan.layer = asked ? Layer::ask : plan.obstacles.empty() ? cheapest : Layer::perform;
    if (!plan.obstacles.empty() || asked) return;
    out_.left.add(which);
  }

  void metadata() {
    ClassPlan& plan = out_.of(Class::metadata);
    if (abi_ < 1)
      object(plan.obstacles, "without Landlock nothing would keep other processes' links in /proc from the tree",
             "a kernel with Landlock (Linux 5.13)");
    untold(plan.obstacles);
    if (!config_.leads.empty())
      object(plan.obstacles, "policy.tmp: where a name leads, the kernel does not know", "policy.tmp: false");
    const auto& all = allows_[kMetadataIndex];
    if (all.empty() || all.front().path != "/")
      object(plan.obstacles, "the policy does not let everything be looked at, and Landlock has no such right",
             "policy.files.metadata: ['/']");
    for (const Rule& rule : denies_[kMetadataIndex])
      object(plan.obstacles, quoted(rule.label, rule.path) + " refuses a look at its attributes, too",
             "access: ['read', 'write', 'exec'] in " + std::string(rule.label));
    for (const Rules::Pattern* rule : deny_patterns_[kMetadataIndex])
      object(plan.obstacles, shown(*rule) + " refuses a look at attributes, too",
             "access: ['read', 'write', 'exec'] in " + std::string(rule->label));
    for (const Rule& rule : by_descent_[kMetadataIndex])
      object(plan.obstacles, quoted(rule.label, rule.path) + " refuses a look at its attributes to some callers",
             "access: ['read', 'write', 'exec'] in " + std::string(rule.label));
    looks_ = plan.obstacles;
    // Each of its calls is a hook's on its own (Left::heard).
    const Event events[] = {Event::stat, Event::access, Event::readlink, Event::statfs, Event::chdir};
    std::vector<Obstacle> heard;
    bool asked = plan.obstacles.empty();
    for (const Event event : events) {
      if (!config_.hooked(event)) {
        asked = false;
        continue;
      }
      if (plan.obstacles.empty()) object(heard, "a hook hears of " + std::string(to_string(event)), hook_of(event));
    }
    settle(Class::metadata, Layer::filter, asked);
    add(plan, heard);
  }

  void opens(bool writes) {
    const std::vector<Obstacle> all = common();
    const bool read_heard = heard(Event::open, kRead), any_heard = config_.hooked(Event::open);
    const Obstacle hook = {"a hook hears of opens", "no onOpen"};

    ClassPlan& read = out_.of(Class::read);
    add(read, all);
    if (read_heard) object(read.obstacles, "a hook hears of opens for reading", "onOpen with access: 'write'");
    add(read, read_.obstacles);
    settle(Class::read, Layer::landlock, read_heard);

    ClassPlan& write = out_.of(Class::write);
    add(write, all);
    if (any_heard) object(write.obstacles, hook.why, hook.change);
    if (config_.unwritten)
      object(write.obstacles,
             "policy.exec: { written: false } has to know of every file that the tree opens for writing",
             "policy.exec without written: false");
    if (abi_ >= 1 && abi_ < 3)
      object(write.obstacles, "this kernel's Landlock knows nothing of truncation", "Linux 6.2 or newer");
    add(write, write_.obstacles);
    settle(Class::write, Layer::landlock, any_heard);

    ClassPlan& both = out_.of(Class::read_write);
    add(both, write.obstacles);
    // What is made to be read and written is made before it is found out that it may not be read.
    for (const Place& place : write_.granted) {
      if (!writes || readable(place.path)) continue;
      object(both.obstacles, quoted(place.path) + " may be written and not all of it read", "reading it as well");
    }
    settle(Class::read_write, Layer::landlock, any_heard);
  }

  void make() {
    ClassPlan& plan = out_.of(Class::make);
    add(plan, common());
    add(plan, write_.obstacles);
    const bool asked = config_.hooked(Event::mkdir) && config_.hooked(Event::symlink);
    settle(Class::make, Layer::landlock, asked && plan.obstacles.empty());
    if (plan.layer == Layer::landlock || asked) {
      if (config_.hooked(Event::mkdir)) object(plan.obstacles, "a hook hears of mkdir", "no onMkdir");
      if (config_.hooked(Event::symlink)) object(plan.obstacles, "a hook hears of symlink", "no onSymlink");
    }
  }

  // The family of an address lies in memory, so that a call is held for all of them or for none.
  void network() {
    using protocol::kBind, protocol::kConnect;
    addresses(Class::connect, Event::connect, kConnect, "connect");
    addresses(Class::send, Event::send, kConnect, "connect");
    addresses(Class::bind, Event::bind, kBind, "bind");
  }

  void addresses(Class which, Event event, uint8_t operation, const char* field) {
    ClassPlan& plan = out_.of(which);
    const Rules::Reach reach = config_.rules.reach(operation);
    const std::string name = "policy.network." + std::string(field);
    std::string missing;
    const auto miss = [&](bool there, const char* text) {
      if (!there) missing += std::string(missing.empty() ? "" : ", ") + text;
    };
    miss(reach.internet, "'*'");
    miss(reach.paths, "'unix:/'");
    miss(reach.abstract, "'unix:@*'");
    if (!missing.empty())
      object(plan.obstacles, name + " does not give every address, and the kernel tells them apart only in memory",
             name + ": with " + missing + ", too");
    for (const char* const label : reach.denied)
      object(plan.obstacles, std::string(label) + " refuses addresses", "a policy without " + std::string(label));
    for (const Rule& rule : denies_[kWriteIndex])
      object(plan.obstacles, quoted(rule.label, rule.path) + " refuses the unix sockets there, too",
             "access: ['read', 'exec', 'metadata'] in " + std::string(rule.label));
    for (const Rules::Pattern* rule : deny_patterns_[kWriteIndex])
      object(plan.obstacles, shown(*rule) + " refuses the unix sockets there, too",
             "access: ['read', 'exec', 'metadata'] in " + std::string(rule->label));
    for (const Rule& rule : by_descent_[kWriteIndex])
      object(plan.obstacles, quoted(rule.label, rule.path) + " refuses the unix sockets there to some callers",
             "access: ['read', 'exec', 'metadata'] in " + std::string(rule.label));
    untold(plan.obstacles);
    if (plan.obstacles.empty()) out_.every_address |= operation;
    if (!plan.obstacles.empty())
      object(plan.obstacles, "Landlock knows ports of TCP, and neither UDP nor addresses", "");
    // The kernel's walk to a unix socket would be as good as a look at what is on its way.
    for (const Obstacle& obstacle : looks_)
      object(plan.obstacles, "a unix socket's path is walked by the kernel: " + obstacle.why, obstacle.change);
    if (plan.obstacles.empty() && has_other_sockets())
      object(plan.obstacles, "the command is given a socket of a family that no rule can judge",
             "sockets of the internet and unix sockets only in stdio");
    settle(which, Layer::filter, config_.hooked(event));
    if (config_.hooked(event))
      object(plan.obstacles, "a hook hears of " + std::string(to_string(event)), hook_of(event));
  }

  // As the setter is called.
  static std::string hook_of(Event event) {
    std::string name = to_string(event);
    name[0] = static_cast<char>(name[0] - 'a' + 'A');
    return "no on" + name;
  }

  // Of families that the tree can make none of itself (syscalls/guards.cc), among what it inherits.
  static bool has_other_sockets() {
    DIR* const all = opendir("/proc/self/fd");
    if (all == nullptr) return true;
    bool found = false;
    while (const dirent* entry = readdir(all)) {
      int domain;
      socklen_t size = sizeof domain;
      const int fd = atoi(entry->d_name);
      if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) continue;
      found = found || (domain != AF_UNIX && domain != AF_INET && domain != AF_INET6 && domain != AF_NETLINK);
    }
    closedir(all);
    return found;
  }

  // What the engine `kernel` leaves to Landlock, or has refused by number.
  void unheld() {
    const auto add = [&](const char* name, Layer layer, const char* why) {
      out_.plan.push_back({name, layer, {{why, ""}}});
    };
    add("remove", Layer::landlock,
        "the name of a device or a socket in a folder that may be written can be removed, too");
    add("attributes", Layer::filter, "Landlock has no right for attributes, so none is changed");
    add("exec", Layer::landlock, "memory without a file is never executable (memfd_create with MFD_NOEXEC_SEAL)");
    add("signal", Layer::landlock, "to processes of the tree alone, by Landlock's scope");
    for (const auto& [which, operation] :
         {std::pair(Class::connect, protocol::kConnect), std::pair(Class::send, protocol::kConnect),
          std::pair(Class::bind, protocol::kBind)})
      if (!config_.rules.any_address(operation) && !out_.left.has(which))
        out_.of(which) = {to_string(which), Layer::filter, {{"the policy gives no address, so all are refused", ""}}};
  }

  // What no kernel decides as the rules do.
  void held() {
    if (is_nothing_held()) return unheld();
    const auto add = [&](const char* name, std::initializer_list<Event> events, auto... why) {
      const bool asked = std::all_of(events.begin(), events.end(), [&](Event event) { return config_.hooked(event); });
      out_.plan.push_back({name, asked ? Layer::ask : Layer::perform, {{why, ""}...}});
    };
    add("remove", {Event::unlink, Event::rename, Event::link},
        "no rule gives the name of a device, and Landlock cannot tell a device from a file");
    add("attributes", {Event::chmod, Event::chown, Event::utimes, Event::truncate, Event::setxattr, Event::getxattr},
        "Landlock has no right for attributes");
    add("exec", {Event::exec}, "Landlock lets every program in memory (memfd_create) be executed: it has no path",
        "a program that its user may execute and not read would run where the supervisor cannot see into it",
        "a program's ELF interpreter is read by the kernel, and a program of another ABI started, without a question");
    add("signal", {Event::signal}, "a number can come to stand for another process");
  }

  // Held calls in folders that are granted as a whole: none that a hook can hear of, and no right that a program has
  // only to be executed. Whatever the path becomes meanwhile, it leads to one of those or the kernel refuses it, so
  // what may be executed counts as well: the kernel reads that for anybody.
  void let_go_on() {
    const auto& programs = wall_.executable;
    const bool heard = std::any_of(programs.begin(), programs.end(), [&](const Confinement::Place& place) {
      return may_be_heard(Event::open, kRead, place.path);
    });
    // How it ends would not be seen, and what would be refused not told.
    if (std::vector<Obstacle> untold_of; untold(untold_of), !untold_of.empty()) return;
    going_on_[0] = abi_ >= 1 && !exec_reads_ && !heard;
    // Directories that are left to the kernel have it grant the making of files, too.
    going_on_[1] = abi_ >= 3 && !(out_.left.has(Class::make) &&
                                  std::any_of(write_.granted.begin(), write_.granted.end(), [&](const Place& place) {
                                    return may_be_heard(Event::open, kWrite, place.path);
                                  }));
    const auto lift = [&](Class which, uint8_t access, const Places& places) {
      ClassPlan& plan = out_.of(which);
      const bool any = std::any_of(places.granted.begin(), places.granted.end(),
                                   [&](const Place& place) { return goes_on(place, access); });
      if (plan.layer == Layer::perform && any) plan.layer = Layer::go_on;
    };
    lift(Class::read, kRead, read_);
    lift(Class::write, kWrite, write_);
    lift(Class::read_write, kRead | kWrite, write_);
    lift(Class::make, kWrite, write_);
  }

  // Whether files are made by the supervisor, of more than the odd kind.
  bool makes_files() const {
    const auto& allowed = allows_[kWriteIndex];
    const bool any = !config_.hooks.empty() || !allow_patterns_[kWriteIndex].empty() ||
                     !std::all_of(allowed.begin(), allowed.end(), is_default);
    return any && out_.writable.empty() && !out_.left.has(Class::write);
  }

  bool goes_on(const Place& place, uint8_t access) const {
    if (!place.folder()) return false;
    // The kernel would go where the name says.
    if (!config_.leads.empty()) return false;
    if ((access & kWrite) != 0 && config_.unwritten) return false;
    if ((access & kRead) != 0 && (!going_on_[0] || may_be_heard(Event::open, kRead, place.path))) return false;
    return (access & kWrite) == 0 || (going_on_[1] && !may_be_heard(Event::open, kWrite, place.path));
  }

  void grant() {
    const Left& left = out_.left;
    for (Place& place : read_.granted)
      if (left.has(Class::read) || goes_on(place, kRead)) grant(place, kRead);
    for (Place& place : write_.granted) {
      const bool writes = left.has(Class::write) || left.has(Class::make) || goes_on(place, kWrite);
      // What may be written as well as read is opened for both at once.
      const bool reads = left.has(Class::read_write) && !left.has(Class::read);
      if (writes || reads) grant(place, static_cast<uint8_t>((writes ? kWrite : 0) | (reads ? kRead : 0)));
    }
  }

  void grant(Place& place, uint8_t access) {
    if (place.folder()) {
      for (const auto& [right, folders] : {std::pair(kRead, &out_.readable), std::pair(kWrite, &out_.writable)})
        if ((access & right) != 0 && goes_on(place, right))
          folders->add(place.path, place.status.st_dev, place.status.st_ino);
      for (const Event event : {Event::mkdir, Event::symlink})
        if ((access & kWrite) != 0 && may_be_heard(event, kRead | kWrite, place.path)) out_.ask(event);
    }
    Confinement::Grant grant;
    grant.place.folder = place.folder();
    grant.place.fd = std::move(place.fd);
    grant.access = access;
    out_.grants.push_back(std::move(grant));
  }

  const Config& config_;
  const Confinement& wall_;
  const long abi_;
  std::vector<Rule> allows_[kRights], denies_[kRights];
  std::vector<const Rules::Pattern*> allow_patterns_[kRights], deny_patterns_[kRights];
  std::vector<Rule> by_descent_[kRights];  // denials to some callers
  Places read_, write_;
  std::vector<Obstacle> looks_;  // why not everything can be looked at
  bool no_descriptor_ = false;   // to look at a place
  bool exec_reads_ = false;      // Landlock lets be read what the rules let be executed only
  bool going_on_[2] = {};        // held calls that read, that write
  Layers out_;
};

}  // namespace

void GrantedFolders::add(std::string_view path, dev_t device, ino_t inode) {
  if (hold_by_name(path) != nullptr) return;
  const auto at =
      std::upper_bound(folders_.begin(), folders_.end(), path,
                       [](std::string_view value, const Folder& folder) { return before(value, folder.path); });
  folders_.insert(at, {std::string(path), device, inode});
}

const GrantedFolders::Folder* GrantedFolders::hold_by_name(std::string_view path) const {
  auto after =
      std::upper_bound(folders_.begin(), folders_.end(), path,
                       [](std::string_view value, const Folder& folder) { return before(value, folder.path); });
  if (after == folders_.begin()) return nullptr;
  --after;
  return is_at_or_below(path, after->path) ? &*after : nullptr;
}

bool GrantedFolders::hold(std::string_view canonical) const {
  const Folder* folder = hold_by_name(canonical);
  struct stat status;
  return folder != nullptr && stat(folder->path.c_str(), &status) == 0 && status.st_dev == folder->device &&
         status.st_ino == folder->inode;
}

void stop_going_on() { names_changed.store(true); }

bool goes_on_from(const Held& call) { return call.engine == Held::Engine::notify || are_held_by_stops(); }

bool may_go_on(const Config& config, const Held& call, std::string_view canonical, uint8_t access) {
  if (!goes_on_from(call) || !config.layers || config.layers->asks(call.row->event)) return false;
  if (names_changed.load()) return false;
  for (const Config* other = config.narrowed.load(); other != nullptr; other = other->before)
    if (other->limits_files) return false;
  const Layers& layers = *config.layers;
  return ((access & kRead) == 0 || layers.readable.hold(canonical)) &&
         ((access & kWrite) == 0 || layers.writable.hold(canonical));
}

bool gives_every_address(const Config& config, uint8_t operation, Event event) {
  for (const Config* other = config.narrowed.load(); other != nullptr; other = other->before)
    if ((other->limited_operations & operation) != 0) return false;
  return config.layers && (config.layers->every_address & operation) != 0 && !config.hooked(event);
}

void report_plan(Sandbox& sandbox) {
  const Layers& layers = *sandbox.config.layers;
  std::vector<uint8_t> buffer(protocol::kMaxRecord);
  protocol::FieldWriter writer(buffer.data(), buffer.size());
  writer.number(protocol::Tag::count_, layers.abi);
  writer.number(protocol::Tag::engine_, static_cast<int64_t>(engine_in_use()));
  for (const ClassPlan& plan : layers.plan) {
    writer.text(protocol::Tag::plan_, plan.name);
    writer.text(protocol::Tag::plan_, std::to_string(static_cast<int>(plan.layer)));
    writer.text(protocol::Tag::plan_, std::to_string(plan.obstacles.size()));
    for (const Obstacle& obstacle : plan.obstacles) {
      writer.text(protocol::Tag::plan_, obstacle.why);
      writer.text(protocol::Tag::plan_, obstacle.change);
    }
  }
  sandbox.channel.send(protocol::RecordKind::plan, buffer.data(), writer.size());
}

Layers plan_layers(const Config& config, const Confinement& wall, long abi) {
  return Planner(config, wall, abi).plan();
}

}  // namespace holdfast
