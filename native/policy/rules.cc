#include "rules.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <set>
#include <unordered_map>

namespace holdfast {

namespace {

using protocol::kBind;
using protocol::kConnect;
using protocol::kExecute;
using protocol::kMetadata;
using protocol::kRead;
using protocol::kWrite;

constexpr int kBits = 4;
constexpr int kWriteIndex = 1, kMetadataIndex = 3;
static_assert(kMetadata == 1 << kMetadataIndex);

// FNV-1a, one byte at a time: the hashes of all prefixes of a path come from one pass over it.
constexpr uint64_t kHashSeed = 0xcbf29ce484222325;
constexpr uint64_t hash_step(uint64_t hash, char byte) { return (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3; }

uint64_t hash_of(std::string_view text) {
  uint64_t hash = kHashSeed;
  for (const char byte : text) hash = hash_step(hash, byte);
  return hash;
}

int bit_index(uint8_t bit) { return bit == 1 ? 0 : bit == 2 ? 1 : bit == 8 ? kMetadataIndex : 2; }

bool is_canonical(std::string_view path) {
  if (path.empty() || path[0] != '/' || path.find('\0') != path.npos) return false;
  if (path.size() == 1) return true;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at + 1), path.size());
    const std::string_view component = path.substr(at + 1, end - at - 1);
    if (component.empty() || component == "." || component == "..") return false;
    at = end;
  }
  return true;
}

// Names that rules know, with all their ancestors: a look-up stops at the first component that leads to no rule. The
// key of / is the empty string, that of any other path the path itself.
class NameTable {
 public:
  struct Node {
    size_t begin = 0, size = 0;  // of the key, in names_
    uint32_t folder = 0;         // the node of the folder that it is in: index + 1; 0: none
    Effect effect[kBits] = {};
    const RuleName* rule[kBits] = {};

    Match match(int bit) const { return rule[bit] == nullptr ? Match() : Match(effect[bit], rule[bit]); }
    const char* label(int bit) const { return rule[bit] == nullptr ? "" : rule[bit]->text.c_str(); }
    bool leads_to_allowed = false;
    bool leads_to_rule = false;
    bool visible = false;
    bool command = false;
    bool programs = false;  // some rule on it is not for data alone
  };

  // With room for so many names before anything has to move.
  explicit NameTable(size_t names) {
    rehash(names * 2);
    nodes_.reserve(names);
    names_.reserve(names * 16);
  }

  Node& obtain(std::string_view path) {
    if (path == "/") path = {};
    uint64_t hash = kHashSeed;
    Node* node = &obtain(hash, {});
    for (size_t at = 0; at < path.size();) {
      const auto folder = static_cast<uint32_t>(node - nodes_.data() + 1);
      do hash = hash_step(hash, path[at++]);
      while (at < path.size() && path[at] != '/');
      node = &obtain(hash, path.substr(0, at));
      node->folder = folder;
    }
    return *node;
  }

  // For names that are not paths.
  Node& obtain_whole(std::string_view name) { return obtain(hash_of(name), name); }
  const Node* find_whole(std::string_view name) const { return find(hash_of(name), name); }

  template <typename Act>
  void for_ancestors(std::string_view path, Act act) {
    for (uint32_t at = obtain(path).folder; at != 0; at = nodes_[at - 1].folder) act(nodes_[at - 1]);
  }

  // When all rules are there: what is above one leads to it.
  void mark_leading() {
    for (const Node& node : nodes_) {
      const auto is = [&](auto has) { return std::any_of(node.effect, node.effect + kBits, has); };
      if (!is([](Effect effect) { return effect != Effect::none; })) continue;
      const bool allowed = is([](Effect effect) { return effect == Effect::allow; });
      for (uint32_t at = node.folder; at != 0; at = nodes_[at - 1].folder) {
        Node& above = nodes_[at - 1];
        // Then so has all that is above it.
        if (above.leads_to_rule && (above.leads_to_allowed || !allowed)) break;
        above.leads_to_rule = true;
        above.leads_to_allowed = above.leads_to_allowed || allowed;
      }
    }
  }

  template <typename Act>
  void for_all(Act act) const {
    for (size_t i = 0; i < nodes_.size(); i++) act(nodes_[i], key(nodes_[i]));
  }

