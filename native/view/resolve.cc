#include "resolve.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "../paths/mounts.h"
#include "../policy/config.h"
#include "../policy/violation.h"
#include "creds.h"
#include "fs_context.h"
#include "proc_view.h"
#include "walk.h"

namespace holdfast {
namespace {

int proc_fd = -1;
int self_fds = -1;
bool have_openat2 = false;  // an old container profile may refuse it: then every path is walked step by step

// Descriptor or -errno.
int pin(int base, const char* path, uint64_t flags, uint64_t how) {
  const open_how request = {flags | O_PATH | O_CLOEXEC, 0, how};
  const long fd = ::syscall(SYS_openat2, base, path, &request, sizeof request);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

// What says something about us and nothing about the path.
bool is_our_own_trouble(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == EINTR || error == EAGAIN;
}

constexpr int kLonger = -1;  // nothing is known yet: the longer way is to be taken

// One path on its way through the kernel.
class Resolution {
 public:
  Resolution(Sandbox& sandbox, const Held& call, int dirfd, unsigned flags, uint64_t how, Resolved& out)
      : sandbox_(sandbox), call_(call), dirfd_(dirfd), flags_(flags), how_(how), out_(out) {}

  // `text` has `size` bytes and a NUL, and room to be changed.
  int run(char* text, size_t size);

 private:
  bool absolute() const { return text_[0] == '/' && (how_ & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) == 0; }
  // A scoped walk refuses magic links by itself, with an error of its own.
  uint64_t kernel_how() const {
    return (how_ & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) != 0 ? how_ : how_ | RESOLVE_NO_MAGICLINKS;
  }
  int pin_and_name(const char* text, std::string_view name, uint64_t flags, UniqueFd& out);
  int pin_base();
  int open_base();
  int in_folder();
  int where_it_stands();
  int descriptor_itself();
  int existing();
  int parent();
  int missing(size_t size, bool plain);
  int missing_in_folder();
  int step_by_step(int kernel_error);
  int fail(int error);
  bool speaks_of_proc() const;
  // Where relative paths begin.
  int base() const { return stands_ ? AT_FDCWD : base_.get(); }
  bool name_below(std::string_view path);
  bool needs_no_folder() const;
  bool hides_anything() const;
  bool needs_steps() const { return may_show_ || needs_own_walk(sandbox_.config, out_.path); }

  Sandbox& sandbox_;
  const Held& call_;
  const int dirfd_;
  const unsigned flags_;
  const uint64_t how_;
  Resolved& out_;
  char* text_ = nullptr;
  size_t size_ = 0;
  UniqueFd base_;
  bool stands_ = false;       // in the caller's folder: there is no `base_`
  bool met_no_link_ = false;  // up to what is not there
  bool may_show_ = false;     // the kernel may have gone through what is hidden
};

int Resolution::fail(int error) {
  if (!call_.was_held()) return out_.error = ESRCH;
  if (error == kUnreachable) {
    report(sandbox_, call_, EACCES, "it is on a file system that is mounted nowhere (any more): it has no name");
    return out_.error = EACCES;
  }
  if (error == EMFILE) {
    report(sandbox_, call_, ENFILE, "the supervisor has no descriptor left (RLIMIT_NOFILE)");
    error = ENFILE;
  }
  return out_.error = error;
}

// Whether the caller was held is still to be asked.
int Resolution::pin_base() {
  if (dirfd_ < 0 && dirfd_ != AT_FDCWD) return EBADF;
  const CallerEntry entry(call_, dirfd_);
  AsSupervisor own(call_);
  base_.reset(::openat(proc_fd, entry.text, O_PATH | O_CLOEXEC));
  return base_ ? 0 : errno;
}

int Resolution::open_base() {
  const int error = pin_base();
  if (!call_.still_held()) return ESRCH;
  if (error == EACCES || error == EPERM)
    report(
        sandbox_, call_, error,
        "the caller's folder cannot be seen by the supervisor, which has no CAP_SYS_PTRACE: its ids are not all alike");
  return error == ENOENT && dirfd_ != AT_FDCWD ? EBADF : error;
}

int Resolution::descriptor_itself() {
  if (const int error = open_base(); error != 0) return fail(error);
  int error = canonical_name(base_.get(), out_.path);
  if (error == ENAMETOOLONG) error = long_name(base_.get(), out_.path);
  if (error != 0) return fail(error);
  out_.by_descriptor = is_nameless(out_.path);
  out_.object = static_cast<UniqueFd&&>(base_);
  return 0;
}

// Our own /proc/self is not the caller's, so anything with such a name in it goes step by step at once.
bool Resolution::speaks_of_proc() const {
  if (text_[0] != '/' || (text_[1] != 'p' && sandbox_.config.leads.empty())) return false;
  return needs_own_walk(sandbox_.config, {text_, size_});
}

int Resolution::run(char* text, size_t size) {
  text_ = text;
  size_ = size;
  if (size == 0) return (flags_ & kEmptyPath) != 0 ? descriptor_itself() : fail(ENOENT);
  if (size >= PATH_MAX) return fail(ENAMETOOLONG);
  if (!absolute()) {
    const bool plain = how_ == 0 && have_openat2 && (flags_ & kOwnLinks) == 0;
    stands_ = plain && stand_in(call_, dirfd_);
    if (plain && (flags_ & kParent) == 0 && is_one_name({text_, size_})) {
      if (const int error = stands_ ? where_it_stands() : in_folder(); error != kLonger) return error;
    }
    if (!stands_) {
      if (const int error = open_base(); error != 0) return fail(error);
    }
  }
  if ((flags_ & kOwnLinks) != 0) return step_by_step(0);
  if (!have_openat2) return how_ != 0 ? fail(ENOSYS) : step_by_step(0);
  if (how_ == 0 && speaks_of_proc()) return step_by_step(0);
  return (flags_ & kParent) != 0 ? parent() : existing();
}

// Where rules let the name be looked at and nobody else is asked, the answer is known.
bool Resolution::needs_no_folder() const {
  constexpr unsigned kBoth = kOnlyLook | kMayMiss;
  return (flags_ & kBoth) == kBoth && !sandbox_.config.hooked(call_.row->event) && sandbox_.config.shows(out_.path);
}

// One name in a folder of the caller: one walk leads there and on to the name, which is not followed, so nothing that
// the tree could have put there leads anywhere else. 0, a positive errno, or kLonger.
int Resolution::in_folder() {
  const CallerName path(call_, dirfd_, {text_, size_});
  UniqueFd object(::openat(proc_fd, path.text, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!object) return errno == ENOENT ? missing_in_folder() : kLonger;
  if (!call_.still_held()) return fail(ESRCH);
  if ((flags_ & kFollow) != 0) {
    if (::syscall(SYS_fstat, object.get(), &out_.status) != 0 || S_ISLNK(out_.status.st_mode)) return kLonger;
  }
  if (canonical_name(object.get(), out_.path) != 0 || needs_own_walk(sandbox_.config, out_.path)) return kLonger;
  out_.has_status = (flags_ & kFollow) != 0;
  out_.object = static_cast<UniqueFd&&>(object);
  return 0;
}

// The canonical name of what is below the folder in which this thread stands.
bool Resolution::name_below(std::string_view path) {
  if (!name_of_stand(out_.path) || needs_own_walk(sandbox_.config, out_.path)) return false;
  if (out_.path.size() != 1) out_.path += '/';
  out_.path += path;
  return true;
}

// The same for one name in the folder in which this thread stands.
int Resolution::where_it_stands() {
  const bool follows = (flags_ & kFollow) != 0, no_object = (flags_ & kAttributes) != 0;
  UniqueFd object;
  int error = 0;
  if (no_object) {
    if (::fstatat(AT_FDCWD, text_, &out_.status, AT_SYMLINK_NOFOLLOW) != 0) error = errno;
  } else {
    object.reset(::openat(AT_FDCWD, text_, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!object || (follows && ::syscall(SYS_fstat, object.get(), &out_.status) != 0)) error = errno;
  }
  if ((error != 0 && error != ENOENT) || !name_below({text_, size_}) || needs_own_walk(sandbox_.config, out_.path))
    return kLonger;
  if (error == ENOENT) {
    out_.missing = true;
    if (needs_no_folder()) return 0;
    if (!call_.was_held()) return fail(ESRCH);
    if ((flags_ & kMayMiss) == 0) return fail(error_at(sandbox_, call_, out_.path, ENOENT));
    out_.name.assign(text_, size_);
    out_.parent.reset(::openat(AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    return out_.parent ? 0 : fail(errno);
  }
  // Its folder may have been moved since the look, and it out of that.
  if (object && (flags_ & kContents) != 0 && sandbox_.config.is_movable(out_.path) &&
      canonical_name(object.get(), out_.path) != 0)
    return kLonger;
  // What stands under a terminal's name is told from others by its number.
  if (no_object && out_.path.starts_with("/dev/pts/")) return kLonger;
  if (follows && S_ISLNK(out_.status.st_mode)) return kLonger;
  if (!call_.was_held()) return fail(ESRCH);
  out_.has_status = follows || no_object;
  out_.object = static_cast<UniqueFd&&>(object);
  return 0;
}

int Resolution::missing_in_folder() {
  const std::string_view name(text_, size_);
  struct stat st;
  if (pin_base() != 0 || canonical_name(base_.get(), out_.path) != 0 || needs_own_walk(sandbox_.config, out_.path) ||
      ::fstatat(base_.get(), text_, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
    return kLonger;
  if (out_.path.size() != 1) out_.path += '/';
  out_.path += name;
  if (needs_own_walk(sandbox_.config, out_.path)) return kLonger;
  if (needs_no_folder()) {
    out_.missing = true;
    return 0;
  }
  if (!call_.still_held()) return fail(ESRCH);
  if ((flags_ & kMayMiss) == 0) return fail(error_at(sandbox_, call_, out_.path, ENOENT));
  out_.missing = true;
  out_.name = name;
  out_.parent = static_cast<UniqueFd&&>(base_);
  return 0;
}

bool Resolution::hides_anything() const {
  return sandbox_.config.any_says([](const Config& by) { return by.rules.hides_anything(); });
}

// Pins `text` and fills in its canonical name; `name` is the text without slashes at its end. 0 or a positive errno:
// the kernel's, or kNoName with a pinned object.
constexpr int kNoName = 0x10000;
int Resolution::pin_and_name(const char* text, std::string_view name, uint64_t flags, UniqueFd& out) {
  // To ask for a name costs as much as the walk, so that is saved where the walk itself can tell.
  if (how_ == 0 && is_plain(sandbox_, name)) {
    const int fd = open_plain(text, static_cast<int>(flags) | O_PATH | O_CLOEXEC);
    if (fd >= 0) {
      out.reset(fd);
      if ((flags_ & kContents) == 0 || !sandbox_.config.is_movable(name)) {
        out_.path = name;
        return 0;
      }
      const int error = canonical_name(fd, out_.path);
      return error == 0 ? 0 : error == ENAMETOOLONG ? kNoName : error;
    }
    met_no_link_ = fd == -ENOENT;
    if (fd != -ELOOP) return -fd;
  }
  if (stands_ && is_clean(name)) {
    const int fd = open_plain_below(AT_FDCWD, text, static_cast<int>(flags) | O_PATH | O_CLOEXEC);
    if (fd >= 0) {
      out.reset(fd);
      if (name_below(name) && ((flags_ & kContents) == 0 || !sandbox_.config.is_movable(out_.path))) return 0;
      const int error = canonical_name(fd, out_.path);
      return error == 0 ? 0 : error == ENAMETOOLONG ? kNoName : error;
    }
    met_no_link_ = fd == -ENOENT;
    if (fd != -ELOOP) return -fd;
  }
  const int fd = pin(base(), text, flags, kernel_how());
  if (fd < 0) return -fd;
  out.reset(fd);
  // By a link or `..`, which leave nothing of it in the name. (Of a root of the caller's own no walk of ours is one.)
  if (name != "." && name != "/" && (how_ & RESOLVE_IN_ROOT) == 0) may_show_ = may_show_ || hides_anything();
  const int error = canonical_name(fd, out_.path);
  return error == 0 ? 0 : error == ENAMETOOLONG ? kNoName : error;
}

int Resolution::existing() {
  UniqueFd object;
  const int error = pin_and_name(text_, {text_, size_}, (flags_ & kFollow) != 0 ? 0 : O_NOFOLLOW, object);
  if (error == kNoName) return step_by_step(0);
  bool plain_missing = error == ENOENT && met_no_link_;
  if (plain_missing) {
    if (!absolute())
      plain_missing = name_below({text_, size_});
    else
      out_.path.assign(text_, size_);
    if (plain_missing && needs_no_folder()) {
      out_.missing = true;
      return 0;
    }
  }
  if (!call_.was_held()) return fail(ESRCH);
  if (error != 0) {
    if (object || is_our_own_trouble(error)) return fail(error);
    return error == ENOENT ? missing(size_, plain_missing) : step_by_step(error);
  }
  if (needs_steps()) return step_by_step(0);
  out_.must_be_directory = text_[size_ - 1] == '/';
  out_.object = static_cast<UniqueFd&&>(object);
  out_.base = static_cast<UniqueFd&&>(base_);
  return 0;
}

int Resolution::parent() {
  size_t end = size_;
  while (end > 0 && text_[end - 1] == '/') end--;
  size_t start = end;
  while (start > 0 && text_[start - 1] != '/') start--;
  const std::string_view name(text_ + start, end - start);
  if (name.empty()) {
    out_.last = Last::root;
    out_.name = "/";
  } else {
    out_.last = name == "." || name == ".." ? Last::dots : Last::name;
    out_.name = name;
  }
  out_.must_be_directory = end != size_;

  const char after = text_[start];
  text_[start] = '\0';
  const char* directory = start != 0 ? text_ : name.empty() ? "/" : ".";
  int error;
  if (start == 0 && how_ == 0 && out_.last == Last::name && stands_) {
    out_.parent.reset(::openat(AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    error = !out_.parent ? errno : name_of_stand(out_.path) ? 0 : canonical_name(out_.parent.get(), out_.path);
    if (error == ENAMETOOLONG) error = kNoName;
  } else if (start == 0 && how_ == 0 && out_.last == Last::name && base_) {
    out_.parent = static_cast<UniqueFd&&>(base_);
    error = canonical_name(out_.parent.get(), out_.path);
    if (error == ENAMETOOLONG) error = kNoName;
  } else {
    error = pin_and_name(directory, {directory, start > 1 ? start - 1 : 1}, O_DIRECTORY, out_.parent);
  }
  text_[start] = after;
  if (!call_.was_held()) return fail(ESRCH);
  if (error == kNoName) return step_by_step(0);
  if (error != 0) return out_.parent || is_our_own_trouble(error) ? fail(error) : step_by_step(error);
  if (needs_steps()) return step_by_step(0);
  if (out_.last == Last::dots && hides_anything()) return step_by_step(0);
  if (out_.last != Last::name) return 0;
  if (out_.path.size() != 1) out_.path += '/';
  out_.path += out_.name;
  out_.object.reset(::openat(out_.parent.get(), out_.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  error = out_.object ? 0 : errno;
  if (error == ENOENT && (flags_ & kMayMiss) != 0) {
    out_.missing = true;
    return 0;
  }
  if (error == ENOTDIR && start == 0) return step_by_step(error);
  if (error == ENAMETOOLONG && hides_anything()) return step_by_step(error);
  return error == 0 ? 0 : fail(error);
}

// The kernel said ENOENT. Finds the place: the deepest directory that is there, and the first name that is not.
// `plain`: and that no link is on the way to it.
int Resolution::missing(size_t size, bool plain) {
  bool last = true;
  size_t end = size;
  for (;;) {
    while (end > 0 && text_[end - 1] == '/') end--;
    size_t start = end;
    while (start > 0 && text_[start - 1] != '/') start--;
    if (start == end) return step_by_step(ENOENT);
    const char at_start = text_[start], at_end = text_[end];
    text_[end] = '\0';
    out_.name = text_ + start;
    text_[end] = at_end;
    text_[start] = '\0';
    const int error =
        pin_and_name(start == 0 ? "." : text_, {text_, start > 1 ? start - 1 : start}, O_DIRECTORY, out_.parent);
    text_[start] = at_start;
    if (error == ENOENT && start != 0 && !out_.parent) {
      last = false;
      end = start;
      continue;
    }
    if (error != 0) return step_by_step(ENOENT);
    break;
  }
  // Whatever else it may be (a dangling link, a name that has just come, something in /proc) needs the longer way.
  if (out_.name == "." || out_.name == "..") return step_by_step(ENOENT);
  if (needs_steps()) return step_by_step(ENOENT);
  struct stat st;
  if (!(plain && last) &&
      (::fstatat(out_.parent.get(), out_.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT))
    return step_by_step(ENOENT);
  if (out_.path.size() != 1) out_.path += '/';
  out_.path += out_.name;
  if (last && (flags_ & kMayMiss) != 0) {
    out_.missing = true;
    out_.must_be_directory = text_[size_ - 1] == '/';
    return 0;
  }
  return fail(error_at(sandbox_, call_, out_.path, ENOENT));
}

// The caller's walk, not ours. `kernel_error` is what the kernel said to us, 0 if it had no say.
int Resolution::step_by_step(int kernel_error) {
  if (stands_ && !absolute()) {
    base_.reset(::openat(AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!base_) return fail(errno);
  }
  if (!call_.was_held()) return fail(ESRCH);
  if (how_ != 0 && kernel_error != 0) {
    // Of a walk with conditions the kernel's answer counts, but not that it tells what may not be looked at.
    const bool hides = kernel_error != ELOOP && hides_anything();
    if (kernel_error != ENOTDIR && kernel_error != ELOOP && !(kernel_error == ENAMETOOLONG && hides))
      return fail(kernel_error);
    Resolved found;
    const int error = Walk(sandbox_, call_, flags_, 0, found).run(static_cast<UniqueFd&&>(base_), {text_, size_});
    const bool counts = error == EACCES || error == sandbox_.config.ungranted || (error == ENOENT && hides);
    return fail(counts ? error : kernel_error);
  }
  if ((how_ & RESOLVE_IN_ROOT) != 0) return fail(EXDEV);                    // a root of its own with a procfs in it
  if (!base_ && !absolute()) base_ = static_cast<UniqueFd&&>(out_.parent);  // where parent() found nothing nearer
  out_.parent.reset();
  out_.object.reset();
  Walk walk(sandbox_, call_, flags_, how_, out_);
  const int error = walk.run(static_cast<UniqueFd&&>(base_), {text_, size_});
  if (error != 0) return fail(error);
  // Where no procfs was on the way, the kernel's own walk was right and knows more than ours (protected_symlinks,
  // nosymfollow); only what is missing may be missing.
  if (kernel_error != 0 && !walk.met_proc() && !(kernel_error == ENOENT && out_.missing)) {
    // Unless the name has come in between, which the next look-up would see.
    return fail(kernel_error);
  }
  return 0;
}

bool ends_with_deleted(std::string_view name) { return name.ends_with(" (deleted)"); }

// The kernel appends it to what has no name any more, but a name may also end so.
bool is_really_named(int fd, const std::string& name) {
  struct stat named, object;
  return ::fstatat(AT_FDCWD, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 && ::fstat(fd, &object) == 0 &&
         named.st_dev == object.st_dev && named.st_ino == object.st_ino;
}

// A message queue is on a mount that is nobody's to see, and judged by its descriptor (mq_overview(7)).
bool is_queue(int fd) {
  constexpr long kMagic = 0x19800202;  // MQUEUE_MAGIC, ipc/mqueue.c
  struct statfs system;
  return ::fstatfs(fd, &system) == 0 && system.f_type == kMagic;
}

}  // namespace

const struct stat* Resolved::look() const {
  if (!has_status) has_status = object && ::syscall(SYS_fstat, object.get(), &status) == 0;  // libc's takes longer
  return has_status ? &status : nullptr;
}

FdName::FdName(int fd) { *std::to_chars(text, text + sizeof text - 1, fd).ptr = '\0'; }

FdPath::FdPath(int fd) {
  static constexpr std::string_view kPrefix = "/proc/self/fd/";
  std::memcpy(text, kPrefix.data(), kPrefix.size());
  *std::to_chars(text + kPrefix.size(), text + sizeof text - 1, fd).ptr = '\0';
}

CallerEntry::CallerEntry(const Held& call, int fd) {
  char* at = std::to_chars(text, text + 12, call.tid).ptr;
  if (fd == AT_FDCWD) {
    std::memcpy(at, "/cwd", 5);
    return;
  }
  std::memcpy(at, "/fd/", 4);
  *std::to_chars(at + 4, text + sizeof text - 1, fd).ptr = '\0';
}

CallerName::CallerName(const Held& call, int fd, std::string_view name) {
  char* at = ::stpcpy(text, CallerEntry(call, fd).text);
  *at++ = '/';
  *std::copy(name.begin(), name.end(), at) = '\0';
}

int open_self_fd_directory() {
  if (self_fds >= 0) return 0;
  proc_fd = ::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (proc_fd < 0) return errno;
  if (!is_procfs(proc_fd)) return ENOENT;
  self_fds = ::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (self_fds < 0) return errno;
  if (const int error = watch_mounts(); error != 0) return error;
  const int probe = pin(AT_FDCWD, "/", O_DIRECTORY, 0);
  have_openat2 = probe >= 0;
  if (probe >= 0) ::close(probe);
  return 0;
}

int self_fd_directory() { return self_fds; }

int proc_directory() { return proc_fd; }

int shown_name(int fd, std::string& out) {
  char buffer[PATH_MAX];
  const ssize_t n = ::readlinkat(self_fds, FdName(fd).text, buffer, sizeof buffer);
  if (n < 0) return errno;
  out.assign(buffer, static_cast<size_t>(n));
  if (is_nameless(out)) return 0;
  if (ends_with_deleted(out) && !is_really_named(fd, out)) out.resize(out.size() - std::strlen(" (deleted)"));
  return 0;
}

int canonical_name(int fd, std::string& out) {
  if (const int error = shown_name(fd, out); error != 0) return error;
  return is_nameless(out) || is_on_a_mount(fd) || is_queue(fd) ? 0 : kUnreachable;
}

bool is_one_name(std::string_view path) {
  return !path.empty() && path.size() <= NAME_MAX && path != "." && path != ".." && path.find('/') == path.npos;
}

bool is_clean(std::string_view path) {
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = end + 1;
  }
  return true;
}

bool is_plain(const Sandbox& sandbox, std::string_view text) {
  if (!have_openat2 || text.empty() || text[0] != '/') return false;
  return (text.size() == 1 || is_clean(text.substr(1))) && !needs_own_walk(sandbox.config, text);
}

Folder::Folder(const Held& call, int dirfd, For what)
    : call_(call),
      dirfd_(dirfd),
      stood_in_(have_openat2 && (what == For::looking || stays_in(call, dirfd)) && stand_in(call, dirfd)) {}

bool Folder::name(const Sandbox& sandbox, std::string_view path, std::string& out) const {
  if (stood_in_) {
    if (!name_of_stand(out)) return false;
  } else if (pinned_) {
    if (canonical_name(pinned_.get(), out) != 0) return false;
  } else {
    char buffer[PATH_MAX];
    const ssize_t size = ::readlinkat(proc_fd, CallerEntry(call_, dirfd_).text, buffer, sizeof buffer);
    if (size <= 0 || static_cast<size_t>(size) == sizeof buffer) return false;
    out.assign(buffer, static_cast<size_t>(size));
    if (ends_with_deleted(out)) return false;
  }
  if (out.empty() || out[0] != '/' || needs_own_walk(sandbox.config, out)) return false;
  if (out.size() != 1) out += '/';
  out += path;
  return true;
}

int Folder::look(const char* name, struct stat& out) const {
  if (stood_in_) return ::fstatat(AT_FDCWD, name, &out, AT_SYMLINK_NOFOLLOW);
  return ::fstatat(proc_fd, CallerName(call_, dirfd_, name).text, &out, AT_SYMLINK_NOFOLLOW);
}

int Folder::pin_below(const Sandbox& sandbox, std::string_view path, int flags, std::string& out) const {
  if (stood_in_) {
    const int fd = open_plain_below(AT_FDCWD, path.data(), flags | O_PATH | O_CLOEXEC);
    if (fd < 0) return fd;
    UniqueFd object(fd);
    return name(sandbox, path, out) ? object.release() : -ELOOP;
  }
  char text[PATH_MAX];
  const int size = std::snprintf(text, sizeof text, "%s/%s", CallerEntry(call_, dirfd_).text, path.data());
  if (size < 0 || static_cast<size_t>(size) >= sizeof text) return -ELOOP;
  UniqueFd object(::openat(proc_fd, text, flags | O_PATH | O_CLOEXEC));
  if (!object) return -errno;
  if (const int error = canonical_name(object.get(), out); error != 0) return -error;
  const bool without_links =
      out.size() > path.size() && out.ends_with(path) && out[out.size() - path.size() - 1] == '/';
  return without_links && !needs_own_walk(sandbox.config, out) ? object.release() : -ELOOP;
}

int Folder::base() {
  if (stood_in_) return AT_FDCWD;
  if (dirfd_ < 0 && dirfd_ != AT_FDCWD) return -EBADF;
  AsSupervisor own(call_);
  pinned_.reset(::openat(proc_fd, CallerEntry(call_, dirfd_).text, O_PATH | O_DIRECTORY | O_CLOEXEC));
  return pinned_ ? pinned_.get() : -errno;
}

int reopen(int pinned, int flags) {
  const int fd = ::openat(self_fds, FdName(pinned).text, flags | O_NOCTTY);
  return fd < 0 ? -errno : fd;
}

int resolve(Sandbox& sandbox, const Held& call, Arg dirfd_kind, Arg path_kind, unsigned flags, Resolved& out) {
  char text[PATH_MAX];
  const ssize_t size = call.read_string(call.arg(path_kind), text, sizeof text);
  if (size < 0) return out.error = static_cast<int>(-size);
  const int dirfd = call.has(dirfd_kind) ? call.fd(dirfd_kind) : AT_FDCWD;
  return Resolution(sandbox, call, dirfd, flags, 0, out).run(text, static_cast<size_t>(size));
}

int resolve_text(Sandbox& sandbox, const Held& call, int dirfd, std::string_view given, unsigned flags, Resolved& out,
                 uint64_t how) {
  if (given.size() >= PATH_MAX) return out.error = ENAMETOOLONG;
  char text[PATH_MAX];
  std::memcpy(text, given.data(), given.size());
  text[given.size()] = '\0';
  return Resolution(sandbox, call, dirfd, flags, how, out).run(text, std::strlen(text));
}

int resolve_below(Sandbox& sandbox, const Held& call, int base, std::string_view text, unsigned flags, Resolved& out,
                  uint64_t how) {
  UniqueFd start(::openat(base, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!start) return out.error = errno;
  return out.error = Walk(sandbox, call, flags, how, out).run(static_cast<UniqueFd&&>(start), text);
}

int resolve_fd(Sandbox& sandbox, const Held& call, int fd, Resolved& out) {
  if (fd < 0) return out.error = EBADF;
  char none[1] = {};
  return Resolution(sandbox, call, fd, kEmptyPath, 0, out).run(none, 0);
}

}  // namespace holdfast
