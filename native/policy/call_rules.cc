#include "call_rules.h"

#include <limits.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "../call/tree.h"
#include "../call/turn.h"
#include "../channel/channel.h"
#include "config.h"
#include "facts.h"
#include "violation.h"

namespace holdfast {

using protocol::Event;
using protocol::FieldWriter;
using protocol::Tag;
using protocol::VerdictKind;

void CallRules::add(CallRule rule) {
  if (rule.action == CallAction::allow) {
    opened_.push_back(std::move(rule.rule));
    return;
  }
  by_row_.resize(static_cast<size_t>(rows_end() - rows_begin()));
  by_row_[static_cast<size_t>(rule.rule.row - rows_begin())] = true;
  static constexpr std::string_view kInVdso[] = {"clock_gettime", "getcpu", "gettimeofday", "time"};
  if (std::find(std::begin(kInVdso), std::end(kInVdso), rule.rule.row->name) != std::end(kInVdso))
    speaks_of_time_ = true;
  all_.push_back(std::move(rule));
}

bool CallRules::stops(const Row& row, const uint64_t (&args)[6]) const {
  return std::any_of(stopped_.begin(), stopped_.end(),
                     [&](const SyscallRule& rule) { return rule.row == &row && rule.matches(args); });
}

bool CallRules::opens(const Row& row, const uint64_t (&args)[6]) const {
  return std::any_of(opened_.begin(), opened_.end(),
                     [&](const SyscallRule& rule) { return rule.row == &row && rule.matches(args); });
}

bool CallRules::answers(const Row& row) const {
  return std::find(answered_.begin(), answered_.end(), &row) != answered_.end();
}

std::vector<SyscallRule> CallRules::build(bool reports, bool logs, const std::function<bool(const Row&)>& before) {
  std::vector<SyscallRule> program;
  // Where one rule on a call must be decided by us, all are that come to an answer: else the kernel's would come first.
  const auto held = [&](const Row& row) {
    return reports || is_made_for_the_tree(row) || std::any_of(all_.begin(), all_.end(), [&](const CallRule& other) {
             return other.rule.row == &row &&
                    (other.action == CallAction::kill || (other.action == CallAction::log && logs));
           });
  };
  const auto add = [&](const CallRule& from, RuleAction action) {
    SyscallRule rule = from.rule;
    rule.action = action;
    program.push_back(std::move(rule));
    if (action == RuleAction::stop)
      stopped_.push_back(from.rule);
    else
      answered_.push_back(from.rule.row);
  };
  stopped_.clear();
  answered_.clear();
  // In one program the first that matches decides, and what only listens decides nothing.
  for (const CallRule& rule : all_) {
    if (rule.rule.row->way == Way::verify) continue;
    if (rule.action == CallAction::trap) add(rule, RuleAction::trap);
    if (rule.action == CallAction::kill) {
      const bool answered = before && before(*rule.rule.row) && !is_made_for_the_tree(*rule.rule.row);
      add(rule, answered ? RuleAction::kill : RuleAction::stop);
    }
    if (rule.action == CallAction::error) add(rule, held(*rule.rule.row) ? RuleAction::stop : RuleAction::error);
  }
  for (const CallRule& rule : all_) {
    if (rule.rule.row->way == Way::verify) continue;
    if (rule.action == CallAction::ask || (rule.action == CallAction::log && logs)) add(rule, RuleAction::stop);
  }
  for (const SyscallRule& rule : others_) {
    program.push_back(rule);
    program.back().action = RuleAction::stop;
    stopped_.push_back(rule);
  }
  return program;
}

namespace {

constexpr int kMaxErrno = 4095;  // MAX_ERRNO, linux/err.h

bool is_text(Arg kind) { return kind == Arg::path || kind == Arg::path2 || kind == Arg::text; }

// What the texts among its arguments say just now: the tree may change them while they are looked at.
void write_texts(FieldWriter& writer, const Held& call) {
  int64_t readable = 0;
  std::string text(PATH_MAX, '\0');
  for (int i = 0; i < 6; i++) {
    if (!is_text(call.row->args[i]) || call.args[i] == 0) continue;
    const ssize_t size = call.read_string(call.args[i], text.data(), text.size());
    if (size < 0) continue;
    readable |= int64_t{1} << i;
    writer.text(Tag::argv_, std::string_view(text.data(), static_cast<size_t>(size)));
  }
  if (readable != 0) writer.number(Tag::readable_, readable);
}

Finish refused(Sandbox& sandbox, const Held& call, int error, std::string_view rule, std::string_view reason) {
  report_by_rule(sandbox, call, error, rule, reason);
  return Finish::error(error);
}

// A hook's own answer: how it comes about (0: the call does not run and answers `value`; 1: it runs, and if it succeeds
// its results are changed), the value, and what is written where.
struct Response {
  struct Patch {
    uint32_t argument, offset, size;
    const char* bytes;
  };
  bool runs = false;
  int64_t value = 0;
  std::vector<Patch> patches;

