#include "caller.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <memory>

namespace holdfast::families {
namespace {

constexpr unsigned kThread = O_EXCL;  // PIDFD_THREAD, linux/pidfd.h, since Linux 6.9

}  // namespace

int copy_descriptor(const Held& call, int fd, UniqueFd& out) {
  if (call.lent) {
    if (call.lent->error != 0) return call.lent->error == EBADF ? EBADF : EPERM;
    out.reset(fcntl(call.lent->fd.get(), F_DUPFD_CLOEXEC, 0));
    return out ? 0 : EPERM;
  }
  // The thread's own table, not its leader's: they may differ, and a leader may have ended before its threads.
  UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, call.tid, kThread)));
  if (!process && errno == EINVAL) process.reset(static_cast<int>(syscall(SYS_pidfd_open, call.tgid(), 0)));
  if (!process) return errno == ESRCH ? ESRCH : EPERM;
  if (!call.still_held()) return ESRCH;
  UniqueFd copy(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
  if (!copy) return errno == EBADF || errno == ESRCH ? errno : EPERM;
  out = static_cast<UniqueFd&&>(copy);
  return 0;
}

bool can_borrow(const Held& call, int copied) {
  return copied == EPERM && call.engine == Held::Engine::trace && !call.lent;
}

Finish borrow(int fd) {
  struct {
    alignas(16) msghdr header = {};
    alignas(16) char control[CMSG_SPACE(sizeof(int))] = {};
  } message;
  cmsghdr head = {};
  head.cmsg_len = CMSG_LEN(sizeof fd);
  head.cmsg_level = SOL_SOCKET;
  head.cmsg_type = SCM_RIGHTS;
  memcpy(message.control, &head, sizeof head);
  memcpy(message.control + CMSG_LEN(0), &fd, sizeof fd);
  message.header.msg_control = reinterpret_cast<void*>(offsetof(decltype(message), control));
  message.header.msg_controllen = CMSG_LEN(sizeof fd);
  auto bounce = std::make_unique<Bounce>();
  bounce->append(&message, sizeof message);
  bounce->inner_pointer(offsetof(msghdr, msg_control));
  bounce->lends = true;
  return Finish::bounce(static_cast<std::unique_ptr<Bounce>&&>(bounce));
}

bool take_copy(Sandbox& sandbox, const Held& call, int fd, const char* refused, UniqueFd& out, Finish& finish) {
  const int error = copy_descriptor(call, fd, out);
  if (error == 0) return true;
  if (can_borrow(call, error)) {
    finish = borrow(fd);
    return false;
  }
  if (error == EPERM) report(sandbox, call, EPERM, refused);
  finish = error == ESRCH ? Finish::gone() : Finish::error(error);
  return false;
}

Finish refusal(const Decision& decision) {
  switch (decision.kind) {
    case Decision::Kind::error:
      return Finish::error(decision.error > 0 ? decision.error : EPERM);
    case Decision::Kind::kill:
      return Finish::kill(decision.error);
    case Decision::Kind::gone:
      return Finish::gone();
    case Decision::Kind::fake:
      return Finish::answer(decision.error > 0 ? decision.error : 0);
    case Decision::Kind::allow:
    case Decision::Kind::redirect:
    case Decision::Kind::respond:
      break;
  }
  return Finish::error(EPERM);
}

}  // namespace holdfast::families
