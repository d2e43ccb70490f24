#include "config.h"

#include <limits.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <unordered_set>

#include "../paths/canonical.h"
#include "../protocol/tlv.h"

namespace holdfast {

using protocol::Event;
using protocol::Field;
using protocol::FieldReader;
using protocol::Tag;

namespace {

constexpr uint8_t kAllAccess = protocol::kRead | protocol::kWrite | protocol::kExecute;
constexpr uint8_t kAllRights = kAllAccess | protocol::kMetadata;
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

  // Whatever it holds; nothing if it is not there.
  std::string_view raw(Tag tag) const {
    const Field* field = find(tag);
    return field == nullptr ? std::string_view() : field->text();
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
    } else if (field.tag == Tag::nameRule_ || field.tag == Tag::argument_) {
      return;  // of which there may be many: their own reader's
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

  static constexpr size_t kMostFields = 12;  // of any rule, and of the limits

  const char* const kind_;
  const int64_t number_;
  std::string& error_;
  Field fields_[kMostFields];
  size_t count_ = 0;
  bool ok_ = true;
};

Effect read_effect(RuleReader& rule) { return static_cast<Effect>(rule.number(Tag::effect_, 1, 2)); }

// A rule on a path, as it was written. Views are into what is parsed.
struct PathRule {
  bool is_socket = false;
  int64_t number = 0;
  Effect effect = Effect::none;
  uint8_t bits = 0;
  std::string_view path, label;
  bool hidden = false;
  std::string_view pattern;  // for the names below `path`; empty: it is for `path` itself and all below
  int64_t device = -1;       // only if the path is this character device
  bool data = false;         // nothing in it is executed
};

bool is_device(const std::string& path, int64_t device, bool& missing) {
  struct stat st;
  missing = lstat(path.c_str(), &st) != 0;
  return !missing && S_ISCHR(st.st_mode) && st.st_rdev == static_cast<dev_t>(device);
}

class Parser {
 public:
  Parser(Config& config, std::string& error, const Config* below, bool with_dry)
      : config_(config), error_(error), below_(below), with_dry_(with_dry), paths_(Canonicaliser::Links::as_told) {}

  bool take(const Field& field) {
    switch (field.tag) {
      case Tag::options_:
        return options(field);
      case Tag::limits_:
        return limits(field);
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
      case Tag::execRule_:
        return exec_rule(field);
      case Tag::underRule_:
        return under_rule(field);
      case Tag::listening_:
        return listening(field);
      case Tag::lead_:
        return lead(field);
      case Tag::callRule_:
        return call_rule(field);
      default:
        error_ = shown(field.tag) + " is not expected";
        return false;
    }
  }

  // Some rules are only tried.
  bool met_dry() const { return met_dry_; }

  // When all has been taken: where the rules' paths lead.
  bool finish() {
    distrust_planted_links();
    for (const PathRule& rule : path_rules_)
      if (!place(rule)) return false;
    for (const Field& rule : exec_rules_)
      if (!place_exec_rule(rule)) return false;
    for (const Field& rule : under_rules_)
      if (!place_under_rule(rule)) return false;
    return hooks_are_known();
  }

 private:
  bool options(const Field& field) {
    RuleReader options(field, "options", -1,
                       {Tag::waitForTree_, Tag::anyExec_, Tag::command_, Tag::ungranted_, Tag::ownTerminals_,
                        Tag::unwritten_, Tag::noWritableCode_, Tag::strict_, Tag::record_, Tag::letsBy_},
                       error_);
    if (seen_options_) options.fail("they are there twice");
    seen_options_ = true;
    config_.wait_for_tree = options.number(Tag::waitForTree_, 0, 1, 0) != 0;
    config_.any_exec = options.number(Tag::anyExec_, 0, 1, 1) != 0;
    config_.ungranted = static_cast<int>(options.number(Tag::ungranted_, 1, 133, EACCES));
    config_.own_terminals = options.number(Tag::ownTerminals_, 0, 1, 0) != 0;
    config_.unwritten = options.number(Tag::unwritten_, 0, 1, 0) != 0;
    config_.strict = options.number(Tag::strict_, 0, 1, 0) != 0;
    config_.records = options.number(Tag::record_, 0, 1, 0) != 0;
    config_.lets_by = options.number(Tag::letsBy_, 0, 1, 0) != 0;
    config_.no_writable_code = options.number(Tag::noWritableCode_, 0, 1, 0) != 0;
    // What Node calls it; the supervisor has found out already what that is, and says so when all is read.
    if (options.has(Tag::command_)) config_.command = options.text(Tag::command_);
    return options.ok();
  }

  bool limits(const Field& field) {
    Limits& limits = config_.limits;
    const std::pair<Tag, int64_t*> known[] = {
        {Tag::limitMemory_, &limits.memory},      {Tag::limitCpuTime_, &limits.cpu_time},
        {Tag::limitWallTime_, &limits.wall_time}, {Tag::limitProcesses_, &limits.processes},
        {Tag::limitThreads_, &limits.threads},    {Tag::limitOpenFiles_, &limits.open_files},
        {Tag::limitFileSize_, &limits.file_size}, {Tag::limitWritten_, &limits.written},
        {Tag::limitCoreSize_, &limits.core_size}, {Tag::limitAddressSpace_, &limits.address_space},
    };
    // Far from where a sum of two of them would overflow.
    constexpr int64_t kMost = int64_t{1} << 53;
    RuleReader reader(field, "limits", -1,
                      {Tag::limitMemory_, Tag::limitCpuTime_, Tag::limitWallTime_, Tag::limitProcesses_,
                       Tag::limitThreads_, Tag::limitOpenFiles_, Tag::limitFileSize_, Tag::limitWritten_,
                       Tag::limitCoreSize_, Tag::limitAddressSpace_, Tag::limitGroup_},
                      error_);
    for (const auto& [tag, limit] : known)
      if (reader.has(tag)) *limit = reader.number(tag, 0, kMost);
    if (reader.has(Tag::limitGroup_)) config_.control_group = reader.text(Tag::limitGroup_);
    return reader.ok();
  }

