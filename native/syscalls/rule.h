// Rules on raw system calls: a call, comparisons of its registers, and what becomes of it. What a policy says of system
// calls and what a hook on one asks to hear of are both this; launch/rule_filter.h makes a seccomp program of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "table.h"

namespace holdfast {

// The bits of an argument that the kernel reads: the low half of an int, whatever the other half holds.
uint64_t bits_read(const Row& row, int argument);

// The masked argument, unsigned, lies in one of the ranges; or in none of them.
struct ArgumentTest {
  struct Range {
    uint64_t low, high;  // both included
  };
  uint8_t argument = 0;
  bool negated = false;
  uint64_t mask = ~uint64_t{0};
  std::vector<Range> ranges;

  bool holds(const uint64_t (&args)[6]) const;
};

enum class RuleAction : uint8_t {
  pass,   // nothing: the other programs decide
  error,  // the kernel answers `error`
  trap,   // SIGSYS to the thread, which may handle it; the call does not run (SECCOMP_RET_TRAP)
  kill,   // ends the process by SIGSYS (SECCOMP_RET_KILL_PROCESS)
  stop,   // held by a ptrace stop, if no other program holds it already
};

struct SyscallRule {
  const Row* row = nullptr;
  std::vector<ArgumentTest> tests;  // all must hold; none: every such call
  RuleAction action = RuleAction::error;
  int error = 0;  // positive errno

  bool matches(const uint64_t (&args)[6]) const;
};

// Calls that the supervisor makes a thread of the tree make (engine/injection.cc), or puts in place of its own (an open
// becomes openat2, sendmmsg becomes sendmsg): an answer of the kernel's would meet those, too. A rule on one of them
// must stop it.
bool is_made_for_the_tree(const Row& row);

// What it means if a policy opens a call that the table refuses; null where none may.
const char* what_opening_means(const Row& row);

}  // namespace holdfast
