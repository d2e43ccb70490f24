// setsockopt() with what the seccomp program does not let by (syscalls/guards.cc): joins, which make the kernel send to
// the group, options that name a unix socket, and the rest, which is refused.
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <cstddef>

#include "../policy/config.h"
#include "handlers.h"
#include "network.h"

namespace holdfast::families {
namespace {

// What of a join the kernel is given, as it was when it was judged.
union Membership {
  ip_mreqn four;
  ipv6_mreq six;
  group_req group;
};

bool is_join(int level, int option) {
  return (level == IPPROTO_IP && (option == IP_ADD_MEMBERSHIP || option == MCAST_JOIN_GROUP)) ||
         (level == IPPROTO_IPV6 && (option == IPV6_ADD_MEMBERSHIP || option == MCAST_JOIN_GROUP));
}

bool names_itself(int level, int option) {
  constexpr int kPassPidfd = 76;  // SO_PASSPIDFD, asm-generic/socket.h, since Linux 6.5
  return level == SOL_SOCKET && (option == SO_PASSCRED || option == kPassPidfd);
}

Finish refuse_option(Sandbox& sandbox, const Held& call, int level, int option) {
  char reason[96];
  snprintf(reason, sizeof reason, "level %d, option %d is not among the socket options that are let by", level, option);
  report(sandbox, call, ENOPROTOOPT, reason);
  return Finish::error(ENOPROTOOPT);
}

Finish join(Sandbox& sandbox, const Held& call, int socket, int level, int option) {
  Membership membership = {};
  size_t size = static_cast<uint32_t>(call.arg(Arg::size));
  const size_t least = option == MCAST_JOIN_GROUP ? sizeof(group_req)
                       : level == IPPROTO_IPV6    ? sizeof(ipv6_mreq)
                                                  : sizeof(ip_mreq);
  if (static_cast<int>(size) < 0 || size < least) return Finish::error(EINVAL);
  size = std::min(size, sizeof membership);
  const int error = call.read(call.arg(Arg::pointer), &membership, size);
  if (error != 0) return failed_read(error);
  Name group;
  if (option == MCAST_JOIN_GROUP) {
    memcpy(&group.storage, &membership.group.gr_group, sizeof group.storage);
    group.size = group.any.sa_family == AF_INET6 ? sizeof group.in6 : sizeof group.in;
    const bool six = level == IPPROTO_IPV6;
    if (group.any.sa_family != (six ? AF_INET6 : AF_INET)) return Finish::error(six ? EADDRNOTAVAIL : EINVAL);
  } else if (level == IPPROTO_IPV6) {
    group.in6.sin6_family = AF_INET6;
    group.in6.sin6_addr = membership.six.ipv6mr_multiaddr;
    group.size = sizeof group.in6;
  } else {
    group.in.sin_family = AF_INET;
    group.in.sin_addr = membership.four.imr_multiaddr;
    group.size = sizeof group.in;
  }
  Address address;
  Address::parse(&group.storage, group.size, address);  // it is one of the internet, with all its bytes
  address.port = 0;
  address.any_port = true;
  const Decision decision = decide_address(sandbox, call, Use::join, address);
  if (!decision.allowed()) return refusal(decision);
  return Finish::answer(setsockopt(socket, level, option, &membership, static_cast<socklen_t>(size)) == 0 ? 0 : -errno);
}

// An unnamed unix socket that asks for credentials is given an abstract name when it connects or sends (unix(7)). Where
// nobody listens on it that is harmless, but a datagram socket receives by it.
Finish pass_credentials(Sandbox& sandbox, const Held& call, int socket, int domain, int option) {
  int type = 0;
  socklen_t type_size = sizeof type;
  if (getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0) return Finish::error(errno);
  if (call.arg(Arg::size) < sizeof(int)) return Finish::error(EINVAL);
  int value = 0;
  const int error = call.read(call.arg(Arg::pointer), &value, sizeof value);
  if (error != 0) return failed_read(error);
  if (value != 0 && type == SOCK_DGRAM && domain == AF_UNIX &&
      name_of(socket).size <= offsetof(sockaddr_un, sun_path)) {
    Address chosen;
    chosen.family = AF_UNIX;
    chosen.abstract = true;
    chosen.unix_name = "@";
    const Decision decision = decide_address(sandbox, call, Use::bind, chosen);
    if (!decision.allowed()) return refusal(decision);
  }
  return Finish::answer(setsockopt(socket, SOL_SOCKET, option, &value, sizeof value) == 0 ? 0 : -errno);
}

}  // namespace

Finish set_option(Sandbox& sandbox, Held& call) {
  const int level = static_cast<int>(call.args[1]), option = static_cast<int>(call.args[2]);
  UniqueFd socket;
  int domain;
  if (Finish end; !copy_socket(sandbox, call, socket, domain, end)) return end;
  if (static_cast<int>(call.arg(Arg::size)) < 0) return Finish::error(EINVAL);
  // Those of unix sockets are all of the socket level (sock_no_setsockopt() in net/core/sock.c).
  if (domain == AF_UNIX && level != SOL_SOCKET) return Finish::error(EOPNOTSUPP);
  if (!is_join(level, option) && !names_itself(level, option)) return refuse_option(sandbox, call, level, option);
  if (names_itself(level, option)) return pass_credentials(sandbox, call, socket.get(), domain, option);
  return join(sandbox, call, socket.get(), level, option);
}

}  // namespace holdfast::families
