#include "filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stddef.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "../arch/arch.h"
#include "../syscalls/classes.h"
#include "../syscalls/guards.h"
#include "../syscalls/table.h"
#include "../syscalls/unheld.h"
#include "bpf_program.h"

namespace holdfast {
namespace {

using Label = Program::Label;

class Generator {
 public:
  explicit Generator(const FilterOptions& options)
      : options_(options),
        notify_(options.hold_nothing       ? SECCOMP_RET_ERRNO | ENOSYS
                : options.trace_everything ? SECCOMP_RET_TRACE
                                           : SECCOMP_RET_USER_NOTIF) {}

  std::vector<sock_filter> generate() {
    // Made anew for every command, so without many small allocations.
    ranges_.reserve(512);
    guards_.reserve(64);
    collect();
    return program_.take(search_numbers(0, ranges_.size()), arch::kAuditArch, notify_);
  }

 private:
  // What a number leads to: an answer, and the guard that lets by before it is given.
  struct Leaf {
    uint32_t held;
    Guard guard;
    const Row* stops = nullptr;           // whose condition turns the hold into a stop
    const Row* left = nullptr;            // whose class the policy leaves to the kernel
    uint32_t passed = SECCOMP_RET_ALLOW;  // what the guard answers
    bool operator==(const Leaf&) const = default;
  };
  struct Range {  // up to the start of the next one
    uint32_t start;
    Leaf leaf;
  };

  Leaf leaf_of(const Row& row) const {
    if (options_.hold_nothing) return unheld_leaf_of(row);
    Leaf leaf = plain_leaf_of(row);
    // What would go on is stopped first; what is refused stays so.
    if (is_counted(row) && leaf.held == SECCOMP_RET_ALLOW) leaf.held = SECCOMP_RET_TRACE;
    if (is_counted(row)) leaf.passed = SECCOMP_RET_TRACE;
    return leaf;
  }

  // Where nobody holds it.
  Leaf unheld_leaf_of(const Row& row) const {
    const Unheld answer = unheld(row, options_.changes_names);
    if (answer.is_let_by) return {SECCOMP_RET_ALLOW, Guard::always_held};
    if (row.way == Way::absent) return plain_leaf_of(row);
    const std::vector<Alternative> left = left_alternatives(row);
    if (std::any_of(left.begin(), left.end(), [](const Alternative& all) { return all.empty(); }))
      return {SECCOMP_RET_ALLOW, Guard::always_held};
    const uint32_t error = SECCOMP_RET_ERRNO | static_cast<uint32_t>(answer.error);
    return {error, answer.guard, nullptr, left.empty() ? nullptr : &row};
  }

  Leaf plain_leaf_of(const Row& row) const {
    switch (row.way) {
      case Way::let_by:
        return {SECCOMP_RET_ALLOW, Guard::always_held};
      case Way::absent:
        return {SECCOMP_RET_ERRNO | static_cast<uint32_t>(row.error), row.guard};
      case Way::bounce:
      case Way::verify:
      case Way::perform:
      case Way::observe:
      case Way::refuse:
        break;
    }
    const std::vector<Alternative> left = left_alternatives(row);
    // Whatever it says: then the number alone decides, as for what is let by.
    if (std::any_of(left.begin(), left.end(), [](const Alternative& all) { return all.empty(); }))
      return {SECCOMP_RET_ALLOW, Guard::always_held};
    const bool by_registers = stopped_if(row).has_value();
    const bool stops = !by_registers && (row.way == Way::bounce || row.way == Way::verify);
    return {stops ? SECCOMP_RET_TRACE : notify_, row.guard, by_registers ? &row : nullptr,
            left.empty() ? nullptr : &row};
  }

  // Numbers in order, neighbours with the same leaf together, and unknown numbers between and after them.
  void collect() {
    const Leaf unknown{notify_, Guard::always_held};
    const int end = number_end();
    for (int number = 0; number < end; number++) {
      const Row* row = find_row(number);
      add_range(static_cast<uint32_t>(number), row == nullptr ? unknown : leaf_of(*row));
    }
    add_range(static_cast<uint32_t>(end), unknown);
  }

  void add_range(uint32_t start, const Leaf& leaf) {
    if (ranges_.empty() || !(ranges_.back().leaf == leaf)) ranges_.push_back({start, leaf});
  }

  Label search_numbers(size_t first, size_t end) {
    if (end - first == 1) return leaf_code(ranges_[first].leaf);
    const size_t middle = first + (end - first) / 2;
    const Label above = search_numbers(middle, end);
    const Label below = search_numbers(first, middle);
    return program_.branch(BPF_JGE, ranges_[middle].start, above, below);
  }

