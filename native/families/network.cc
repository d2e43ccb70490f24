// Sockets: connect, bind, listen. An address of the internet or an abstract name is copied to the sealed page and the
// caller's own call goes on with the copy; a path is taken care of in network_unix.cc.
#include "network.h"

#include <errno.h>
#include <string.h>

#include <algorithm>
#include <memory>

#include "../view/creds.h"
#include "handlers.h"

namespace holdfast::families {

Finish bounce_name(const Held& call, const Name& name) {
  auto bounce = std::make_unique<Bounce>();
  // Never empty: the register must point somewhere.
  const int64_t at = bounce->append(&name.storage, std::max(name.size, sizeof(sa_family_t)));
  bounce->pointer(call.row->index(Arg::address), at);
  bounce->value(call.row->index(Arg::address_size), name.size);
  return Finish::bounce(static_cast<std::unique_ptr<Bounce>&&>(bounce));
}

// The address and the socket of a call that has both as arguments, read, taken and judged.
Judged judge_own_address(Sandbox& sandbox, Held& call, Use use, Name& name, OwnSocket& own) {
  const int error = read_name(call, call.arg(Arg::address), static_cast<int>(call.arg(Arg::address_size)), name);
  if (error != 0) return Judged::over(failed_read(error));
  Finish end;
  if (!take_socket(call, name, own, end)) return Judged::over(static_cast<Finish&&>(end));
  return judge(sandbox, call, use, name);
}

Finish connect_socket(Sandbox& sandbox, Held& call) {
  Name name;
  OwnSocket own;
  Judged judged = judge_own_address(sandbox, call, Use::connect, name, own);
  if (judged.kind == Judged::Kind::over) return static_cast<Finish&&>(judged.finish);
  if (judged.kind == Judged::Kind::path) {
    if (own.error == 0) return connect_path(call, own.copy.get(), judged.where);
    Finish finish = bounce_canonical(sandbox, call, judged.where, judged.where.path, name);
    if (finish.kind != Finish::Kind::proceed) return finish;
  }
  return bounce_name(call, name);
}

Finish bind_socket(Sandbox& sandbox, Held& call) {
  Name name;
  OwnSocket own;
  Judged judged = judge_own_address(sandbox, call, Use::bind, name, own);
  if (judged.kind == Judged::Kind::over) return static_cast<Finish&&>(judged.finish);
  if (judged.kind == Judged::Kind::path) {
    if (own.error == 0) return bind_path(call, own.copy.get(), judged.where, name);
    // bind() follows no link in last place, so it is enough that the directory stays what it is.
    const std::string_view path = judged.where.path;
    const std::string_view directory = path.substr(0, std::max<size_t>(path.rfind('/'), 1));
    Finish finish = bounce_canonical(sandbox, call, judged.where, directory, name);
    if (finish.kind != Finish::Kind::proceed) return finish;
  }
  return bounce_name(call, name);
}

namespace {

uint16_t port_of(int socket) {
  Name name;
  socklen_t size = sizeof name.storage;
  if (getsockname(socket, &name.any, &size) != 0) return 0;
  return name.any.sa_family == AF_INET ? name.in.sin_port : name.any.sa_family == AF_INET6 ? name.in6.sin6_port : 0;
}

// listen() on an internet socket that is not bound binds it to every address and a port of the kernel's choice.
Decision decide_autobind(Sandbox& sandbox, const Held& call, sa_family_t family) {
  Address everywhere;
  everywhere.family = family;
  return decide_address(sandbox, call, Use::bind, everywhere);
}

}  // namespace

Finish listen_socket(Sandbox& sandbox, Held& call) {
  const int fd = call.fd(call.has(Arg::socket) ? Arg::socket : Arg::fd);
  const int backlog = static_cast<int>(call.args[1]);
  UniqueFd socket;
  const int error = copy_descriptor(call, fd, socket);
  if (can_borrow(call, error)) return borrow(fd);
  if (error == EPERM) {
    // No look at the socket, and the tree could exchange it anyway: only where any port may be bound.
    const Decision decision = decide_autobind(sandbox, call, AF_INET);
    return decision.allowed() ? Finish::proceed() : refusal(decision);
  }
  if (error != 0) return Finish::error(error);
  const int domain = domain_of(socket.get());
  switch (domain) {
    case AF_UNIX: {
      // Its file or abstract name was judged by bind(). Who connects sees the ids of who called listen().
      const AsPeer peer(call);
      if (peer.error != 0) return Finish::error(peer.error);
      return Finish::answer(listen(socket.get(), backlog) == 0 ? 0 : -errno);
    }
    case AF_INET:
    case AF_INET6: {
      const uint16_t port = port_of(socket.get());
      if (port == 0) {
        const Decision decision = decide_autobind(sandbox, call, static_cast<sa_family_t>(domain));
        if (!decision.allowed()) return refusal(decision);
      }
      if (listen(socket.get(), backlog) != 0) return Finish::error(errno);
      // Its port was the passing one of a connection that another thread dissolved just now: listening on another port
      // is not what was approved.
      if (port != 0 && port_of(socket.get()) != port) {
        shutdown(socket.get(), SHUT_RDWR);
        report(sandbox, call, EACCES, "the socket lost its address while it was to listen");
        return Finish::error(EACCES);
      }
      return Finish::answer(0);
    }
    case -1:
      return Finish::error(errno == EBADF ? EBADF : ENOTSOCK);
    default:
      report(sandbox, call, EOPNOTSUPP, "listening on a socket of a family that no rule can judge");
      return Finish::error(EOPNOTSUPP);
  }
}

}  // namespace holdfast::families
