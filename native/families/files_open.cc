// open, openat, openat2, creat, truncate. What is opened is the pinned object itself, or a new name in a pinned
// directory; the caller gets the descriptor that the supervisor opened with the caller's rights, umask and flags.
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "../policy/layers.h"
#include "../policy/written.h"
#include "../syscalls/guards.h"
#include "../view/domains.h"
#include "../view/fs_context.h"
#include "../view/names.h"
#include "../view/proc_view.h"
#include "caller.h"
#include "files.h"
#include "files_held.h"

namespace holdfast::families {
namespace {

constexpr uint64_t kKnownFlags = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |
                                 FASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC |
                                 O_PATH | O_TMPFILE | 0100000 /* O_LARGEFILE, which libc hides on 64 bit */;
// A pinned object is there already, and its name in /proc/self/fd is a link.
constexpr int kNotForReopen = O_CREAT | O_NOFOLLOW;
constexpr uint64_t kSmallestHow = 24;  // OPEN_HOW_SIZE_VER0

struct Wanted {
  int flags = 0;
  mode_t mode = 0;
  uint64_t how = 0;  // RESOLVE_*
  bool is(int flag) const { return (flags & flag) == flag; }
};

// ---- The caller's terminal -----------------------------------------------------------------------------------------

bool is_own_terminal(int fd) {
  struct stat st;
  return ::fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(5, 0);
}

// The device of the caller's controlling terminal: 0 or -errno (-ENXIO: it has none).
int terminal_of(const Held& call, unsigned& tty) {
  char name[40], text[1024];
  std::snprintf(name, sizeof name, "%d/stat", call.tid);
  UniqueFd stat(::openat(proc_directory(), name, O_RDONLY | O_CLOEXEC));
  const ssize_t n = stat ? ::read(stat.get(), text, sizeof text - 1) : -1;
  if (!call.still_held()) return -ESRCH;
  if (n <= 0) return -ENXIO;
  text[n] = '\0';
  // pid (comm) state ppid pgrp session tty_nr; the name may hold anything, so from its end on.
  const char* after = std::strrchr(text, ')');
  tty = 0;
  return after != nullptr && std::sscanf(after + 1, " %*c %*d %*d %*d %u", &tty) == 1 && tty != 0 ? 0 : -ENXIO;
}

// /dev/tty is a different terminal for each session. Descriptor or -errno.
int open_terminal_of(const Held& call, int flags) {
  unsigned tty = 0;
  if (const int error = terminal_of(call, tty); error != 0) return error;
  const unsigned number_of_kind = (tty >> 8) & 0xfff, number = (tty & 0xff) | ((tty >> 12) & 0xfff00);
  char path[40];
  if (number_of_kind >= 136 && number_of_kind <= 143)  // UNIX98_PTY_SLAVE_MAJOR, linux/major.h
    std::snprintf(path, sizeof path, "/dev/pts/%u", number + ((number_of_kind - 136) << 8));
  else if (number_of_kind == 4)
    std::snprintf(path, sizeof path, number < 64 ? "/dev/tty%u" : "/dev/ttyS%u", number < 64 ? number : number - 64);
  else
    return -ENXIO;
  UniqueFd found(::open(path, O_PATH | O_CLOEXEC));
  struct stat st;
  if (!found || ::fstat(found.get(), &st) != 0) return -errno;
  if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(number_of_kind, number)) return -ENXIO;
  return open_within_domain(call, [&] { return reopen(found.get(), flags); });
}

// ---- Opening -----------------------------------------------------------------------------------------------------

Finish handed(const Held& call, int fd, int flags, const MayBlock& wait) {
  if (fd == -EINTR && wait.interrupted()) return Finish::error(wait.error());
  if (fd < 0) return failed(call, fd == -EMFILE ? ENFILE : -fd);
  if ((access_of(flags) & kWrite) != 0) note_written(fd);
  return Finish::hand_over(UniqueFd(fd), (flags & O_CLOEXEC) != 0);
}

bool protects(const char* setting) {
  UniqueFd file(::open(setting, O_RDONLY | O_CLOEXEC));
  char digit = '0';
  return file && ::read(file.get(), &digit, 1) == 1 && digit != '0';
}

// What O_CREAT refuses of what is there already. The kernel knows the name's directory; a pinned object is opened
// without.
int error_of_creating(const Resolved& at) {
  struct stat st;
  if (::fstat(at.object.get(), &st) != 0) return errno;
  if (S_ISDIR(st.st_mode)) return EISDIR;
  // fs.protected_regular, fs.protected_fifos (sysctl, Documentation/admin-guide/sysctl/fs.rst).
  static const bool regular = protects("/proc/sys/fs/protected_regular"),
                    fifos = protects("/proc/sys/fs/protected_fifos");
  if (!(S_ISREG(st.st_mode) && regular) && !(S_ISFIFO(st.st_mode) && fifos)) return 0;
  if (st.st_uid == static_cast<uid_t>(::syscall(SYS_setfsuid, -1))) return 0;
  const size_t slash = at.path.rfind('/');
  struct stat directory;
  if (slash == std::string::npos || ::stat(slash == 0 ? "/" : at.path.substr(0, slash).c_str(), &directory) != 0)
    return 0;
  const bool sticky = (directory.st_mode & S_ISVTX) != 0 && (directory.st_mode & (S_IWOTH | S_IWGRP)) != 0;
  return sticky && directory.st_uid != st.st_uid ? EACCES : 0;
}

// Whether an open with O_NONBLOCK, if it succeeds, did what one without would have done at once.
bool is_told_by_nonblock(const struct stat& st, int flags) {
  if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) return true;  // it waits for leases only: fcntl(2), F_SETLEASE
  // A reader that does not wait would meet a writer that does, and leave it again: fifo(7).
  if (S_ISFIFO(st.st_mode)) return (flags & O_ACCMODE) != O_RDONLY;
  // Memory and pseudoterminals have no carrier to wait for. Majors: linux/major.h.
  const unsigned kind = major(st.st_rdev);
  return S_ISCHR(st.st_mode) && (kind == 1 || kind == 5 || (kind >= 136 && kind <= 143));
}

