#include "explain.h"

#include <limits.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "../call/tree.h"
#include "../paths/canonical.h"
#include "../policy/config.h"
#include "../policy/decide.h"
#include "../policy/judge.h"
#include "../protocol/tlv.h"

namespace holdfast {
namespace {

using protocol::Field;
using protocol::FieldReader;
using protocol::FieldWriter;
using protocol::Tag;

constexpr int kBadData = 65, kNoInput = 66, kNoOutput = 74;  // sysexits.h

struct Question {
  std::string path;        // absolute
  int64_t access = 0;      // of the path; 0: its metadata
  int64_t operations = 0;  // of an address, or of a socket at the path
  int64_t family = 0;
  int64_t port = 0;
  std::string bytes;     // of the address
  std::string abstract;  // with its @
  bool has_arguments = false;
  std::vector<std::string> arguments;
  std::vector<std::string> executed;  // by whom the call is made, and whom that descends from
};

bool read_question(std::span<const uint8_t> bytes, Question& out) {
  FieldReader reader(bytes.data(), bytes.size());
  Field field;
  while (reader.next(field)) {
    switch (field.tag) {
      case Tag::path_:
        out.path = field.text();
        break;
      case Tag::access_:
        out.access = field.number();
        break;
      case Tag::operations_:
        out.operations = field.number();
        break;
      case Tag::family_:
        out.family = field.number();
        break;
      case Tag::port_:
        out.port = field.number();
        break;
      case Tag::bytes_:
        out.bytes = field.text();
        break;
      case Tag::address_:
        out.abstract = field.text();
        break;
      case Tag::byArguments_:
        out.has_arguments = true;
        break;
      case Tag::argv_:
        out.arguments.emplace_back(field.text());
        break;
      case Tag::argument_:
        out.executed.emplace_back(field.text());
        break;
      default:
        return false;
    }
  }
  return !reader.bad();
}

// As a walk of the tree would find it: what there is, by its canonical name; what there is not, where it would be.
struct Found {
  std::string path;
  bool missing = false;
  std::string nothing_at;  // the first folder on its way that is not there
  std::string led_from;    // it is in a folder that leads elsewhere (Config::leads): the name that it was asked by
};

// Of what is in a folder that leads elsewhere nobody knows yet: the tree may have made it.
Found find_led(const Lead& lead, const std::string& path) {
  Found out;
  out.led_from = path;
  out.path = lead.to + path.substr(lead.from.size());
  return out;
}

Found find(const Config& config, const std::string& path) {
  Found out;
  CanonicalPath where;
  Canonicaliser paths(Canonicaliser::Links::in_file_system);
  const auto is_there = [&](const std::string& place) { return config.lead_of(place) == nullptr; };
  if (!paths.follow(path, where, is_there)) return out;
  if (const Lead* const lead = config.lead_of(where.path); lead != nullptr) return find_led(*lead, where.path);
  out.path = where.path;
  struct stat status;
  out.missing = lstat(out.path.c_str(), &status) != 0 && (errno == ENOENT || errno == ENOTDIR);
  if (!out.missing) return out;
  for (size_t end = out.path.find('/', 1); end != std::string::npos; end = out.path.find('/', end + 1)) {
    const std::string folder = out.path.substr(0, end);
    if (lstat(folder.c_str(), &status) == 0) continue;
    out.nothing_at = folder;
    break;
  }
  return out;
}

// The name of a process's entry by its number: it is nobody's of the tree, which does not exist.
bool is_of_other_process(const Config& config, std::string_view path) {
  for (const std::string& mount : config.proc_mounts) {
    if (!path.starts_with(mount) || path.size() < mount.size() + 2 || path[mount.size()] != '/') continue;
    if (path[mount.size() + 1] >= '0' && path[mount.size() + 1] <= '9') return true;
  }
  return false;
}

const char* effect_name(Effect effect) { return effect == Effect::deny ? "deny" : "allow"; }

// What speaks of it, the last that was looked at last: by place for paths, the closest last; for addresses in the order
// of the policy.
void write_considered(FieldWriter& writer, const Config& config, const Held& call, const Facts& facts) {
  const auto write = [&](const Rules::Spoken& spoken) {
    // There can be as many as a path has parts, each as long as a path: the first that have room.
    if (writer.room() < size_t{2} * PATH_MAX) return;
    const size_t one = writer.begin(Tag::considered_);
    writer.text(Tag::rule_, spoken.label);
    writer.text(Tag::name_, effect_name(spoken.effect));
    if (!spoken.path.empty()) writer.text(Tag::path_, spoken.path);
    writer.end(one);
  };
  for (int i = 0; i < facts.path_count; i++) {
    config.rules.for_spoken(facts.paths[i].name, facts.paths[i].access, config.any_exec, write);
    config.exec.for_spoken(call, facts.paths[i].name, facts.paths[i].access, write);
  }
  if (facts.address != nullptr) config.rules.for_spoken(*facts.address, facts.operation, write);
}

bool read_all(std::vector<uint8_t>& out) {
  constexpr size_t kMost = Config::kMaxBytes + (1 << 20);
  for (size_t have = 0;;) {
    out.resize(have + 65536);
    const ssize_t got = read(STDIN_FILENO, out.data() + have, 65536);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 || have > kMost) return false;
    have += static_cast<size_t>(got);
    out.resize(have);
    if (got == 0) return true;
  }
}

bool write_all(const uint8_t* data, size_t size) {
  while (size > 0) {
    const ssize_t put = write(STDOUT_FILENO, data, size);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    data += put;
    size -= static_cast<size_t>(put);
  }
  return true;
}

const char* call_of(const Question& asked) {
  if (asked.operations == protocol::kBind) return "bind";
  if (asked.operations != 0) return "connect";
  return asked.access == 0 ? "newfstatat" : (asked.access & protocol::kExecute) != 0 ? "execve" : "openat";
}

void answer(const Config& config, const Question& asked, FieldWriter& writer) {
  // Who would make the call.
  Tree tree;
  const pid_t self = getpid();
  tree.add(self, self);
  for (const std::string& program : asked.executed)
    tree.executed(self, config.exec.given_by(find(config, program).path, true));
  Held call;
  call.row = find_row(call_of(asked));
  call.tid = self;
  call.tree = &tree;

  Facts facts;
  facts.event = call.row->event;
  facts.operation = static_cast<uint8_t>(asked.operations);
  Address address;
  Found found;
  const char* never = nullptr;
  if (!asked.path.empty()) {
    found = find(config, asked.path);
    if (!found.led_from.empty()) writer.text(Tag::target_, found.led_from);
    writer.number(Tag::present_, found.missing ? 0 : 1);
    if (is_of_other_process(config, found.path)) never = "a process outside the sandbox";
    if (asked.operations != 0) {
      facts_of_socket(config, found.path, asked.operations != protocol::kBind && found.missing, address, facts);
    } else {
      facts.paths[0] = {found.path, static_cast<uint8_t>(asked.access), found.missing};
      // To write where nothing is means to make it.
      if (found.missing && (asked.access & protocol::kWrite) != 0) {
        facts.paths[0].missing = false;
        facts.paths[0].made = true;
      }
      facts.path_count = 1;
    }
  } else {
    address.family = static_cast<uint16_t>(asked.family);
    address.port = static_cast<uint16_t>(asked.port);
    memcpy(address.bytes, asked.bytes.data(), std::min(asked.bytes.size(), sizeof address.bytes));
    if (asked.family == AF_UNIX) {
      address.abstract = true;
      address.unix_name = asked.abstract;
    }
    facts.address = &address;
  }
  if (asked.has_arguments) {
    facts.argv = asked.arguments.data();
    facts.argv_count = asked.arguments.size();
  }
  const Judgement judgement = judge(config, call, facts);
  Ruling ruling = ruling_of(config, judgement);
  // Such a walk ends before anything is judged.
  const bool must_exist = asked.operations == protocol::kConnect || (asked.access & protocol::kExecute) != 0;
  if (found.missing && (must_exist || !found.nothing_at.empty()))
    ruling = ruling_where_nothing_is(config, found.nothing_at.empty() ? found.path : found.nothing_at);
  const bool let_by = lets_by(config, judgement, ruling);
  bool dry = let_by;
  if (config.dry != nullptr && (ruling.error == 0 || let_by)) {
    const Judgement tried = judge(*config.dry, call, facts);
    if (tried.denied) {
      ruling = ruling_of(config, tried);
      dry = true;
    }
  }
  if (never != nullptr) ruling = {.error = ENOENT, .final = true, .rule = {}, .reason = never, .missing = {}};
  writer.number(Tag::errno_, ruling.error);
  if (dry && never == nullptr) writer.number(Tag::dry_, 1);
  writer.number(Tag::more_, ruling.silent ? 1 : 0);
  if (!ruling.rule.empty()) writer.text(Tag::rule_, ruling.rule);
  if (ruling.error != 0 && !ruling.reason.empty()) writer.text(Tag::reason_, ruling.reason);
  if (ruling.missing.right != nullptr) writer.text(Tag::right_, ruling.missing.right);
  if (ruling.rule.empty() && ruling.missing.field != nullptr) writer.text(Tag::field_, ruling.missing.field);
  if (ruling.missing.of_folder) writer.number(Tag::ofFolder_, 1);
  write_names(writer, facts);
  // Those that are only tried speak of it, too.
  write_considered(writer, config.dry != nullptr ? *config.dry : config, call, facts);
}

// What stands next, by the size in front of it.
bool take(std::span<const uint8_t>& left, std::span<const uint8_t>& out) {
  uint32_t size;
  if (left.size() < sizeof size) return false;
  memcpy(&size, left.data(), sizeof size);
  left = left.subspan(sizeof size);
  if (left.size() < size) return false;
  out = left.first(size);
  left = left.subspan(size);
  return true;
}

bool put(std::vector<uint8_t>& buffer, const FieldWriter& writer) {
  const auto size = static_cast<uint32_t>(writer.size());
  memcpy(buffer.data(), &size, sizeof size);
  return !writer.full() && write_all(buffer.data(), sizeof size + size);
}

}  // namespace

int explain() {
  std::vector<uint8_t> bytes, buffer(sizeof(uint32_t) + protocol::kMaxRecord);
  if (!read_all(bytes)) return kNoInput;
  std::span<const uint8_t> left(bytes), policy, question;
  if (!take(left, policy)) return kBadData;
  Config config;
  std::string problem;
  if (!config.parse(policy.data(), policy.size(), problem)) {
    FieldWriter writer(buffer.data() + sizeof(uint32_t), protocol::kMaxRecord);
    writer.text(Tag::message_, problem);
    return put(buffer, writer) ? 0 : kNoOutput;
  }
  while (!left.empty()) {
    Question asked;
    if (!take(left, question) || !read_question(question, asked)) return kBadData;
    FieldWriter writer(buffer.data() + sizeof(uint32_t), protocol::kMaxRecord);
    answer(config, asked, writer);
    if (!put(buffer, writer)) return kNoOutput;
  }
  return 0;
}

}  // namespace holdfast
