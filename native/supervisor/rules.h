// Policy matching on canonical names and addresses, in time that does not grow with the number of rules.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../protocol/protocol.h"

struct sockaddr;

namespace holdfast {

// A socket address as rules see it. IPv4-mapped IPv6 addresses are IPv4 here.
struct Address {
  uint16_t family = 0;         // AF_INET, AF_INET6, AF_UNIX
  uint16_t port = 0;           // host order
  uint8_t bytes[16] = {};      // 4 or 16 of them
  uint32_t scope = 0;
  std::string_view unix_name;  // canonical path, or '@' + abstract name (NULs kept); empty: unnamed
  // False if `size` bytes at `from` are no address of a family that rules know.
  static bool parse(const void* from, size_t size, Address& out);
  // Text for hooks and events: 127.0.0.1, ::1, /path, @name.
  std::string text() const;
};

enum class Effect : uint8_t { none = 0, allow = 1, deny = 2 };

struct Match {
  Effect effect = Effect::none;
  const char* label = "";      // the policy field: files.deny[2]
};

class Rules {
 public:
  Rules();
  ~Rules();
  Rules(const Rules&) = delete;
  Rules& operator=(const Rules&) = delete;

  // Building, before the first call. Paths must be canonical (config.cc sees to it). False: the rule is not valid.
  bool add_path(std::string_view path, uint8_t access, Effect effect, std::string_view label);
  // A name that may be stat'ed and read as a link though nothing in it is allowed: a symbolic link on the way to a rule's path.
  void add_visible(std::string_view path);
  bool add_address(uint16_t family, const uint8_t* bytes, unsigned prefix, uint16_t port_low, uint16_t port_high,
                   uint8_t operations, Effect effect, std::string_view label);
  bool add_unix(std::string_view name, uint8_t operations, Effect effect, std::string_view label);
  bool finish();

  // For one access bit: the deepest rule on the way from / to the path; at the same place deny wins.
  Match path(std::string_view canonical, uint8_t access_bit) const;
  // Metadata: allowed where reading, writing or executing is, for every ancestor of such a rule, and for visible names.
  // A deny rule that covers the path for reading denies it, unless the path is itself an ancestor of an allowed one.
  Match metadata(std::string_view canonical) const;
  // For one operation bit; deny wins, then the longest prefix.
  Match address(const Address& address, uint8_t operation) const;

  // Whether any rule could allow this operation at all (listen is refused where nothing may be bound).
  bool any_address(uint8_t operation) const;
  // Whether any rule (or "whatever may be read") governs exec by path.
  bool exec_by_rule = false;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast
