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
#include "../policy/layers.h"
#include "../policy/record.h"
#include "../policy/rule_use.h"
#include "../view/domains.h"
#include "../view/fs_context.h"
#include "../view/names.h"
#include "../view/walk.h"
#include "files.h"

namespace holdfast::families {

dev_t device_of(const Resolved& at) {
  struct stat st;
  return ::fstat(at.parent.get(), &st) == 0 ? st.st_dev : 0;
}

bool is_as_judged(const Resolved& at) {
  std::string folder;
  int error = shown_name(at.parent.get(), folder);
  if (error == ENAMETOOLONG) error = long_name(at.parent.get(), folder);
  if (error != 0) return false;
  const size_t slash = at.path.size() - at.name.size() - 1;
  if (std::string_view(at.path).substr(0, std::max<size_t>(slash, 1)) != folder) return false;
  struct stat now;
  if (::fstatat(at.parent.get(), at.name.c_str(), &now, AT_SYMLINK_NOFOLLOW) != 0) return at.missing && errno == ENOENT;
  const struct stat* const then = at.missing ? nullptr : at.look();
  return then != nullptr && now.st_dev == then->st_dev && now.st_ino == then->st_ino;
}

namespace {

constexpr unsigned kName = kParent | kMayMiss;

// Facts::Path of a name that is to be made: a rule on it is enough, but for a symbolic link, which would make it mean
// another place.
Facts::Path new_name(const Resolved& at, uint8_t access, bool as_link) {
  // It is refused as any other change is, not as something that is not there.
  return {at.path, access, false, as_link ? Part::name : Part::contents, Thing::ordinary, at.missing};
}

Facts facts_of_new_name(const Held& call, const Resolved& at, bool as_link = false) {
  Facts facts = facts_of(call, at, kWrite);
  facts.paths[0] = new_name(at, kWrite, as_link);
  return facts;
}

// mkdir -p and the like ask for names that are there to learn that they are, so that is no violation.
bool is_visibly_there(const Sandbox& sandbox, const Held& call, const Resolved& at) {
  if (at.missing || !sandbox.config.shows(at.path)) return false;
  note_look(sandbox, call, at.path);
  return true;
}

// Where rules let the content be read at its new place but not at its old one, the way it takes does not matter.
bool would_show_more(const Sandbox& sandbox, const Resolved& from, const Resolved& to) {
  // There only what is denied is not given.
  if (sandbox.config.lets_by)
    return sandbox.config.rules.look(from.path).read.effect == Effect::deny &&
           sandbox.config.rules.look(to.path).read.effect != Effect::deny;
  return !sandbox.config.all_say([&](const Rules& rules) {
    const PathMatch there = rules.look(to.path), here = rules.look(from.path);
    return there.read.effect != Effect::allow || here.read.effect == Effect::allow ||
           here.write.effect != Effect::allow;
  });
}

// What a rule says may not be executed does not become executable by another name. (Where no rule names it, there is
// nothing to protect: an install moves its programs from a folder for its drafts to their place.)
bool would_execute_more(const Sandbox& sandbox, const Resolved& from, const Resolved& to) {
  const bool hidden = sandbox.config.any_says(
      [&](const Config& by) { return by.exec.denies_program(from.path) && !by.exec.denies_program(to.path); });
  if (hidden) return true;
  if (sandbox.config.lets_by)
    return sandbox.config.rules.look(from.path).execute.effect == Effect::deny &&
           sandbox.config.rules.look(to.path).execute.effect != Effect::deny;
  return !sandbox.config.all_say([&](const Rules& rules) {
    const PathMatch there = rules.look(to.path), here = rules.look(from.path);
    return here.execute.effect != Effect::deny || there.execution(sandbox.config.any_exec).effect != Effect::allow;
  });
}

constexpr char kExecutesMore[] = "a rule denies its execution here, and not by its new name";

mode_t type_of(const Resolved& at) {
  const struct stat* const st = at.look();
  return st == nullptr ? 0 : st->st_mode & S_IFMT;
}

bool is_directory(const Resolved& at) { return type_of(at) == S_IFDIR; }

constexpr std::string_view kRuledBelow = "a rule speaks of something below this directory";

// By what the rules say of other names: which of them it was is not asked, so that none is told as unused.
Finish forbidden_by_rules(Sandbox& sandbox, const Held& call, std::string_view reason, std::string_view path) {
  note_every_rule(sandbox.config);
  return forbidden(sandbox, call, EACCES, reason, path);
}

// A directory takes what lies in it along: not where a rule speaks of something below its old or its new name.
bool would_carry_ruled_names(const Sandbox& sandbox, const Held& call, const Resolved& moved, const Resolved& other) {
  const Config& config = sandbox.config;
  return is_directory(moved) &&
         (config.has_rule_below(moved.path) || config.has_rule_below(other.path) ||
          config.any_says([&](const Config& by) { return by.rules.patterns_change_below(moved.path, other.path); }) ||
          config.any_says([&](const Config& by) { return by.exec.denies_below(call, moved.path, other.path); }));
}

// What a hook hears of by its name does not get another one unasked: nobody but a hook on this very call allows it.
bool escapes_hooks(const Sandbox& sandbox, const Resolved& from, const Resolved& to, bool is_directory) {
  return would_escape_hooks(sandbox.config, from.path, to.path, is_directory);
}

Finish refuse_escape(Sandbox& sandbox, const Held& call, const Facts& facts) {
  AsSupervisor own(call);
  note_refused_anyway(sandbox, EACCES, "hook");
  report_refused(sandbox, call, facts, EACCES, "hook", "a hook's filter covers it here, and not by its new name");
  return Finish::error(EACCES);
}

// The same where nobody but a hook can have taken so long that it matters: a folder that the tree may move takes its
// rights along, but not what a hook has said of it.
bool is_as_heard(const Sandbox& sandbox, const Held& call, const Resolved& at) {
  return !sandbox.config.hooked(call.row->event) || is_as_judged(at);
}

// Why rules on other names refuse a move that has been allowed; empty: they do not.
std::string_view forbids_move(const Sandbox& sandbox, const Held& call, const Resolved& from, const Resolved& to,
                              bool exchange) {
  if (would_show_more(sandbox, from, to) || (exchange && would_show_more(sandbox, to, from)))
    return "it could be read at its new place, but not where it is";
  if (would_execute_more(sandbox, from, to) || (exchange && would_execute_more(sandbox, to, from)))
    return kExecutesMore;
  if (would_carry_ruled_names(sandbox, call, from, to) ||
      (exchange && would_carry_ruled_names(sandbox, call, to, from)))
    return kRuledBelow;
  return {};
}

bool moves_past_hooks(const Sandbox& sandbox, const Resolved& from, const Resolved& to, bool exchange) {
  return escapes_hooks(sandbox, from, to, is_directory(from)) ||
         (exchange && escapes_hooks(sandbox, to, from, is_directory(to)));
}

// The kernel asks this first, so that what is to be moved need not be there (fs/namei.c, do_renameat2).
bool same_device(const Resolved& from, const Resolved& to) {
  struct stat a, b;
  return ::fstat(from.parent.get(), &a) != 0 || ::fstat(to.parent.get(), &b) != 0 || a.st_dev == b.st_dev;
}

// One look and one try. False: once more, since what was judged is not so any more.
bool rename_once(Sandbox& sandbox, const Held& call, unsigned flags, Finish& end, std::string& path) {
  const bool exchange = (flags & RENAME_EXCHANGE) != 0;
  const auto ends = [&](Finish finish) {
    end = static_cast<Finish&&>(finish);
    return true;
  };
  Resolved from, to;
  if (resolve(sandbox, call, Arg::dirfd, Arg::path, kName, from) != 0) return ends(failed(call, from.error));
  if (resolve(sandbox, call, Arg::dirfd2, Arg::path2, kName, to) != 0) return ends(failed(call, to.error));
  path = from.path;
  if (from.missing && !same_device(from, to)) return ends(Finish::error(EXDEV));
  if (from.last != Last::name || to.last != Last::name)  // which the kernel refuses
    return ends(result_of(call, ::syscall(SYS_renameat2, from.parent.get(), last_component(from).c_str(),
                                          to.parent.get(), last_component(to).c_str(), flags)));
  Facts facts = from.missing ? facts_of(call, from, 0) : facts_of_part(call, from, Part::name);
  if (!from.missing) {
    facts.paths[1] = new_name(to, kWrite, !to.missing || type_of(from) == S_IFLNK);
    facts.paths[1].thing = thing_of(to);
    facts.path_count = 2;
  }
  facts.flags = flags;
  facts.directory = is_directory(from) ? 1 : 0;
  facts.refused_anyway =
      !from.missing && sandbox.config.tells_let_by() &&
      (moves_past_hooks(sandbox, from, to, exchange) || !forbids_move(sandbox, call, from, to, exchange).empty());
  bool by_hook = false;
  if (!allowed(sandbox, call, facts, end, &by_hook)) return true;
  if (from.missing) return ends(Finish::error(ENOENT));
  if (!by_hook && moves_past_hooks(sandbox, from, to, exchange)) return ends(refuse_escape(sandbox, call, facts));
  // Again: a hook may have taken its time.
  if (const std::string_view reason = forbids_move(sandbox, call, from, to, exchange); !reason.empty())
    return ends(forbidden_by_rules(sandbox, call, reason, from.path));

  if (by_hook) stop_going_on();
  // What is not there may be made by who may not replace it.
  const auto may_replace = [&](const Rules& rules) { return rules.look(to.path).name.effect == Effect::allow; };
  const bool must_make = to.missing && !sandbox.config.all_say(may_replace);
  const ChangesNames changes(call, device_of(from), is_directory(from) || (exchange && is_directory(to)));
  if (!changes.held()) return ends(Finish::gone());
  if (!is_as_judged(from) || !is_as_judged(to)) return false;
  const long result = within_domain(call, [&] {
    return ::syscall(SYS_renameat2, from.parent.get(), last_component(from).c_str(), to.parent.get(),
                     last_component(to).c_str(), must_make ? flags | RENAME_NOREPLACE : flags);
  });
  if (result < 0 && must_make && errno == EEXIST && (flags & RENAME_NOREPLACE) == 0) return false;
  if (result < 0 && must_make && errno == EINVAL && (flags & RENAME_NOREPLACE) == 0)
    return ends(forbidden(sandbox, call, EACCES,
                          "this file system cannot move without replacing, and no rule lets it replace", to.path));
  return ends(result_of(call, result));
}

// The same for links.
bool link_once(Sandbox& sandbox, const Held& call, int flags, Finish& end, std::string& path) {
  const auto ends = [&](Finish finish) {
    end = static_cast<Finish&&>(finish);
    return true;
  };
  Resolved from, to;
  const unsigned walk =
      ((flags & AT_SYMLINK_FOLLOW) != 0 ? kFollow : 0u) | ((flags & AT_EMPTY_PATH) != 0 ? kEmptyPath : 0u);
  if (resolve(sandbox, call, Arg::dirfd, Arg::path, walk | kMayMiss, from) != 0) return ends(failed(call, from.error));
  if (resolve(sandbox, call, Arg::dirfd2, Arg::path2, kName, to) != 0) return ends(failed(call, to.error));
  path = from.path;
  if (to.last == Last::name) {
    // A second name gives its place's rights on the same file, so both places must give the same.
    Facts facts = from.missing ? facts_of(call, from, 0) : facts_of_part(call, from, Part::name);
    if (!from.missing) {
      facts.paths[0].access = kRead | kWrite;
      facts.paths[1] = new_name(to, kRead | kWrite, type_of(from) == S_IFLNK);
      facts.path_count = 2;
    }
    if (from.by_descriptor) {
      facts.paths[0] = facts.paths[1];
      facts.path_count = 1;
    }
    const auto escapes = [&] {
      return !from.missing && !from.by_descriptor && escapes_hooks(sandbox, from, to, false);
    };
    facts.refused_anyway =
        sandbox.config.tells_let_by() && (escapes() || (!from.missing && would_execute_more(sandbox, from, to)));
    bool by_hook = false;
    if (!allowed(sandbox, call, facts, end, &by_hook)) return true;
    if (!by_hook && escapes()) return ends(refuse_escape(sandbox, call, facts));
    if (!from.missing && would_execute_more(sandbox, from, to))
      return ends(forbidden_by_rules(sandbox, call, kExecutesMore, from.path));
    if (by_hook) stop_going_on();
  }
  if (from.missing) return ends(Finish::error(ENOENT));
  const ChangesNames changes(call, device_of(to));
  if (!changes.held()) return ends(Finish::gone());
  if (to.last == Last::name) {
    // The source is the pinned file itself, so it is enough that it still has the name that was judged.
    std::string name;
    if (!is_as_judged(to)) return false;
    if (!from.by_descriptor && shown_name(from.object.get(), name) == 0 && name != from.path) return false;
  }
  return ends(result_of(call, within_domain(call, [&] {
                          return ::linkat(self_fd_directory(), FdName(from.object.get()).text, to.parent.get(),
                                          last_component(to).c_str(), AT_SYMLINK_FOLLOW);
                        })));
}

template <typename Once>
Finish as_often_as_needed(Sandbox& sandbox, const Held& call, Once once) {
  AsCaller as_caller(call);
  if (as_caller.error != 0) return failed(call, as_caller.error);
  Finish end;
  std::string path;
  for (int turn = 0; turn < kMostTurns; turn++)
    if (once(end, path)) return end;
  return too_many_turns(sandbox, call, path);
}

// Whether the caller may make a new name itself, in a folder that Landlock grants as a whole. Nothing is looked at but
// what leads there: a name that is made is not followed, and the kernel says whether it is there already.
bool may_make(const Sandbox& sandbox, const Held& call, bool link) {
  if (!goes_on_from(call) || !sandbox.config.layers || sandbox.config.layers->writable.empty()) return false;
  const bool second = call.has(Arg::path2);
  char text[PATH_MAX];
  const ssize_t size = call.read_string(call.arg(second ? Arg::path2 : Arg::path), text, sizeof text);
  if (size <= 0) return false;
  const std::string_view path(text, static_cast<size_t>(size));
  const Arg from = second ? Arg::dirfd2 : Arg::dirfd;
  std::string name(path);
  const bool plain = is_plain(sandbox, path);
  if (!plain) {
    if (!is_one_name(path)) return false;
    const Folder folder(call, call.has(from) ? call.fd(from) : AT_FDCWD, Folder::For::naming);
    if (!folder.name(sandbox, path, name)) return false;
  }
  const Part part = link ? Part::name : Part::contents;
  const Facts::Path made = {name, kWrite, false, part, Thing::ordinary, true};
  if (!allowed_unheard(sandbox, call, made) || !may_go_on(sandbox.config, call, name, kWrite)) return false;
  if (!plain) return true;
  const int there = open_plain(text, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  const UniqueFd found(there);
  // What is missing may be on the way, where it may not be looked at.
  return found || (there == -ENOENT && sandbox.config.shows(name));
}

// Makes or removes one name. `judge` gives the facts, or sets the end and returns false; `act` does it.
// `by_itself`: the caller may do it, where Landlock lets it do nothing else.
template <typename Judge, typename Act>
Finish on_name(Sandbox& sandbox, const Held& call, Judge judge, Act act, bool by_itself = false) {
  std::string path;
  for (int turn = 0; turn < kMostTurns; turn++) {
    Resolved at;
    const bool second = call.has(Arg::path2);
    if (resolve(sandbox, call, second ? Arg::dirfd2 : Arg::dirfd, second ? Arg::path2 : Arg::path, kName, at) != 0)
      return failed(call, at.error);
    if (at.last != Last::name) return result_of(call, act(at));  // which the kernel refuses
    Finish end;
    Facts facts;
    if (!judge(at, facts, end) || !allowed(sandbox, call, facts, end)) return end;
    if (at.missing && facts.paths[0].access == 0) return Finish::error(ENOENT);
    if (by_itself && !at.by_descriptor && may_go_on(sandbox.config, call, at.path, kWrite)) return Finish::proceed();
    const ChangesNames changes(call, device_of(at));
    if (!changes.held()) return Finish::gone();
    if (is_as_heard(sandbox, call, at)) return result_of(call, act(at));
    path = at.path;
  }
  return too_many_turns(sandbox, call, path);
}

// Makes something with the caller's umask. What `act` gives, or -1 with errno.
template <typename Act>
long make(const Held& call, Act act) {
  const WithUmask with_umask(call);
  if (with_umask.error == 0) return within_domain(call, act);
  errno = with_umask.error;
  return -1;
}

// What the kernel says of a mode before it looks at the path (fs/namei.c, may_mknod). 0 or a positive errno.
int error_of_type(mode_t mode) {
  switch (mode & S_IFMT) {
    case 0:
    case S_IFREG:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
      return 0;
    case S_IFDIR:
      return EPERM;
    default:
      return EINVAL;
  }
}

}  // namespace

Finish rename_path(Sandbox& sandbox, Held& call) {
  const unsigned flags = static_cast<unsigned>(call.arg(Arg::flags));
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) != 0) return Finish::error(EINVAL);
  if ((flags & RENAME_EXCHANGE) != 0 && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) != 0)
    return Finish::error(EINVAL);
  return as_often_as_needed(
      sandbox, call, [&](Finish& end, std::string& path) { return rename_once(sandbox, call, flags, end, path); });
}

Finish link_path(Sandbox& sandbox, Held& call) {
  const int flags = at_flags(call);
  if ((flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) != 0) return Finish::error(EINVAL);
  return as_often_as_needed(sandbox, call,
                            [&](Finish& end, std::string& path) { return link_once(sandbox, call, flags, end, path); });
}

Finish symlink_path(Sandbox& sandbox, Held& call) {
  char text[PATH_MAX];
  const ssize_t size = call.read_string(call.arg(Arg::text), text, sizeof text);
  if (size < 0) return failed(call, static_cast<int>(-size));
  if (size == 0) return Finish::error(ENOENT);
  AsCaller as_caller(call);
  if (as_caller.error != 0) return failed(call, as_caller.error);
  if (may_make(sandbox, call, true)) return Finish::proceed();
  const auto judge = [&](const Resolved& at, Facts& facts, Finish& end) {
    if (is_visibly_there(sandbox, call, at)) {
      end = Finish::error(EEXIST);
      return false;
    }
    facts = facts_of_new_name(call, at, true);
    facts.target = {text, static_cast<size_t>(size)};  // told, not judged: whoever follows it is
    return true;
  };
  return on_name(
      sandbox, call, judge,
      [&](const Resolved& at) {
        return within_domain(call, [&] { return ::symlinkat(text, at.parent.get(), last_component(at).c_str()); });
      },
      true);
}

Finish unlink_path(Sandbox& sandbox, Held& call) {
  const int flags = is_call(call, "rmdir") ? AT_REMOVEDIR : at_flags(call);
  if ((flags & ~AT_REMOVEDIR) != 0) return Finish::error(EINVAL);
  AsCaller as_caller(call);
  if (as_caller.error != 0) return failed(call, as_caller.error);
  const auto judge = [&](const Resolved& at, Facts& facts, Finish&) {
    facts = at.missing ? facts_of(call, at, 0) : facts_of_part(call, at, Part::name);
    facts.directory = flags != 0 ? 1 : 0;
    return true;
  };
  return on_name(sandbox, call, judge, [&](const Resolved& at) {
    return within_domain(call, [&] { return ::unlinkat(at.parent.get(), last_component(at).c_str(), flags); });
  });
}

Finish mkdir_path(Sandbox& sandbox, Held& call) {
  const mode_t mode = static_cast<mode_t>(call.arg(Arg::mode)) & 07777;
  AsCaller as_caller(call);
  if (as_caller.error != 0) return failed(call, as_caller.error);
  const bool by_itself = (mode & kSetIds) == 0;
  if (by_itself && may_make(sandbox, call, false)) return Finish::proceed();
  const auto judge = [&](const Resolved& at, Facts& facts, Finish& end) {
    if (is_visibly_there(sandbox, call, at)) {
      end = Finish::error(EEXIST);
      return false;
    }
    facts = facts_of_new_name(call, at);
    facts.mode = mode;
    return true;
  };
  const auto act = [&](const Resolved& at) {
    return make(call, [&] { return ::mkdirat(at.parent.get(), last_component(at).c_str(), mode); });
  };
  return on_name(sandbox, call, judge, act, by_itself);
}

