// Addresses of sockets: read, judged by rules and hooks, redirected.
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <string.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include "../policy/config.h"
#include "../policy/layers.h"
#include "../view/creds.h"
#include "network.h"

namespace holdfast::families {

using protocol::kBind;
using protocol::kConnect;

Finish failed_read(int error) { return error == -ESRCH ? Finish::gone() : Finish::answer(error); }

int read_name(const Held& call, uint64_t from, int size, Name& out) {
  if (size < 0 || static_cast<size_t>(size) > sizeof out.storage) return -EINVAL;
  out.size = static_cast<size_t>(size);
  return call.read(from, &out.storage, out.size);
}

Name name_of(int socket) {
  Name name;
  socklen_t size = sizeof name.storage;
  if (getsockname(socket, &name.any, &size) == 0) name.size = std::min<size_t>(size, sizeof name.storage);
  return name;
}

namespace {

Event event_of(Use use) { return use == Use::bind ? Event::bind : use == Use::send ? Event::send : Event::connect; }

uint8_t operation_of(Use use) { return use == Use::bind ? kBind : kConnect; }

}  // namespace

Decision decide_address(Sandbox& sandbox, const Held& call, Use use, const Address& address, bool granted) {
  Facts facts;
  facts.event = event_of(use);
  facts.address = &address;
  facts.granted = granted;
  facts.operation = operation_of(use);
  return decide(sandbox, call, facts);
}

namespace {

Decision decide_path(Sandbox& sandbox, const Held& call, Use use, const Resolved& where,
                     Decision (*by)(Sandbox&, const Held&, const Facts&)) {
  Address address;
  Facts facts;
  facts.event = event_of(use == Use::fast_open ? Use::send : use);
  facts.operation = operation_of(use);
  facts_of_socket(sandbox.config, where.path, use != Use::bind && where.missing, address, facts);
  return by(sandbox, call, facts);
}

bool is_any(const uint8_t* bytes) { return bytes[0] == 0 && bytes[1] == 0 && bytes[2] == 0 && bytes[3] == 0; }

// Writes an IPv4 address where the caller's address has one: as it is, or mapped into IPv6.
void put_inet(Name& name, const uint8_t* bytes) {
  if (name.any.sa_family == AF_INET6) {
    in6_addr mapped = {};
    mapped.s6_addr[10] = mapped.s6_addr[11] = 0xff;
    memcpy(mapped.s6_addr + 12, bytes, 4);
    name.in6.sin6_addr = mapped;
    name.in6.sin6_scope_id = 0;
  } else {
    memcpy(&name.in.sin_addr, bytes, 4);
  }
}

// `data` is as ask() lets it by: of this size, with a port that is one.
int redirect(const std::string& data, Name& name) {
  protocol::RedirectAddress to;
  memcpy(&to, data.data(), sizeof to);
  const bool six = name.any.sa_family == AF_INET6;
  if (to.family == AF_INET) {
    put_inet(name, to.bytes);
    if (!six) name.in.sin_family = AF_INET;
  } else if (to.family == AF_INET6 && six) {
    memcpy(&name.in6.sin6_addr, to.bytes, sizeof name.in6.sin6_addr);
    name.in6.sin6_scope_id = 0;
    name.size = sizeof name.in6;
  } else {
    return EAFNOSUPPORT;
  }
  (six ? name.in6.sin6_port : name.in.sin_port) = htons(static_cast<uint16_t>(to.port));
  return 0;
}

Judged judge_inet(Sandbox& sandbox, const Held& call, Use use, Address& address, Name& name, bool granted) {
  if (use == Use::fast_open) {  // which it is depends on the socket, so both are asked
    const Decision sending = decide_address(sandbox, call, Use::send, address);
    if (!sending.allowed()) return Judged::refused(sending);
  }
  const Decision decision = decide_address(sandbox, call, use, address, granted);
  if (decision.kind == Decision::Kind::redirect) {
    const int error = redirect(decision.data, name);
    if (error != 0) return Judged::over(Finish::error(error));
    Address::parse(&name.storage, name.size, address);  // as whole as what stood there
    Facts facts;
    facts.event = call.row->event;
    facts.address = &address;
    facts.operation = operation_of(use);
    const Decision there = decide_redirected(sandbox, call, facts);
    if (!there.allowed()) return Judged::refused(there);
  } else if (!decision.allowed()) {
    return Judged::refused(decision);
  }
  // To 0.0.0.0 means to this machine, at the address that the socket is bound to, which nobody has judged: make it the
  // loopback address that the rules were asked about (ip_route_output_key_hash_rcu in net/ipv4/route.c).
  if (use != Use::bind && address.family == AF_INET && is_any(address.bytes)) {
    const uint8_t loopback[4] = {127, 0, 0, 1};
    put_inet(name, loopback);
  }
  return Judged::bounce();
}

// Walks to a socket's file, or to the folder in which it is to be made. False: `out` says how the call ends.
bool find_path(Sandbox& sandbox, const Held& call, Use use, std::string_view text, unsigned more, Judged& out) {
  const unsigned flags = (use == Use::bind ? kParent | kMayMiss : kFollow) | more;
  {
    const AsCaller caller(call);
    const int error = caller.error != 0 ? caller.error : resolve_text(sandbox, call, AT_FDCWD, text, flags, out.where);
    if (error != 0) out.finish = Finish::error(error);
    if (error != 0) return false;
  }
  if (use != Use::bind || out.where.last == Last::name) return true;
  out.finish = Finish::error(EADDRINUSE);
  return false;
}

Judged without_name(Sandbox& sandbox, const Held& call, const Resolved& where) {
  report(sandbox, call, EACCES, "a socket without a name, by way of a descriptor", where.path);
  return Judged::over(Finish::error(EACCES));
}

// Where a hook has sent the call: chosen by the caller of the library, so no rule allows it, but a rule may deny it.
Judged judge_elsewhere(Sandbox& sandbox, const Held& call, Use use, const std::string& path, Name& name) {
  Judged judged;
  if (!find_path(sandbox, call, use, path, kOwnLinks, judged)) return judged;
  if (judged.where.by_descriptor) return without_name(sandbox, call, judged.where);
  const Decision decision = decide_path(sandbox, call, use, judged.where, decide_redirected);
  if (!decision.allowed()) return Judged::refused(decision);
  if (use == Use::bind && judged.where.name.size() >= sizeof name.un.sun_path)
    return Judged::over(Finish::error(ENAMETOOLONG));
  // What the socket is to be called, if it has room for that.
  const std::string& text = judged.where.path.size() < sizeof name.un.sun_path ? judged.where.path : judged.where.name;
  name = Name();
  name.un.sun_family = AF_UNIX;
  if (text.size() < sizeof name.un.sun_path) memcpy(name.un.sun_path, text.data(), text.size());
  name.size = offsetof(sockaddr_un, sun_path) + strlen(name.un.sun_path) + 1;
  judged.kind = Judged::Kind::path;
  return judged;
}

Judged judge_unix(Sandbox& sandbox, const Held& call, Use use, const Address& address, Name& name) {
  if (address.unix_name.empty()) {
    if (use != Use::bind) return Judged::bounce();  // EINVAL from the kernel
    // The kernel chooses an abstract name (unix(7), autobind): judged as the abstract name without any character.
    Address chosen;
    chosen.family = AF_UNIX;
    chosen.abstract = true;
    chosen.unix_name = "@";
    const Decision decision = decide_address(sandbox, call, use, chosen);
    return decision.allowed() ? Judged::bounce() : Judged::refused(decision);
  }
  if (address.abstract) {
    const Decision decision = decide_address(sandbox, call, use, address);
    return decision.allowed() ? Judged::bounce() : Judged::refused(decision);
  }
  const Event event = event_of(use == Use::fast_open ? Use::send : use);
  // A hook may send it elsewhere.
  const unsigned may_miss = sandbox.config.hooked(event) ? unsigned{kMayMiss} : 0;
  Judged judged;
  if (!find_path(sandbox, call, use, address.unix_name, may_miss, judged)) return judged;
  if (gives_every_address(sandbox.config, operation_of(use), event)) {
    judged.kind = Judged::Kind::path;
    return judged;
  }
  if (judged.where.by_descriptor) return without_name(sandbox, call, judged.where);
  const Decision decision = decide_path(sandbox, call, use, judged.where, decide);
  if (decision.kind == Decision::Kind::redirect) return judge_elsewhere(sandbox, call, use, decision.data, name);
  if (!decision.allowed()) return Judged::refused(decision);
  if (use != Use::bind && judged.where.missing) return Judged::over(Finish::error(ENOENT));
  judged.kind = Judged::Kind::path;
  return judged;
}

}  // namespace

bool is_client_bind(int socket, const Name& name) {
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_DGRAM) return false;
  if (name.any.sa_family == AF_INET6)
    return name.size >= sizeof(sockaddr_in6) && name.in6.sin6_port == 0 && IN6_IS_ADDR_UNSPECIFIED(&name.in6.sin6_addr);
  return name.any.sa_family == AF_INET && name.size >= sizeof(sockaddr_in) && name.in.sin_port == 0 &&
         name.in.sin_addr.s_addr == htonl(INADDR_ANY);
}

