// Unix sockets by path. The kernel would resolve a path again, in a directory that the tree may be changing. So the
// supervisor resolves it once, pins what it finds, and acts on a copy of the caller's socket with the pinned object.
// The peer then sees the supervisor's pid in SO_PEERCRED and SCM_CREDENTIALS, and the caller's own uid, gid and groups.
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include "../call/as_itself.h"
#include "../call/blocking.h"
#include "../policy/config.h"
#include "../view/creds.h"
#include "../view/domains.h"
#include "../view/fs_context.h"
#include "../view/names.h"
#include "files.h"
#include "network.h"

namespace holdfast::families {

using protocol::kWrite;

constexpr size_t kMaxDatagram = size_t{4} << 20;  // to a unix path; the kernel's default limit is 208 KiB

namespace {

int domain_of(int socket) {
  int domain;
  socklen_t size = sizeof domain;
  return getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 ? domain : -1;
}

bool is_path(const Name& name) {
  return name.size > offsetof(sockaddr_un, sun_path) && name.any.sa_family == AF_UNIX && name.un.sun_path[0] != '\0';
}

// What says nothing of who calls. AF_UNSPEC dissolves an association.
bool is_internet(const Name& name) {
  const sa_family_t family = name.any.sa_family;
  return name.size >= sizeof(sa_family_t) && (family == AF_INET || family == AF_INET6 || family == AF_UNSPEC);
}

}  // namespace

namespace {

// Its domain, or why it has none.
int domain_or_error(const UniqueFd& copy, int& domain) {
  domain = domain_of(copy.get());
  return domain >= 0 ? 0 : errno == EBADF ? EBADF : ENOTSOCK;
}

}  // namespace

bool copy_socket(const Held& call, UniqueFd& out, int& domain, int& error, Finish& finish) {
  const int fd = call.fd(Arg::socket);
  error = copy_descriptor(call, fd, out);
  if (can_borrow(call, error)) {
    finish = borrow(fd);
    return false;
  }
  if (error == EPERM) return true;
  if (error == 0) error = domain_or_error(out, domain);
  if (error == 0) return true;
  finish = Finish::error(error);
  return false;
}

bool copy_socket(Sandbox& sandbox, const Held& call, UniqueFd& out, int& domain, Finish& finish) {
  constexpr char kRefused[] = "the socket cannot be looked at: it cannot be copied here";
  if (!take_copy(sandbox, call, call.fd(Arg::socket), kRefused, out, finish)) return false;
  const int error = domain_or_error(out, domain);
  if (error != 0) finish = Finish::error(error);
  return error == 0;
}

bool take_socket(const Held& call, Use use, const Name& name, OwnSocket& out, Finish& finish) {
  // bind() is made on the copy, so that what was bound is known when it is to listen.
  const bool binds = use == Use::bind && name.size >= sizeof(sa_family_t) && name.any.sa_family != AF_NETLINK;
  const bool connects = use == Use::connect && call.engine == Held::Engine::notify;
  if (connects && !is_path(name)) {
    // To an abstract name, for example, which shows the peer whose call it is.
    out.error = is_internet(name) ? copy_descriptor(call, call.fd(Arg::socket), out.copy) : EPERM;
    if (out.error == 0) return true;
    finish = out.error == EPERM ? Finish::by_stop() : out.error == ESRCH ? Finish::gone() : Finish::error(out.error);
    return false;
  }
  if (!is_path(name) && !binds) return true;
  int domain = -1;
  if (!copy_socket(call, out.copy, domain, out.error, finish)) return false;
  if (connects && out.error == EPERM) {
    finish = Finish::by_stop();
    return false;
  }
  if (out.error == EPERM || !is_path(name) || domain == AF_UNIX) return true;
  finish = Finish::error(EAFNOSUPPORT);
  return false;
}

namespace {

// Whether nobody in the tree can make this name mean something else. To replace an existing file or directory on the
// way one has to rename or remove something, which takes the right to write there, or a hook that allows it.
bool name_is_fixed(const Sandbox& sandbox, std::string_view canonical) {
  if (sandbox.config.lets_by || sandbox.config.hooked(Event::rename) || sandbox.config.hooked(Event::unlink))
    return false;
  for (size_t end = 1; end <= canonical.size(); end++) {
    if (end != canonical.size() && canonical[end] != '/') continue;
    if (sandbox.config.rules.path(canonical.substr(0, end), kWrite).effect == Effect::allow) return false;
  }
  return true;
}

}  // namespace

Finish bounce_canonical(Sandbox& sandbox, const Held& call, const Resolved& where, std::string_view fixed, Name& name) {
  if (!name_is_fixed(sandbox, fixed)) {
    report(sandbox, call, EPERM, "the socket cannot be reached safely: it cannot be copied here", where.path);
    return Finish::error(EPERM);
  }
  if (where.path.size() >= sizeof name.un.sun_path) return Finish::error(ENAMETOOLONG);
  name = Name();
  name.un.sun_family = AF_UNIX;
  memcpy(name.un.sun_path, where.path.data(), where.path.size());
  name.size = offsetof(sockaddr_un, sun_path) + where.path.size() + 1;
  return Finish::proceed();  // the caller bounces `name`
}

namespace {

// The pinned object, by a name that means it to this thread whatever the tree does.
Name name_of_pinned(int fd) {
  Name name;
  name.un.sun_family = AF_UNIX;
  const int length = snprintf(name.un.sun_path, sizeof name.un.sun_path, "/proc/self/fd/%d", fd);
  name.size = offsetof(sockaddr_un, sun_path) + static_cast<size_t>(length) + 1;
  return name;
}

}  // namespace

Finish connect_path(const Held& call, int socket, const Resolved& where) {
  const Name pinned = name_of_pinned(where.object.get());
  int result;
  {
    const AsPeer peer(call);
    if (peer.error != 0) return Finish::error(peer.error == ESRCH ? ESRCH : EPERM);
    const MayBlock may_block(call);
    if (may_block.refused() && (fcntl(socket, F_GETFL) & O_NONBLOCK) == 0) return Finish::error(EAGAIN);
    const auto act = [&] { return connect(socket, &pinned.any, static_cast<socklen_t>(pinned.size)); };
    result = within_domain(call, act) == 0 ? 0 : -errno;
    if (result == -EINTR) result = -interruption(may_block, socket);
  }
  return result == 0 || call.still_held() ? Finish::answer(result) : Finish::gone();
}

namespace {

// Whether the directory of this text is, on this thread's own walk from its working directory, the pinned one. Not by
// way of a descriptor or a process in /proc, which the tree may exchange at any time.
bool leads_to(const Name& text, size_t length, const Resolved& where) {
  std::string directory(text.un.sun_path, length);
  const size_t slash = directory.rfind('/');
  directory = slash == std::string::npos ? "." : slash == 0 ? "/" : directory.substr(0, slash);
  struct open_how how = {};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_NO_MAGICLINKS;
  const UniqueFd found(static_cast<int>(syscall(SYS_openat2, AT_FDCWD, directory.c_str(), &how, sizeof how)));
  struct stat here, pinned;
  return found && fstat(found.get(), &here) == 0 && fstat(where.parent.get(), &pinned) == 0 &&
         here.st_dev == pinned.st_dev && here.st_ino == pinned.st_ino;
}

}  // namespace

int bind_as(const Held& call, int socket, const Name& name) {
  const auto act = [&] { return bind(socket, &name.any, static_cast<socklen_t>(name.size)); };
  return within_domain(call, act, is_path(name) ? From::here : From::anywhere) == 0 ? 0 : -errno;
}

Finish bind_path(Sandbox& sandbox, const Held& call, int socket, const Resolved& where, const Name& name) {
  if (where.must_be_directory || where.name.empty()) return Finish::error(where.missing ? ENOENT : EADDRINUSE);
  const size_t length = strnlen(name.un.sun_path, name.size - offsetof(sockaddr_un, sun_path));
  int result = -EAGAIN;
  // A hook takes its time, and what it has said of a name is said of that name alone.
  const bool heard = sandbox.config.hooked(call.row->event);
  const OwnWorkingDirectory own;
  {
    const CallerEntry entry(call, AT_FDCWD);
    const UniqueFd directory(
        look_by_ids(call.tid, [&] { return openat(proc_directory(), entry.text, O_PATH | O_DIRECTORY | O_CLOEXEC); }));
    if (!call.still_held()) return Finish::gone();
    const bool in_place = directory && fchdir(directory.get()) == 0;
    const AsCaller caller(call);
    if (caller.error != 0) return Finish::error(caller.error);
    const WithUmask with_umask(call);
    if (with_umask.error != 0) return Finish::error(with_umask.error);
    if (const NamesStandStill still;
        still.held() && in_place && leads_to(name, length, where) && (!heard || is_as_judged(where)))
      result = bind_as(call, socket, name);
  }
  if (result == -EAGAIN) {
    Name plain;
    plain.un.sun_family = AF_UNIX;
    // The last part of what stood in as much room, where a NUL may have had none (unix(7), BUGS).
    const size_t size = std::min(where.name.size(), sizeof plain.un.sun_path);
    memcpy(plain.un.sun_path, where.name.data(), size);
    plain.size = std::min(offsetof(sockaddr_un, sun_path) + size + 1, sizeof plain.un);
    const AsCaller caller(call);
    if (caller.error != 0) return Finish::error(caller.error);
    const WithUmask with_umask(call);
    if (with_umask.error != 0) return Finish::error(with_umask.error);
    const ChangesNames changes(call, device_of(where));
    if (!changes.held()) return Finish::gone();
    if (heard && !is_as_judged(where))
      return forbidden(sandbox, call, EACCES, "its folder was moved while a hook thought about it", where.path);
    result = fchdir(where.parent.get()) == 0 ? 0 : -errno;
    if (result == 0) result = bind_as(call, socket, plain);
  }
  return Finish::answer(result);
}

int64_t send_to_path(const Held& call, int socket, const Resolved& where, const std::vector<iovec>& segments,
                     int flags) {
  size_t total = 0;
  for (const iovec& segment : segments) {
    if (segment.iov_len > kMaxDatagram - total) return -EMSGSIZE;
    total += segment.iov_len;
  }
  int room;
  socklen_t size = sizeof room;
  if (getsockopt(socket, SOL_SOCKET, SO_SNDBUF, &room, &size) != 0) return -errno;
  if (total > static_cast<size_t>(room)) return -EMSGSIZE;
  std::vector<uint8_t> data(total);
  size_t at = 0;
  for (const iovec& segment : segments) {
    const int error = call.read(reinterpret_cast<uint64_t>(segment.iov_base), data.data() + at, segment.iov_len);
    if (error != 0) return error;
    at += segment.iov_len;
  }
  const Name pinned = name_of_pinned(where.object.get());
  const AsPeer peer(call);
  if (peer.error != 0) return peer.error == ESRCH ? -ESRCH : -EPERM;
  const MayBlock may_block(call);
  const ssize_t sent = within_domain(call, [&] {
    return sendto(socket, data.data(), total, flags | MSG_NOSIGNAL | (may_block.refused() ? MSG_DONTWAIT : 0),
                  &pinned.any, static_cast<socklen_t>(pinned.size));
  });
  if (sent >= 0) return sent;
  return errno == EINTR ? -interruption(may_block, socket) : -errno;
}

}  // namespace holdfast::families
