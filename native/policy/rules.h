// Policy matching on canonical names and addresses, in time that does not grow with the number of rules.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../protocol/protocol.h"
#include "name_filter.h"

namespace holdfast {

// A socket address as rules see it. IPv4-mapped IPv6 addresses are IPv4 here.
struct Address {
  // AF_INET, AF_INET6, AF_UNIX; 0 (AF_UNSPEC): connect() dissolves the association, but bind() and sendto() on an IPv4
  // socket take the rest as an IPv4 address, so `port` and `bytes` are filled and rules judge it as one.
  uint16_t family = 0;
  uint16_t port = 0;       // host order
  uint8_t bytes[16] = {};  // 4 or 16 of them
  uint32_t scope = 0;
  std::string_view unix_name;  // path (canonical before rules see it), or '@' + abstract name without NULs that pad it;
                               // empty: unnamed
  bool abstract = false;       // a path may begin with '@' too
  bool any_port = false;       // to join a group has no port: allowed where any port of the address is

  Address() = default;
  Address(const Address& other) { *this = other; }
  Address& operator=(const Address& other);

  // False if `size` bytes at `from` are no address of a family that rules know, or too short for the kernel.
  static bool parse(const void* from, size_t size, Address& out);
  // Text for hooks and events: 127.0.0.1, ::1, /path, @name.
  std::string text() const;

 private:
  char name_[108];  // what parse() lets `unix_name` point to
};

enum class Effect : uint8_t { none = 0, allow = 1, deny = 2 };

// A rule by the policy's field, files.deny[2], and whether it has matched a call so far.
struct RuleName {
  explicit RuleName(std::string_view label) : text(label) {}
  // A write only the first time: many threads ask at once.
  void note() const {
    if (!matched.load(std::memory_order_relaxed)) matched.store(true, std::memory_order_relaxed);
  }
  const std::string text;
  mutable std::atomic<bool> matched{false};
};

struct Match {
  Effect effect = Effect::none;
  const char* label = "";          // the policy field
  const RuleName* rule = nullptr;  // null: none of the policy's own
  bool hidden = false;             // what is denied is as if it were not there

  Match() = default;
  Match(Effect effect, const char* label) : effect(effect), label(label) {}
  Match(Effect effect, const RuleName* rule, bool hidden = false)
      : effect(effect), label(rule->text.c_str()), rule(rule), hidden(hidden) {}

  void note() const {
    if (rule != nullptr) rule->note();
  }
};

// What a change is made to. A rule on P is about what is at P and below it, and about making P where it is missing; the
// name P itself is an entry of the folder that it stands in, and belongs to whoever may write there. docs/api.md has
// the table.
enum class Part : uint8_t {
  contents,    // what is in it, or its being made
  attributes,  // mode, owner, times, extended attributes
  name,        // its being removed, moved, replaced, linked, or made as a symbolic link
};

// What stands there. Rules on what is no file and no directory give contents only.
enum class Thing : uint8_t {
  ordinary,  // files, directories, symbolic links; what is not there yet
  pipe,      // FIFOs and sockets: the tree makes its own, so those in a folder are the folder's
  device,    // is never the tree's own
};

// All that the rules say about one path, from one pass over it.
struct PathMatch {
  Match read, write, execute, metadata;
  Match name;                  // the right to its name: that to write to the folder that it stands in
  bool movable = false;        // a folder on the way to it may be moved by who has the right to do so
  bool shown_by_rule = false;  // a rule on looking at it allows that (known only where there are patterns)

  const Match& of(uint8_t access_bit) const {
    return access_bit == protocol::kRead ? read : access_bit == protocol::kWrite ? write : execute;
  }
  // The right to execute it. `any_exec`: what may be read may be executed, unless a rule says otherwise.
  const Match& execution(bool any_exec) const { return any_exec && execute.effect == Effect::none ? read : execute; }
  // The right to change a part of what stands there.
  Match change(Part part, Thing thing) const;
};

class Rules {
 public:
  Rules();
  ~Rules();
  Rules(const Rules&) = delete;
  Rules& operator=(const Rules&) = delete;

  // Building, before the first call. Paths must be canonical (config.cc sees to it). False: the rule is not valid.
  // `data`: nothing in it is executed, as far as allowed_paths() is asked.
  bool add_path(std::string_view path, uint8_t access, Effect effect, std::string_view label, bool data = false);
  // The names below a folder that a pattern matches (policy/glob.h). What it denies no rule lifts, and what it allows
  // lifts no denial, so it has no depth. Ancestors of what it may allow can be looked at.
  // `hidden`: a denial of all access, by which what matches is not there and not listed.
  bool add_pattern(std::string_view folder, std::string_view pattern, uint8_t access, Effect effect,
                   std::string_view label, bool hidden = false);
  // A name that may be stat'ed and read as a link though nothing in it is allowed: a symbolic link on the way to a
  // rule's path. Its ancestors become visible too.
  bool add_visible(std::string_view path);
  // The command's own path: that very name may be read and executed, and nothing below it. After finish().
  bool add_command(std::string_view path);
  bool add_address(uint16_t family, const uint8_t* bytes, unsigned prefix, uint16_t port_low, uint16_t port_high,
                   uint8_t operations, Effect effect, std::string_view label);
  // A path stands for itself and, if it is a directory, all sockets below; '@' + name for that abstract name, with a *
  // at its end for all that begin so. Of abstract names deny wins, then the longest.
  bool add_unix(std::string_view name, uint8_t operations, Effect effect, std::string_view label);
  bool finish();