  std::string_view key(const Node& node) const { return {names_.data() + node.begin, node.size}; }

  enum class Walk : uint8_t { not_canonical, below, exact };

  // Visits what is known of the way from / to the path, in this order. `exact`: the last one visited is the path
  // itself.
  template <typename Visit>
  Walk walk(std::string_view path, Visit visit) const {
    if (path.empty() || path[0] != '/') return Walk::not_canonical;
    if (path.size() == 1) path = {};
    uint64_t hash = kHashSeed;
    const Node* node = find(hash, {});
    for (size_t at = 0; node != nullptr;) {
      visit(*node);
      if (at == path.size()) return Walk::exact;
      const size_t begin = at;
      do hash = hash_step(hash, path[at++]);
      while (at < path.size() && path[at] != '/');
      if (at == begin + 1) return Walk::not_canonical;
      node = find(hash, path.substr(0, at));
    }
    return Walk::below;
  }

 private:
  struct Slot {
    uint32_t tag = 0;   // upper half of the hash
    uint32_t node = 0;  // index + 1; 0: empty
  };

  const Node* find(uint64_t hash, std::string_view name) const {
    const uint32_t tag = static_cast<uint32_t>(hash >> 32);
    for (size_t i = hash & mask_; slots_[i].node != 0; i = (i + 1) & mask_) {
      if (slots_[i].tag != tag) continue;
      const Node& node = nodes_[slots_[i].node - 1];
      if (key(node) == name) return &node;
    }
    return nullptr;
  }

  Node& obtain(uint64_t hash, std::string_view name) {
    if (const Node* node = find(hash, name)) return const_cast<Node&>(*node);
    if ((nodes_.size() + 1) * 2 > slots_.size()) rehash(slots_.size() * 2);
    Node node;
    node.begin = names_.size();
    node.size = name.size();
    names_.append(name);
    nodes_.push_back(node);
    place(hash, static_cast<uint32_t>(nodes_.size()));
    return nodes_.back();
  }

  void place(uint64_t hash, uint32_t node) {
    size_t i = hash & mask_;
    while (slots_[i].node != 0) i = (i + 1) & mask_;
    slots_[i] = {static_cast<uint32_t>(hash >> 32), node};
  }

  void rehash(size_t size) {
    slots_.assign(size, {});
    mask_ = size - 1;
    for (size_t i = 0; i < nodes_.size(); i++) place(hash_of(key(nodes_[i])), static_cast<uint32_t>(i + 1));
  }

  std::vector<Slot> slots_;
  size_t mask_ = 0;
  std::vector<Node> nodes_;
  std::string names_;
};

// At the same place deny wins, and of equal effects the first keeps its label.
void apply(NameTable::Node& node, uint8_t bits, Effect effect, const RuleName* rule) {
  for (int i = 0; i < kBits; i++) {
    if ((bits >> i & 1) == 0 || node.effect[i] == Effect::deny || node.effect[i] == effect) continue;
    node.effect[i] = effect;
    node.rule[i] = rule;
  }
}

// An address or prefix as two integers, most significant bit first; IPv4 in the upper half of `high`.
struct Prefix {
  uint64_t high = 0, low = 0;
  unsigned length = 0;

  bool operator==(const Prefix&) const = default;
  Prefix cut(unsigned to) const {
    const auto upper = [](unsigned bits) { return bits == 0 ? 0 : ~uint64_t{0} << (64 - bits); };
    return {high & upper(std::min(to, 64u)), low & upper(to > 64 ? to - 64 : 0), to};
  }
};

Prefix from_bytes(const uint8_t* bytes, bool six) {
  Prefix out;
  if (!six) {
    for (int i = 0; i < 4; i++) out.high |= uint64_t{bytes[i]} << (56 - 8 * i);
    out.length = 32;
  } else {
    for (int i = 0; i < 8; i++) {
      out.high |= uint64_t{bytes[i]} << (56 - 8 * i);
      out.low |= uint64_t{bytes[8 + i]} << (56 - 8 * i);
    }
    out.length = 128;
  }
  return out;
}

constexpr unsigned kMappedBits = 96;
bool is_mapped(const Prefix& six) { return six.high == 0 && six.low >> 32 == 0xffff; }
Prefix unmapped(const Prefix& six) { return {six.low << 32, 0, six.length - kMappedBits}; }

struct PrefixHash {
  size_t operator()(const Prefix& prefix) const {
    uint64_t hash = prefix.high * 0x9e3779b97f4a7c15 ^ prefix.low;
    hash = (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9 + prefix.length;
    return (hash ^ hash >> 32) * 0x94d049bb133111eb >> 16;
  }
};

// Rules of one family, operation and effect.
class AddressTable {
 public:
  void add(const Prefix& prefix, uint16_t low, uint16_t high, const RuleName* rule) {
    ports_[prefix].push_back({low, high, rule});
  }

  void finish() {
    std::set<unsigned, std::greater<>> lengths;
    for (auto& [prefix, ports] : ports_) {
      lengths.insert(prefix.length);
      ports = disjoint(ports);
    }
    lengths_.assign(lengths.begin(), lengths.end());
  }

  const RuleName* find(const Prefix& address, uint16_t port) const {
    const RuleName* first = nullptr;
    for_found(address, port, [&](const RuleName* rule) { return first = rule, false; });
    return first;
  }

  // All that speak of it, the most exact first, until `act` says no.
  template <typename Act>
  void for_found(const Prefix& address, uint16_t port, Act act) const {
    for (const unsigned length : lengths_) {
      const auto found = ports_.find(address.cut(length));
      if (found == ports_.end()) continue;
      const auto& ports = found->second;
      auto after = std::upper_bound(ports.begin(), ports.end(), port,
                                    [](uint16_t value, const Ports& range) { return value < range.low; });
      if (after != ports.begin() && port <= (--after)->high && !act(after->rule)) return;
    }
  }

  // Whatever the port.
  const RuleName* find(const Prefix& address) const {
    for (const unsigned length : lengths_) {
      const auto found = ports_.find(address.cut(length));
      if (found != ports_.end()) return found->second.front().rule;
    }
    return nullptr;
  }

  bool empty() const { return ports_.empty(); }

  // Every port of every address.
  bool is_everything() const {
    const auto whole = ports_.find(Prefix{});
    if (whole == ports_.end()) return false;
    uint32_t next = 0;
    for (const Ports& range : whole->second) {
      if (range.low != next) return false;
      next = uint32_t{range.high} + 1;
    }
    return next == 65536;
  }

  template <typename Act>
  void for_labels(Act act) const {
    for (const auto& [prefix, ports] : ports_)
      for (const Ports& range : ports) act(range.rule->text.c_str());
  }

  template <typename Act>
  void for_ports(Act act) const {
    for (const auto& [prefix, ports] : ports_)
      for (const Ports& range : ports) act(range.low, range.high);
  }

 private:
  struct Ports {
    uint16_t low, high;
    const RuleName* rule;
  };

  // Sorted and without overlaps; where ranges overlap the first rule gives the label.
  static std::vector<Ports> disjoint(const std::vector<Ports>& ranges) {
    struct Edge {
      uint32_t at;
      size_t rule;
      bool begins;
    };
    std::vector<Edge> edges;
    for (size_t i = 0; i < ranges.size(); i++) {
      edges.push_back({ranges[i].low, i, true});
      edges.push_back({uint32_t{ranges[i].high} + 1, i, false});
    }
    std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) { return a.at < b.at; });
    std::vector<Ports> out;
    std::set<size_t> open;
    for (size_t i = 0; i < edges.size();) {
      const uint32_t at = edges[i].at;
      for (; i < edges.size() && edges[i].at == at; i++) {
        if (edges[i].begins)
          open.insert(edges[i].rule);
        else
          open.erase(edges[i].rule);
      }
      if (open.empty()) continue;
      // Something is open, so an edge that closes it follows.
      const uint16_t last = static_cast<uint16_t>(edges[i].at - 1);
      const RuleName* rule = ranges[*open.begin()].rule;
      if (!out.empty() && out.back().rule == rule && uint32_t{out.back().high} + 1 == at)
        out.back().high = last;
      else
        out.push_back({static_cast<uint16_t>(at), last, rule});
    }
    return out;
  }

  std::unordered_map<Prefix, std::vector<Ports>, PrefixHash> ports_;
  std::vector<unsigned> lengths_;  // longest first
};

}  // namespace

