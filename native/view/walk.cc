#include "walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "../policy/config.h"
#include "../policy/decide.h"
#include "creds.h"

namespace holdfast {
namespace {

constexpr int kMostLinks = 40;       // MAXSYMLINKS, linux/namei.h
constexpr size_t kMostDepth = 4096;  // of names that are climbed: far beyond what programs make

int pin_name(int directory, const char* name, int flags) {
  const int fd = ::openat(directory, name, O_PATH | O_CLOEXEC | flags);
  return fd < 0 ? -errno : fd;
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

// The name under which `child` stands in `directory`. 0 or a positive errno.
int name_in(int directory, const struct stat& child, std::string& out) {
  const int fd = reopen(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -fd;
  std::unique_ptr<DIR, CloseDirectory> list(::fdopendir(fd));
  if (!list) {
    const int error = errno;
    ::close(fd);
    return error;
  }
  // A mount point's entry carries the number of what it covers, so a second pass asks each one.
  for (const bool ask : {false, true}) {
    ::rewinddir(list.get());
    while (const dirent* entry = ::readdir(list.get())) {
      if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
      if (!ask && entry->d_ino != child.st_ino) continue;
      struct stat st;
      if (::fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (st.st_dev != child.st_dev || st.st_ino != child.st_ino) continue;
      out = entry->d_name;
      return 0;
    }
  }
  return ENOENT;
}

}  // namespace

int error_at(Sandbox& sandbox, const Held& call, const std::string& place, int error) {
  if (error == ENOENT) {
    const Ruling ruling = ruling_where_nothing_is(sandbox.config, place);
    if (!ruling.silent) report_denied_name(sandbox, call, ruling.error, ruling.rule, place);
    return ruling.error;
  }
  Facts facts;
  facts.paths[0] = {place, 0, false};
  facts.path_count = 1;
  const AsSupervisor own(call);
  const Decision decision = decide(sandbox, call, facts);
  return decision.allowed() ? error : decision.error;
}

int long_name(int fd, std::string& out) {
  std::string below;
  UniqueFd here(pin_name(fd, ".", O_DIRECTORY));
  if (!here) return ENAMETOOLONG;  // a file has no way up; whoever knows its directory puts the name together
  for (size_t depth = 0; depth < kMostDepth; depth++) {
    const int error = canonical_name(here.get(), out);
    if (error == 0) {
      if (out.size() != 1) out += '/';
      out += below;
      return 0;
    }
    if (error != ENAMETOOLONG) return error;
    struct stat st;
    if (::fstat(here.get(), &st) != 0) return errno;
    const int up = pin_name(here.get(), "..", O_DIRECTORY);
    if (up < 0) return -up;
    std::string name;
    if (const int lost = name_in(up, st, name); lost != 0) {
      ::close(up);
      return ENAMETOOLONG;
    }
    if (!below.empty()) name += '/';
    below.insert(0, name);
    here.reset(up);
  }
  return ENAMETOOLONG;
}

std::string Walk::name_of(const Component& component) const {
  return here_name_.size() == 1 ? here_name_ + component.name : here_name_ + "/" + component.name;
}

int Walk::fail_at(const Component& component, int error) {
  if (error == ENOTDIR) return not_a_directory();
  if (error != ENOENT && error != ELOOP) return error;
  return error_at(sandbox_, call_, name_of(component), error);
}

// Of what the walk has come to.
int Walk::not_a_directory() {
  return is_nameless(here_name_) ? ENOTDIR : error_at(sandbox_, call_, here_name_, ENOTDIR);
}

bool Walk::take(Component& out) {
  const size_t start = rest_.find_first_not_of('/');
  if (start == std::string::npos) return false;
  size_t end = rest_.find('/', start);
  if (end == std::string::npos) end = rest_.size();
  out.name.assign(rest_, start, end - start);
  out.slash_after = end != rest_.size();
  out.last = rest_.find_first_not_of('/', end) == std::string::npos;
  rest_.erase(0, end);
  return true;
}

int Walk::go_to(UniqueFd next, const Component* by_name) {
  const std::string known = by_name == nullptr ? std::string() : name_of(*by_name);
  here_ = static_cast<UniqueFd&&>(next);
  int error = canonical_name(here_.get(), here_name_);
  if (error == ENAMETOOLONG && !known.empty()) {
    here_name_ = known;
    error = 0;
  }
  if (error == ENAMETOOLONG) error = long_name(here_.get(), here_name_);
  if (error == 0 && !sandbox_.config.leads.empty()) error = be_led();
  if (error != 0) return error;
  in_proc_ = is_procfs(here_.get());
  if (!in_proc_) return 0;
  met_proc_ = true;
  place_ = look_at_proc(sandbox_, call_, here_name_);
  if (place_.error == EACCES)
    report(sandbox_, call_, EACCES, "another process's memory, or a process that lets nobody look", here_name_);
  // What anybody could see of a process outside is just not there; who asks for what is its own is up to no good.
  const size_t entry = rest_.find_first_not_of('/');
  if (place_.error == ENOENT && entry != std::string::npos && !is_harmless(std::string_view(rest_).substr(entry)))
    report(sandbox_, call_, ENOENT, "a process outside the sandbox", here_name_ + "/" + rest_.substr(entry));
  return place_.error;
}

// What rules name there is where it says.
int Walk::be_led() {
  const Config& config = sandbox_.config;
  const Lead* const lead = config.lead_of(here_name_);
  if (lead == nullptr || here_name_ != lead->from) return 0;
  const size_t start = rest_.find_first_not_of('/');
  if (start != rest_.npos) {
    const std::string next = rest_.substr(start, rest_.find('/', start) - start);
    if (next != "." && next != ".." && config.lead_of(here_name_ + "/" + next) == nullptr) return 0;
  }
  const int to = pin_name(AT_FDCWD, lead->to.c_str(), O_DIRECTORY | O_NOFOLLOW);
  if (to < 0) return -to;
  here_.reset(to);
  met_proc_ = out_.led = true;
  return canonical_name(to, here_name_);
}

int Walk::go_to_root() {
  const int root = pin_name(AT_FDCWD, "/", O_DIRECTORY);
  return root < 0 ? -root : go_to(UniqueFd(root));
}

int Walk::run(UniqueFd base, std::string_view text) {
  rest_ = text;
  int error = text[0] == '/' && (how_ & RESOLVE_BENEATH) == 0 ? go_to_root() : go_to(static_cast<UniqueFd&&>(base));
  if (error == 0 && (how_ & RESOLVE_BENEATH) != 0 && ::fstat(here_.get(), &base_) != 0) error = errno;
  if (text.find_first_not_of('/') == std::string_view::npos && (flags_ & kParent) != 0 && error == 0) {
    out_.last = Last::root;
    out_.name = "/";
    out_.path = here_name_;
    out_.parent = static_cast<UniqueFd&&>(here_);
    return 0;
  }
  Component component;
  while (error == 0 && !done_ && take(component)) {
    slash_after_ = component.slash_after;
    error = component.last && (flags_ & kParent) != 0 ? end_at_parent(component) : step(component);
  }
  if (error != 0 || done_) return error;
  return end_here();
}

int Walk::step(const Component& component) {
  if (component.name == "." || component.name == "..") {
    struct stat st;
    if ((how_ & RESOLVE_BENEATH) != 0 && component.name == ".." &&
        (::fstat(here_.get(), &st) != 0 || (st.st_dev == base_.st_dev && st.st_ino == base_.st_ino)))
      return EXDEV;
    const std::string* above = nullptr;
    if (component.name == ".." && out_.led)
      for (const Lead& lead : sandbox_.config.leads)
        if (lead.to == here_name_) above = &lead.from;
    // Who came by that name goes back to where that stands.
    const int next =
        above == nullptr
            ? pin_name(here_.get(), component.name.c_str(), O_DIRECTORY)
            : pin_name(AT_FDCWD, above->substr(0, std::max<size_t>(above->rfind('/'), 1)).c_str(), O_DIRECTORY);
    return next == -ENOTDIR ? not_a_directory() : next < 0 ? -next : go_to(UniqueFd(next));
  }
  int next;
  if (in_proc_ && place_.own) {
    AsSupervisor own(
        call_);  // a process that has changed its ids is root's in /proc, and yet reads its own (fs/proc/fd.c)
    next = pin_name(here_.get(), component.name.c_str(), O_NOFOLLOW);
  } else {
    // Not only what lies below "fd" and its like: some of these names themselves are only there for who may look.
    AsOnlooker look(in_proc_ && place_.process && !is_harmless(component.name));
    next = pin_name(here_.get(), component.name.c_str(), O_NOFOLLOW);
  }
  if (next == -ENOENT && component.last && (flags_ & kMayMiss) != 0) return end_missing(component);
  if (next < 0) return fail_at(component, -next);
  UniqueFd object(next);
  struct stat st;
  if (::fstat(next, &st) != 0) return errno;
  const bool must_follow = !component.last || component.slash_after || (flags_ & kFollow) != 0;
  if (S_ISLNK(st.st_mode) && must_follow) return follow(component, static_cast<UniqueFd&&>(object));
  if (component.last && in_proc_ && place_.root && S_ISLNK(st.st_mode)) {
    if (component.name == "self") out_.link_text = std::to_string(call_.tgid());
    if (component.name == "thread-self")
      out_.link_text = std::to_string(call_.tgid()) + "/task/" + std::to_string(call_.tid);
  }
  const int error = go_to(static_cast<UniqueFd&&>(object), &component);
  return error == 0 && !component.last ? go_through() : error;
}

// What is not there leads nowhere.
int Walk::go_through() {
  const auto hides = [&](const Config& by) { return by.rules.hides(here_name_); };
  return sandbox_.config.any_says(hides) ? error_at(sandbox_, call_, here_name_, ENOENT) : 0;
}

int Walk::follow(const Component& component, UniqueFd link) {
  if (++links_ > kMostLinks || (how_ & RESOLVE_NO_SYMLINKS) != 0) return fail_at(component, ELOOP);
  if ((flags_ & kOwnLinks) != 0 && sandbox_.config.rules.look(name_of(component)).name.effect == Effect::allow) {
    report(sandbox_, call_, EACCES, "a hook's redirect follows no link where the tree may write", name_of(component));
    return EACCES;
  }
  if (in_proc_ && place_.root && component.name == "self") return follow_text(std::to_string(call_.tgid()));
  if (in_proc_ && place_.root && component.name == "thread-self")
    return follow_text(std::to_string(call_.tgid()) + "/task/" + std::to_string(call_.tid));
  if (in_proc_ && place_.process) {
    const std::string name = name_of(component);
    const ProcPlace place = look_at_proc(sandbox_, call_, name);
    if (place.error == EACCES)
      report(sandbox_, call_, EACCES, "another process's memory, or a process that lets nobody look", name);
    if (place.error != 0) return place.error;
    if (is_magic_link(place.entry)) return jump(component, place);
  }
  char text[PATH_MAX];
  const ssize_t n = ::readlinkat(link.get(), "", text, sizeof text);
  if (n < 0) return errno;
  if (n == 0) return ENOENT;
  if (n == sizeof text) return ENAMETOOLONG;
  return follow_text({text, static_cast<size_t>(n)});
}

int Walk::follow_text(std::string_view text) {
  if (text[0] == '/' && (how_ & RESOLVE_BENEATH) != 0) return EXDEV;
  rest_.insert(0, text);
  return text[0] == '/' ? go_to_root() : 0;
}

// A link to an object: no text is read, the kernel hands out what is there.
int Walk::jump(const Component& component, const ProcPlace& link) {
  if ((how_ & RESOLVE_NO_MAGICLINKS) != 0) return ELOOP;
  if ((how_ & (RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_NO_XDEV)) != 0) return EXDEV;
  int next;
  if (link.own) {
    AsSupervisor own(call_);
    next = pin_name(here_.get(), component.name.c_str(), 0);
  } else {
    AsOnlooker look;
    next = pin_name(here_.get(), component.name.c_str(), 0);
  }
  if (next < 0) return -next;
  UniqueFd object(next);
  if (!call_.still_held()) return ESRCH;
  const bool own = link.own;
  const int descriptor = descriptor_of(link.entry);
  const std::string text = name_of(component);
  if (const int error = go_to(static_cast<UniqueFd&&>(object)); error != 0) return error;
  if (!component.last || component.slash_after) return 0;
  out_.by_descriptor = is_nameless(here_name_);
  if (!own) return 0;
  out_.reached_by = descriptor;
  out_.magic_link = text;
  return 0;
}

int Walk::end_at_parent(const Component& component) {
  done_ = true;
  out_.must_be_directory = component.slash_after;
  out_.name = component.name;
  out_.last = component.name == "." || component.name == ".." ? Last::dots : Last::name;
  struct stat st;
  if (::fstat(here_.get(), &st) != 0) return errno;
  if (!S_ISDIR(st.st_mode)) return not_a_directory();
  if (out_.last != Last::name) {
    out_.path = here_name_;
    out_.parent = static_cast<UniqueFd&&>(here_);
    return 0;
  }
  const int object = pin_name(here_.get(), component.name.c_str(), O_NOFOLLOW);
  if (object == -ENOENT && (flags_ & kMayMiss) != 0) return end_missing(component);
  if (object < 0) return fail_at(component, -object);
  out_.object.reset(object);
  out_.path = name_of(component);
  out_.parent = static_cast<UniqueFd&&>(here_);
  if (!in_proc_) return 0;
  const ProcPlace place = look_at_proc(sandbox_, call_, out_.path);
  if (place.error == EACCES)
    report(sandbox_, call_, EACCES, "another process's memory, or a process that lets nobody look", out_.path);
  return place.error;
}

int Walk::end_missing(const Component& component) {
  done_ = true;
  out_.missing = true;
  out_.must_be_directory = component.slash_after;
  out_.name = component.name;
  out_.path = name_of(component);
  out_.parent = static_cast<UniqueFd&&>(here_);
  return 0;
}

int Walk::end_here() {
  if (slash_after_ && !out_.by_descriptor) {
    struct stat st;
    if (::fstat(here_.get(), &st) != 0) return errno;
    if (!S_ISDIR(st.st_mode)) return not_a_directory();
    out_.must_be_directory = true;
  }
  out_.guarded = in_proc_ && place_.guarded;
  out_.own_descriptors = in_proc_ && place_.own && (place_.entry == "fd" || place_.entry == "fdinfo");
  out_.path = here_name_;
  out_.object = static_cast<UniqueFd&&>(here_);
  return 0;
}

}  // namespace holdfast