  bool parse(const std::string& data) {
    size_t at = 0;
    const auto take = [&](auto& to) {
      if (data.size() - at < sizeof to) return false;
      std::memcpy(&to, data.data() + at, sizeof to);
      at += sizeof to;
      return true;
    };
    uint32_t mode, count;
    if (!take(mode) || mode > 1 || !take(count) || !take(value)) return false;
    runs = mode == 1;
    for (; count > 0; count--) {
      Patch patch;
      if (!take(patch.argument) || patch.argument > 5 || !take(patch.offset) || !take(patch.size)) return false;
      if (patch.size > data.size() - at) return false;
      patch.bytes = data.data() + at;
      at += patch.size;
      patches.push_back(patch);
    }
    return at == data.size();
  }

  // 0 or a negative errno, as the kernel would answer.
  int write(const Held& call) const {
    for (const Patch& patch : patches) {
      const uint64_t address = call.args[patch.argument];
      if (address == 0) continue;  // an answer that is not wanted, where the kernel takes none: getcpu(2), time(2)
      if (const int error = call.write(address + patch.offset, patch.bytes, patch.size)) return error;
    }
    return 0;
  }
};

// What the vsyscall page has (vsyscall(7)) of the calls whose results a hook can change, made for the caller: the
// kernel's own has no end at which to change anything. 0, or a negative errno as the kernel would answer.
int make_for_caller(const Held& call) {
  const auto put = [&](int argument, const void* from, size_t size) {
    return call.args[argument] == 0 ? 0 : call.write(call.args[argument], from, size);
  };
  if (call.row->number() == SYS_gettimeofday) {
    timeval now = {};
    struct timezone zone = {};
    if (syscall(SYS_gettimeofday, &now, &zone) != 0) return -errno;
    const int error = put(0, &now, sizeof now);
    return error != 0 ? error : put(1, &zone, sizeof zone);
  }
  if (call.row->number() == SYS_getcpu) {
    unsigned processor = 0, node = 0;
    if (syscall(SYS_getcpu, &processor, &node, nullptr) != 0) return -errno;
    const int error = put(0, &processor, sizeof processor);
    return error != 0 ? error : put(1, &node, sizeof node);
  }
  return -ENOSYS;
}

bool respond(Sandbox& sandbox, const Held& call, std::string data, Finish& out) {
  struct Kept {
    std::string data;
    Response response;
  };
  auto kept = std::make_shared<Kept>();
  kept->data = std::move(data);
  if (!kept->response.parse(kept->data)) {
    out = refused(sandbox, call, EACCES, "hook", "a hook's verdict makes no sense for this call");
    return true;
  }
  if (!kept->response.runs) {
    if (!call.was_held()) {
      out = Finish::gone();
      return true;
    }
    const int error = kept->response.write(call);
    out = error == -ESRCH ? Finish::gone() : Finish::answer(error != 0 ? error : kept->response.value);
    return true;
  }
  if (call.engine != Held::Engine::trace) {
    out = refused(sandbox, call, EPERM, "hook", "a call that was received cannot run and have its results changed");
    return true;
  }
  if (!call.has_exit) {
    int error = make_for_caller(call);
    if (error == 0) error = kept->response.write(call);
    out = error == -ESRCH ? Finish::gone() : Finish::answer(error);
    return true;
  }
  auto bounce = std::make_unique<Bounce>();
  bounce->afterwards = [kept](const Held& after, int64_t result) -> int64_t {
    const int error = kept->response.write(after);
    return error != 0 ? error : result;
  };
  out = Finish::bounce(std::move(bounce));
  return true;
}

bool ask_hooks(Sandbox& sandbox, const Held& call, const std::vector<uint32_t>& hooks, Finish& out) {
  const std::string executable = executable_of(sandbox, call);
  const auto build = [&](FieldWriter& writer) {
    for (const uint32_t hook : hooks) writer.number(Tag::hooks_, hook);
    writer.number(Tag::event_, static_cast<int64_t>(Event::syscall));
    write_caller(writer, call, call.row->name, executable);
    for (const uint64_t value : call.args) writer.number(Tag::registers_, static_cast<int64_t>(value));
    write_texts(writer, call);
  };
  Channel::Answer answer = sandbox.channel.ask(call, build, [&] {
    if (sandbox.tree.size() > 1) pass_turn();
  });
  if (answer.gone) {
    out = Finish::gone();
    return true;
  }
  if (answer.lost || answer.too_long) {
    out = Finish::error(EPERM);
    return true;
  }
  switch (answer.verdict) {
    case VerdictKind::none:
    case VerdictKind::allow:
      return false;
    case VerdictKind::deny: {
      const bool valid = answer.error > 0 && answer.error <= kMaxErrno;
      out = refused(sandbox, call, valid ? answer.error : EACCES, "hook", "a hook refused it");
      return true;
    }
    case VerdictKind::kill:
      report_by_rule(sandbox, call, EINTR, "hook", "a hook ended the process");
      out = Finish::kill(answer.error > 0 && answer.error <= SIGRTMAX ? answer.error : SIGKILL);
      return true;
    case VerdictKind::respond:
      return respond(sandbox, call, std::move(answer.data), out);
    case VerdictKind::redirect:
    case VerdictKind::fake:
      break;
  }
  out = refused(sandbox, call, EACCES, "hook", "a hook's verdict makes no sense for this call");
  return true;
}

}  // namespace

bool decide_by_call_rules(Sandbox& sandbox, const Held& call, Finish& out) {
  const CallRule* decides = nullptr;
  std::vector<uint32_t> hooks;
  // In each policy the first that matches; of theirs the strictest, as the kernel takes it of several programs.
  const auto look_at = [&](const CallRules& rules) {
    const CallRule* first = nullptr;
    for (const CallRule& rule : rules.all()) {
      if (rule.rule.row != call.row || !rule.rule.matches(call.args)) continue;
      if (rule.action == CallAction::log) {
        if (sandbox.config.hears_logged) report_logged(sandbox, call, rule.label);
      } else if (rule.action == CallAction::ask) {
        if (hooks.empty() || hooks.back() != rule.hook) hooks.push_back(rule.hook);
      } else if (first == nullptr) {
        first = &rule;
      }
    }
    const bool kills = first != nullptr && first->action == CallAction::kill;
    if (decides == nullptr || (kills && decides->action != CallAction::kill)) decides = first;
  };
  for (const Config* other = sandbox.config.narrowed.load(); other != nullptr; other = other->before)
    look_at(other->calls);
  look_at(sandbox.config.calls);
  if (decides != nullptr) {
    if (decides->action == CallAction::kill) {
      report_by_rule(sandbox, call, 0, decides->label, "a rule ended the process");
      out = Finish::kill(SIGKILL);
    } else {
      // A trap is the kernel's, but for a call that was held already when the rule came.
      const int error = decides->action == CallAction::error ? decides->rule.error : EPERM;
      out = refused(sandbox, call, error, decides->label, "");
    }
    return true;
  }
  return !hooks.empty() && ask_hooks(sandbox, call, hooks, out);
}

}  // namespace holdfast
