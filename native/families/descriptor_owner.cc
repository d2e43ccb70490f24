// fcntl's commands that say who gets the signals of a descriptor: SIGIO, or what F_SETSIG chose instead. It is set on a
// copy of the descriptor, which is the same open file, while nothing of the tree is reaped; and only to who is in the
// tree.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../call/proc_stat.h"
#include "../call/tree.h"
#include "../view/creds.h"
#include "caller.h"
#include "handlers.h"

namespace holdfast::families {
namespace {

Finish refuse_owner(Sandbox& sandbox, const Held& call, int error, const char* reason) {
  report(sandbox, call, error, reason);
  return Finish::error(error);
}

// O_ASYNC: of a terminal it also makes the foreground group the owner, and of other devices the caller, which would be
// us.
Finish set_flags(Sandbox& sandbox, const Held& call, int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0 || S_ISCHR(status.st_mode))
    return refuse_owner(sandbox, call, EPERM, "signals of a device to whoever is in its foreground");
  return Finish::answer(fcntl(fd, F_SETFL, static_cast<int>(call.args[2])) == 0 ? 0 : -errno);
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
  const int who = static_cast<int>(call.args[2]);
  if (who == INT_MIN) return -EINVAL;
  out.type = who < 0 ? F_OWNER_PGRP : F_OWNER_PID;
  out.pid = who < 0 ? -who : who;
  return 0;
}

}  // namespace

Finish set_owner(Sandbox& sandbox, Held& call) {
  const int command = static_cast<int>(call.arg(Arg::command));
  UniqueFd copy;
  Finish finish;
  if (!take_copy(sandbox, call, call.fd(Arg::fd), "the descriptor cannot be looked at: it cannot be copied here", copy,
                 finish))
    return finish;
  if (command == F_SETFL) return set_flags(sandbox, call, copy.get());
  if (command != F_SETOWN && command != F_SETOWN_EX)
    return refuse_owner(sandbox, call, EINVAL, "a command of fcntl that is not known");

  f_owner_ex owner = {};
  if (const int error = read_owner(call, owner); error != 0) return memory_failed(error);
  // A group that was not made in the tree has members elsewhere. Of the caller's own only the caller itself is told.
  if (owner.type == F_OWNER_PGRP && owner.pid != 0 && !sandbox.tree.contains(owner.pid) &&
      owner.pid == stat_of(call.tgid()).group) {
    owner.type = F_OWNER_PID;
    owner.pid = call.tgid();
  }
  if (!call.still_held()) return Finish::gone();
  int error;
  {
    const AsPeer caller(call);  // the kernel sends with the rights of who has set it (fcntl(2))
    if (caller.error != 0) return caller.error == ESRCH ? Finish::gone() : Finish::error(EPERM);
    error = sandbox.tree.while_stable([&] {
      if (owner.pid != 0 && !sandbox.tree.contains(owner.pid)) {
        const pid_t target = owner.type == F_OWNER_PGRP ? -owner.pid : owner.pid;
        return owner.pid < 0 || (kill(target, 0) != 0 && errno == ESRCH) ? ESRCH : EXDEV;
      }
      return fcntl(copy.get(), F_SETOWN_EX, &owner) == 0 ? 0 : errno;
    });
  }
  if (error == EXDEV) return refuse_owner(sandbox, call, EPERM, "signals of a descriptor to another process");
  return Finish::answer(-error);
}

}  // namespace holdfast::families