struct Rules::Impl {
  NameTable paths{128};             // the defaults, and a short policy
  NameTable sockets{16};            // bits are operations
  NameTable abstract_prefixes{4};   // '@' + what such names begin with
  AddressTable addresses[2][2][2];  // [IPv6][bind][deny]
  std::vector<Pattern> patterns;
  std::deque<RuleName> labels;  // never move: matches point at them
  bool unix_allowed[2] = {};
  bool abstract_allowed[2] = {};
  bool finished = false;

  const RuleName* keep(std::string_view label) {
    if (labels.empty() || labels.back().text != label) labels.emplace_back(label);
    return &labels.back();
  }

  Match inet(const Prefix& address, bool six, uint16_t port, int operation, bool any_port = false) const {
    const auto& tables = addresses[six][operation];
    if (const RuleName* rule = tables[1].find(address, port)) return {Effect::deny, rule};
    const RuleName* rule = any_port ? tables[0].find(address) : tables[0].find(address, port);
    if (rule != nullptr) return {Effect::allow, rule};
    return {};
  }

  Match unix_socket(const Address& address, int operation) const {
    Match match;
    const auto take = [&](const NameTable::Node& node) {
      if (node.effect[operation] != Effect::none) match = node.match(operation);
    };
    if (address.abstract) {
      const bool named = address.unix_name.starts_with('@');
      const auto look = [&](const NameTable& table, std::string_view name) {
        const NameTable::Node* node = table.find_whole(name);
        if (node != nullptr && match.effect != Effect::deny) take(*node);
      };
      if (!named) return {};
      for (size_t size = 1; size <= address.unix_name.size(); size++)
        look(abstract_prefixes, address.unix_name.substr(0, size));
      look(sockets, address.unix_name);
    } else if (sockets.walk(address.unix_name, take) == NameTable::Walk::not_canonical) {
      return {};
    }
    return match;
  }
};

Rules::Rules() : impl_(std::make_unique<Impl>()) {}
Rules::~Rules() = default;

bool Rules::add_path(std::string_view path, uint8_t access, Effect effect, std::string_view label, bool data) {
  if (impl_->finished || !is_canonical(path) || effect == Effect::none) return false;
  if (access == 0 || (access & ~(kRead | kWrite | kExecute | kMetadata)) != 0) return false;
  NameTable::Node& node = impl_->paths.obtain(path);
  apply(node, access, effect, impl_->keep(label));
  if (!data) node.programs = true;
  if ((access & kExecute) != 0) exec_by_rule = true;
  return true;
}

bool Rules::add_pattern(std::string_view folder, std::string_view pattern, uint8_t access, Effect effect,
                        std::string_view label, bool hidden) {
  if (impl_->finished || !is_canonical(folder) || effect == Effect::none) return false;
  if (access == 0 || (access & ~(kRead | kWrite | kExecute | kMetadata)) != 0) return false;
  const RuleName* kept = impl_->keep(label);
  Pattern rule{std::string(folder), std::string(pattern), {}, access, effect, kept->text.c_str(), hidden, kept};
  if (pattern.empty() || !rule.names.set(folder, pattern)) return false;
  impl_->patterns.push_back(std::move(rule));
  if ((access & kExecute) != 0) exec_by_rule = true;
  return true;
}

bool Rules::add_visible(std::string_view path) {
  if (impl_->finished || !is_canonical(path)) return false;
  impl_->paths.obtain(path).visible = true;
  impl_->paths.for_ancestors(path, [](NameTable::Node& node) { node.visible = true; });
  return true;
}

bool Rules::add_command(std::string_view path) {
  if (!impl_->finished || !is_canonical(path)) return false;
  NameTable::Node& node = impl_->paths.obtain(path);
  node.visible = node.command = true;
  impl_->paths.for_ancestors(path, [](NameTable::Node& above) { above.visible = above.leads_to_rule = true; });
  return true;
}

Match PathMatch::change(Part part, Thing thing) const {
  if (part == Part::contents || write.effect == Effect::deny) return write;
  if (thing == Thing::device) return {};
  return part == Part::name || thing == Thing::pipe ? name : write;
}

