// fcntl's commands that say who gets the signals of a descriptor: SIGIO, or what F_SETSIG chose instead. It is set on a
// copy of the descriptor, which is the same open file, while nothing of the tree is reaped; and only to who is in the
// tree.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../call/proc_stat.h"
#include "../call/tree.h"
#include "../view/creds.h"
#include "../view/domains.h"
#include "caller.h"
#include "handlers.h"

namespace holdfast::families {
namespace {

constexpr char kNoCopy[] = "the descriptor cannot be looked at: it cannot be copied here";

Finish refuse_owner(Sandbox& sandbox, const Held& call, int error, const char* reason) {
  report(sandbox, call, error, reason);
  return Finish::error(error);
}

constexpr char kForeground[] = "signals of a device to whoever is in its foreground";

// O_ASYNC: of a terminal it also makes the foreground group the owner, and of other devices the caller, which would be
// us. Not of /dev/null and its like (drivers/char/mem.c, random.c).
bool tells_whom_it_chooses(int fd) {
  constexpr unsigned kMemory = 1;  // MEM_MAJOR, linux/major.h
  struct stat status;
  return fstat(fd, &status) != 0 || (S_ISCHR(status.st_mode) && major(status.st_rdev) != kMemory);
}

Finish set_flags(Sandbox& sandbox, const Held& call, int fd) {
  if (tells_whom_it_chooses(fd)) return refuse_owner(sandbox, call, EPERM, kForeground);
  return Finish::answer(fcntl(fd, F_SETFL, static_cast<int>(call.args[2])) == 0 ? 0 : -errno);
}

// F_SETOWN's number: negative for a group. 0 or a negative errno.
int owner_of(int who, f_owner_ex& out) {
  if (who == INT_MIN) return -EINVAL;
  out.type = who < 0 ? F_OWNER_PGRP : F_OWNER_PID;
  out.pid = who < 0 ? -who : who;
  return 0;
}

// Who is meant by F_SETOWN or F_SETOWN_EX. 0 or a negative errno.
int read_owner(const Held& call, f_owner_ex& out) {
  if (static_cast<int>(call.arg(Arg::command)) == F_SETOWN_EX) {
    // As numbers: what the tree has put there need not be any of the enumeration.
    int32_t given[2];
    static_assert(sizeof given == sizeof out);
    if (const int error = call.read(call.args[2], given, sizeof given); error != 0) return error;
    if (given[0] != F_OWNER_TID && given[0] != F_OWNER_PID && given[0] != F_OWNER_PGRP) return -EINVAL;
    out.type = static_cast<__pid_type>(given[0]);
    out.pid = given[1];
    return 0;
  }
  return owner_of(static_cast<int>(call.args[2]), out);
}

Finish set_owner_to(Sandbox& sandbox, const Held& call, int fd, f_owner_ex owner) {
  // A group that was not made in the tree has members elsewhere. Of the caller's own only the caller itself is told.
  if (owner.type == F_OWNER_PGRP && owner.pid != 0 && !sandbox.tree.contains(owner.pid) &&
      owner.pid == stat_of(call.tgid()).group) {
    owner.type = F_OWNER_PID;
    owner.pid = call.tgid();
  }
  // Who has ended is told nothing any more, and its number could become another's.
  if (owner.pid > 0 && !sandbox.tree.contains(owner.pid) && waits_for_its_parent(sandbox.tree, owner.pid))
    owner.pid = 0;
  if (!call.still_held()) return Finish::gone();
  // The kernel would ask for the domain of who has set it, which is nobody's here.
  const bool is_own = owner.type != F_OWNER_PGRP && sandbox.tree.group_of(owner.pid) == call.tgid();
  if (owner.pid > 0 && !is_own && has_domain(call.tid) &&
      (owner.type == F_OWNER_PGRP ||
       !domain_lets_signal(call.tid, owner.type == F_OWNER_TID ? owner.pid : sandbox.tree.group_of(owner.pid))))
    return Finish::error(EPERM);
  int error;
  {
    const AsPeer caller(call);  // the kernel sends with the rights of who has set it (fcntl(2))
    if (caller.error != 0) return caller.error == ESRCH ? Finish::gone() : Finish::error(EPERM);
    error = sandbox.tree.while_stable([&] {
      if (owner.pid != 0 && !sandbox.tree.contains(owner.pid)) {
        const pid_t target = owner.type == F_OWNER_PGRP ? -owner.pid : owner.pid;
        return owner.pid < 0 || (kill(target, 0) != 0 && errno == ESRCH) ? ESRCH : EXDEV;
      }
      return fcntl(fd, F_SETOWN_EX, &owner) == 0 ? 0 : errno;
    });
  }
  if (error == EXDEV) return refuse_owner(sandbox, call, EPERM, "signals of a descriptor to another process");
  return Finish::answer(-error);
}

}  // namespace

Finish set_owner(Sandbox& sandbox, Held& call) {
  const int command = static_cast<int>(call.arg(Arg::command));
  UniqueFd copy;
  Finish finish;
  if (!take_copy(sandbox, call, call.fd(Arg::fd), kNoCopy, copy, finish)) return finish;
  if ((fcntl(copy.get(), F_GETFL) & O_PATH) != 0) return Finish::error(EBADF);
  if (command == F_SETFL) return set_flags(sandbox, call, copy.get());
  if (command != F_SETOWN && command != F_SETOWN_EX)
    return refuse_owner(sandbox, call, EINVAL, "a command of fcntl that is not known");
  f_owner_ex owner = {};
  if (const int error = read_owner(call, owner); error != 0) return memory_failed(error);
  return set_owner_to(sandbox, call, copy.get(), owner);
}

Finish set_owner_by_ioctl(Sandbox& sandbox, const Held& call, int fd) {
  const bool async = static_cast<uint32_t>(call.arg(Arg::command)) == FIOASYNC;
  struct stat status;
  // Only sockets know the other two (sock_ioctl() in net/socket.c).
  if (!async && (fstat(fd, &status) != 0 || !S_ISSOCK(status.st_mode))) return Finish::error(ENOTTY);
  int value;
  if (const int error = call.read(call.arg(Arg::pointer), &value, sizeof value); error != 0)
    return memory_failed(error);
  if (async) {
    if (tells_whom_it_chooses(fd)) return refuse_owner(sandbox, call, EPERM, kForeground);
    return Finish::answer(ioctl(fd, FIOASYNC, &value) == 0 ? 0 : -errno);
  }
  f_owner_ex owner = {};
  if (const int error = owner_of(value, owner); error != 0) return Finish::answer(error);
  return set_owner_to(sandbox, call, fd, owner);
}

}  // namespace holdfast::families
