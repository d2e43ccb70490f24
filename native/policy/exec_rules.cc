#include "exec_rules.h"

#include <algorithm>
#include <utility>

#include "../call/tree.h"

namespace holdfast {
namespace {

bool names(const ExecRules::Rule& rule, std::string_view path) {
  return std::any_of(rule.names.begin(), rule.names.end(), [&](const NameFilter& name) { return name.matches(path); });
}

// Time is the product of both at most: the last `*` alone takes more.
bool is_like(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = pattern.npos, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      from = t;
      continue;
    }
    const bool quoted = p + 1 < pattern.size() && pattern[p] == '\\';
    if (p < pattern.size() && (quoted ? pattern[p + 1] == text[t] : pattern[p] == '?' || pattern[p] == text[t])) {
      p += quoted ? 2 : 1;
      t++;
      continue;
    }
    if (star == pattern.npos) return false;
    p = star;
    t = ++from;
  }
  while (p < pattern.size() && pattern[p] == '*') p++;
  return p == pattern.size();
}

}  // namespace

bool ArgumentPattern::matches(const std::string* arguments, size_t count) const {
  size_t p = 0, a = 0, star = patterns_.size() + 1, from = 0;
  while (a < count) {
    if (p < patterns_.size() && patterns_[p] == "**") {
      star = ++p;
      from = a;
    } else if (p < patterns_.size() && is_like(patterns_[p], arguments[a])) {
      p++;
      a++;
    } else if (star <= patterns_.size()) {
      p = star;
      a = ++from;
    } else {
      return false;
    }
  }
  while (p < patterns_.size() && patterns_[p] == "**") p++;
  return p == patterns_.size();
}

void ExecRules::add(Rule rule) {
  rule.name = std::make_shared<const RuleName>(rule.label);
  const bool on_files = rule.access != protocol::kExecute;
  by_arguments_ = by_arguments_ || rule.by_arguments;
  if (rule.effect == Effect::allow)
    allows_anywhere_ = allows_anywhere_ || std::any_of(rule.folders.begin(), rule.folders.end(),
                                                       [](const std::string& folder) { return folder.empty(); });
  (on_files ? files_ : rules_).push_back(std::move(rule));
}

void ExecRules::add_under(int number, bool allows, NameFilter name) {
  under_.push_back({number, allows, std::move(name)});
}

bool ExecRules::knows(int number) const {
  return std::any_of(under_.begin(), under_.end(), [&](const Under& under) { return under.number == number; });
}

Lineage::Bits ExecRules::given_by(std::string_view executed, bool is_program) const {
  Lineage::Bits out;
  for (const Under& under : under_)
    if ((is_program || !under.allows) && under.name.matches(executed)) out.set(static_cast<size_t>(under.number));
  return out;
}

bool is_under(const Held& call, int number, bool otherwise) {
  const Lineage lineage = call.tree->lineage_of(call.tgid());
  if (lineage.executed.test(static_cast<size_t>(number))) return true;
  return !lineage.known && otherwise;
}

bool ExecRules::speaks_of(const Rule& rule, const Held& call, const Facts* facts) {
  if (rule.under != kAnybody && !is_under(call, rule.under, rule.effect == Effect::deny)) return false;
  if (!rule.by_arguments) return true;
  // Who only asks whether it could be executed is told that there are arguments with which it can.
  if (facts == nullptr || facts->argv == nullptr)
    return rule.effect == Effect::allow && (facts == nullptr || facts->event != Event::exec);
  return rule.arguments.matches(facts->argv + 1, facts->argv_count - 1);
}

void ExecRules::judge(const Held& call, const Facts& facts, std::string_view path, Match& plain, bool& almost) const {
  if (plain.effect == Effect::deny) return;
  Match allowed = plain;
  for (const Rule& rule : rules_) {
    if (rule.effect == Effect::allow && allowed.effect == Effect::allow) continue;
    if (!names(rule, path)) continue;
    if (!speaks_of(rule, call, &facts)) {
      almost = almost || rule.effect == Effect::allow;
      continue;
    }
    if (rule.effect == Effect::deny) {
      plain = {Effect::deny, rule.name.get()};
      return;
    }
    allowed = {Effect::allow, rule.name.get()};
  }
  plain = allowed;
}

const ExecRules::Rule* ExecRules::denial(const Held& call, std::string_view path, uint8_t access_bit) const {
  for (const Rule& rule : files_) {
    if ((rule.access & access_bit) != 0 && names(rule, path) && speaks_of(rule, call, nullptr)) return &rule;
  }
  return nullptr;
}

bool ExecRules::denies_below(const Held& call, std::string_view from, std::string_view to) const {
  const auto loses = [&](const Rule& rule) {
    return std::any_of(rule.names.begin(), rule.names.end(),
                       [&](const NameFilter& name) { return name.would_lose(from, to, true); });
  };
  return std::any_of(files_.begin(), files_.end(),
                     [&](const Rule& rule) { return loses(rule) && speaks_of(rule, call, nullptr); }) ||
         std::any_of(rules_.begin(), rules_.end(),
                     [&](const Rule& rule) { return rule.effect == Effect::deny && loses(rule); });
}

void ExecRules::for_names(const std::function<void(const RuleName&)>& act) const {
  for (const auto* rules : {&rules_, &files_})
    for (const Rule& rule : *rules) act(*rule.name);
}

void ExecRules::for_spoken(const Held& call, std::string_view path, uint8_t access, const Rules::Speaks& act) const {
  if ((access & protocol::kExecute) != 0)
    for (const Rule& rule : rules_)
      if (names(rule, path)) act({rule.label, rule.effect});
  const uint8_t wanted = access == 0 ? protocol::kMetadata : access;
  for (const Rule& rule : files_)
    if ((rule.access & wanted) != 0 && names(rule, path) && speaks_of(rule, call, nullptr))
      act({rule.label, rule.effect});
}

bool ExecRules::denies_program(std::string_view path) const {
  return std::any_of(rules_.begin(), rules_.end(),
                     [&](const Rule& rule) { return rule.effect == Effect::deny && names(rule, path); });
}

}  // namespace holdfast