bool Rules::add_address(uint16_t family, const uint8_t* bytes, unsigned prefix, uint16_t port_low, uint16_t port_high,
                        uint8_t operations, Effect effect, std::string_view label) {
  if (impl_->finished || effect == Effect::none || port_low > port_high) return false;
  if (operations == 0 || (operations & ~(kConnect | kBind)) != 0) return false;
  if (family != AF_INET && family != AF_INET6) return false;
  bool six = family == AF_INET6;
  if (prefix > (six ? 128u : 32u)) return false;
  const Prefix whole = from_bytes(bytes, six);
  Prefix cut = whole.cut(prefix);
  if (six && prefix >= kMappedBits && is_mapped(cut)) {
    cut = unmapped(cut);
    six = false;
  }
  const RuleName* kept = impl_->keep(label);
  for (int operation = 0; operation < 2; operation++)
    if ((operations >> operation & 1) != 0)
      impl_->addresses[six][operation][effect == Effect::deny].add(cut, port_low, port_high, kept);
  return true;
}

bool Rules::add_unix(std::string_view name, uint8_t operations, Effect effect, std::string_view label) {
  if (impl_->finished || effect == Effect::none || name.empty()) return false;
  if (operations == 0 || (operations & ~(kConnect | kBind)) != 0) return false;
  const bool abstract = name[0] == '@';
  if (!abstract && !is_canonical(name)) return false;
  const RuleName* kept = impl_->keep(label);
  if (abstract && name.ends_with('*'))
    apply(impl_->abstract_prefixes.obtain_whole(name.substr(0, name.size() - 1)), operations, effect, kept);
  else
    apply(abstract ? impl_->sockets.obtain_whole(name) : impl_->sockets.obtain(name), operations, effect, kept);
  if (abstract && effect == Effect::allow)
    for (int operation = 0; operation < 2; operation++)
      if ((operations >> operation & 1) != 0) impl_->abstract_allowed[operation] = true;
  if (effect == Effect::allow)
    for (int operation = 0; operation < 2; operation++)
      if ((operations >> operation & 1) != 0) impl_->unix_allowed[operation] = true;
  return true;
}

bool Rules::finish() {
  if (impl_->finished) return false;
  impl_->paths.mark_leading();
  for (auto& family : impl_->addresses)
    for (auto& operation : family)
      for (AddressTable& table : operation) table.finish();
  impl_->finished = true;
  return true;
}

PathMatch Rules::look(std::string_view canonical) const {
  const NameTable::Node* deciding[kBits] = {};
  int depth_of[kBits] = {-1, -1, -1, -1};
  const NameTable::Node* last = nullptr;
  const NameTable::Node* above = nullptr;  // what decides on writing to the folder, if the path has a rule of its own
  int writable_from = -1;
  int depth = 0;
  const auto walked = impl_->paths.walk(canonical, [&](const NameTable::Node& node) {
    for (int i = 0; i < kBits; i++) {
      if (node.effect[i] == Effect::none) continue;
      if (i == kWriteIndex) {
        above = deciding[i];
        if (node.effect[i] == Effect::allow && writable_from < 0) writable_from = depth;
      }
      deciding[i] = &node;
      depth_of[i] = depth;
    }
    last = &node;
    depth++;
  });
  PathMatch out;
  if (walked == NameTable::Walk::not_canonical) return out;
  const NameTable::Node* exact = walked == NameTable::Walk::exact ? last : nullptr;

  Match* const matches[] = {&out.read, &out.write, &out.execute};
  int deepest_allow = -1;
  for (int i = 0; i < kMetadataIndex; i++) {
    if (deciding[i] == nullptr) continue;
    *matches[i] = deciding[i]->match(i);
    if (matches[i]->effect == Effect::allow && depth_of[i] > deepest_allow) {
      deepest_allow = depth_of[i];
      out.metadata = *matches[i];
    }
  }
  const bool own_rule = exact != nullptr && deciding[kWriteIndex] == exact;
  out.name = out.write;
  if (own_rule && out.write.effect != Effect::deny) out.name = above == nullptr ? Match() : above->match(kWriteIndex);
  if (writable_from >= 0) out.movable = std::count(canonical.begin(), canonical.end(), '/') - writable_from >= 2;
  if (exact != nullptr && exact->command)
    for (Match* match : {&out.read, &out.execute})
      if (match->effect == Effect::none) *match = Match(Effect::allow, "command");
  const NameTable::Node* own = deciding[kMetadataIndex];
  if (exact != nullptr && (exact->leads_to_allowed || exact->visible))
    out.metadata.effect = Effect::allow;
  else if (own != nullptr &&
           (own->effect[kMetadataIndex] == Effect::allow || depth_of[kMetadataIndex] >= deepest_allow))
    out.metadata = own->match(kMetadataIndex);
  else if (out.read.effect == Effect::deny && depth_of[0] > deepest_allow)
    out.metadata = out.read;
  if (impl_->patterns.empty()) return out;
  out.shown_by_rule = own != nullptr && own->effect[kMetadataIndex] == Effect::allow;
  allow_by_patterns(canonical, out);
  deny_by_patterns(canonical, out);
  return out;
}