  PathMatch look(std::string_view canonical) const;
  // For one access bit: the deepest rule on the way from / to the path; at the same place deny wins.
  Match path(std::string_view canonical, uint8_t access_bit) const { return look(canonical).of(access_bit); }
  // Whether a rule speaks of a name below this one. Such a directory must not be moved: what lies in it would escape
  // from a rule, or get under one.
  bool has_rule_below(std::string_view canonical) const;
  // The same for what patterns say: whether something below the directory `from` would escape from a denial, come under
  // one, or be allowed more, if that directory became `to`.
  bool patterns_change_below(std::string_view from, std::string_view to) const;
  // Takes from a match what patterns deny to that name.
  void deny_by_patterns(std::string_view name, PathMatch& match) const;
  // Metadata: allowed where reading, writing or executing is, for every ancestor of such a rule, and for visible names;
  // and where a rule of its own (kMetadata) allows it. Such a rule denies it, unless something is allowed deeper.
  // Without one, a deny rule that covers the path for reading denies it, unless the path is itself an ancestor of an
  // allowed one, or something is allowed by a rule that is as deep.
  Match metadata(std::string_view canonical) const { return look(canonical).metadata; }
  // For one operation bit; deny wins, then the longest prefix. Paths of unix sockets: the deepest rule, as for files.
  // To connect to 0.0.0.0 or :: is to connect to this machine, so rules on loopback addresses hold for it.
  Match address(const Address& address, uint8_t operation) const;

  // Whether a rule on unix sockets speaks for the one at this path: the deepest, unless files.deny refuses writing at
  // the same place or deeper.
  bool decides_socket(std::string_view canonical, uint8_t operation) const;

  // Whether any rule could allow this operation at all (listen is refused where nothing may be bound).
  bool any_address(uint8_t operation) const;
  // Whether any rule could allow it for an address of the internet; for an abstract name.
  bool any_internet(uint8_t operation) const;
  bool any_abstract(uint8_t operation) const;

  // Of which kinds of addresses rules allow every one for an operation bit, and what denies any. Nothing denied and
  // all three allowed: no address can be refused.
  struct Reach {
    bool internet = false, paths = false, abstract = false;
    std::vector<const char*> denied;  // the policy's fields, some of many

    bool everything() const { return internet && paths && abstract && denied.empty(); }
  };
  Reach reach(uint8_t operation) const;
  // What rules allow by name for one access bit, whatever they deny below it; without what is data.
  struct Allowed {
    std::string path;
    const char* label;
  };
  std::vector<Allowed> allowed_paths(uint8_t access_bit) const;
  // Every path that a rule speaks of, by bit: what the rules at that very place say.
  struct Ruled {
    std::string_view path;
    Effect effect[4] = {};
    const char* label[4] = {};
    bool command = false;  // the command's own name, which may be read and executed in any case
    bool data = false;     // all rules on it are said to be of what is not executed
  };
  void for_paths(const std::function<void(const Ruled&)>& act) const;
  struct Pattern {
    std::string folder, text;
    NameFilter names;
    uint8_t access;
    Effect effect;
    const char* label;
    bool hidden;
    const RuleName* rule;  // of that label
  };
  const std::vector<Pattern>& patterns() const;
  bool hides_anything() const;
  bool hides(std::string_view name) const;
  // The ports that rules allow for one operation bit, whatever they deny: sorted, without overlaps.
  std::vector<std::pair<uint16_t, uint16_t>> allowed_ports(uint8_t operation) const;
  // Every rule, with its name; one field of a policy may have several.
  void for_names(const std::function<void(const RuleName&)>& act) const;
  // The rules that speak of a path for these access bits (0: its metadata), the deepest last; or of an address, those
  // that are asked first first.
  struct Spoken {
    std::string_view label;
    Effect effect = Effect::none;
    std::string_view path = {};  // the rule's own
  };
  using Speaks = std::function<void(const Spoken&)>;
  void for_spoken(std::string_view canonical, uint8_t access, bool any_exec, const Speaks& act) const;
  void for_spoken(const Address& address, uint8_t operation, const Speaks& act) const;
  // Whether any rule speaks of exec.
  bool exec_by_rule = false;

 private:
  struct Impl;
  void allow_by_patterns(std::string_view name, PathMatch& match) const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast
