#include "config.h"

#include <limits.h>
#include <netinet/in.h>

#include <algorithm>

#include "../paths/canonical.h"
#include "../protocol/tlv.h"

namespace holdfast {

using protocol::Event;
using protocol::Field;
using protocol::FieldReader;
using protocol::Tag;

namespace {

constexpr uint8_t kAllAccess = protocol::kRead | protocol::kWrite | protocol::kExecute;
constexpr uint8_t kAllOperations = protocol::kConnect | protocol::kBind;

const char* name_of(Tag tag) {
  switch (tag) {
#define FIELD(name, tag) \
  case Tag::name##_:     \
    return #name;
#include "../protocol/fields.def"
#undef FIELD
  }
  return nullptr;
}

std::string shown(Tag tag) {
  const char* name = name_of(tag);
  return name != nullptr ? name : "field " + std::to_string(static_cast<unsigned>(tag));
}

// The fields of one rule, each at most once, each of the kind and within the range that it must have. The first thing
// that is wrong is kept; everything after it is of no interest.
class RuleReader {
 public:
  // `number` counts the rules of this kind; -1: there is only one such thing.
  RuleReader(const Field& rule, const char* kind, int64_t number, std::initializer_list<Tag> known, std::string& error)
      : kind_(kind), number_(number), error_(error) {
    FieldReader reader(rule);
    Field field;
    while (ok_ && reader.next(field)) take(field, known);
    if (reader.bad()) fail("its fields are cut off");
  }

  bool ok() const { return ok_; }

  bool has(Tag tag) const { return find(tag) != nullptr; }

  int64_t number(Tag tag, int64_t low, int64_t high) {
    const Field* field = find(tag);
    if (field == nullptr) return fail("no " + shown(tag)), low;
    return checked(*field, low, high);
  }
  int64_t number(Tag tag, int64_t low, int64_t high, int64_t otherwise) {
    const Field* field = find(tag);
    return field == nullptr ? otherwise : checked(*field, low, high);
  }

  std::string_view text(Tag tag) {
    const Field* field = find(tag);
    if (field == nullptr || field->size == 0) return fail("no " + shown(tag)), "";
    if (field->size >= PATH_MAX) return fail(shown(tag) + " is too long"), "";
    if (field->text().find('\0') != std::string_view::npos) return fail(shown(tag) + " contains a NUL byte"), "";
    return field->text();
  }

  std::string_view bytes(Tag tag, size_t size) {
    const Field* field = find(tag);
    if (field == nullptr) return fail("no " + shown(tag)), "";
    if (field->size != size) return fail(shown(tag) + " has " + std::to_string(field->size) + " bytes"), "";
    return field->text();
  }

  void fail(const std::string& what) {
    if (ok_) error_ = std::string(kind_) + (number_ < 0 ? "" : " " + std::to_string(number_)) + ": " + what;
    ok_ = false;
  }

 private:
  void take(const Field& field, std::initializer_list<Tag> known) {
    if (std::find(known.begin(), known.end(), field.tag) == known.end()) {
      fail(shown(field.tag) + " is not expected");
    } else if (has(field.tag)) {
      fail(shown(field.tag) + " is there twice");
    } else if (count_ == kMostFields) {
      fail("it has too many fields");
    } else {
      fields_[count_++] = field;
    }
  }

  const Field* find(Tag tag) const {
    for (size_t i = 0; i < count_; i++)
      if (fields_[i].tag == tag) return &fields_[i];
    return nullptr;
  }

  int64_t checked(const Field& field, int64_t low, int64_t high) {
    if (field.size != 8) return fail(shown(field.tag) + " is not a number"), low;
    const int64_t value = field.number();
    if (value < low || value > high) return fail(shown(field.tag) + " is " + std::to_string(value)), low;
    return value;
  }

  static constexpr size_t kMostFields = 8;  // of any rule

  const char* const kind_;
  const int64_t number_;
  std::string& error_;
  Field fields_[kMostFields];
  size_t count_ = 0;
  bool ok_ = true;
};

Effect read_effect(RuleReader& rule) { return static_cast<Effect>(rule.number(Tag::effect_, 1, 2)); }

class Parser {
 public:
  Parser(Config& config, std::string& error) : config_(config), error_(error), paths_(Canonicaliser::Links::as_told) {}