// Adds where plain rules say nothing.
void Rules::allow_by_patterns(std::string_view name, PathMatch& match) const {
  Match* const rights[] = {&match.read, &match.write, &match.execute, &match.metadata};
  const auto add = [](Match& to, const RuleName* by) {
    if (to.effect == Effect::none) to = {Effect::allow, by};
  };
  for (const Pattern& rule : impl_->patterns) {
    if (rule.effect != Effect::allow) continue;
    if (rule.names.matches(name)) {
      for (int i = 0; i < kBits; i++)
        if ((rule.access >> i & 1) != 0) add(*rights[i], rule.rule);
      add(match.metadata, rule.rule);
      match.shown_by_rule =
          match.shown_by_rule || ((rule.access & kMetadata) != 0 && match.metadata.effect == Effect::allow);
    } else if (match.metadata.effect == Effect::none && rule.names.may_match_within(name)) {
      match.metadata.effect = Effect::allow;
    }
    if ((rule.access & kWrite) == 0) continue;
    // The name belongs to the folder; a folder on the way is moved by who may write to the one that it stands in.
    size_t up = name.rfind('/');
    for (bool parent = true; up != name.npos && up < name.size() && name.size() > 1; parent = false) {
      const std::string_view above = name.substr(0, std::max<size_t>(up, 1));
      if (rule.names.matches(above)) {
        if (parent)
          add(match.name, rule.rule);
        else
          match.movable = true;
      }
      if (up == 0) break;
      up = name.rfind('/', up - 1);
    }
  }
}

void Rules::deny_by_patterns(std::string_view name, PathMatch& match) const {
  Match* const rights[] = {&match.read, &match.write, &match.execute, &match.metadata};
  for (const Pattern& rule : impl_->patterns) {
    if (rule.effect != Effect::deny || !rule.names.matches(name)) continue;
    const Match denied = Match(Effect::deny, rule.rule, rule.hidden);
    for (int i = 0; i < kBits; i++)
      if ((rule.access >> i & 1) != 0 && (rights[i]->effect != Effect::deny || rule.hidden)) *rights[i] = denied;
    if ((rule.access & kWrite) != 0 && !match.name.hidden) match.name = denied;
    if ((rule.access & kRead) != 0 && !match.shown_by_rule && !match.metadata.hidden) match.metadata = denied;
  }
}

bool Rules::patterns_change_below(std::string_view from, std::string_view to) const {
  return std::any_of(impl_->patterns.begin(), impl_->patterns.end(), [&](const Pattern& rule) {
    return rule.names.would_lose(to, from, true) ||
           (rule.effect == Effect::deny && rule.names.would_lose(from, to, true));
  });
}

const std::vector<Rules::Pattern>& Rules::patterns() const { return impl_->patterns; }

bool Rules::hides_anything() const {
  return std::any_of(impl_->patterns.begin(), impl_->patterns.end(), [](const Pattern& rule) { return rule.hidden; });
}

bool Rules::hides(std::string_view name) const {
  for (const Pattern& rule : impl_->patterns) {
    if (!rule.hidden || !rule.names.matches(name)) continue;
    rule.rule->note();
    return true;
  }
  return false;
}

bool Rules::has_rule_below(std::string_view canonical) const {
  bool leads = false;
  const auto walked = impl_->paths.walk(canonical, [&](const NameTable::Node& node) { leads = node.leads_to_rule; });
  return walked == NameTable::Walk::exact && leads;
}