// Where no thread can be spared: opens what does not wait. Descriptor or -errno, EAGAIN if it would.
int reopen_at_once(int object, int flags) {
  if ((flags & O_NONBLOCK) != 0) return reopen(object, flags);
  struct stat st;
  if (::fstat(object, &st) != 0) return -errno;
  if (!is_told_by_nonblock(st, flags)) return -EAGAIN;
  const int got = reopen(object, flags | O_NONBLOCK);
  if (got < 0) return got == -ENXIO && S_ISFIFO(st.st_mode) ? -EAGAIN : got;
  UniqueFd fd(got);
  const int now = ::fcntl(fd.get(), F_GETFL);
  return now < 0 || ::fcntl(fd.get(), F_SETFL, now & ~O_NONBLOCK) != 0 ? -errno : fd.release();
}

// Part of what an entry in /proc says is for who may look into the process (ptrace(2)), as the caller may into itself
// and whoever is in its domain; a thread of ours within a copy of that may not. Then it is asked whether the domain
// lets read what lies beside it, and that is for everybody.
bool domain_lets_read_entry(const Sandbox& sandbox, const Held& call, const Resolved& at, int flags) {
  if (!has_domain(call.tid) || access_of(flags) != kRead || !below_proc_mount(sandbox.config, at.path)) return false;
  const ProcPlace place = look_at_proc(sandbox, call, at.path);
  if (!place.process || place.error != 0 || is_harmless(place.entry) || place.entry == "mem") return false;
  struct stat status;
  if (::fstat(at.object.get(), &status) != 0) return false;
  const std::string beside = at.path.substr(0, at.path.size() - place.entry.size());
  const auto lets_read = [&](const char* name) {
    const std::string path = beside + name;
    const auto open = [&] { return open_plain(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC); };
    return static_cast<bool>(UniqueFd(open_within_domain(call, open)));
  };
  // Several, since a rule may be for one of them alone.
  return S_ISDIR(status.st_mode) ? lets_read("") : lets_read("stat") && lets_read("limits") && lets_read("wchan");
}

