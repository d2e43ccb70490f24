// ioctl() with what the seccomp program does not let by (syscalls/guards.cc).
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "caller.h"
#include "handlers.h"

namespace holdfast::families {

Finish device_command(Sandbox& sandbox, Held& call) {
  if (static_cast<uint32_t>(call.arg(Arg::command)) != TIOCGPTPEER) {
    report(sandbox, call, ENOTTY, call.row->reason);
    return Finish::error(ENOTTY);
  }
  // The other end of a master that the caller has; the kernel would open it by the caller's own rights, which are none.
  UniqueFd master;
  Finish finish;
  if (!take_copy(sandbox, call, call.fd(Arg::fd), "the terminal cannot be looked at: it cannot be copied here", master,
                 finish))
    return finish;
  const int flags = static_cast<int>(call.args[2]);
  UniqueFd peer(ioctl(master.get(), TIOCGPTPEER, flags | O_NOCTTY | O_CLOEXEC));
  if (!peer) return Finish::error(errno);
  return Finish::hand_over(static_cast<UniqueFd&&>(peer), (flags & O_CLOEXEC) != 0);
}

}  // namespace holdfast::families