Match Rules::address(const Address& address, uint8_t operation) const {
  const int index = bit_index(operation);
  if (index > 1) return {};
  const Impl& rules = *impl_;
  if (address.family == AF_UNIX) return rules.unix_socket(address, index);
  if (address.family != AF_INET && address.family != AF_INET6 && address.family != AF_UNSPEC) return {};

  static constexpr uint8_t kLoopback4[4] = {127, 0, 0, 1};
  static constexpr uint8_t kLoopback6[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  bool six = address.family == AF_INET6;
  Prefix prefix = from_bytes(address.bytes, six);
  if (six && is_mapped(prefix)) {
    prefix = unmapped(prefix);
    six = false;
  }
  const Match plain = rules.inet(prefix, six, address.port, index, address.any_port);
  if (operation != kConnect || prefix.high != 0 || prefix.low != 0 || plain.effect == Effect::deny) return plain;

  // The kernel takes the unspecified address as loopback; :: as IPv4's, too, on a socket that is bound to an
  // IPv4-mapped address (net/ipv6/tcp_ipv6.c, tcp_v6_connect). All that it may turn into must be allowed.
  const Match four = rules.inet(from_bytes(kLoopback4, false), false, address.port, index);
  if (four.effect == Effect::deny) return four;
  if (!six) return plain.effect == Effect::allow ? plain : four;
  const Match loopback = rules.inet(from_bytes(kLoopback6, true), true, address.port, index);
  if (loopback.effect == Effect::deny) return loopback;
  if (four.effect != Effect::allow) return {};
  return plain.effect == Effect::allow ? plain : loopback;
}

bool Rules::decides_socket(std::string_view canonical, uint8_t operation) const {
  const int index = bit_index(operation);
  if (index > 1) return false;
  int socket_depth = -1, denied_depth = -1, depth = 0;
  impl_->sockets.walk(canonical, [&](const NameTable::Node& node) {
    if (node.effect[index] != Effect::none) socket_depth = depth;
    depth++;
  });
  depth = 0;
  impl_->paths.walk(canonical, [&](const NameTable::Node& node) {
    if (node.effect[kWriteIndex] != Effect::none) denied_depth = node.effect[kWriteIndex] == Effect::deny ? depth : -1;
    depth++;
  });
  for (const Pattern& rule : impl_->patterns)
    if (rule.effect == Effect::deny && (rule.access & kWrite) != 0 && rule.names.matches(canonical)) return false;
  return socket_depth > denied_depth;
}

std::vector<Rules::Allowed> Rules::allowed_paths(uint8_t access_bit) const {
  const int index = bit_index(access_bit);
  std::vector<Allowed> out;
  impl_->paths.for_all([&](const NameTable::Node& node, std::string_view path) {
    if (node.effect[index] == Effect::allow && node.programs)
      out.push_back({std::string(path.empty() ? "/" : path), node.label(index)});
  });
  return out;
}

void Rules::for_paths(const std::function<void(const Ruled&)>& act) const {
  impl_->paths.for_all([&](const NameTable::Node& node, std::string_view path) {
    Ruled ruled;
    ruled.path = path.empty() ? "/" : path;
    ruled.command = node.command;
    ruled.data = !node.programs;
    bool any = node.command;
    for (int i = 0; i < kBits; i++) {
      ruled.effect[i] = node.effect[i];
      ruled.label[i] = node.label(i);
      any = any || node.effect[i] != Effect::none;
    }
    if (any) act(ruled);
  });
}

std::vector<std::pair<uint16_t, uint16_t>> Rules::allowed_ports(uint8_t operation) const {
  const int index = bit_index(operation);
  std::vector<std::pair<uint16_t, uint16_t>> all, out;
  if (index > 1) return out;
  for (const auto& family : impl_->addresses)
    family[index][0].for_ports([&](uint16_t low, uint16_t high) { all.emplace_back(low, high); });
  std::sort(all.begin(), all.end());
  for (const auto& [low, high] : all) {
    if (!out.empty() && low <= uint32_t{out.back().second} + 1)
      out.back().second = std::max(out.back().second, high);
    else
      out.emplace_back(low, high);
  }
  return out;
}

bool Rules::any_address(uint8_t operation) const {
  const int index = bit_index(operation);
  if (index > 1) return false;
  return impl_->unix_allowed[index] || !impl_->addresses[0][index][0].empty() || !impl_->addresses[1][index][0].empty();
}

bool Rules::any_internet(uint8_t operation) const {
  const int index = bit_index(operation);
  return index <= 1 && (!impl_->addresses[0][index][0].empty() || !impl_->addresses[1][index][0].empty());
}

bool Rules::any_abstract(uint8_t operation) const {
  const int index = bit_index(operation);
  return index <= 1 && impl_->abstract_allowed[index];
}

Rules::Reach Rules::reach(uint8_t operation) const {
  constexpr size_t kMost = 8;
  const int index = bit_index(operation);
  Reach out;
  if (index > 1) return out;
  const auto deny = [&](const char* label) {
    if (out.denied.size() < kMost) out.denied.push_back(label);
  };
  out.internet = true;
  for (const auto& family : impl_->addresses) {
    if (!family[index][0].is_everything()) out.internet = false;
    family[index][1].for_labels(deny);
  }
  for (const NameTable* table : {&impl_->sockets, &impl_->abstract_prefixes})
    table->for_all([&](const NameTable::Node& node, std::string_view name) {
      if (node.effect[index] == Effect::deny) deny(node.label(index));
      if (node.effect[index] != Effect::allow) return;
      if (table == &impl_->sockets && name.empty()) out.paths = true;
      if (table == &impl_->abstract_prefixes && name == "@") out.abstract = true;
    });
  return out;
}

void Rules::for_names(const std::function<void(const RuleName&)>& act) const {
  for (const RuleName& name : impl_->labels) act(name);
}

void Rules::for_spoken(std::string_view canonical, uint8_t access, bool any_exec, const Speaks& act) const {
  // Metadata comes with every right, and is denied with reading.
  uint8_t bits = access == 0 ? kRead | kWrite | kExecute | kMetadata : access;
  if ((access & kExecute) != 0 && any_exec) bits |= kRead;
  impl_->paths.walk(canonical, [&](const NameTable::Node& node) {
    const std::string_view key = impl_->paths.key(node);
    const RuleName* last = nullptr;
    for (int i = 0; i < kBits; i++) {
      if ((bits >> i & 1) == 0 || node.rule[i] == nullptr || node.rule[i] == last) continue;
      last = node.rule[i];
      act({last->text, node.effect[i], key.empty() ? "/" : key});
    }
  });
  // What they allow adds where those say nothing, and what they deny comes last.
  for (const Effect effect : {Effect::allow, Effect::deny})
    for (const Pattern& rule : impl_->patterns)
      if (rule.effect == effect && (rule.access & bits) != 0 && rule.names.matches(canonical))
        act({rule.label, rule.effect});
}

void Rules::for_spoken(const Address& address, uint8_t operation, const Speaks& act) const {
  const int index = bit_index(operation);
  if (index > 1) return;
  const auto node = [&](const NameTable& table, const NameTable::Node* at) {
    if (at == nullptr || at->rule[index] == nullptr) return;
    const std::string_view key = address.abstract ? std::string_view() : table.key(*at);
    act({at->rule[index]->text, at->effect[index], address.abstract || !key.empty() ? key : "/"});
  };
  if (address.family == AF_UNIX && address.abstract) {
    for (size_t size = 1; size <= address.unix_name.size(); size++)
      node(impl_->abstract_prefixes, impl_->abstract_prefixes.find_whole(address.unix_name.substr(0, size)));
    node(impl_->sockets, impl_->sockets.find_whole(address.unix_name));
  } else if (address.family == AF_UNIX) {
    impl_->sockets.walk(address.unix_name, [&](const NameTable::Node& at) { node(impl_->sockets, &at); });
  } else {
    bool six = address.family == AF_INET6;
    Prefix prefix = from_bytes(address.bytes, six);
    if (six && is_mapped(prefix)) {
      prefix = unmapped(prefix);
      six = false;
    }
    for (const Effect effect : {Effect::deny, Effect::allow})
      impl_->addresses[six][index][effect == Effect::deny].for_found(prefix, address.port, [&](const RuleName* rule) {
        act({rule->text, effect});
        return true;
      });
  }
}

}  // namespace holdfast
