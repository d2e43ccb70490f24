// Calls that make, remove, move and read names: rename, link, symlink, unlink, mkdir, mknod, readlink, and inotify's
// watches. A name is one plain component in a pinned directory, which the kernel does not follow.
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "../policy/config.h"
#include "../view/fs_context.h"
#include "../view/names.h"
#include "files.h"

namespace holdfast::families {
namespace {

constexpr unsigned kName = kParent | kMayMiss;

Facts facts_of_both(const Held& call, const Resolved& from, uint8_t from_access, const Resolved& to,
                    uint8_t to_access) {
  Facts facts = facts_of(call, from, from_access);
  // The new name is refused as any other change is, not as something that is not there.
  facts.paths[1] = {to.path, to_access, false};
  facts.path_count = 2;
  return facts;
}

// A name that is about to be made or removed.
Facts facts_of_name(const Held& call, const Resolved& at) {
  Facts facts = facts_of(call, at, kWrite);
  facts.paths[0].missing = false;
  return facts;
}

// mkdir -p and the like ask for names that are there to learn that they are, so that is no violation.
bool is_visibly_there(const Sandbox& sandbox, const Resolved& at) {
  return !at.missing && sandbox.config.rules.metadata(at.path).effect == Effect::allow;
}

// Where rules let the content be read at its new place but not at its old one, the way it takes does not matter.
bool would_show_more(const Sandbox& sandbox, const Resolved& from, const Resolved& to) {
  const PathMatch there = sandbox.config.rules.look(to.path), here = sandbox.config.rules.look(from.path);
  return there.read.effect == Effect::allow && here.read.effect != Effect::allow && here.write.effect == Effect::allow;
}

bool is_directory(const Resolved& at) {
  struct stat st;
  return at.object && ::fstat(at.object.get(), &st) == 0 && S_ISDIR(st.st_mode);
}

constexpr std::string_view kRuledBelow = "a rule speaks of something below this directory";

// What stands under the name just now. 0, EISDIR, or why it cannot be seen.
int is_no_directory(const Resolved& at) {
  struct stat st;
  if (::fstatat(at.parent.get(), at.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return errno;
  return S_ISDIR(st.st_mode) ? EISDIR : 0;
}

// A directory takes what lies in it along: not where a rule speaks of something below its old or its new name.
bool would_carry_ruled_names(const Sandbox& sandbox, const Resolved& moved, const Resolved& other) {
  return is_directory(moved) &&
         (sandbox.config.rules.has_rule_below(moved.path) || sandbox.config.rules.has_rule_below(other.path));
}

// What a hook hears of by its name does not get another one unasked: nobody but a hook on this very call allows it.
bool escapes_hooks(const Sandbox& sandbox, const Resolved& from, const Resolved& to, bool is_directory) {
  return would_escape_hooks(sandbox.config, from.path, to.path, is_directory);
}

Finish refuse_escape(Sandbox& sandbox, const Held& call, const Facts& facts) {
  AsSupervisor own;
  report_refused(sandbox, call, facts, EACCES, "hook", "a hook's filter covers it here, and not by its new name");
  return Finish::error(EACCES);
}

}  // namespace

namespace {

// The kernel asks this first, so that what is to be moved need not be there (fs/namei.c, do_renameat2).
bool same_device(const Resolved& from, const Resolved& to) {
  struct stat a, b;
  return ::fstat(from.parent.get(), &a) != 0 || ::fstat(to.parent.get(), &b) != 0 || a.st_dev == b.st_dev;
}

}  // namespace

Finish rename_path(Sandbox& sandbox, Held& call) {
  const unsigned flags = static_cast<unsigned>(call.arg(Arg::flags));
  const bool exchange = (flags & RENAME_EXCHANGE) != 0;
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) != 0) return Finish::error(EINVAL);
  if (exchange && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) != 0) return Finish::error(EINVAL);
  AsCaller as_caller(call);
  if (as_caller.error != 0) return failed(call, as_caller.error);
  Resolved from, to;
  if (resolve(sandbox, call, Arg::dirfd, Arg::path, kName, from) != 0) return failed(call, from.error);
  if (resolve(sandbox, call, Arg::dirfd2, Arg::path2, kName, to) != 0) return failed(call, to.error);
  if (from.missing && !same_device(from, to)) return Finish::error(EXDEV);
  bool by_hook = false;
  if (from.last == Last::name && to.last == Last::name) {
    Finish end;
    Facts facts = facts_of_both(call, from, kWrite, to, kWrite);
    if (from.missing) facts = facts_of(call, from, 0);
    facts.flags = flags;
    facts.directory = is_directory(from) ? 1 : 0;
    if (!allowed(sandbox, call, facts, end, &by_hook)) return end;
    if (from.missing) return Finish::error(ENOENT);
    if (!by_hook && (escapes_hooks(sandbox, from, to, is_directory(from)) ||
                     (exchange && escapes_hooks(sandbox, to, from, is_directory(to)))))
      return refuse_escape(sandbox, call, facts);
    if (would_show_more(sandbox, from, to) || (exchange && would_show_more(sandbox, to, from)))
      return forbidden(sandbox, call, EACCES, "it could be read at its new place, but not where it is", from.path);
    if (would_carry_ruled_names(sandbox, from, to) || (exchange && would_carry_ruled_names(sandbox, to, from)))
      return forbidden(sandbox, call, EACCES, kRuledBelow, from.path);
  }
  const auto rename = [&] {
    return result_of(call, ::syscall(SYS_renameat2, from.parent.get(), last_component(from).c_str(), to.parent.get(),
                                     last_component(to).c_str(), flags));
  };
  const bool both_names = from.last == Last::name && to.last == Last::name;  // the kernel refuses the others
  if (both_names && (sandbox.config.rules.has_rule_below(from.path) || sandbox.config.rules.has_rule_below(to.path) ||
                     (!by_hook && (escapes_hooks(sandbox, from, to, true) ||
                                   (exchange && escapes_hooks(sandbox, to, from, true)))))) {
    // No directory was moved when it was judged; another thread may have put one there since.
    const ChangesNamesAlone changes;
    const int error = is_no_directory(from);
    if (const int other = error == 0 && exchange ? is_no_directory(to) : error; other != 0)
      return other == EISDIR ? forbidden(sandbox, call, EACCES, kRuledBelow, from.path) : failed(call, other);
    return rename();
  }
  const ChangesNames changes;
  return rename();
}

