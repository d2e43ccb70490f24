// Sockets: connect, bind, listen. An address of the internet or an abstract name is copied to the sealed page and the
// caller's own call goes on with the copy; a path is taken care of in network_unix.cc.
#include "network.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/time.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "../policy/config.h"
#include "../view/creds.h"
#include "../view/domains.h"
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

namespace {

// Where nothing can be sent, nobody is a client: a port that may be taken would be for receiving only.
bool may_be_client(const Config& config) {
  return config.rules.any_internet(protocol::kConnect) || config.hooked(protocol::Event::connect) ||
         config.hooked(protocol::Event::send);
}

}  // namespace

// The address and the socket of a call that has both as arguments, read, taken and judged.
Judged judge_own_address(Sandbox& sandbox, Held& call, Use use, Name& name, OwnSocket& own) {
  const int error = read_name(call, call.arg(Arg::address), static_cast<int>(call.arg(Arg::address_size)), name);
  if (error != 0) return Judged::over(failed_read(error));
  Finish end;
  if (!take_socket(call, use, name, own, end)) return Judged::over(static_cast<Finish&&>(end));
  const bool client = use == Use::bind && own.error == 0 && own.copy && may_be_client(sandbox.config) &&
                      is_client_bind(own.copy.get(), name);
  return judge(sandbox, call, use, name, client);
}

int interruption(const MayBlock& may_block, int socket) {
  timeval limit = {};
  socklen_t size = sizeof limit;
  if (getsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, &size) != 0 || limit.tv_sec != 0 || limit.tv_usec != 0)
    return EINTR;
  return may_block.interrupted() ? may_block.error() : EINTR;
}

namespace {

Finish connect_and_wait(const Held& call, int socket, const Name& name) {
  const MayBlock may_block(call);
  if (may_block.refused() && (fcntl(socket, F_GETFL) & O_NONBLOCK) == 0) return Finish::by_stop();
  if (connect(socket, &name.any, static_cast<socklen_t>(name.size)) == 0) return Finish::answer(0);
  return Finish::error(errno == EINTR ? interruption(may_block, socket) : errno);
}

// To an address of the internet, by a copy of the caller's socket: what the peer sees is the socket's. Landlock looks
// at TCP, so that is connected behind the tree's own wall.
Finish connect_copy(const Held& call, UniqueFd socket, const Name& name) {
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &size) != 0) return Finish::error(errno);
  if (type == SOCK_DGRAM) {  // which never waits
    const int result = connect(socket.get(), &name.any, static_cast<socklen_t>(name.size)) == 0 ? 0 : -errno;
    return Finish::answer(result);
  }
  return Finish::behind_wall([call, name, copy = std::make_shared<UniqueFd>(static_cast<UniqueFd&&>(socket))] {
    return connect_and_wait(call, copy->get(), name);
  });
}

}  // namespace

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
  // What its own Landlock rules say of ports and of abstract names the kernel asks of who calls.
  if (call.engine == Held::Engine::notify && has_domain(call.tid)) return Finish::by_stop();
  if (call.engine == Held::Engine::notify) return connect_copy(call, static_cast<UniqueFd&&>(own.copy), name);
  return bounce_name(call, name);
}