Finish open_existing(const Sandbox& sandbox, const Held& call, Resolved& at, const Wanted& wanted) {
  if (wanted.is(O_CREAT)) {
    if (wanted.is(O_EXCL)) return Finish::error(EEXIST);
    if (const int error = error_of_creating(at); error != 0) return Finish::error(error);
  }
  const int flags = wanted.flags & ~kNotForReopen;
  // Now, since the opening may cut it; and when it is open, as an overlay may have made a copy of it by then.
  if ((access_of(flags) & kWrite) != 0) note_written(at.object.get());
  MayBlock wait(call);
  const auto open = [&] {
    const auto once = [&] {
      return wait.refused() ? reopen_at_once(at.object.get(), flags) : reopen(at.object.get(), flags);
    };
    const int fd = open_within_domain(call, once);
    return fd == -EACCES && domain_lets_read_entry(sandbox, call, at, flags) ? once() : fd;
  };
  if (at.path == "/dev/tty" && !wanted.is(O_DIRECTORY) && is_own_terminal(at.object.get())) {
    // Whether a domain lets it be opened by this name the kernel says before it looks for a terminal of ours.
    const int asked = has_domain(call.tid) ? open() : -ENXIO;
    const UniqueFd ours(asked);
    const bool is_refused = asked == -EACCES;
    return is_refused ? Finish::error(EACCES) : handed(call, open_terminal_of(call, flags), wanted.flags, wait);
  }
  if (at.own_descriptors) {
    AsSupervisor own(call);
    return handed(call, open(), wanted.flags, wait);
  }
  AsOnlooker look(at.guarded);
  const int fd = open();
  if (fd >= 0 && at.path.ends_with("/ptmx")) remember_terminal(fd, at.path);
  return handed(call, fd, wanted.flags, wait);
}

// A new file under a name that nobody has. EEXIST: somebody has it now, if only as a link (open(2), O_EXCL).
int create(const Held& call, const Resolved& at, const Wanted& wanted) {
  const WithUmask with_umask(call);
  if (with_umask.error != 0) return -with_umask.error;
  const long fd = within_domain(call, [&] {
    return ::openat(at.parent.get(), at.name.c_str(), wanted.flags | O_CREAT | O_EXCL | O_NOCTTY, wanted.mode);
  });
  return fd < 0 ? -errno : static_cast<int>(fd);
}

Finish open_unnamed(const Held& call, const Resolved& at, const Wanted& wanted) {
  const WithUmask with_umask(call);
  if (with_umask.error != 0) return failed(call, with_umask.error);
  MayBlock wait(call);
  const long fd = within_domain(call, [&] {
    return ::openat(self_fd_directory(), FdName(at.object.get()).text, (wanted.flags & ~O_NOFOLLOW) | O_NOCTTY,
                    wanted.mode);
  });
  return handed(call, fd < 0 ? -errno : static_cast<int>(fd), wanted.flags, wait);
}

