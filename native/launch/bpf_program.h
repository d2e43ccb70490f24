// A BPF program in the making, for every generator of seccomp programs.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace holdfast {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the low half of an argument is read first");

// A program is written from its end to its start, because BPF only jumps forward: the target of a jump is there before
// the jump is. A label is the place of an instruction counted from the end.
class Program {
 public:
  using Label = size_t;

  Program() {
    reversed_.reserve(1024);
    answers_.reserve(32);
  }

  Label statement(uint16_t code, uint32_t k) {
    reversed_.push_back(BPF_STMT(code, k));
    return reversed_.size() - 1;
  }

  // Goes on at `yes` or `no`, near or far.
  Label branch(uint16_t comparison, uint32_t k, Label yes, Label no) {
    if (yes == no) return yes;
    // Moving one nearer pushes the other one instruction away.
    while (distance(yes) > kReach || distance(no) > kReach) {
      Label& far = distance(yes) > kReach ? yes : no;
      far = repeat(far);
    }
    const sock_filter jump = BPF_JUMP(static_cast<uint16_t>(BPF_JMP | comparison | BPF_K), k,
                                      static_cast<uint8_t>(distance(yes)), static_cast<uint8_t>(distance(no)));
    reversed_.push_back(jump);
    return reversed_.size() - 1;
  }

  // A statement goes on with the instruction before it in `reversed_`; this makes that one `target`.
  void fall_through_to(Label target) {
    if (distance(target) > 0) repeat(target);
  }

  // An answer: the one that is there already, if a conditional jump from about here still reaches it.
  Label answer(uint32_t value) {
    for (auto& [known, place] : answers_) {
      if (known != value) continue;
      if (!near(place)) place = statement(BPF_RET | BPF_K, value);
      return place;
    }
    return answers_.emplace_back(value, statement(BPF_RET | BPF_K, value)).second;
  }

  // A word of seccomp_data, for the instruction that was written last.
  Label load(size_t offset) { return statement(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }

  // The same for `next`, with the bits of `mask` only.
  Label load_masked(size_t offset, uint32_t mask, Label next) {
    fall_through_to(next);
    if (mask != 0xffffffff) statement(BPF_ALU | BPF_AND | BPF_K, mask);
    return load(offset);
  }

  // All of it: a call of that architecture goes by its number to `numbers`, any other one is answered.
  std::vector<sock_filter> take(Label numbers, uint32_t audit_arch, uint32_t foreign_answer) {
    fall_through_to(numbers);
    const Label native = load(offsetof(seccomp_data, nr));
    const Label foreign = answer(foreign_answer);
    branch(BPF_JEQ, audit_arch, native, foreign);
    load(offsetof(seccomp_data, arch));
    std::reverse(reversed_.begin(), reversed_.end());
    return std::move(reversed_);
  }

 private:
  static constexpr size_t kReach = 255;  // of a conditional jump

  bool near(Label target) const { return distance(target) < kReach - 64; }

  // From the instruction that comes next to `target`.
  size_t distance(Label target) const { return reversed_.size() - 1 - target; }

  // The same once more, here: an answer as it is, anything else by a long jump.
  Label repeat(Label target) {
    const sock_filter there = reversed_[target];
    if (BPF_CLASS(there.code) == BPF_RET) return statement(there.code, there.k);
    return statement(BPF_JMP | BPF_JA, static_cast<uint32_t>(distance(target)));
  }

  std::vector<sock_filter> reversed_;
  std::vector<std::pair<uint32_t, Label>> answers_;
};

}  // namespace holdfast