namespace {

// What sockets have been bound to with a rule's or a hook's leave, by the kernel's number for the socket, which no
// other socket ever gets (SO_COOKIE): a port of the kernel's choice is in no rule. If one is forgotten, rules and hooks
// are asked again when it is to listen.
constexpr size_t kMaxBound = 4096;
std::mutex bound_guard;
std::unordered_map<uint64_t, std::string> bound;
std::deque<uint64_t> bound_order;

uint64_t cookie_of(int socket) {
  uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  return getsockopt(socket, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

std::string bytes_of(const Name& name) { return std::string(reinterpret_cast<const char*>(&name.storage), name.size); }

void remember_bound(int socket) {
  const uint64_t cookie = cookie_of(socket);
  const std::string name = bytes_of(name_of(socket));
  if (cookie == 0) return;
  const std::lock_guard<std::mutex> lock(bound_guard);
  if (bound.insert_or_assign(cookie, name).second) bound_order.push_back(cookie);
  if (bound_order.size() > kMaxBound) {
    bound.erase(bound_order.front());
    bound_order.pop_front();
  }
}

bool was_bound(int socket, const Name& name) {
  const std::lock_guard<std::mutex> lock(bound_guard);
  const auto found = bound.find(cookie_of(socket));
  return found != bound.end() && found->second == bytes_of(name);
}

}  // namespace

Finish bind_socket(Sandbox& sandbox, Held& call) {
  Name name;
  OwnSocket own;
  Judged judged = judge_own_address(sandbox, call, Use::bind, name, own);
  if (judged.kind == Judged::Kind::over) return static_cast<Finish&&>(judged.finish);
  if (judged.kind == Judged::Kind::path) {
    if (own.error == 0) return bind_path(sandbox, call, own.copy.get(), judged.where, name);
    // bind() follows no link in last place, so it is enough that the directory stays what it is.
    const std::string_view path = judged.where.path;
    const std::string_view directory = path.substr(0, std::max<size_t>(path.rfind('/'), 1));
    Finish finish = bounce_canonical(sandbox, call, judged.where, directory, name);
    if (finish.kind != Finish::Kind::proceed) return finish;
  }
  if (judged.kind == Judged::Kind::bounce && own.copy) {
    const AsPeer peer(call);
    if (peer.error != 0) return Finish::error(peer.error);
    if (const int error = bind_as(call, own.copy.get(), name); error != 0) return Finish::answer(error);
    remember_bound(own.copy.get());
    return Finish::answer(0);
  }
  return bounce_name(call, name);
}

namespace {

uint16_t port_of(const Name& name) {
  return name.any.sa_family == AF_INET ? name.in.sin_port : name.any.sa_family == AF_INET6 ? name.in6.sin6_port : 0;
}

bool is_unix_path(const Name& name) {
  return name.any.sa_family == AF_UNIX && name.size > offsetof(sockaddr_un, sun_path) && name.un.sun_path[0] != '\0';
}

// Whether every policy that was put on top allows it.
bool is_left(const Config& config, const Address& address, uint8_t operation) {
  for (const Config* other = config.narrowed.load(); other != nullptr; other = other->before)
    if (other->rules.address(address, operation).effect != Effect::allow) return false;
  return true;
}

// Listening at this name is judged as binding to it, unless that was: how the socket came by its name does not matter.
Decision decide_listening(Sandbox& sandbox, const Held& call, int socket, const Name& name) {
  Address address;
  Address::parse(&name.storage, name.size, address);
  const bool denied = sandbox.config.rules.address(address, protocol::kBind).effect == Effect::deny ||
                      !is_left(sandbox.config, address, protocol::kBind);
  if (!denied && (is_unix_path(name) || was_bound(socket, name))) {  // a path comes by no other way than bind()
    Decision decision;
    decision.kind = Decision::Kind::allow;
    return decision;
  }
  return decide_address(sandbox, call, Use::bind, address);
}

}  // namespace

Finish listen_socket(Sandbox& sandbox, Held& call) {
  const int backlog = static_cast<int>(call.args[1]);
  UniqueFd socket;
  int domain;
  if (Finish end; !copy_socket(sandbox, call, socket, domain, end)) return end;
  if (domain != AF_UNIX && domain != AF_INET && domain != AF_INET6) {
    report(sandbox, call, EOPNOTSUPP, "listening on a socket of a family that no rule can judge");
    return Finish::error(EOPNOTSUPP);
  }
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &size) != 0) return Finish::error(errno);
  if (type != SOCK_STREAM && type != SOCK_SEQPACKET) return Finish::error(EOPNOTSUPP);
  const Name before = name_of(socket.get());
  // The kernel refuses it, too (unix_listen in net/unix/af_unix.c), and no other thread can give it a name meanwhile.
  if (domain == AF_UNIX && before.size <= offsetof(sockaddr_un, sun_path)) return Finish::error(EINVAL);
  const Decision decision = decide_listening(sandbox, call, socket.get(), before);
  if (!decision.allowed()) return refusal(decision);
  {
    // Who connects to a unix socket sees the ids of who called listen().
    const AsPeer peer(call);
    if (peer.error != 0) return Finish::error(peer.error);
    if (listen(socket.get(), backlog) != 0) return Finish::error(errno);
  }
  // A socket without a port is given one by the kernel. Any other difference is not what was approved.
  const Name after = name_of(socket.get());
  if (bytes_of(after) == bytes_of(before)) return Finish::answer(0);
  Name expected = before;
  (domain == AF_INET6 ? expected.in6.sin6_port : expected.in.sin_port) = port_of(after);
  if (port_of(before) == 0 && bytes_of(after) == bytes_of(expected)) {
    Address address;
    Address::parse(&after.storage, after.size, address);
    if (sandbox.config.rules.address(address, protocol::kBind).effect != Effect::deny &&
        is_left(sandbox.config, address, protocol::kBind)) {
      remember_bound(socket.get());
      return Finish::answer(0);
    }
  } else if (decide_listening(sandbox, call, socket.get(), after).allowed()) {
    return Finish::answer(0);
  }
  shutdown(socket.get(), SHUT_RDWR);
  report(sandbox, call, EACCES, "the socket has another address than was approved");
  return Finish::error(EACCES);
}

}  // namespace holdfast::families