Finish mknod_path(Sandbox& sandbox, Held& call) {
  const mode_t mode = static_cast<mode_t>(call.arg(Arg::mode)) & 0xffff;  // umode_t
  if (const int error = error_of_type(mode); error != 0) return Finish::error(error);
  AsCaller as_caller(call);
  if (as_caller.error != 0) return failed(call, as_caller.error);
  const auto judge = [&](const Resolved& at, Facts& facts, Finish& end) {
    if (is_visibly_there(sandbox, call, at)) end = Finish::error(EEXIST);
    // A device node of one's own is a way past every rule on paths; a socket or a FIFO is none.
    else if (S_ISBLK(mode) || (S_ISCHR(mode) && static_cast<uint32_t>(call.arg(Arg::device)) != kWhiteout))
      end = forbidden(sandbox, call, EPERM, "device nodes cannot be made by the tree", at.path);
    else if ((mode & kSetIds) != 0)
      end = forbidden(sandbox, call, EPERM, kSetIdReason, at.path);
    else {
      facts = facts_of_new_name(call, at);
      facts.mode = mode;
      facts.device = static_cast<uint32_t>(call.arg(Arg::device));
      return true;
    }
    return false;
  };
  return on_name(sandbox, call, judge, [&](const Resolved& at) {
    return make(call, [&] { return ::mknodat(at.parent.get(), last_component(at).c_str(), mode, 0); });
  });
}