Judged judge(Sandbox& sandbox, const Held& call, Use use, Name& name, bool granted) {
  if (name.size < sizeof(sa_family_t)) return Judged::bounce();  // no family, no address: EINVAL from the kernel
  switch (name.any.sa_family) {
    case AF_UNSPEC:
      // connect() dissolves an association. bind() and sendto() on an IPv4 socket take it for an IPv4 address
      // (__inet_bind in net/ipv4/af_inet.c, udp_sendmsg in net/ipv4/udp.c); a shorter one is refused there.
      if (use == Use::connect || name.size < sizeof(sockaddr_in)) return Judged::bounce();
      break;
    case AF_INET:
    case AF_INET6:
    case AF_UNIX:
      break;
    case AF_NETLINK:
      return Judged::bounce();  // to the kernel, which asks for capabilities where it changes anything
    default:
      report(sandbox, call, EAFNOSUPPORT, "an address of a family that no rule can judge");
      return Judged::over(Finish::error(EAFNOSUPPORT));
  }
  Address address;
  if (!Address::parse(&name.storage, name.size, address)) return Judged::over(Finish::error(EINVAL));
  if (address.family == AF_UNIX) return judge_unix(sandbox, call, use, address, name);
  if (address.family == AF_UNSPEC) address.family = AF_INET;
  return judge_inet(sandbox, call, use, address, name, granted);
}

}  // namespace holdfast::families