Finish link_path(Sandbox& sandbox, Held& call) {
  const int flags = at_flags(call);
  if ((flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) != 0) return Finish::error(EINVAL);
  AsCaller as_caller(call);
  if (as_caller.error != 0) return failed(call, as_caller.error);
  Resolved from, to;
  const unsigned walk =
      ((flags & AT_SYMLINK_FOLLOW) != 0 ? kFollow : 0u) | ((flags & AT_EMPTY_PATH) != 0 ? kEmptyPath : 0u);
  if (resolve(sandbox, call, Arg::dirfd, Arg::path, walk | kMayMiss, from) != 0) return failed(call, from.error);
  if (resolve(sandbox, call, Arg::dirfd2, Arg::path2, kName, to) != 0) return failed(call, to.error);
  if (to.last == Last::name) {
    // A second name gives its place's rights on the same file, so both places must give the same.
    Finish end;
    const uint8_t access = from.by_descriptor ? 0 : kRead | kWrite;
    Facts facts = facts_of_both(call, from, access, to, kRead | kWrite);
    if (from.by_descriptor) {
      facts.paths[0] = facts.paths[1];
      facts.path_count = 1;
    }
    if (from.missing) facts = facts_of(call, from, 0);
    bool by_hook;
    if (!allowed(sandbox, call, facts, end, &by_hook)) return end;
    if (!by_hook && !from.missing && !from.by_descriptor && escapes_hooks(sandbox, from, to, false))
      return refuse_escape(sandbox, call, facts);
  }
  if (from.missing) return Finish::error(ENOENT);
  return result_of(call, ::linkat(self_fd_directory(), FdName(from.object.get()).text, to.parent.get(),
                                  last_component(to).c_str(), AT_SYMLINK_FOLLOW));
}

