#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "rules.h"

namespace holdfast {

namespace {

// What the kernel asks of an IPv6 address: up to but not including sin6_scope_id (SIN6_LEN_RFC2133, linux/ipv6.h).
constexpr size_t kShortInet6 = 24;

void take_inet(const void* from, Address& out) {
  sockaddr_in in;
  std::memcpy(&in, from, sizeof in);
  out.port = ntohs(in.sin_port);
  std::memcpy(out.bytes, &in.sin_addr, 4);
}

void take_inet6(const void* from, size_t size, Address& out) {
  sockaddr_in6 in = {};
  std::memcpy(&in, from, std::min(size, sizeof in));
  out.port = ntohs(in.sin6_port);
  if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) {
    out.family = AF_INET;
    std::memcpy(out.bytes, in.sin6_addr.s6_addr + 12, 4);
    return;
  }
  out.scope = in.sin6_scope_id;
  std::memcpy(out.bytes, &in.sin6_addr, 16);
}

}  // namespace

Address& Address::operator=(const Address& other) {
  if (this == &other) return *this;
  family = other.family;
  port = other.port;
  std::memcpy(bytes, other.bytes, sizeof bytes);
  scope = other.scope;
  abstract = other.abstract;
  any_port = other.any_port;
  unix_name = other.unix_name;
  if (other.unix_name.data() == other.name_) {
    std::memcpy(name_, other.name_, other.unix_name.size());
    unix_name = {name_, other.unix_name.size()};
  }
  return *this;
}

bool Address::parse(const void* from, size_t size, Address& out) {
  out = Address();
  uint16_t family;
  if (size < sizeof family) return false;
  std::memcpy(&family, from, sizeof family);
  out.family = family;
  switch (family) {
    case AF_UNSPEC:
      if (size >= sizeof(sockaddr_in)) take_inet(from, out);
      return true;
    case AF_INET:
      if (size < sizeof(sockaddr_in)) return false;
      take_inet(from, out);
      return true;
    case AF_INET6:
      if (size < kShortInet6) return false;
      take_inet6(from, size, out);
      return true;
    case AF_UNIX: {
      if (size > sizeof(sockaddr_un)) return false;
      const char* name = static_cast<const char*>(from) + offsetof(sockaddr_un, sun_path);
      const size_t length = size - offsetof(sockaddr_un, sun_path);
      if (length == 0) return true;
      // unix(7): a path ends at its NUL or with the address; an abstract name is all bytes of the address after the
      // first.
      out.abstract = name[0] == '\0';
      const size_t used = out.abstract ? length : strnlen(name, length);
      std::memcpy(out.name_, name, used);
      if (out.abstract) out.name_[0] = '@';
      out.unix_name = {out.name_, used};
      // Some programs give the whole sun_path, NULs and all (libuv before 1.48): the same name to rules.
      if (out.abstract)
        while (out.unix_name.size() > 1 && out.unix_name.back() == '\0') out.unix_name.remove_suffix(1);
      return true;
    }
    default:
      return false;
  }
}

std::string Address::text() const {
  char buffer[INET6_ADDRSTRLEN];
  switch (family) {
    case AF_UNSPEC:
    case AF_INET:
      return inet_ntop(AF_INET, bytes, buffer, sizeof buffer) != nullptr ? buffer : "";
    case AF_INET6:
      return inet_ntop(AF_INET6, bytes, buffer, sizeof buffer) != nullptr ? buffer : "";
    default:
      return std::string(unix_name);
  }
}

}  // namespace holdfast