// A hook's own contents: a file without a name that nobody can write.
Finish contents(const Held& call, const std::string& data, const Wanted& wanted) {
  if (wanted.is(O_PATH)) return Finish::error(EACCES);  // there is nothing that has a place
  if ((access_of(wanted.flags) & kWrite) != 0) return Finish::error(EROFS);
  UniqueFd memory(::memfd_create("holdfast", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory) return failed(call, errno);
  for (size_t done = 0; done < data.size();) {
    const ssize_t n = ::write(memory.get(), data.data() + done, data.size() - done);
    if (n < 0) return failed(call, errno);
    done += static_cast<size_t>(n);
  }
  if (::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
    return failed(call, errno);
  MayBlock wait(call);
  return handed(call, reopen(memory.get(), wanted.flags & (O_DIRECTORY | O_NONBLOCK | O_CLOEXEC)), wanted.flags, wait);
}

unsigned walk_flags(const Wanted& wanted) {
  unsigned flags = kMayMiss;
  // O_EXCL with O_CREAT looks at the name itself (open(2)).
  if (!wanted.is(O_NOFOLLOW) && !wanted.is(O_CREAT | O_EXCL)) flags |= kFollow;
  if ((access_of(wanted.flags) & kRead) != 0) flags |= kContents;
  return flags;
}

// The caller's own call becomes an openat2 of that name. nullptr: it is too long.
std::unique_ptr<Bounce> openat2_by_caller(std::string_view path, int flags, uint64_t resolve) {
  const ::open_how how = {static_cast<uint64_t>(flags), 0, resolve};
  auto bounce = std::make_unique<Bounce>();
  std::string whole(path);
  const int64_t name = bounce->append(whole.c_str(), whole.size() + 1);
  const int64_t rest = bounce->append(&how, sizeof how);
  if (name < 0 || rest < 0) return nullptr;
  bounce->number = SYS_openat2;
  bounce->value(0, static_cast<uint64_t>(AT_FDCWD));
  bounce->pointer(1, name);
  bounce->pointer(2, rest);
  bounce->value(3, sizeof how);
  return bounce;
}

// ---- O_PATH ------------------------------------------------------------------------------------------------------

// Such a descriptor cannot be handed over, so the caller opens the approved name itself: from the sealed page, as
// openat2 without any link on the way. Its own descriptors it may have again in any case, whatever stands there by
// then.
//
// A filter of its own may know no openat2 (`call.tried`). Where nobody in the tree can make that name lead elsewhere it
// is opened by openat then; else what may be read is handed over for reading, which does for what such descriptors are
// for.
Finish open_by_caller(const Sandbox& sandbox, const Held& call, Resolved& at, const Wanted& wanted) {
  if (call.engine != Held::Engine::trace) return Finish::error(ENOSYS);  // openat2; its users fall back to openat
  if (call.tried) {
    if (!at.by_descriptor && !sandbox.config.is_movable(at.path)) {
      auto bounce = std::make_unique<Bounce>();
      const int64_t name = bounce->append(at.path.c_str(), at.path.size() + 1);
      if (name < 0) return Finish::error(ENAMETOOLONG);
      bounce->number = SYS_openat;
      bounce->value(0, static_cast<uint64_t>(AT_FDCWD));
      bounce->pointer(1, name);
      bounce->value(2, static_cast<uint64_t>(wanted.flags | O_NOFOLLOW));
      return Finish::bounce(std::move(bounce));
    }
    struct stat status;
    const bool is_plain =
        ::fstat(at.object.get(), &status) == 0 && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
    if (!is_plain || (!at.by_descriptor && !allowed_unheard(sandbox, call, Facts::Path{at.path, kRead})))
      return Finish::error(EACCES);
    Wanted readable = wanted;
    readable.flags = (wanted.flags & (O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) | O_RDONLY | O_NONBLOCK;
    return open_existing(sandbox, call, at, readable);
  }
  const bool anew = at.reached_by >= 0 || (at.by_descriptor && !at.magic_link.empty());
  if (at.by_descriptor && !anew) return Finish::error(EACCES);  // another process's, which has no name to open it by
  auto bounce = anew ? openat2_by_caller(at.magic_link, wanted.flags, 0)
                     : openat2_by_caller(at.path, wanted.flags, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
  if (!bounce) return Finish::error(ENAMETOOLONG);
  bounce->tries = processes_have_filters();
  return Finish::bounce(std::move(bounce));
}

// Opens what a walk found, without asking again. False: the walk is to be done again, the name has come or gone.
// `elsewhere`: not where the caller's own path leads.
bool open_found(const Sandbox& sandbox, const Held& call, Resolved& at, const Wanted& wanted, Finish& end,
                bool elsewhere = false) {
  if (wanted.is(O_TMPFILE)) {
    end = at.missing ? Finish::error(ENOENT) : open_unnamed(call, at, wanted);
    return true;
  }
  if (!at.missing) {
    end = wanted.is(O_PATH) ? open_by_caller(sandbox, call, at, wanted) : open_existing(sandbox, call, at, wanted);
    return true;
  }
  if (!wanted.is(O_CREAT) || wanted.is(O_PATH)) {
    end = Finish::error(ENOENT);
    return true;
  }
  const uint8_t access = static_cast<uint8_t>(access_of(wanted.flags) | kWrite);
  if (wanted.how == 0 && !elsewhere && !at.by_descriptor && may_go_on(sandbox.config, call, at.path, access)) {
    end = Finish::proceed();
    return true;
  }
  // A hook takes its time, and what it has said of a name is said of that name alone.
  std::optional<ChangesNames> changes;
  if (sandbox.config.hooked(call.row->event)) {
    changes.emplace(call, device_of(at));
    if (!changes->held()) {
      end = Finish::gone();
      return true;
    }
    if (!is_as_judged(at)) return false;
  }
  MayBlock wait(call);
  const int fd = create(call, at, wanted);
  if (fd == -EEXIST && !wanted.is(O_EXCL)) return false;
  end = handed(call, fd, wanted.flags, wait);
  return true;
}

// The path that a hook has answered: in a folder that it must not leave, with a NUL between, if it said so.
int resolve_elsewhere(Sandbox& sandbox, const Held& call, std::string_view data, const Wanted& wanted, Resolved& at) {
  const unsigned flags = walk_flags(wanted) | kOwnLinks;
  const size_t end = data.find('\0');
  if (end == data.npos) return resolve_text(sandbox, call, AT_FDCWD, data, flags, at);
  Resolved folder;
  if (const int error = resolve_text(sandbox, call, AT_FDCWD, data.substr(0, end), kFollow | kOwnLinks, folder))
    return at.error = error;
  return resolve_below(sandbox, call, folder.object.get(), data.substr(end + 1), flags, at,
                       RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

// Where a hook has sent the call: chosen by the caller of the library, so no rule allows it, but a rule may deny it.
Finish open_elsewhere(Sandbox& sandbox, const Held& call, const std::string& data, const Wanted& wanted) {
  for (int turn = 0; turn < kMostTurns; turn++) {
    Resolved at;
    Finish end;
    if (resolve_elsewhere(sandbox, call, data, wanted, at) != 0) {
      if (at.error == EXDEV)
        return forbidden(sandbox, call, EXDEV, "a hook redirected the call out of the folder that it is to stay in",
                         std::string_view(data).substr(data.find('\0') + 1));
      return failed(call, at.error);
    }
    uint8_t access = access_of(wanted.flags);
    const bool makes = wanted.is(O_CREAT) && at.missing;
    if (makes) access |= kWrite;
    if (makes && (wanted.mode & kSetIds) != 0) return forbidden(sandbox, call, EPERM, kSetIdReason, at.path);
    if (!at.by_descriptor) {
      AsSupervisor own(call);
      const Decision decision = decide_redirected(sandbox, call, facts_of(call, at, access));
      if (!decision.allowed()) return refusal(decision);
    }
    if (open_found(sandbox, call, at, wanted, end, true)) return end;
  }
  return too_many_turns(sandbox, call, data.c_str());
}

// O_CREAT of a name with a slash after it makes nothing, whatever is there (fs/namei.c, open_last_lookups).
Finish refuse_to_make_directory(Sandbox& sandbox, const Held& call, int dirfd, std::string_view path,
                                const Wanted& wanted) {
  Resolved at;
  if (resolve_text(sandbox, call, dirfd, path, kParent | kMayMiss, at, wanted.how) != 0) return failed(call, at.error);
  return Finish::error(at.last != Last::name && wanted.is(O_EXCL) ? EEXIST : EISDIR);
}

// /proc/<pid>/attr (proc_pid_attr(5)): a process that writes there gives rights up, as AppArmor's change_profile does.
bool is_label(const Sandbox& sandbox, const Held& call, std::string_view path) {
  return below_proc_mount(sandbox.config, path) && look_at_proc(sandbox, call, path).entry.starts_with("attr/");
}

// One look and one try. False: once more.
bool open_once(Sandbox& sandbox, const Held& call, const Wanted& wanted, Resolved& at, Finish& end) {
  const bool unnamed = wanted.is(O_TMPFILE);
  if (((wanted.is(O_CREAT) && at.missing) || unnamed) && (wanted.mode & kSetIds) != 0) {
    end = forbidden(sandbox, call, EPERM, kSetIdReason, at.path);
    return true;
  }
  uint8_t access = access_of(wanted.flags);
  if ((wanted.is(O_CREAT) && at.missing) || unnamed) access |= kWrite;
  if ((access & kWrite) != 0 && is_label(sandbox, call, at.path)) {
    end = forbidden(sandbox, call, EACCES, "the label of a process cannot be worn by what is done for it", at.path);
    return true;
  }
  if (!at.by_descriptor && !caller_has_it_open(call, at, access)) {
    Facts facts = facts_of(call, at, access);
    std::string name;
    if (unnamed && !at.missing) {
      // The file will have no name; it is judged as one in that directory.
      name = at.path.size() == 1 ? "/#tmp" : at.path + "/#tmp";
      facts.paths[0].name = name;
    }
    // What is about to be made is refused as any other change is, not as something that is not there.
    if (wanted.is(O_CREAT)) {
      facts.paths[0].made = at.missing;
      facts.paths[0].missing = false;
    }
    facts.flags = wanted.flags;
    if (wanted.is(O_CREAT) || unnamed) facts.mode = wanted.mode;
    // Who has no terminal is refused none: shells and ps look for it wherever they run.
    unsigned tty;
    const bool no_terminal = at.path == "/dev/tty" && !wanted.is(O_PATH) && is_own_terminal(at.object.get()) &&
                             terminal_of(call, tty) == -ENXIO;
    if (no_terminal) facts.paths[0].missing = true;
    if (at.path == "/dev/tty" && !no_terminal && is_own_terminal(at.object.get()) && terminal_of(call, tty) == 0)
      facts.paths[0].own_terminal = is_number_of_tree(tty);
    const Decision decision = ask(sandbox, call, facts);
    if (decision.kind == Decision::Kind::redirect) {
      end = open_elsewhere(sandbox, call, decision.data, wanted);
      return true;
    }
    if (decision.kind == Decision::Kind::respond) {
      end = contents(call, decision.data, wanted);
      return true;
    }
    if (!decision.allowed()) {
      end = no_terminal && decision.error == ENOENT ? Finish::error(ENXIO) : refusal(decision);
      return true;
    }
  }
  return open_found(sandbox, call, at, wanted, end);
}

// What may wait (a FIFO, a device) is to be interrupted as it would be bare, which only a wait of ours can tell from
// one for a worker (engine/waiting.cc). A link is no end.
bool may_not_wait(const struct stat& status) { return S_ISREG(status.st_mode) || S_ISDIR(status.st_mode); }

// Whether it may go on where that name is missing, too: to be told so, or to make it.
template <typename Granted>
bool may_be_missing(const Sandbox& sandbox, std::string_view name, const Wanted& wanted, Granted granted) {
  if (!sandbox.config.shows(name)) return false;
  const uint8_t access = access_of(wanted.flags);
  return !wanted.is(O_CREAT) || (access & kWrite) != 0 || granted(name, static_cast<uint8_t>(access | kWrite));
}

// Of one name in a folder of the caller. Where no thread can stand in it, this look and the one that the folder's name
// came from need not meet the same folder, if the tree gives the descriptor another one in between: then what is opened
// is the kernel's to decide, as with any other race.
template <typename Granted>
bool go_on_in_folder(const Sandbox& sandbox, const Wanted& wanted, const Folder& folder, std::string_view path,
                     std::string_view name, Granted granted) {
  if (!granted(name, access_of(wanted.flags))) return false;
  struct stat status;
  if (folder.look(path.data(), status) != 0) return errno == ENOENT && may_be_missing(sandbox, name, wanted, granted);
  return may_not_wait(status);
}

// Of any other path.
template <typename Granted>
bool go_on_below(const Sandbox& sandbox, const Wanted& wanted, const Folder& folder, std::string_view path,
                 Granted granted) {
  std::string name;
  struct stat status;
  const int fd = folder.pin_below(sandbox, path, wanted.flags & O_NOFOLLOW, name);
  if (fd < 0) return false;
  const UniqueFd found(fd);
  return ::fstat(fd, &status) == 0 && may_not_wait(status) && granted(name, access_of(wanted.flags));
}

template <typename Granted>
bool go_on_by_name(const Sandbox& sandbox, const Wanted& wanted, std::string_view path, Granted granted) {
  if (!is_plain(sandbox, path) || !granted(path, access_of(wanted.flags))) return false;
  const int fd = open_plain(path.data(), O_PATH | O_CLOEXEC | (wanted.flags & O_NOFOLLOW));
  if (fd < 0) return fd == -ENOENT && may_be_missing(sandbox, path, wanted, granted);
  const UniqueFd found(fd);
  struct stat status;
  return ::fstat(fd, &status) == 0 && may_not_wait(status);
}

// What Landlock grants as a whole the caller opens itself (policy/layers.h): nothing is handed over, and whatever the
// tree makes of the name meanwhile, the kernel opens nothing that the rules refuse. So it need not even be asked
// whether the caller is still there. False: another way is to be taken.
bool go_on(Sandbox& sandbox, const Held& call, const Wanted& wanted, int dirfd, std::string_view path, Finish& end) {
  if (!goes_on_from(call) || wanted.how != 0 || wanted.is(O_PATH) || wanted.is(O_TMPFILE) || path.empty() ||
      path == "/dev/tty" || (wanted.mode & kSetIds) != 0)
    return false;
  const uint8_t access = access_of(wanted.flags);
  const Layers& layers = *sandbox.config.layers;
  if (((access & kRead) != 0 && layers.readable.empty()) || ((access & kWrite) != 0 && layers.writable.empty()))
    return false;
  const auto granted = [&](std::string_view name, uint8_t access) {
    return allowed_unheard(sandbox, call, Facts::Path{name, access}) && may_go_on(sandbox.config, call, name, access);
  };
  end = Finish::proceed();
  if (path[0] == '/') return go_on_by_name(sandbox, wanted, path, granted);
  if (!is_clean(path)) return false;
  const Folder folder(call, dirfd);
  if (!is_one_name(path)) return go_on_below(sandbox, wanted, folder, path, granted);
  std::string name;
  return folder.name(sandbox, path, name) && go_on_in_folder(sandbox, wanted, folder, path, name, granted);
}

// A plain name that is only read, by rules alone: opened by that very name, which holds or there is nothing to open.
// Half the work of pinning, naming and opening anew. False: the longer way is to be taken.
bool open_by_name(Sandbox& sandbox, const Held& call, const Wanted& wanted, int dirfd, std::string_view path,
                  Finish& end) {
  constexpr int kKnown = O_CLOEXEC | O_NONBLOCK | O_DIRECTORY | O_NOFOLLOW | O_NOCTTY | 0100000 /* O_LARGEFILE */;
  if (wanted.how != 0 || (wanted.flags & ~kKnown) != 0) return false;
  std::optional<Folder> folder;
  int base = AT_FDCWD;
  std::string from_root;
  std::string_view whole = path;
  if (!path.empty() && path[0] != '/') {
    base = folder.emplace(call, dirfd).base();
    if ((base < 0 && base != AT_FDCWD) || !folder->name(sandbox, path, from_root)) return false;
    whole = from_root;
    if (whole.size() >= PATH_MAX) return false;
  }
  if (!is_plain(sandbox, whole) || whole == "/dev/tty") return false;
  if (!allowed_unheard(sandbox, call, Facts::Path{whole, kRead})) return false;
  if (are_held_by_stops() && !call.tried && !sandbox.config.is_movable(whole)) {
    // To fetch a descriptor takes several calls of the caller's. What has been approved is that very name, and nobody
    // in the tree can make it lead elsewhere.
    auto bounce = openat2_by_caller(whole, wanted.flags | O_NOCTTY, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    if (!bounce) return false;
    bounce->tries = true;
    end = Finish::bounce(std::move(bounce));
    return true;
  }
  MayBlock wait(call);
  if (wait.refused()) return false;
  const int fd = open_within_domain(
      call, [&] { return open_plain_below(base, path.data(), wanted.flags | O_NOCTTY); },
      base == AT_FDCWD && path[0] != '/' ? From::here : From::anywhere);
  if (fd >= 0 && sandbox.config.is_movable(whole)) {
    // During the walk a folder can have been moved to where nothing may be read, and something of there put into it.
    std::string name;
    if (shown_name(fd, name) != 0 || name != whole) {
      ::close(fd);
      return false;
    }
  }
  // Anything but a plain answer about the file is for the longer way to tell.
  if (fd < 0 && fd != -ENOENT && fd != -EINTR) return false;
  end = handed(call, fd, wanted.flags, wait);
  if (folder) end.folder = folder->release();
  return true;
}

Finish open_wanted(Sandbox& sandbox, const Held& call, const Wanted& wanted) {
  AsCaller as_caller(call);
  if (as_caller.error != 0) return failed(call, as_caller.error);
  char text[PATH_MAX];
  const ssize_t size = call.read_string(call.arg(Arg::path), text, sizeof text);
  if (size < 0) return failed(call, static_cast<int>(-size));
  const int dirfd = call.has(Arg::dirfd) ? call.fd(Arg::dirfd) : AT_FDCWD;
  const std::string_view path(text, static_cast<size_t>(size));
  if (wanted.is(O_CREAT) && path.ends_with('/')) return refuse_to_make_directory(sandbox, call, dirfd, path, wanted);
  if (Finish end; go_on(sandbox, call, wanted, dirfd, path, end)) return end;
  if (Finish end; open_by_name(sandbox, call, wanted, dirfd, path, end)) return end;
  for (int turn = 0; turn < kMostTurns; turn++) {
    Resolved at;
    Finish end;
    if (resolve_text(sandbox, call, dirfd, path, walk_flags(wanted), at, wanted.how) != 0)
      return failed(call, at.error);
    if (open_once(sandbox, call, wanted, at, end)) return end;
  }
  return too_many_turns(sandbox, call, path);
}

// Combinations of flags that are none: the kernel says so before it looks at the path, so it is asked with an empty
// one.
bool is_valid(const Wanted& wanted) {
  if (!wanted.is(O_TMPFILE) && !wanted.is(O_CREAT | O_DIRECTORY)) return true;
  return ::syscall(SYS_openat, AT_FDCWD, "", wanted.flags, wanted.mode) >= 0 || errno == ENOENT;
}

// The caller's soft RLIMIT_FSIZE. prlimit() would ask for CAP_SYS_RESOURCE where its ids have changed. 0 or a positive
// errno.
int file_size_limit(const Held& call, uint64_t& out) {
  char name[40], text[4096];
  std::snprintf(name, sizeof name, "%d/limits", call.tid);
  AsSupervisor own(call);
  UniqueFd limits(::openat(proc_directory(), name, O_RDONLY | O_CLOEXEC));
  const ssize_t n = limits ? ::read(limits.get(), text, sizeof text - 1) : -1;
  if (!call.still_held()) return ESRCH;
  if (n <= 0) return EPERM;
  text[n] = '\0';
  static constexpr char kKey[] = "\nMax file size ";  // proc_pid_limits(5): a soft and a hard limit, or "unlimited"
  const char* at = std::strstr(text, kKey);
  if (at == nullptr) return EPERM;
  at += std::strspn(at + sizeof kKey - 1, " ") + sizeof kKey - 1;
  if (std::strncmp(at, "unlimited", 9) == 0) {
    out = RLIM_INFINITY;
    return 0;
  }
  return std::sscanf(at, "%lu", &out) == 1 ? 0 : EPERM;
}

}  // namespace

Finish open_file(Sandbox& sandbox, Held& call) {
  Wanted wanted;
  if (is_call(call, "creat"))
    wanted.flags = O_CREAT | O_WRONLY | O_TRUNC;
  else
    wanted.flags = static_cast<int>(call.arg(Arg::open_flags) & kKnownFlags);
  if ((wanted.flags & O_PATH) != 0) wanted.flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  wanted.mode = static_cast<mode_t>(call.arg(Arg::mode)) & 07777;
  if (!is_valid(wanted)) return Finish::error(EINVAL);
  return open_wanted(sandbox, call, wanted);
}

Finish open_how(Sandbox& sandbox, Held& call) {
  // Any size that the kernel takes: it checks what it does not know itself (openat2(2), "Extensibility").
  const uint64_t size = call.arg(Arg::size);
  if (size < kSmallestHow) return Finish::error(EINVAL);
  if (size > 4096) return Finish::error(E2BIG);
  alignas(8) uint8_t bytes[4096];
  if (const int error = call.read(call.arg(Arg::how), bytes, size); error != 0) return failed(call, -error);
  if (::syscall(SYS_openat2, AT_FDCWD, "", bytes, size) < 0 && errno != ENOENT) return Finish::error(errno);
  ::open_how how;
  std::memcpy(&how, bytes, sizeof how);
  // May always be answered so: the caller tries again without it.
  if ((how.resolve & RESOLVE_CACHED) != 0) return Finish::error(EAGAIN);
  Wanted wanted;
  wanted.flags = static_cast<int>(how.flags);
  wanted.mode = static_cast<mode_t>(how.mode);
  wanted.how = how.resolve;
  return open_wanted(sandbox, call, wanted);
}

Finish truncate_path(Sandbox& sandbox, Held& call) {
  const int64_t length = static_cast<int64_t>(call.arg(Arg::length));
  if (length < 0) return Finish::error(EINVAL);
  AsCaller as_caller(call);
  if (as_caller.error != 0) return failed(call, as_caller.error);
  Resolved at;
  if (resolve(sandbox, call, Arg::dirfd, Arg::path, kFollow | kMayMiss, at) != 0) return failed(call, at.error);
  Finish end;
  Facts facts = facts_of(call, at, kWrite);
  facts.size = length;
  if (at.missing) facts.paths[0].access = 0;
  if (!at.by_descriptor && !allowed(sandbox, call, facts, end)) return end;
  if (at.missing) return Finish::error(ENOENT);
  // The limit is the caller's, not ours (setrlimit(2), RLIMIT_FSIZE), and counts only where the file grows.
  struct stat st;
  if (::fstat(at.object.get(), &st) == 0 && S_ISREG(st.st_mode) && length > st.st_size) {
    uint64_t limit;
    if (const int error = file_size_limit(call, limit); error != 0) return failed(call, error);
    if (static_cast<uint64_t>(length) > limit) {
      AsSupervisor own(call);
      ::syscall(SYS_tgkill, call.tgid(), call.tid, SIGXFSZ);
      return Finish::error(EFBIG);
    }
  }
  note_written(at.object.get());
  MayBlock wait(call);
  return result_of(call, within_domain(call, [&] { return ::truncate(FdPath(at.object.get()).text, length); }), wait);
}

}  // namespace holdfast::families