  Label leaf_code(const Leaf& leaf) {
    if (leaf.guard == Guard::always_held && leaf.stops == nullptr && leaf.left == nullptr)
      return program_.answer(leaf.held);
    for (const auto& [known, code] : guards_)
      if (known == leaf) return code;
    const std::span<const Alternative> guarded = alternatives(leaf.guard);
    std::vector<Alternative> all(guarded.begin(), guarded.end());
    if (leaf.left != nullptr)
      for (const Alternative& alternative : left_alternatives(*leaf.left)) all.push_back(alternative);
    const Label allow = program_.answer(leaf.passed);
    Label otherwise = program_.answer(leaf.held);
    if (leaf.stops != nullptr && leaf.held != SECCOMP_RET_TRACE) {
      const Label stop = program_.answer(SECCOMP_RET_TRACE);
      otherwise = condition(*stopped_if(*leaf.stops), stop, otherwise);
    }
    for (size_t i = all.size(); i-- > 0;) {
      Label then = allow;
      for (size_t j = all[i].size(); j-- > 0;) then = condition(all[i][j], then, otherwise);
      otherwise = then;
    }
    guards_.emplace_back(leaf, otherwise);
    return otherwise;
  }

  Label condition(const Condition& what, Label yes, Label no) {
    const uint32_t low_offset = static_cast<uint32_t>(offsetof(seccomp_data, args) + what.argument * sizeof(uint64_t));
    const Label compare = compare_low(what.relation, what.values, yes, no);
    const Label low = program_.load_masked(low_offset, static_cast<uint32_t>(what.mask), compare);
    const uint32_t high_mask = static_cast<uint32_t>(what.mask >> 32);
    if (high_mask == 0) return low;
    // The values have 32 bits, so a high half that is not zero decides by itself.
    const bool larger = what.relation == Relation::none_of || what.relation == Relation::at_least;
    const Label high = program_.branch(BPF_JEQ, 0, low, larger ? yes : no);
    return program_.load_masked(low_offset + sizeof(uint32_t), high_mask, high);
  }

  Label compare_low(Relation relation, std::span<const uint32_t> values, Label yes, Label no) {
    switch (relation) {
      case Relation::at_least:
        return program_.branch(BPF_JGE, values[0], yes, no);
      case Relation::below:
        return program_.branch(BPF_JGE, values[0], no, yes);
      case Relation::one_of:
        return search_values(values, yes, no);
      case Relation::none_of:
        return search_values(values, no, yes);
    }
    return no;
  }

  // Values that lie close together are one look into a word of bits, because the kernel translates every instruction
  // for each command anew.
  static constexpr uint32_t kWord = 32;
  static constexpr size_t kFew = 4;  // a look takes six instructions

  static size_t next_cluster(std::span<const uint32_t> values, size_t first) {
    size_t end = first + 1;
    while (end < values.size() && values[end] - values[first] < kWord) end++;
    return end;
  }

  Label search_values(std::span<const uint32_t> values, Label found, Label missing) {
    std::vector<std::span<const uint32_t>> clusters;
    for (size_t at = 0; at < values.size();) {
      const size_t end = next_cluster(values, at);
      clusters.push_back(values.subspan(at, end - at));
      at = end;
    }
    return search_clusters(clusters, found, missing);
  }

  Label search_clusters(std::span<const std::span<const uint32_t>> clusters, Label found, Label missing) {
    if (clusters.size() == 1) return search_cluster(clusters[0], found, missing);
    const size_t middle = clusters.size() / 2;
    const Label above = search_clusters(clusters.subspan(middle), found, missing);
    const Label below = search_clusters(clusters.first(middle), found, missing);
    return program_.branch(BPF_JGE, clusters[middle].front(), above, below);
  }

  Label search_cluster(std::span<const uint32_t> values, Label found, Label missing) {
    if (values.size() <= kFew) {
      Label next = missing;
      for (size_t i = values.size(); i-- > 0;) next = program_.branch(BPF_JEQ, values[i], found, next);
      return next;
    }
    uint32_t bits = 0;
    for (const uint32_t value : values) bits |= uint32_t{1} << (value - values.front());
    program_.fall_through_to(program_.branch(BPF_JSET, bits, found, missing));
    program_.statement(BPF_ALU | BPF_LSH | BPF_X, 0);
    program_.statement(BPF_LD | BPF_IMM, 1);
    const Label inside = program_.statement(BPF_MISC | BPF_TAX, 0);
    const Label in_range = program_.branch(BPF_JGE, kWord, missing, inside);
    if (values.front() == 0) return in_range;
    program_.fall_through_to(in_range);
    return program_.statement(BPF_ALU | BPF_SUB | BPF_K, values.front());
  }

  Program program_;
  const FilterOptions options_;
  const uint32_t notify_;
  std::vector<Range> ranges_;
  std::vector<std::pair<Leaf, Label>> guards_;
};

}  // namespace

bool build_filter(const FilterOptions& options, std::vector<sock_filter>& out) {
  out = Generator(options).generate();
  return out.size() <= BPF_MAXINSNS;
}

}  // namespace holdfast
