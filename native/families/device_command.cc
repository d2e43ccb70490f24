// ioctl() with what the seccomp program does not let by (syscalls/guards.cc).
#include <asm/sockios.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "../view/domains.h"
#include "caller.h"
#include "handlers.h"

namespace holdfast::families {

Finish device_command(Sandbox& sandbox, Held& call) {
  const uint32_t command = static_cast<uint32_t>(call.arg(Arg::command));
  const bool is_done = command == TIOCGPTPEER || command == FIOASYNC || command == FIOSETOWN || command == SIOCSPGRP;
  UniqueFd copy;
  const int copied = copy_descriptor(call, call.fd(Arg::fd), copy);
  if (copied == EBADF || (copied == 0 && (fcntl(copy.get(), F_GETFL) & O_PATH) != 0)) return Finish::error(EBADF);
  if (!is_done) {
    report(sandbox, call, ENOTTY, call.row->reason);
    return Finish::error(ENOTTY);
  }
  Finish finish;
  if (!copy && !take_copy(sandbox, call, call.fd(Arg::fd),
                          "the descriptor cannot be looked at: it cannot be copied here", copy, finish))
    return finish;
  if (command != TIOCGPTPEER) return set_owner_by_ioctl(sandbox, call, copy.get());
  // The other end of a master that the caller has; the kernel would open it by the caller's own rights, which are none.
  const int flags = static_cast<int>(call.args[2]);
  UniqueFd peer(static_cast<int>(
      within_domain(call, [&] { return ioctl(copy.get(), TIOCGPTPEER, flags | O_NOCTTY | O_CLOEXEC); })));
  if (!peer) return Finish::error(errno);
  return Finish::hand_over(static_cast<UniqueFd&&>(peer), (flags & O_CLOEXEC) != 0);
}

}  // namespace holdfast::families