  bool take(const Field& field) {
    switch (field.tag) {
      case Tag::options_:
        return options(field);
      case Tag::procMount_:
        return proc_mount(field);
      case Tag::knownLink_:
        return known_link(field);
      case Tag::fileRule_:
        return file_rule(field);
      case Tag::addressRule_:
        return address_rule(field);
      case Tag::unixRule_:
        return unix_rule(field);
      case Tag::hookRule_:
        return hook_rule(field);
      default:
        error_ = shown(field.tag) + " is not expected";
        return false;
    }
  }

 private:
  bool options(const Field& field) {
    RuleReader options(field, "options", -1, {Tag::waitForTree_, Tag::anyExec_, Tag::command_}, error_);
    if (seen_options_) options.fail("they are there twice");
    seen_options_ = true;
    config_.wait_for_tree = options.number(Tag::waitForTree_, 0, 1, 0) != 0;
    config_.any_exec = options.number(Tag::anyExec_, 0, 1, 1) != 0;
    // What Node calls it; the supervisor has found out already what that is, and says so when all is read.
    if (options.has(Tag::command_)) config_.command = options.text(Tag::command_);
    return options.ok();
  }

  bool proc_mount(const Field& field) {
    RuleReader mount(field, "procMount", proc_mounts_++, {Tag::path_}, error_);
    const std::string_view path = mount.text(Tag::path_);
    if (mount.ok() && path[0] != '/') mount.fail("path " + std::string(path) + " is not absolute");
    if (mount.ok()) {
      if (proc_mounts_ == 1) config_.proc_mounts.clear();
      config_.proc_mounts.emplace_back(path);
    }
    return mount.ok();
  }

  bool known_link(const Field& field) {
    RuleReader link(field, "knownLink", known_links_++, {Tag::path_, Tag::target_}, error_);
    const std::string_view place = link.text(Tag::path_);
    const std::string_view target = link.text(Tag::target_);
    if (link.ok() && (place[0] != '/' || has_paths())) link.fail("it is no path, or comes after a rule");
    if (link.ok()) paths_.tell(place, target);
    return link.ok();
  }

  bool has_paths() const { return file_rules_ + unix_rules_ + hook_rules_ != 0; }

  bool canonical(RuleReader& rule, std::string_view path, CanonicalPath& out) {
    if (!paths_.follow(path, out)) rule.fail("path " + std::string(path) + " is not absolute");
    return rule.ok();
  }

  bool file_rule(const Field& field) {
    RuleReader rule(field, "fileRule", file_rules_++, {Tag::effect_, Tag::access_, Tag::path_, Tag::label_}, error_);
    const Effect effect = read_effect(rule);
    const auto access = static_cast<uint8_t>(rule.number(Tag::access_, 1, kAllAccess));
    const std::string_view path = rule.text(Tag::path_);
    const std::string_view label = rule.text(Tag::label_);
    CanonicalPath where;
    if (!rule.ok() || !canonical(rule, path, where)) return false;
    bool added = config_.rules.add_path(where.path, access, effect, label);
    for (const CanonicalPath::Link& link : where.links) {
      // What is allowed by way of a link can be reached by it. What is denied by way of one stays denied if somebody
      // who may write there replaces the link by something else.
      added =
          added && (effect == Effect::allow ? config_.rules.add_visible(link.place)
                                            : config_.rules.add_path(link.place + link.rest, access, effect, label));
    }
    if (!added) rule.fail("path " + std::string(path) + " is no path for a rule");
    return rule.ok();
  }

  bool address_rule(const Field& field) {
    RuleReader rule(field, "addressRule", address_rules_++,
                    {Tag::effect_, Tag::operations_, Tag::family_, Tag::bytes_, Tag::prefix_, Tag::portLow_,
                     Tag::portHigh_, Tag::label_},
                    error_);
    const Effect effect = read_effect(rule);
    const auto operations = static_cast<uint8_t>(rule.number(Tag::operations_, 1, kAllOperations));
    const auto family = static_cast<uint16_t>(rule.number(Tag::family_, AF_INET, AF_INET6));
    if (family != AF_INET && family != AF_INET6) rule.fail("family is " + std::to_string(family));
    const size_t size = family == AF_INET ? 4 : 16;
    const std::string_view bytes = rule.bytes(Tag::bytes_, size);
    const auto prefix = static_cast<unsigned>(rule.number(Tag::prefix_, 0, static_cast<int64_t>(size) * 8));
    const auto low = static_cast<uint16_t>(rule.number(Tag::portLow_, 0, 65535, 0));
    const auto high = static_cast<uint16_t>(rule.number(Tag::portHigh_, low, 65535, 65535));
    const std::string_view label = rule.text(Tag::label_);
    if (!rule.ok()) return false;
    if (!config_.rules.add_address(family, reinterpret_cast<const uint8_t*>(bytes.data()), prefix, low, high,
                                   operations, effect, label))
      rule.fail("it is no rule for an address");
    return rule.ok();
  }