Finish symlink_path(Sandbox& sandbox, Held& call) {
  char text[PATH_MAX];
  const ssize_t size = call.read_string(call.arg(Arg::text), text, sizeof text);
  if (size < 0) return failed(call, static_cast<int>(-size));
  if (size == 0) return Finish::error(ENOENT);
  AsCaller as_caller(call);
  if (as_caller.error != 0) return failed(call, as_caller.error);
  Resolved at;
  if (resolve(sandbox, call, Arg::dirfd2, Arg::path2, kName, at) != 0) return failed(call, at.error);
  if (at.last == Last::name) {
    if (is_visibly_there(sandbox, at)) return Finish::error(EEXIST);
    Finish end;
    Facts facts = facts_of_name(call, at);
    facts.target = {text, static_cast<size_t>(size)};  // told, not judged: whoever follows it is
    if (!allowed(sandbox, call, facts, end)) return end;
  }
  return result_of(call, ::symlinkat(text, at.parent.get(), last_component(at).c_str()));
}

Finish unlink_path(Sandbox& sandbox, Held& call) {
  const int flags = is_call(call, "rmdir") ? AT_REMOVEDIR : at_flags(call);
  if ((flags & ~AT_REMOVEDIR) != 0) return Finish::error(EINVAL);
  AsCaller as_caller(call);
  if (as_caller.error != 0) return failed(call, as_caller.error);
  Resolved at;
  if (resolve(sandbox, call, Arg::dirfd, Arg::path, kName, at) != 0) return failed(call, at.error);
  if (at.last == Last::name) {
    Finish end;
    Facts facts = facts_of(call, at, at.missing ? 0 : kWrite);
    facts.directory = flags != 0 ? 1 : 0;
    if (!allowed(sandbox, call, facts, end)) return end;
    if (at.missing) return Finish::error(ENOENT);
  }
  const ChangesNames changes;
  return result_of(call, ::unlinkat(at.parent.get(), last_component(at).c_str(), flags));
}

Finish mkdir_path(Sandbox& sandbox, Held& call) {
  const mode_t mode = static_cast<mode_t>(call.arg(Arg::mode)) & 07777;
  AsCaller as_caller(call);
  if (as_caller.error != 0) return failed(call, as_caller.error);
  Resolved at;
  if (resolve(sandbox, call, Arg::dirfd, Arg::path, kName, at) != 0) return failed(call, at.error);
  if (at.last == Last::name) {
    if (is_visibly_there(sandbox, at)) return Finish::error(EEXIST);
    Finish end;
    Facts facts = facts_of_name(call, at);
    facts.mode = mode;
    if (!allowed(sandbox, call, facts, end)) return end;
  }
  const WithUmask with_umask(call);
  if (with_umask.error != 0) return failed(call, with_umask.error);
  return result_of(call, ::mkdirat(at.parent.get(), last_component(at).c_str(), mode));
}

