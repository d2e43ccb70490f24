// What a path call says about a file, and what it changes of it beside its contents: stat, statx, access, chmod, chown,
// utimes, statfs and the extended attributes.
#include <fcntl.h>
#include <linux/limits.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "../policy/config.h"
#include "files.h"
#include "files_held.h"

// linux/fcntl.h of newer kernels than the oldest headers that we build with.
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452  // since Linux 6.6, the same on all architectures
#endif

namespace holdfast::families {
namespace {

// One call on one path: its walk, with the caller's rights, and its end if it goes no further.
struct OnPath {
  explicit OnPath(const Held& call, AsCaller::Which which = AsCaller::Which::file_system) : as_caller(call, which) {}
  AsCaller as_caller;
  Resolved at;
  Finish end;

  // Walks. False: `end` is the answer.
  bool found(Sandbox& sandbox, const Held& call, unsigned flags) {
    if (as_caller.error != 0)
      end = failed(call, as_caller.error);
    else if (resolve(sandbox, call, Arg::dirfd, Arg::path, flags | kMayMiss | kOnlyLook, at) != 0)
      end = failed(call, at.error);
    else
      return true;
    return false;
  }

  // Asks, and answers for what is missing. False: `end` is the answer.
  bool permitted(Sandbox& sandbox, const Held& call, Facts facts) {
    if (at.missing) facts.paths[0].access = 0;  // nothing is there that could be changed
    if (!at.by_descriptor && !allowed(sandbox, call, facts, end)) return false;
    if (!at.missing) return true;
    end = Finish::error(ENOENT);
    return false;
  }
};

unsigned follow_unless(bool no) { return no ? 0u : kFollow; }
unsigned follow_by(int at_flags) {
  return follow_unless((at_flags & AT_SYMLINK_NOFOLLOW) != 0) | ((at_flags & AT_EMPTY_PATH) != 0 ? kEmptyPath : 0u);
}

// ---- stat, statx ---------------------------------------------------------------------------------------------------

// Since Linux 6.11 a null pointer is an empty path for them.
bool null_is_empty_path() {
  static const bool it = [] {
    struct stat st;
    return ::syscall(SYS_newfstatat, AT_FDCWD, nullptr, &st, AT_EMPTY_PATH) == 0;
  }();
  return it;
}

// fstat by another name: what the caller has open it may ask about. Found without reading more than a byte of its path.
// 0 or a positive errno.
int asks_about_descriptor(const Held& call, int flags, bool& it_does) {
  it_does = false;
  if ((flags & AT_EMPTY_PATH) == 0) return 0;
  const uint64_t path = call.arg(Arg::path);
  char first = '\0';
  const int error = path == 0 && null_is_empty_path() ? 0 : -call.read(path, &first, 1);
  it_does = first == '\0';
  return error;
}

// 0 or a positive errno.
template <typename Look>
int look_at_descriptor(const Held& call, Look look) {
  const int fd = call.fd(Arg::dirfd);
  AsSupervisor own(call);  // whose descriptor it is has been asked already
  const int error = look(proc_directory(), CallerEntry(call, fd).text) == 0 ? 0 : errno;
  if (!call.still_held()) return ESRCH;
  return error == ENOENT && fd != AT_FDCWD ? EBADF : error;
}

template <typename Result>
Finish put(const Held& call, Arg where, const Result& result) {
  const int error = call.write(call.arg(where), &result, sizeof result);
  return error == 0 ? Finish::answer(0) : failed(call, -error);
}

constexpr int kStatFlags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;

}  // namespace

Finish stat_path(Sandbox& sandbox, Held& call) {
  const int flags = is_call(call, "lstat") ? AT_SYMLINK_NOFOLLOW : at_flags(call);
  if ((flags & ~kStatFlags) != 0) return Finish::error(EINVAL);
  struct stat st;  // the kernel's own layout on both architectures
  bool of_descriptor;
  if (const int error = asks_about_descriptor(call, flags, of_descriptor); error != 0) return failed(call, error);
  if (of_descriptor) {
    const int error = look_at_descriptor(
        call, [&](int base, const char* name) { return ::syscall(SYS_newfstatat, base, name, &st, 0); });
    return error == 0 ? put(call, Arg::buffer, st) : failed(call, error);
  }
  OnPath on(call);
  // A hook may change it meanwhile.
  const bool heard = sandbox.config.hooked(call.row->event);
  if (!on.found(sandbox, call, follow_by(flags) | (heard ? 0u : kAttributes)) ||
      !on.permitted(sandbox, call, facts_of(call, on.at, 0)))
    return static_cast<Finish&&>(on.end);
  if (heard) on.at.has_status = false;
  const struct stat* const found = on.at.look();
  return found == nullptr ? failed(call, errno) : put(call, Arg::buffer, *found);
}

Finish statx_path(Sandbox& sandbox, Held& call) {
  const int flags = at_flags(call);
  if ((flags & ~kStatFlags) != 0) return Finish::error(EINVAL);  // the kernel knows more, for itself alone
  const unsigned mask = static_cast<unsigned>(call.arg(Arg::mask));
  struct statx st;
  bool of_descriptor;
  if (const int error = asks_about_descriptor(call, flags, of_descriptor); error != 0) return failed(call, error);
  if (of_descriptor) {
    const int own = flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);  // the entry in /proc is a link
    const int error = look_at_descriptor(
        call, [&](int base, const char* name) { return ::syscall(SYS_statx, base, name, own, mask, &st); });
    return error == 0 ? put(call, Arg::buffer, st) : failed(call, error);
  }
  OnPath on(call);
  if (!on.found(sandbox, call, follow_by(flags)) || !on.permitted(sandbox, call, facts_of(call, on.at, 0)))
    return static_cast<Finish&&>(on.end);
  if (::syscall(SYS_statx, on.at.object.get(), "", flags | AT_EMPTY_PATH, mask, &st) != 0) return failed(call, errno);
  return put(call, Arg::buffer, st);
}

