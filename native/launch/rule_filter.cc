#include "rule_filter.h"

#include <linux/seccomp.h>
#include <stddef.h>

#include <algorithm>

#include "../arch/arch.h"
#include "bpf_program.h"

namespace holdfast {
namespace {

using Label = Program::Label;

constexpr uint32_t high_half(uint64_t value) { return static_cast<uint32_t>(value >> 32); }
constexpr uint32_t low_half(uint64_t value) { return static_cast<uint32_t>(value); }

class RuleGenerator {
 public:
  explicit RuleGenerator(const std::vector<SyscallRule>& rules) {
    for (const SyscallRule& rule : rules)
      if (rule.row != nullptr && rule.row->number() >= 0) rules_.push_back(&rule);
    std::stable_sort(rules_.begin(), rules_.end(), [](const SyscallRule* one, const SyscallRule* other) {
      return one->row->number() < other->row->number();
    });
  }

  std::vector<sock_filter> generate() {
    collect();
    return program_.take(search_numbers(0, numbers_.size()), arch::kAuditArch, SECCOMP_RET_ALLOW);
  }

 private:
  // From a number up to the next one: the rules on it, none, or one that decides by itself.
  struct Numbers {
    uint32_t start;
    size_t first, end;  // in `rules_`
    uint32_t always;    // the answer where first == end
    bool same_as(const Numbers& other) const {
      return first == end && other.first == other.end && always == other.always;
    }
  };

  static uint32_t answer_of(const SyscallRule& rule) {
    switch (rule.action) {
      case RuleAction::pass:
        return SECCOMP_RET_ALLOW;
      case RuleAction::error:
        return SECCOMP_RET_ERRNO | (static_cast<uint32_t>(rule.error) & SECCOMP_RET_DATA);
      case RuleAction::trap:
        return SECCOMP_RET_TRAP;
      case RuleAction::kill:
        return SECCOMP_RET_KILL_PROCESS;
      case RuleAction::stop:
        return SECCOMP_RET_TRACE;
    }
    return SECCOMP_RET_KILL_PROCESS;
  }

  void add(const Numbers& numbers) {
    if (numbers_.empty() || !numbers_.back().same_as(numbers)) numbers_.push_back(numbers);
  }

  void collect() {
    constexpr uint32_t kLetBy = SECCOMP_RET_ALLOW;
    add({0, 0, 0, kLetBy});
    for (size_t first = 0; first < rules_.size();) {
      const int number = rules_[first]->row->number();
      size_t end = first;
      while (end < rules_.size() && rules_[end]->row->number() == number) end++;
      const uint32_t start = static_cast<uint32_t>(number);
      Numbers own = {start, first, end, 0};
      if (rules_[first]->tests.empty()) own = {start, first, first, answer_of(*rules_[first])};
      if (numbers_.back().start == start) numbers_.pop_back();
      add(own);
      add({start + 1, 0, 0, kLetBy});
      first = end;
    }
  }

  Label search_numbers(size_t first, size_t end) {
    if (end - first == 1) return numbers_code(numbers_[first]);
    const size_t middle = first + (end - first) / 2;
    const Label above = search_numbers(middle, end);
    const Label below = search_numbers(first, middle);
    return program_.branch(BPF_JGE, numbers_[middle].start, above, below);
  }

  Label numbers_code(const Numbers& numbers) {
    if (numbers.first == numbers.end) return program_.answer(numbers.always);
    Label otherwise = program_.answer(SECCOMP_RET_ALLOW);
    for (size_t i = numbers.end; i-- > numbers.first;) {
      const SyscallRule& rule = *rules_[i];
      Label then = program_.answer(answer_of(rule));
      for (size_t j = rule.tests.size(); j-- > 0;) then = test(rule.tests[j], then, otherwise);
      otherwise = then;
    }
    return otherwise;
  }

  Label test(const ArgumentTest& what, Label yes, Label no) {
    if (what.negated) std::swap(yes, no);
    Label next = no;
    for (size_t i = what.ranges.size(); i-- > 0;) next = in_range(what, what.ranges[i], yes, next);
    return next;
  }

  Label in_range(const ArgumentTest& what, const ArgumentTest::Range& range, Label yes, Label no) {
    if (range.low > range.high) return no;
    if (range.low == range.high) {
      const Label low = load_low(what, program_.branch(BPF_JEQ, low_half(range.low), yes, no));
      return load_high(what, program_.branch(BPF_JEQ, high_half(range.low), low, no));
    }
    Label inside = yes;
    if (range.high != ~uint64_t{0}) inside = at_least(what, range.high + 1, no, yes);
    return range.low == 0 ? inside : at_least(what, range.low, inside, no);
  }

  // Both halves, the high one first: a larger one decides by itself, only an equal one asks the low half.
  Label at_least(const ArgumentTest& what, uint64_t bound, Label yes, Label no) {
    const uint32_t high = high_half(bound);
    const Label low = load_low(what, program_.branch(BPF_JGE, low_half(bound), yes, no));
    Label compare = program_.branch(BPF_JEQ, high, low, no);
    if (high != UINT32_MAX) compare = program_.branch(BPF_JGE, high + 1, yes, compare);
    return load_high(what, compare);
  }

  static uint32_t offset_of(const ArgumentTest& what) {
    return static_cast<uint32_t>(offsetof(seccomp_data, args) + what.argument * sizeof(uint64_t));
  }
  Label load_low(const ArgumentTest& what, Label next) {
    return program_.load_masked(offset_of(what), low_half(what.mask), next);
  }
  // With a mask that takes all of it away it is 0, as any other half.
  Label load_high(const ArgumentTest& what, Label next) {
    return program_.load_masked(offset_of(what) + sizeof(uint32_t), high_half(what.mask), next);
  }

  Program program_;
  std::vector<const SyscallRule*> rules_;  // by number, those of one number in their own order
  std::vector<Numbers> numbers_;
};

}  // namespace

std::vector<sock_filter> build_rule_filter(const std::vector<SyscallRule>& rules) {
  std::vector<sock_filter> program = RuleGenerator(rules).generate();
  if (program.size() > BPF_MAXINSNS) program.clear();
  return program;
}

}  // namespace holdfast