namespace {

// Most names that are asked about are none of a link: programs canonicalise their folders component by component. For a
// plain name that rules alone let be looked at, the walk itself tells. 0: it is to be looked at.
int error_of_no_link(const Sandbox& sandbox, const Held& call, int dirfd, std::string_view path) {
  if (is_one_name(path)) {
    const Folder folder(call, dirfd);
    if (!folder.is_stood_in()) return 0;
    struct stat status;
    const int error = folder.look(path.data(), status) == 0 ? EINVAL : errno;
    if (error == EINVAL ? S_ISLNK(status.st_mode) : error != ENOENT) return 0;
    std::string name;
    return folder.name(sandbox, path, name) && allowed_unheard(sandbox, call, Facts::Path{name}) ? error : 0;
  }
  if (!is_plain(sandbox, path)) return 0;
  if (!allowed_unheard(sandbox, call, Facts::Path{path})) return 0;
  const int fd = open_plain(path.data(), O_PATH | O_CLOEXEC);
  if (fd < 0) return fd == -ENOENT ? ENOENT : 0;
  ::close(fd);
  return EINVAL;
}

}  // namespace

Finish readlink_path(Sandbox& sandbox, Held& call) {
  const int room = static_cast<int>(call.arg(Arg::size));
  if (room <= 0) return Finish::error(EINVAL);
  AsCaller as_caller(call);
  if (as_caller.error != 0) return failed(call, as_caller.error);
  char path[PATH_MAX];
  const ssize_t length = call.read_string(call.arg(Arg::path), path, sizeof path);
  if (length < 0) return failed(call, static_cast<int>(-length));
  const int dirfd = call.has(Arg::dirfd) ? call.fd(Arg::dirfd) : AT_FDCWD;
  if (const int error = error_of_no_link(sandbox, call, dirfd, {path, static_cast<size_t>(length)}); error != 0)
    return Finish::error(error);
  Resolved at;
  // An empty path is the descriptor's own link (readlink(2)), and without one not there.
  const unsigned flags = kMayMiss | kOnlyLook | (call.has(Arg::dirfd) ? kEmptyPath : 0u);
  if (resolve_text(sandbox, call, dirfd, {path, static_cast<size_t>(length)}, flags, at) != 0)
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
    const int error = size < 0 ? errno : 0;
    // Not a link; an empty path that is none is not there, either.
    if (error == ENOENT && at.look() != nullptr && !S_ISLNK(at.look()->st_mode))
      return Finish::error(length != 0 ? EINVAL : ENOENT);
    if (error != 0) return failed(call, error);
  }
  size = std::min<ssize_t>(size, room);
  if (const int error = call.write(call.arg(Arg::buffer), text, static_cast<size_t>(size)); error != 0)
    return failed(call, -error);
  return Finish::answer(size);
}

Finish watch_path(Sandbox& sandbox, Held& call) {
  uint32_t mask = static_cast<uint32_t>(call.arg(Arg::mask));
  UniqueFd instance;
  Finish finish;
  if (!take_copy(sandbox, call, call.fd(Arg::fd), "the caller's inotify instance cannot be reached", instance, finish))
    return finish;
  AsCaller as_caller(call);
  if (as_caller.error != 0) return failed(call, as_caller.error);
  Resolved at;
  const unsigned follow = kContents | ((mask & IN_DONT_FOLLOW) != 0 ? 0u : kFollow);
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