// ---- access --------------------------------------------------------------------------------------------------------

Finish access_path(Sandbox& sandbox, Held& call) {
  const int mode = static_cast<int>(call.arg(Arg::mode)), flags = at_flags(call);
  if ((mode & ~(R_OK | W_OK | X_OK)) != 0 || (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
    return Finish::error(EINVAL);
  OnPath on(call, (flags & AT_EACCESS) != 0 ? AsCaller::Which::file_system : AsCaller::Which::real);
  if (!on.found(sandbox, call, follow_by(flags))) return static_cast<Finish&&>(on.end);
  uint8_t access = 0;
  if ((mode & R_OK) != 0) access |= kRead;
  if ((mode & W_OK) != 0) access |= kWrite;
  // Of a directory X_OK asks whether it may be walked through, and rules do not speak of that.
  if ((mode & X_OK) != 0 && on.at.look() != nullptr && !S_ISDIR(on.at.look()->st_mode))
    access |= sandbox.config.any_exec ? kRead : kExecute;
  Facts facts = facts_of(call, on.at, access);
  facts.mode = mode;
  if (!on.permitted(sandbox, call, facts)) return static_cast<Finish&&>(on.end);
  // With what this thread wears, which are the ids that the caller asked for.
  return result_of(call, ::syscall(SYS_faccessat2, on.at.object.get(), "", mode,
                                   AT_EMPTY_PATH | AT_EACCESS | (flags & AT_SYMLINK_NOFOLLOW)));
}

// ---- chmod, chown, utimes -------------------------------------------------------------------------------------------

namespace {

Finish change_mode(Sandbox& sandbox, const Held& call, const Resolved& at) {
  const mode_t mode = static_cast<mode_t>(call.arg(Arg::mode)) & 07777;
  struct stat st;
  if (::fstat(at.object.get(), &st) != 0) return failed(call, errno);
  if ((mode & kSetIds) != 0 && !S_ISDIR(st.st_mode)) return forbidden(sandbox, call, EPERM, kSetIdReason, at.path);
  const long result = ::syscall(SYS_fchmodat2, at.object.get(), "", mode, AT_EMPTY_PATH);
  if (result == 0 || (errno != ENOSYS && errno != EPERM)) return result_of(call, result);
  if (S_ISLNK(st.st_mode)) return Finish::error(EOPNOTSUPP);
  // Before Linux 6.6, or where a container's profile does not know the call.
  return result_of(call, ::fchmodat(self_fd_directory(), FdName(at.object.get()).text, mode, 0));
}

Facts facts_of_mode(const Held& call, const Resolved& at) {
  Facts facts = facts_of_part(call, at, Part::attributes);
  facts.mode = static_cast<int64_t>(call.arg(Arg::mode) & 07777);
  const struct stat* const st = (facts.mode & kSetIds) != 0 ? at.look() : nullptr;
  facts.refused_anyway = st != nullptr && !S_ISDIR(st->st_mode);
  return facts;
}

// Walks to the descriptor of an f* call.
bool found_by_fd(Sandbox& sandbox, const Held& call, OnPath& on) {
  if (on.as_caller.error != 0)
    on.end = failed(call, on.as_caller.error);
  else if (resolve_fd(sandbox, call, call.fd(Arg::fd), on.at) != 0)
    on.end = failed(call, on.at.error);
  else
    return true;
  return false;
}

// Our pin is an O_PATH descriptor and knows nothing of the caller's: one of those has no attributes to change (EBADF).
bool is_path_only(const Held& call, int fd) {
  char name[48], text[512];
  std::snprintf(name, sizeof name, "%d/fdinfo/%d", call.tid, fd);
  AsSupervisor own(call);
  UniqueFd info(::openat(proc_directory(), name, O_RDONLY | O_CLOEXEC));
  const ssize_t n = info ? ::read(info.get(), text, sizeof text - 1) : -1;
  if (n <= 0) return false;
  text[n] = '\0';
  const char* flags = std::strstr(text, "flags:\t");
  return flags != nullptr && (std::strtoul(flags + 7, nullptr, 8) & O_PATH) != 0;
}

}  // namespace

Finish chmod_path(Sandbox& sandbox, Held& call) {
  const int flags = at_flags(call);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return Finish::error(EINVAL);
  OnPath on(call);
  if (!on.found(sandbox, call, follow_by(flags)) || !on.permitted(sandbox, call, facts_of_mode(call, on.at)))
    return static_cast<Finish&&>(on.end);
  return change_mode(sandbox, call, on.at);
}

Finish chmod_fd(Sandbox& sandbox, Held& call) {
  OnPath on(call);
  if (!found_by_fd(sandbox, call, on)) return static_cast<Finish&&>(on.end);
  if (is_path_only(call, call.fd(Arg::fd))) return Finish::error(EBADF);
  if (!on.permitted(sandbox, call, facts_of_mode(call, on.at))) return static_cast<Finish&&>(on.end);
  return change_mode(sandbox, call, on.at);
}

namespace {

Facts facts_of_owner(const Held& call, const Resolved& at) {
  Facts facts = facts_of_part(call, at, Part::attributes);
  facts.uid = static_cast<int32_t>(call.arg(Arg::uid));
  facts.gid = static_cast<int32_t>(call.arg(Arg::gid));
  return facts;
}

Finish change_owner(const Held& call, const Resolved& at) {
  return result_of(call, ::fchownat(at.object.get(), "", static_cast<uid_t>(call.arg(Arg::uid)),
                                    static_cast<gid_t>(call.arg(Arg::gid)), AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
}

}  // namespace

Finish chown_path(Sandbox& sandbox, Held& call) {
  const int flags = is_call(call, "lchown") ? AT_SYMLINK_NOFOLLOW : at_flags(call);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return Finish::error(EINVAL);
  OnPath on(call);
  if (!on.found(sandbox, call, follow_by(flags)) || !on.permitted(sandbox, call, facts_of_owner(call, on.at)))
    return static_cast<Finish&&>(on.end);
  return change_owner(call, on.at);
}

Finish chown_fd(Sandbox& sandbox, Held& call) {
  OnPath on(call);
  if (!found_by_fd(sandbox, call, on)) return static_cast<Finish&&>(on.end);
  if (is_path_only(call, call.fd(Arg::fd))) return Finish::error(EBADF);
  if (!on.permitted(sandbox, call, facts_of_owner(call, on.at))) return static_cast<Finish&&>(on.end);
  return change_owner(call, on.at);
}

namespace {

struct Times {
  bool now = false;  // no times given: both are the present
  timespec at[2] = {};
};

// 0 or a negative errno. Each of the four calls has a form of its own.
int read_times(const Held& call, Times& out) {
  const uint64_t from = call.arg(Arg::times);
  out.now = from == 0;
  if (out.now) return 0;
  if (is_call(call, "utimensat")) return call.read(from, out.at, sizeof out.at);
  if (is_call(call, "utime")) {
    utimbuf seconds;
    const int error = call.read(from, &seconds, sizeof seconds);
    out.at[0] = {seconds.actime, 0};
    out.at[1] = {seconds.modtime, 0};
    return error;
  }
  timeval parts[2];
  if (const int error = call.read(from, parts, sizeof parts); error != 0) return error;
  for (int i = 0; i < 2; i++) {
    if (parts[i].tv_usec < 0 || parts[i].tv_usec >= 1'000'000) return -EINVAL;
    out.at[i] = {parts[i].tv_sec, parts[i].tv_usec * 1000};
  }
  return 0;
}

}  // namespace

Finish utimes_path(Sandbox& sandbox, Held& call) {
  Times times;
  if (const int error = read_times(call, times); error != 0) return failed(call, -error);
  // Nothing to do, so not even the path is looked at (utimensat(2)).
  if (!times.now && times.at[0].tv_nsec == UTIME_OMIT && times.at[1].tv_nsec == UTIME_OMIT) return Finish::answer(0);
  const int flags = at_flags(call);
  OnPath on(call);
  // Without a path it is the descriptor's file: futimens(3), and futimesat's own old form.
  if (call.arg(Arg::path) == 0 && call.has(Arg::dirfd) && call.fd(Arg::dirfd) != AT_FDCWD) {
    if (flags != 0) return Finish::error(EINVAL);
    if (on.as_caller.error != 0) return failed(call, on.as_caller.error);
    if (resolve_fd(sandbox, call, call.fd(Arg::dirfd), on.at) != 0) return failed(call, on.at.error);
    if (is_path_only(call, call.fd(Arg::dirfd))) return Finish::error(EBADF);
  } else {
    if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return Finish::error(EINVAL);
    if (!on.found(sandbox, call, follow_by(flags))) return static_cast<Finish&&>(on.end);
  }
  const int64_t told[4] = {times.at[0].tv_sec, times.at[0].tv_nsec, times.at[1].tv_sec, times.at[1].tv_nsec};
  Facts facts = facts_of_part(call, on.at, Part::attributes);
  if (!times.now) facts.times = told;
  if (!on.permitted(sandbox, call, facts)) return static_cast<Finish&&>(on.end);
  const timespec* given = times.now ? nullptr : times.at;
  return result_of(call, ::syscall(SYS_utimensat, on.at.object.get(), "", given, AT_EMPTY_PATH));
}

// ---- statfs ---------------------------------------------------------------------------------------------------------

Finish statfs_path(Sandbox& sandbox, Held& call) {
  OnPath on(call);
  if (!on.found(sandbox, call, kFollow) || !on.permitted(sandbox, call, facts_of(call, on.at, 0)))
    return static_cast<Finish&&>(on.end);
  struct statfs fs;
  if (::syscall(SYS_fstatfs, on.at.object.get(), &fs) != 0) return failed(call, errno);
  return put(call, Arg::buffer, fs);
}

// ---- extended attributes --------------------------------------------------------------------------------------------

namespace {

bool is_on_link(const Held& call) { return call.row->name[0] == 'l' && !is_call(call, "listxattr"); }

// An attribute's name. 0 or a positive errno.
int read_name(const Held& call, char (&out)[XATTR_NAME_MAX + 1]) {
  const ssize_t size = call.read_string(call.arg(Arg::text), out, sizeof out);
  if (size == -ENAMETOOLONG || size == 0) return ERANGE;
  return size < 0 ? static_cast<int>(-size) : 0;
}

// Our copy of what the caller's buffer takes; the kernel has no attribute and no list longer than this.
struct Buffer {
  explicit Buffer(uint64_t asked) : size(static_cast<size_t>(std::min<uint64_t>(asked, XATTR_SIZE_MAX))) {
    if (size != 0) bytes.reset(new char[size]);
  }
  size_t size;
  std::unique_ptr<char[]> bytes;
};

Finish give(const Held& call, ssize_t result, const Buffer& from) {
  if (result > 0 && from.size != 0) {
    if (const int error = call.write(call.arg(Arg::buffer), from.bytes.get(), static_cast<size_t>(result)); error != 0)
      return failed(call, -error);
  }
  return result_of(call, result);
}

Finish set_attribute(Sandbox& sandbox, const Held& call, OnPath& on, const char* name, const Buffer& value) {
  Facts facts = facts_of_part(call, on.at, Part::attributes);
  facts.name = name;
  facts.size = static_cast<int64_t>(value.size);
  // Capabilities of a file are set-user-ID by another name (capabilities(7)).
  facts.refused_anyway = std::strcmp(name, "security.capability") == 0;
  if (!on.permitted(sandbox, call, facts)) return static_cast<Finish&&>(on.end);
  if (facts.refused_anyway)
    return forbidden(sandbox, call, EPERM, "files with capabilities cannot be made by the tree", on.at.path);
  return result_of(call, ::setxattr(FdPath(on.at.object.get()).text, name, value.bytes.get(), value.size,
                                    static_cast<int>(call.arg(Arg::flags))));
}

// What setxattr takes from the caller's memory. 0 or a positive errno.
int read_attribute(const Held& call, char (&name)[XATTR_NAME_MAX + 1], Buffer& value) {
  if ((call.arg(Arg::flags) & ~uint64_t{XATTR_CREATE | XATTR_REPLACE}) != 0) return EINVAL;
  if (const int error = read_name(call, name); error != 0) return error;
  if (call.arg(Arg::size) > XATTR_SIZE_MAX) return E2BIG;
  return value.size == 0 ? 0 : -call.read(call.arg(Arg::buffer), value.bytes.get(), value.size);
}

Finish remove_attribute(Sandbox& sandbox, const Held& call, OnPath& on, const char* name) {
  Facts facts = facts_of_part(call, on.at, Part::attributes);
  facts.name = name;
  if (!on.permitted(sandbox, call, facts)) return static_cast<Finish&&>(on.end);
  return result_of(call, ::removexattr(FdPath(on.at.object.get()).text, name));
}

}  // namespace

namespace {

// Attributes whose values are about the rights to a file, as its mode is, and not its contents.
bool is_metadata(std::string_view attribute) {
  return attribute == "system.posix_acl_access" || attribute == "system.posix_acl_default" ||
         attribute == "security.selinux";
}

// `name` null: the list.
Facts facts_of_attribute(const Held& call, const Resolved& at, const char* name) {
  Facts facts = facts_of(call, at, name != nullptr && is_metadata(name) ? 0 : kRead);
  if (name != nullptr) facts.name = name;
  return facts;
}

unsigned walk_to_attribute(const Held& call) { return kContents | follow_unless(is_on_link(call)); }

Finish give_attribute(const Held& call, const Resolved& at, const char* name) {
  const Buffer value(call.arg(Arg::size));
  return give(call, ::getxattr(FdPath(at.object.get()).text, name, value.bytes.get(), value.size), value);
}

Finish give_list(const Held& call, const Resolved& at) {
  const Buffer names(call.arg(Arg::size));
  return give(call, ::listxattr(FdPath(at.object.get()).text, names.bytes.get(), names.size), names);
}

// By a descriptor: what is open for reading may be read; one that is open for writing only gives no such right.
bool may_read_of_fd(Sandbox& sandbox, const Held& call, OnPath& on, const char* name) {
  if (!found_by_fd(sandbox, call, on)) return false;
  if (is_path_only(call, call.fd(Arg::fd))) {
    on.end = Finish::error(EBADF);
    return false;
  }
  on.at.reached_by = call.fd(Arg::fd);
  return caller_has_it_open(call, on.at, kRead) || on.permitted(sandbox, call, facts_of_attribute(call, on.at, name));
}

}  // namespace

Finish getxattr_path(Sandbox& sandbox, Held& call) {
  char name[XATTR_NAME_MAX + 1];
  if (const int error = read_name(call, name); error != 0) return failed(call, error);
  OnPath on(call);
  if (!on.found(sandbox, call, walk_to_attribute(call)) ||
      !on.permitted(sandbox, call, facts_of_attribute(call, on.at, name)))
    return static_cast<Finish&&>(on.end);
  return give_attribute(call, on.at, name);
}

Finish getxattr_fd(Sandbox& sandbox, Held& call) {
  char name[XATTR_NAME_MAX + 1];
  if (const int error = read_name(call, name); error != 0) return failed(call, error);
  OnPath on(call);
  if (!may_read_of_fd(sandbox, call, on, name)) return static_cast<Finish&&>(on.end);
  return give_attribute(call, on.at, name);
}

Finish listxattr_path(Sandbox& sandbox, Held& call) {
  OnPath on(call);
  if (!on.found(sandbox, call, walk_to_attribute(call)) ||
      !on.permitted(sandbox, call, facts_of_attribute(call, on.at, nullptr)))
    return static_cast<Finish&&>(on.end);
  return give_list(call, on.at);
}

Finish listxattr_fd(Sandbox& sandbox, Held& call) {
  OnPath on(call);
  if (!may_read_of_fd(sandbox, call, on, nullptr)) return static_cast<Finish&&>(on.end);
  return give_list(call, on.at);
}

Finish setxattr_path(Sandbox& sandbox, Held& call) {
  char name[XATTR_NAME_MAX + 1];
  Buffer value(call.arg(Arg::size));
  if (const int error = read_attribute(call, name, value); error != 0) return failed(call, error);
  OnPath on(call);
  if (!on.found(sandbox, call, follow_unless(is_on_link(call)))) return static_cast<Finish&&>(on.end);
  return set_attribute(sandbox, call, on, name, value);
}

Finish setxattr_fd(Sandbox& sandbox, Held& call) {
  char name[XATTR_NAME_MAX + 1];
  Buffer value(call.arg(Arg::size));
  OnPath on(call);
  if (!found_by_fd(sandbox, call, on)) return static_cast<Finish&&>(on.end);
  if (is_path_only(call, call.fd(Arg::fd))) return Finish::error(EBADF);
  if (const int error = read_attribute(call, name, value); error != 0) return failed(call, error);
  return set_attribute(sandbox, call, on, name, value);
}

Finish removexattr_path(Sandbox& sandbox, Held& call) {
  char name[XATTR_NAME_MAX + 1];
  if (const int error = read_name(call, name); error != 0) return failed(call, error);
  OnPath on(call);
  if (!on.found(sandbox, call, follow_unless(is_on_link(call)))) return static_cast<Finish&&>(on.end);
  return remove_attribute(sandbox, call, on, name);
}

Finish removexattr_fd(Sandbox& sandbox, Held& call) {
  char name[XATTR_NAME_MAX + 1];
  OnPath on(call);
  if (!found_by_fd(sandbox, call, on)) return static_cast<Finish&&>(on.end);
  if (is_path_only(call, call.fd(Arg::fd))) return Finish::error(EBADF);
  if (const int error = read_name(call, name); error != 0) return failed(call, error);
  return remove_attribute(sandbox, call, on, name);
}

}  // namespace holdfast::families