Finish mknod_path(Sandbox& sandbox, Held& call) {
  const mode_t mode = static_cast<mode_t>(call.arg(Arg::mode)) & 0xffff;  // umode_t
  AsCaller as_caller(call);
  if (as_caller.error != 0) return failed(call, as_caller.error);
  Resolved at;
  if (resolve(sandbox, call, Arg::dirfd, Arg::path, kName, at) != 0) return failed(call, at.error);
  if (at.last == Last::name) {
    if (is_visibly_there(sandbox, at)) return Finish::error(EEXIST);
    // A device node of one's own is a way past every rule on paths; a socket or a FIFO is none.
    if (S_ISCHR(mode) || S_ISBLK(mode))
      return forbidden(sandbox, call, EPERM, "device nodes cannot be made by the tree", at.path);
    if ((mode & kSetIds) != 0) return forbidden(sandbox, call, EPERM, kSetIdReason, at.path);
    Finish end;
    Facts facts = facts_of_name(call, at);
    facts.mode = mode;
    facts.device = static_cast<uint32_t>(call.arg(Arg::device));
    if (!allowed(sandbox, call, facts, end)) return end;
  }
  const WithUmask with_umask(call);
  if (with_umask.error != 0) return failed(call, with_umask.error);
  return result_of(call, ::mknodat(at.parent.get(), last_component(at).c_str(), mode, 0));
}

Finish readlink_path(Sandbox& sandbox, Held& call) {
  const int room = static_cast<int>(call.arg(Arg::size));
  if (room <= 0) return Finish::error(EINVAL);
  AsCaller as_caller(call);
  if (as_caller.error != 0) return failed(call, as_caller.error);
  Resolved at;
  // An empty path is the descriptor's own link (readlink(2)), and without one not there.
  if (resolve(sandbox, call, Arg::dirfd, Arg::path, kMayMiss | (call.has(Arg::dirfd) ? kEmptyPath : 0u), at) != 0)
    return failed(call, at.error);
  Finish end;
  if (!at.by_descriptor && !allowed(sandbox, call, facts_of(call, at, 0), end)) return end;
  if (at.missing) return Finish::error(ENOENT);
  char text[PATH_MAX];
  ssize_t size;
  if (!at.link_text.empty()) {
    size = static_cast<ssize_t>(std::min(at.link_text.size(), sizeof text));
    at.link_text.copy(text, sizeof text);
  } else {
    AsOnlooker look(at.guarded);
    size = ::readlinkat(at.object.get(), "", text, sizeof text);
    struct stat st;
    if (size < 0 && errno == ENOENT && ::fstat(at.object.get(), &st) == 0 && !S_ISLNK(st.st_mode)) {
      // Not a link; an empty path that is none is not there, either.
      char first = 0;
      if (call.read(call.arg(Arg::path), &first, 1) == 0 && first != '\0') return Finish::error(EINVAL);
      return Finish::error(ENOENT);
    }
    if (size < 0) return failed(call, errno);
  }
  size = std::min<ssize_t>(size, room);
  if (const int error = call.write(call.arg(Arg::buffer), text, static_cast<size_t>(size)); error != 0)
    return failed(call, -error);
  return Finish::answer(size);
}

Finish watch_path(Sandbox& sandbox, Held& call) {
  uint32_t mask = static_cast<uint32_t>(call.arg(Arg::mask));
  UniqueFd instance;
  if (const int error = copy_descriptor(call, call.fd(Arg::fd), instance); can_borrow(call, error))
    return borrow(call.fd(Arg::fd));
  else if (error == EPERM)
    return forbidden(sandbox, call, EPERM, "the caller's inotify instance cannot be reached", {});
  else if (error != 0)
    return failed(call, error);
  AsCaller as_caller(call);
  if (as_caller.error != 0) return failed(call, as_caller.error);
  Resolved at;
  const unsigned follow = (mask & IN_DONT_FOLLOW) != 0 ? 0u : kFollow;
  if (resolve(sandbox, call, Arg::dirfd, Arg::path, follow | kMayMiss, at) != 0) return failed(call, at.error);
  Finish end;
  Facts facts = facts_of(call, at, kRead);
  facts.flags = mask;
  if (!at.by_descriptor && !allowed(sandbox, call, facts, end)) return end;
  if (at.missing) return Finish::error(ENOENT);
  // The pinned object's name in /proc is a link that must be followed; the caller's own link has been or has not.
  return result_of(call, ::inotify_add_watch(instance.get(), FdPath(at.object.get()).text, mask & ~IN_DONT_FOLLOW));
}

}  // namespace holdfast::families