  bool listening(const Field& field) {
    RuleReader listening(field, "listening", -1,
                         {Tag::violations_, Tag::planWanted_, Tag::logged_, Tag::life_, Tag::byProgram_}, error_);
    config_.reports = listening.number(Tag::violations_, 0, 1, 0) != 0;
    config_.hears_logged = listening.number(Tag::logged_, 0, 1, 0) != 0;
    config_.plan_wanted = listening.number(Tag::planWanted_, 0, 1, 0) != 0;
    config_.tells_life = listening.number(Tag::life_, 0, 1, 0) != 0;
    config_.usage_by_program = listening.number(Tag::byProgram_, 0, 1, 0) != 0;
    return listening.ok();
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

  bool lead(const Field& field) {
    RuleReader lead(field, "lead", static_cast<int64_t>(config_.leads.size()), {Tag::path_, Tag::target_}, error_);
    const std::string_view from = lead.text(Tag::path_), to = lead.text(Tag::target_);
    if (lead.ok() && (from[0] != '/' || to[0] != '/' || from.size() == 1 || lies_below(from, to)))
      lead.fail("it leads nowhere");
    if (lead.ok()) config_.leads.push_back({std::string(from), std::string(to)});
    return lead.ok();
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

  // Its own path is looked up when all rules are known.
  bool file_rule(const Field& field) {
    RuleReader rule(field, "fileRule", file_rules_++,
                    {Tag::effect_, Tag::access_, Tag::path_, Tag::pattern_, Tag::label_, Tag::device_, Tag::data_,
                     Tag::hidden_, Tag::dry_},
                    error_);
    PathRule read;
    read.number = file_rules_ - 1;
    read.effect = read_effect(rule);
    read.bits = static_cast<uint8_t>(rule.number(Tag::access_, 1, kAllRights));
    read.path = rule.text(Tag::path_);
    read.label = rule.text(Tag::label_);
    if (rule.has(Tag::pattern_)) read.pattern = rule.text(Tag::pattern_);
    read.device = rule.number(Tag::device_, 0, INT64_MAX, -1);
    read.data = rule.number(Tag::data_, 0, 1, 0) != 0;
    read.hidden = rule.number(Tag::hidden_, 0, 1, 0) != 0;
    if (read.hidden && (read.effect != Effect::deny || read.bits != kAllRights))
      rule.fail("what is hidden is denied in every way");
    if (rule.number(Tag::dry_, 0, 1, 0) != 0) {
      if (read.effect != Effect::deny) rule.fail("what allows cannot be tried");
      met_dry_ = true;
      if (!with_dry_) return rule.ok();
    }
    return keep(rule, read);
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
    PathRule read;
    read.is_socket = true;
    read.number = unix_rules_ - 1;
    read.effect = read_effect(rule);
    read.bits = static_cast<uint8_t>(rule.number(Tag::operations_, 1, kAllOperations));
    read.label = rule.text(Tag::label_);
    read.path = rule.text(Tag::path_);
    if (!rule.ok() || read.path[0] != '@') return keep(rule, read);
    if (!config_.rules.add_unix(read.path, read.bits, read.effect, read.label))
      rule.fail("path " + std::string(read.path) + " is no name for a rule");
    return rule.ok();
  }

  bool hook_rule(const Field& field) {
    RuleReader rule(field, "hookRule", hook_rules_++,
                    {Tag::hook_, Tag::event_, Tag::access_, Tag::path_, Tag::pattern_, Tag::portLow_, Tag::portHigh_,
                     Tag::under_, Tag::kinds_},
                    error_);
    HookFilter filter;
    filter.hook = static_cast<uint32_t>(rule.number(Tag::hook_, 0, UINT32_MAX));
    filter.event = static_cast<Event>(rule.number(Tag::event_, 0, protocol::kEventCount - 1));
    filter.access = static_cast<uint8_t>(rule.number(Tag::access_, 1, kAllAccess, kAllAccess));
    filter.has_port = rule.has(Tag::portLow_) || rule.has(Tag::portHigh_);
    filter.port_low = static_cast<uint16_t>(rule.number(Tag::portLow_, 0, 65535, 0));
    filter.port_high = static_cast<uint16_t>(rule.number(Tag::portHigh_, filter.port_low, 65535, 65535));
    filter.under = static_cast<int>(rule.number(Tag::under_, 0, Lineage::kMost - 1, ExecRules::kAnybody));
    filter.kinds = static_cast<uint8_t>(rule.number(Tag::kinds_, 1, protocol::kAnyKind, protocol::kAnyKind));
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
    for (const CanonicalPath::Link& link : where.links) {
      if (config_.rules.look(link.place).name.effect != Effect::allow) continue;
      if (!filter.planted)
        config_.warnings.push_back(
            {"hook " + std::to_string(filter.hook), link.place, paths_.targets().at(link.place),
             "a symbolic link where the policy lets the tree write: a hook is asked about what it "
             "leads to, but allows no more there than rules do"});
      filter.planted = true;
    }
    if (!add(where.path)) rule.fail("pattern " + std::string(pattern) + " is not valid");
    filter.planted = false;
    for (const CanonicalPath::Link& link : where.links)
      if (rule.ok()) add(link.place + link.rest);
    return rule.ok();
  }

  // Where the paths of these lead is known when all rules are.
  bool exec_rule(const Field& field) {
    exec_rules_.push_back(field);
    return true;
  }
  bool under_rule(const Field& field) {
    under_rules_.push_back(field);
    return true;
  }

  // The names that a path and a pattern speak of: for what is allowed, those that trusted links lead to; else also the
  // link's own, in case somebody puts something else in its place. False: an error, or no name.
  template <typename Add>
  bool names_of(RuleReader& rule, Effect effect, std::string_view label, Add add) {
    const std::string_view path = rule.has(Tag::path_) ? rule.text(Tag::path_) : "";
    const std::string_view pattern = rule.has(Tag::pattern_) ? rule.text(Tag::pattern_) : "";
    if (rule.ok() && path.empty() && pattern.empty()) rule.fail("no path");
    PathRule as_path;
    as_path.effect = effect;
    as_path.path = path;
    CanonicalPath where;
    if (rule.ok() && !path.empty() && !follow(as_path, where))
      rule.fail("path " + std::string(path) + " is not absolute");
    if (!rule.ok()) return false;
    for (const CanonicalPath::Link& link : where.planted)
      config_.warnings.push_back({std::string(label), link.place, link.rest,
                                  "a symbolic link where the policy lets the tree write is not followed: the rule "
                                  "stands for the path as it is written"});
    const auto one = [&](const std::string& name) {
      NameFilter filter;
      if (!filter.set(name, pattern)) return rule.fail("pattern " + std::string(pattern) + " is not valid");
      add(std::move(filter), name);
    };
    one(where.path);
    if (effect == Effect::deny)
      for (const CanonicalPath::Link& link : where.links) one(link.place + link.rest);
    return rule.ok();
  }

  bool place_exec_rule(const Field& field) {
    RuleReader rule(
        field, "execRule", placed_exec_rules_++,
        {Tag::effect_, Tag::access_, Tag::label_, Tag::nameRule_, Tag::byArguments_, Tag::argument_, Tag::under_},
        error_);
    ExecRules::Rule read;
    read.effect = read_effect(rule);
    read.access = static_cast<uint8_t>(rule.number(Tag::access_, 1, kAllRights, protocol::kExecute));
    read.label = rule.text(Tag::label_);
    read.under = static_cast<int>(rule.number(Tag::under_, 0, Lineage::kMost - 1, ExecRules::kAnybody));
    read.by_arguments = rule.number(Tag::byArguments_, 0, 1, 0) != 0;
    if (read.access != protocol::kExecute && (read.effect != Effect::deny || read.by_arguments))
      rule.fail("only a denial is about more than executing");
    FieldReader reader(field);
    Field part;
    while (rule.ok() && reader.next(part)) {
      if (part.tag == Tag::argument_) read.arguments.add(part.text());
      if (part.tag != Tag::nameRule_) continue;
      RuleReader name(part, "execRule", placed_exec_rules_ - 1, {Tag::path_, Tag::pattern_}, error_);
      const bool named = name.ok() && names_of(name, read.effect, read.label, [&](NameFilter filter, std::string path) {
                           read.names.push_back(std::move(filter));
                           read.folders.push_back(std::move(path));
                         });
      if (!named) return false;
    }
    if (rule.ok() && read.names.empty()) rule.fail("no path");
    if (rule.ok()) config_.exec.add(std::move(read));
    return rule.ok();
  }

  bool place_under_rule(const Field& field) {
    RuleReader rule(field, "underRule", placed_under_rules_++, {Tag::under_, Tag::effect_, Tag::path_, Tag::pattern_},
                    error_);
    const auto number = static_cast<int>(rule.number(Tag::under_, 0, Lineage::kMost - 1));
    const Effect effect = read_effect(rule);
    return rule.ok() && names_of(rule, effect, "under", [&](NameFilter filter, const std::string&) {
             config_.exec.add_under(number, effect == Effect::allow, std::move(filter));
           });
  }

  // What a number stands for may follow the rule that has it.
  bool hooks_are_known() {
    const auto known = [&](int number) { return number == ExecRules::kAnybody || config_.exec.knows(number); };
    bool all = true;
    for (const HookFilter& filter : config_.hooks) all = all && known(filter.under);
    for (const auto* rules : {&config_.exec.all(), &config_.exec.files()})
      for (const ExecRules::Rule& rule : *rules) all = all && known(rule.under);
    if (!all) error_ = "under: a number that stands for nothing";
    return all;
  }

  // A call that only another architecture has means nothing here.
  bool call_rule(const Field& field) {
    RuleReader rule(field, "callRule", call_rules_++,
                    {Tag::syscall_, Tag::action_, Tag::errno_, Tag::label_, Tag::hook_, Tag::tests_}, error_);
    CallRule read;
    const std::string_view name = rule.text(Tag::syscall_);
    read.action = static_cast<CallAction>(rule.number(Tag::action_, 1, static_cast<int>(CallAction::allow)));
    if (read.action == CallAction::error) read.rule.error = static_cast<int>(rule.number(Tag::errno_, 1, 4095));
    if (read.action == CallAction::ask)
      read.hook = static_cast<uint32_t>(rule.number(Tag::hook_, 0, UINT32_MAX));
    else
      read.label = rule.text(Tag::label_);
    if (!rule.ok()) return false;
    read.rule.row = find_row(name);
    if (read.rule.row == nullptr)
      rule.fail("there is no system call " + std::string(name));
    else if (read.action == CallAction::allow && what_opening_means(*read.rule.row) == nullptr)
      rule.fail("no policy opens " + std::string(name));
    else if (!read_tests(rule.raw(Tag::tests_), read.rule))
      rule.fail("its comparisons are not valid");
    if (rule.ok() && read.rule.row->number() >= 0) config_.calls.add(std::move(read));
    return rule.ok();
  }

  static bool read_tests(std::string_view bytes, SyscallRule& rule) {
    const auto take = [&](auto& to) {
      if (bytes.size() < sizeof to) return false;
      memcpy(&to, bytes.data(), sizeof to);
      bytes.remove_prefix(sizeof to);
      return true;
    };
    while (!bytes.empty()) {
      ArgumentTest test;
      uint8_t negated;
      uint16_t zero;
      uint32_t ranges;
      if (!take(test.argument) || !take(negated) || !take(zero) || !take(ranges) || !take(test.mask)) return false;
      if (test.argument > 5 || negated > 1 || zero != 0 || ranges == 0) return false;
      test.negated = negated != 0;
      test.mask &= bits_read(*rule.row, test.argument);
      for (; ranges > 0; ranges--) {
        ArgumentTest::Range range;
        if (!take(range.low) || !take(range.high) || range.low > range.high) return false;
        test.ranges.push_back(range);
      }
      rule.tests.push_back(std::move(test));
    }
    return true;
  }

  bool keep(RuleReader& rule, const PathRule& read) {
    if (rule.ok() && read.path[0] != '/') rule.fail("path " + std::string(read.path) + " is not absolute");
    if (rule.ok()) path_rules_.push_back(read);
    return rule.ok();
  }

  // What is allowed goes by trusted links alone; what is denied, by all of them.
  bool follow(const PathRule& rule, CanonicalPath& out) {
    if (planted_.empty() || rule.effect == Effect::deny) return paths_.follow(rule.path, out);
    return paths_.follow(rule.path, out, [&](const std::string& place) { return !planted_.contains(place); });
  }

  // Finds the links on rules' ways whose names the tree may change: an earlier run of the same policy can have made
  // them. Which those are depends on where the rules lead, so it begins with the rules on whose way there is no link,
  // and goes on until nothing more is found: a link is never trusted again.
  void distrust_planted_links() {
    if (paths_.targets().empty()) return;
    if (below_ != nullptr) {
      for (const auto& [place, target] : paths_.targets())
        if (below_->rules.look(place).name.effect == Effect::allow) planted_.insert(place);
      return;
    }
    for (bool all = false, more = true; more || !all;) {
      all = all || !more;
      Rules rules;
      for (const PathRule& rule : path_rules_) {
        CanonicalPath where;
        if (rule.is_socket || (rule.bits & protocol::kWrite) == 0 || !follow(rule, where)) continue;
        if (!all && rule.effect == Effect::allow && !where.links.empty()) continue;
        if (rule.pattern.empty())
          rules.add_path(where.path, protocol::kWrite, rule.effect, rule.label);
        else
          rules.add_pattern(where.path, rule.pattern, protocol::kWrite, rule.effect, rule.label);
      }
      rules.finish();
      more = false;
      for (const auto& [place, target] : paths_.targets())
        if (rules.look(place).name.effect == Effect::allow && planted_.insert(place).second) more = true;
    }
  }

  bool place(const PathRule& rule) {
    CanonicalPath where;
    bool added = follow(rule, where);
    for (const CanonicalPath::Link& link : where.planted)
      config_.warnings.push_back({std::string(rule.label), link.place, link.rest,
                                  "a symbolic link where the policy lets the tree write is not followed: the rule "
                                  "stands for the path as it is written"});
    if (rule.device >= 0) {
      bool missing;
      if (!is_device(where.path, rule.device, missing)) {
        if (!missing)
          config_.warnings.push_back({std::string(rule.label), where.path, "", "it is not the device of this name"});
        return true;
      }
    }
    added = added && add(rule, where.path);
    for (const CanonicalPath::Link& link : where.links) {
      // What is allowed by way of a link can be reached by it. What is denied by way of one stays denied if somebody
      // who may write there replaces the link by something else.
      if (rule.effect == Effect::deny)
        added = added && add(rule, link.place + link.rest);
      else if (!rule.is_socket)
        added = added && config_.rules.add_visible(link.place);
    }
    if (!added)
      error_ = (rule.is_socket ? "unixRule " : "fileRule ") + std::to_string(rule.number) + ": path " +
               std::string(rule.path) + (rule.pattern.empty() ? "" : " with pattern " + std::string(rule.pattern)) +
               " is no path for a rule";
    return added;
  }

  bool add(const PathRule& rule, const std::string& path) {
    if (rule.hidden && rule.pattern.empty()) {
      // Last words, both of them: the name, and all below.
      const size_t slash = path.rfind('/');
      std::string name;
      for (const char c : path.substr(slash + 1)) {
        if (std::string_view("*?[\\").find(c) != std::string_view::npos) name += '\\';
        name += c;
      }
      const std::string folder = path.substr(0, std::max<size_t>(slash, 1));
      return !name.empty() && config_.rules.add_pattern(folder, name, rule.bits, rule.effect, rule.label, true) &&
             config_.rules.add_pattern(folder, name + "/**", rule.bits, rule.effect, rule.label, true);
    }
    if (!rule.pattern.empty())
      return config_.rules.add_pattern(path, rule.pattern, rule.bits, rule.effect, rule.label, rule.hidden);
    return rule.is_socket ? config_.rules.add_unix(path, rule.bits, rule.effect, rule.label)
                          : config_.rules.add_path(path, rule.bits, rule.effect, rule.label, rule.data);
  }

  Config& config_;
  std::string& error_;
  const Config* const below_;  // by which the tree writes, if not by this
  const bool with_dry_;        // rules that are only tried count as the others do
  bool met_dry_ = false;
  Canonicaliser paths_;
  std::vector<PathRule> path_rules_;
  std::vector<Field> exec_rules_, under_rules_;
  int64_t placed_exec_rules_ = 0, placed_under_rules_ = 0;
  std::unordered_set<std::string> planted_;
  bool seen_options_ = false;
  int64_t proc_mounts_ = 0, known_links_ = 0, file_rules_ = 0, address_rules_ = 0, unix_rules_ = 0, hook_rules_ = 0,
          call_rules_ = 0;
};

bool parse_fields(Config& config, const uint8_t* data, size_t size, bool hooks_only, std::string& error,
                  const Config* below = nullptr, bool with_dry = false) {
  Parser parser(config, error, below, with_dry);
  FieldReader reader(data, size);
  Field field;
  while (reader.next(field)) {
    const bool late = field.tag == Tag::hookRule_ || field.tag == Tag::knownLink_ || field.tag == Tag::listening_ ||
                      field.tag == Tag::underRule_ || field.tag == Tag::callRule_;
    if (hooks_only && !late) {
      error = shown(field.tag) + " comes too late";
      return false;
    }
    if (!parser.take(field)) return false;
  }
  if (reader.bad()) error = "the configuration is cut off";
  if (reader.bad() || !parser.finish()) return false;
  if (!parser.met_dry() || with_dry || hooks_only) return true;
  if (below != nullptr) {
    error = "what is put on top cannot be tried";
    return false;
  }
  config.dry = std::make_unique<Config>();
  return parse_fields(*config.dry, data, size, false, error, nullptr, true) && config.dry->rules.finish();
}

}  // namespace

bool Config::parse_hooks(const uint8_t* data, size_t size, std::string& error) {
  if (size <= kMaxBytes) return parse_fields(*this, data, size, true, error);
  error = "the configuration is too long";
  return false;
}

bool Config::parse(const uint8_t* data, size_t size, std::string& error, const Config* below) {
  if (size > kMaxBytes) {
    error = "the configuration is too long";
    return false;
  }
  if (!parse_fields(*this, data, size, false, error, below)) return false;
  if (below != nullptr && (!exec.files().empty() || exec.by_descent() || unwritten)) {
    error = "descent and what was written are followed from the start on, or not at all";
    return false;
  }
  if (!rules.finish()) {
    error = "the configuration was read before";
    return false;
  }
  return true;
}

const Lead* Config::lead_of(std::string_view name) const {
  const auto differs = [](const Match& a, const Match& b) {
    return a.effect != b.effect || std::string_view(a.label) != b.label;
  };
  for (const Lead& lead : leads) {
    while (name.size() > 1 && name.back() == '/') name.remove_suffix(1);
    if (name == lead.from) return &lead;
    if (!lies_below(name, lead.from)) continue;
    // Rules name it, or something below it, if it is not as any other name there would be.
    const std::string_view entry = name.substr(0, name.find('/', lead.from.size() + 1));
    const PathMatch it = rules.look(entry), other = rules.look(lead.from + "/\x01");
    const bool named = rules.has_rule_below(entry) || differs(it.read, other.read) || differs(it.write, other.write) ||
                       differs(it.execute, other.execute) || differs(it.metadata, other.metadata);
    return named ? nullptr : &lead;
  }
  return nullptr;
}

void Config::set_command(const std::string& file) {
  char buffer[PATH_MAX];
  std::string path = file;
  if (path[0] != '/' && getcwd(buffer, sizeof buffer) != nullptr) path = std::string(buffer) + "/" + file;
  Canonicaliser paths(Canonicaliser::Links::in_file_system);
  CanonicalPath where;
  command = file;
  if (!paths.follow(path, where,
                    [&](const std::string& place) { return rules.look(place).name.effect != Effect::allow; }))
    return;
  command = where.path;
  struct statfs system;
  if (where.planted.empty() && statfs(command.c_str(), &system) == 0 && system.f_type == PROC_SUPER_MAGIC &&
      realpath(path.c_str(), buffer) != nullptr)
    command = buffer;  // a process's own link, which has no text to follow
  rules.add_command(command);
  if (dry) dry->rules.add_command(command);
  for (const CanonicalPath::Link& link : where.planted) {
    const bool known = realpath(path.c_str(), buffer) != nullptr;
    const PathMatch match = rules.look(known ? buffer : "");
    if (match.execution(any_exec).effect == Effect::allow) continue;
    warnings.push_back({"command", link.place, link.rest,
                        "a symbolic link where the policy lets the tree write is not followed: rules decide whether "
                        "what it leads to may be executed"});
  }
}

}  // namespace holdfast
