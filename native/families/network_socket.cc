// socket() and socketpair() of what is not let by: the errno that the kernel gives where the arguments are wrong, and a
// refusal for what no rule can judge.
#include <errno.h>
#include <stdio.h>

#include "../policy/violation.h"
#include "../syscalls/guards.h"
#include "handlers.h"
#include "network.h"

namespace holdfast::families {
namespace {

constexpr int kTypeMask = 0xf, kTypes = 11;  // SOCK_TYPE_MASK, SOCK_MAX: linux/net.h
constexpr int kFamilies = 46;                // AF_MAX, linux/socket.h
constexpr int kProtocols = 263;              // IPPROTO_MAX, linux/in.h

// What __sock_create and inet_create answer (net/socket.c, net/ipv4/af_inet.c) before they make anything, or 0.
int wrong_arguments(int family, int type, int protocol) {
  if ((type & ~kTypeMask & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0) return EINVAL;
  type &= kTypeMask;
  if (family < 0 || family >= kFamilies) return EAFNOSUPPORT;
  if (type >= kTypes) return EINVAL;
  if (family == AF_NETLINK && type != SOCK_RAW && type != SOCK_DGRAM) return ESOCKTNOSUPPORT;
  if (family == AF_INET && type == SOCK_PACKET) return 0;  // of AF_PACKET, in truth
  if (family != AF_INET && family != AF_INET6) return 0;
  if (protocol < 0 || protocol >= kProtocols) return EINVAL;
  if (type == SOCK_STREAM && (protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE)) return EPROTONOSUPPORT;
  if (type == SOCK_DGRAM && protocol == IPPROTO_TCP) return EPROTONOSUPPORT;
  if (type == SOCK_RAW && protocol == 0) return EPROTONOSUPPORT;
  if (type == 0 || type == SOCK_RDM || type > SOCK_SEQPACKET) return ESOCKTNOSUPPORT;
  return 0;
}

// As a kernel answers that does not have it, or to who has no right to it.
int refused_with(int family, int kind, int protocol) {
  const bool internet = family == AF_INET || family == AF_INET6;
  const int ping = family == AF_INET ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
  if (internet && kind == SOCK_SEQPACKET) return ESOCKTNOSUPPORT;
  if (internet && (kind == SOCK_RAW || kind == SOCK_PACKET)) return EPERM;
  if (internet && kind == SOCK_DGRAM && protocol == ping) return EACCES;  // net.ipv4.ping_group_range: icmp(7)
  if (internet || family == AF_NETLINK) return EPROTONOSUPPORT;
  return family == AF_PACKET ? EPERM : EAFNOSUPPORT;
}

Finish refuse_socket(Sandbox& sandbox, const Held& call, int family, int type, int protocol, int error) {
  char reason[160];
  snprintf(reason, sizeof reason, "family %d, type %d, protocol %d: %s", family, type & kTypeMask, protocol,
           call.row->reason);
  report(sandbox, call, error, reason);
  return Finish::error(error);
}

}  // namespace

Finish make_socket(Sandbox& sandbox, Held& call) {
  const int family = static_cast<int>(call.args[0]), type = static_cast<int>(call.args[1]),
            protocol = static_cast<int>(call.args[2]);
  if (const int error = wrong_arguments(family, type, protocol)) return Finish::error(error);
  return refuse_socket(sandbox, call, family, type, protocol, refused_with(family, type & kTypeMask, protocol));
}

Finish make_socket_pair(Sandbox& sandbox, Held& call) {
  const int family = static_cast<int>(call.args[0]), type = static_cast<int>(call.args[1]),
            protocol = static_cast<int>(call.args[2]);
  if ((type & ~kTypeMask & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0) return Finish::error(EINVAL);
  // The numbers are written before anything is made (__sys_socketpair in net/socket.c).
  int64_t place;
  if (const int error = call.read(call.arg(Arg::pointer), &place, sizeof place); error != 0)
    return error == -ESRCH ? Finish::gone() : Finish::answer(error);
  if (const int error = wrong_arguments(family, type, protocol)) return Finish::error(error);
  const int kind = type & kTypeMask;
  const bool internet = family == AF_INET || family == AF_INET6;
  // What can be made has no pairs: sock_no_socketpair in net/core/sock.c.
  const uint64_t args[6] = {static_cast<uint64_t>(family), static_cast<uint64_t>(type),
                            static_cast<uint64_t>(protocol)};
  if (lets_by(Guard::socket_plain, args)) return Finish::error(EOPNOTSUPP);
  if (internet && kind != SOCK_SEQPACKET && kind != SOCK_RAW && kind != SOCK_PACKET)
    return Finish::error(refused_with(family, kind, protocol));
  return refuse_socket(sandbox, call, family, type, protocol, refused_with(family, kind, protocol));
}

}  // namespace holdfast::families
