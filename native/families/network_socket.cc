// socket() and socketpair() of what is not let by: the errno that the kernel gives where the arguments are wrong, and a
// refusal for what no rule can judge.
#include <errno.h>
#include <stdio.h>

#include "../policy/violation.h"
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
  if (family != AF_INET && family != AF_INET6) return 0;
  if (protocol < 0 || protocol >= kProtocols) return EINVAL;
  if (type == SOCK_STREAM && (protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE)) return EPROTONOSUPPORT;
  if (type == SOCK_DGRAM && protocol == IPPROTO_TCP) return EPROTONOSUPPORT;
  if (type == 0 || type == SOCK_RDM || (type > SOCK_SEQPACKET && type != SOCK_PACKET)) return ESOCKTNOSUPPORT;
  return 0;
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
  const bool internet = family == AF_INET || family == AF_INET6;
  const int kind = type & kTypeMask;
  // As a kernel answers that does not have it, or to who has no right to it.
  const int error = internet && kind == SOCK_SEQPACKET                      ? ESOCKTNOSUPPORT
                    : internet && (kind == SOCK_RAW || kind == SOCK_PACKET) ? EPERM
                    : internet || family == AF_NETLINK                      ? EPROTONOSUPPORT
                                                                            : EAFNOSUPPORT;
  return refuse_socket(sandbox, call, family, type, protocol, error);
}

Finish make_socket_pair(Sandbox& sandbox, Held& call) {
  const int family = static_cast<int>(call.args[0]), type = static_cast<int>(call.args[1]),
            protocol = static_cast<int>(call.args[2]);
  if (const int error = wrong_arguments(family, type, protocol)) return Finish::error(error);
  // sock_no_socketpair in net/core/sock.c
  const int kind = type & kTypeMask;
  if ((family == AF_INET || family == AF_INET6) && (kind == SOCK_STREAM || kind == SOCK_DGRAM))
    return Finish::error(EOPNOTSUPP);
  const bool internet = family == AF_INET || family == AF_INET6;
  return refuse_socket(sandbox, call, family, type, protocol, internet ? ESOCKTNOSUPPORT : EAFNOSUPPORT);
}

}  // namespace holdfast::families
