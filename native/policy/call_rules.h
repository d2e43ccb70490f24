// Rules of a policy on raw system calls, and hooks on them: which of them the kernel answers by itself, and what is
// decided of those that are held.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "../call/finish.h"
#include "../call/held.h"
#include "../call/sandbox.h"
#include "../syscalls/rule.h"

namespace holdfast {

enum class CallAction : uint8_t {
  error = 1,  // answered with an errno
  trap = 2,   // SIGSYS to the thread, by the kernel
  kill = 3,   // the process is ended by SIGKILL
  log = 4,    // an event; then as if there were no such rule
  ask = 5,    // a hook wants to hear of it
  allow = 6,  // goes on although the table refuses it: where a policy may open it (syscalls/opened.def)
};

struct CallRule {
  SyscallRule rule;
  CallAction action = CallAction::error;
  std::string label;  // the policy's field
  uint32_t hook = 0;
};

class CallRules {
 public:
  // In the order of the policy, then of registration.
  void add(CallRule rule);
  bool empty() const { return all_.empty() && others_.empty(); }
  // Calls that are stopped for the sake of somebody else, who decides at that stop: the program of build() sees to it.
  void stop_for_others(SyscallRule rule) { others_.push_back(std::move(rule)); }
  bool speaks_of(const Row& row) const { return !all_.empty() && by_row_[static_cast<size_t>(&row - rows_begin())]; }

  // Whether such a call is refused by the table, and opened by the policy. What else is said of it comes before.
  bool opens(const Row& row, const uint64_t (&args)[6]) const;

  // Of calls that libraries ask the vDSO in place of, where no filter sees it.
  bool speaks_of_time() const { return speaks_of_time_; }

  // Whether the program that build() makes stops such a call where no other program holds it.
  bool stops(const Row& row, const uint64_t (&args)[6]) const;

  // What the program is made of. What is refused is held where somebody listens to refusals, what is logged where
  // somebody listens to that; everything else that the kernel can answer, it answers by itself. Calls whose every exec
  // is held anyway need no program. `before`: the kernel answers such calls already, by programs of other policies, and
  // never comes to a stop: then it ends the process by itself (SIGSYS).
  std::vector<SyscallRule> build(bool reports, bool logs, const std::function<bool(const Row&)>& before = {});

  // Whether that program answers some such calls.
  bool answers(const Row& row) const;

  const std::vector<CallRule>& all() const { return all_; }

 private:
  std::vector<CallRule> all_;  // but those that open
  std::vector<SyscallRule> opened_;
  std::vector<bool> by_row_;
  bool speaks_of_time_ = false;
  std::vector<SyscallRule> others_;
  std::vector<SyscallRule> stopped_;  // of the program: those that stop
  std::vector<const Row*> answered_;  // and the calls of those that do not
};

// What rules and hooks on the call itself say of it, before its handler looks at what it is about. False: nothing, it
// goes on as the table says. A hook may be asked: this may block until the answer.
bool decide_by_call_rules(Sandbox& sandbox, const Held& call, Finish& out);

}  // namespace holdfast