  bool unix_rule(const Field& field) {
    RuleReader rule(field, "unixRule", unix_rules_++, {Tag::effect_, Tag::operations_, Tag::path_, Tag::label_},
                    error_);
    const Effect effect = read_effect(rule);
    const auto operations = static_cast<uint8_t>(rule.number(Tag::operations_, 1, kAllOperations));
    const std::string_view label = rule.text(Tag::label_);
    std::string_view path = rule.text(Tag::path_);
    CanonicalPath where;
    if (!rule.ok()) return false;
    if (path[0] != '@') {
      if (!canonical(rule, path, where)) return false;
      path = where.path;
    }
    bool added = config_.rules.add_unix(path, operations, effect, label);
    if (effect == Effect::deny)
      for (const CanonicalPath::Link& link : where.links)
        added = added && config_.rules.add_unix(link.place + link.rest, operations, effect, label);
    if (!added) rule.fail("path " + std::string(path) + " is no name for a rule");
    return rule.ok();
  }

  bool hook_rule(const Field& field) {
    RuleReader rule(field, "hookRule", hook_rules_++,
                    {Tag::hook_, Tag::event_, Tag::access_, Tag::path_, Tag::pattern_, Tag::portLow_, Tag::portHigh_},
                    error_);
    HookFilter filter;
    filter.hook = static_cast<uint32_t>(rule.number(Tag::hook_, 0, UINT32_MAX));
    filter.event = static_cast<Event>(rule.number(Tag::event_, 0, protocol::kEventCount - 1));
    filter.access = static_cast<uint8_t>(rule.number(Tag::access_, 1, kAllAccess, kAllAccess));
    filter.has_port = rule.has(Tag::portLow_) || rule.has(Tag::portHigh_);
    filter.port_low = static_cast<uint16_t>(rule.number(Tag::portLow_, 0, 65535, 0));
    filter.port_high = static_cast<uint16_t>(rule.number(Tag::portHigh_, filter.port_low, 65535, 65535));
    const std::string_view path = rule.has(Tag::path_) ? rule.text(Tag::path_) : "";
    const std::string_view pattern = rule.has(Tag::pattern_) ? rule.text(Tag::pattern_) : "";
    CanonicalPath where;
    if (rule.ok() && !path.empty() && !paths_.follow(path, where))
      rule.fail("path " + std::string(path) + " is not absolute");
    if (!rule.ok()) return false;
    const auto add = [&](std::string_view name) {
      if ((!name.empty() || !pattern.empty()) && !filter.names.set(name, pattern)) return false;
      config_.hooks_of[static_cast<unsigned>(filter.event)].push_back(static_cast<uint32_t>(config_.hooks.size()));
      config_.hooks.push_back(filter);
      return true;
    };
    if (!add(where.path)) rule.fail("pattern " + std::string(pattern) + " is not valid");
    for (const CanonicalPath::Link& link : where.links)
      if (rule.ok()) add(link.place + link.rest);
    return rule.ok();
  }

  Config& config_;
  std::string& error_;
  Canonicaliser paths_;
  bool seen_options_ = false;
  int64_t proc_mounts_ = 0, known_links_ = 0, file_rules_ = 0, address_rules_ = 0, unix_rules_ = 0, hook_rules_ = 0;
};

bool parse_fields(Config& config, const uint8_t* data, size_t size, bool hooks_only, std::string& error) {
  Parser parser(config, error);
  FieldReader reader(data, size);
  Field field;
  while (reader.next(field)) {
    if (hooks_only && field.tag != Tag::hookRule_ && field.tag != Tag::knownLink_) {
      error = shown(field.tag) + " comes too late";
      return false;
    }
    if (!parser.take(field)) return false;
  }
  if (reader.bad()) error = "the configuration is cut off";
  return !reader.bad();
}

}  // namespace

bool Config::parse_hooks(const uint8_t* data, size_t size, std::string& error) {
  if (size <= kMaxBytes) return parse_fields(*this, data, size, true, error);
  error = "the configuration is too long";
  return false;
}

bool Config::parse(const uint8_t* data, size_t size, std::string& error) {
  if (size > kMaxBytes) {
    error = "the configuration is too long";
    return false;
  }
  if (!parse_fields(*this, data, size, false, error)) return false;
  if (!rules.finish()) {
    error = "the configuration was read before";
    return false;
  }
  return true;
}

}  // namespace holdfast
