#include "rule_use.h"

#include <string>
#include <unordered_set>
#include <vector>

#include "../channel/channel.h"
#include "../protocol/tlv.h"
#include "../syscalls/guards.h"
#include "config.h"
#include "layers.h"

namespace holdfast {
namespace {

constexpr int64_t kOfConnect = 16, kOfBind = 32, kAll = 63;

// What is not held is decided on by nobody who could say by which rule.
int64_t decided_by_kernel(const Config& config) {
  if (is_nothing_held() || !config.layers) return kAll;
  const Layers& layers = *config.layers;
  const auto left = [&](Class which) { return layers.left.has(which); };
  int64_t out = 0;
  if (left(Class::metadata)) out |= protocol::kMetadata;
  if (left(Class::read) || left(Class::read_write)) out |= protocol::kRead;
  if (left(Class::write) || left(Class::read_write) || left(Class::make)) out |= protocol::kWrite;
  if (left(Class::connect) || left(Class::send) || (layers.every_address & protocol::kConnect) != 0) out |= kOfConnect;
  if (left(Class::bind) || (layers.every_address & protocol::kBind) != 0) out |= kOfBind;
  return out;
}

}  // namespace

void note_every_rule(const Config& config) {
  const auto note = [](const RuleName& name) { name.note(); };
  config.rules.for_names(note);
  config.exec.for_names(note);
}

void report_rule_use(Sandbox& sandbox) {
  using protocol::Tag;
  constexpr size_t kMostLabel = 4096;
  std::vector<uint8_t> buffer(protocol::kMaxRecord);
  protocol::FieldWriter writer(buffer.data(), buffer.size());
  writer.number(Tag::unknownRights_, decided_by_kernel(sandbox.config));
  std::unordered_set<std::string_view> told;
  const auto tell = [&](const RuleName& name) {
    if (!name.matched.load() || name.text.size() > kMostLabel || !told.insert(name.text).second) return;
    if (writer.room() < kMostLabel + 64) {
      writer.number(Tag::more_, 1);
      sandbox.channel.send(protocol::RecordKind::rules, buffer.data(), writer.size());
      writer = protocol::FieldWriter(buffer.data(), buffer.size());
      writer.number(Tag::unknownRights_, decided_by_kernel(sandbox.config));
    }
    writer.text(Tag::matchedRules_, name.text);
  };
  sandbox.config.rules.for_names(tell);
  sandbox.config.exec.for_names(tell);
  if (sandbox.config.dry != nullptr) {
    sandbox.config.dry->rules.for_names(tell);
    sandbox.config.dry->exec.for_names(tell);
  }
  sandbox.channel.send(protocol::RecordKind::rules, buffer.data(), writer.size());
}

}  // namespace holdfast
