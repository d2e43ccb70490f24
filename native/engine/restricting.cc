#include "restricting.h"

#include <asm/unistd.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ptrace.h>

#include <algorithm>
#include <iterator>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "../arch/arch.h"
#include "../call/tree.h"
#include "../channel/report.h"
#include "../launch/rule_filter.h"
#include "../policy/config.h"
#include "../policy/violation.h"
#include "../syscalls/classes.h"
#include "injected.h"
#include "request.h"
#include "tasks.h"
#include "tracer.h"

namespace holdfast {
namespace {

using protocol::Field;
using protocol::FieldReader;
using protocol::Tag;

// Of a rule that stands for "as before", and of the defaults: nobody has written them.
bool is_written(const char* label) { return strncmp(label, "restrict.", 9) == 0; }

constexpr uint8_t kBits[] = {protocol::kRead, protocol::kWrite, protocol::kExecute, protocol::kMetadata};
constexpr char kAnyName[] = "\x01";  // that no rule has
constexpr const char* kRights[] = {"read", "written", "executed", "looked at"};

Effect effect_of(const PathMatch& match, uint8_t bit, bool any_exec) {
  if (bit == protocol::kMetadata) return match.metadata.effect;
  return bit == protocol::kExecute ? match.execution(any_exec).effect : match.of(bit).effect;
}

// The first rule that allows what is not allowed now; empty: none does.
std::string wider_than_now(const Config& now, const Config& then) {
  std::string found;
  then.rules.for_paths([&](const Rules::Ruled& ruled) {
    for (size_t i = 0; i < std::size(kBits) && found.empty(); i++) {
      if (ruled.effect[i] != Effect::allow || !is_written(ruled.label[i])) continue;
      // On the way to what is allowed a folder may be looked at without what else lies in it.
      std::string path(ruled.path);
      if (kBits[i] == protocol::kMetadata) path += path == "/" ? kAnyName : std::string("/") + kAnyName;
      const auto allows = [&](const Rules& rules) {
        return effect_of(rules.look(path), kBits[i], now.any_exec) == Effect::allow;
      };
      if (now.all_say(allows)) continue;
      found = std::string(ruled.label[i]) + ": '" + std::string(ruled.path) + "' may not be " + kRights[i] +
              " now, and a restriction only narrows";
    }
  });
  return found;
}

// The same of patterns: one gives no more than now if all of its folder is given, or the very same pattern.
std::string wider_pattern_than_now(const Config& now, const Config& then) {
  for (const Rules::Pattern& rule : then.rules.patterns()) {
    if (rule.effect != Effect::allow || !is_written(rule.label)) continue;
    for (size_t i = 0; i < std::size(kBits); i++) {
      if ((rule.access & kBits[i]) == 0) continue;
      const std::string within = (rule.folder == "/" ? "" : rule.folder) + "/" + kAnyName;
      const bool given = now.all_say([&](const Rules& rules) {
        if (effect_of(rules.look(within), kBits[i], now.any_exec) == Effect::allow) return true;
        const auto& patterns = rules.patterns();
        return std::any_of(patterns.begin(), patterns.end(), [&](const Rules::Pattern& one) {
          return one.effect == Effect::allow && (one.access & kBits[i]) != 0 && one.folder == rule.folder &&
                 one.text == rule.text;
        });
      });
      if (!given)
        return std::string(rule.label) + ": what '" + rule.text + "' matches in '" + rule.folder + "' may not all be " +
               kRights[i] + " now, and a restriction only narrows";
    }
  }
  return {};
}

// Which rights to files it refuses anywhere, by bits.
uint8_t limited_rights(const Config& config) {
  uint8_t limited = 0;
  const PathMatch root = config.rules.look("/");
  for (const uint8_t bit : {protocol::kRead, protocol::kWrite})
    if (root.of(bit).effect != Effect::allow) limited |= bit;
  if (root.metadata.effect != Effect::allow) limited |= protocol::kMetadata;
  config.rules.for_paths([&](const Rules::Ruled& ruled) {
    for (size_t i = 0; i < std::size(kBits); i++)
      if (ruled.effect[i] == Effect::deny) limited |= kBits[i];
  });
  for (const Rules::Pattern& rule : config.rules.patterns())
    if (rule.effect == Effect::deny) limited |= rule.access;
  // A program that may not be executed under one name is not given another one.
  for (const ExecRules::Rule& rule : config.exec.all())
    if (rule.effect == Effect::deny) limited |= protocol::kWrite;
  // What may not be read may not be looked at, but where a rule of its own says so.
  if ((limited & protocol::kRead) != 0) limited |= protocol::kMetadata;
  return limited;
}

uint8_t limited_operations(const Config& config) {
  uint8_t limited = 0;
  for (const uint8_t operation : {protocol::kConnect, protocol::kBind})
    if (!config.rules.reach(operation).everything()) limited |= operation;
  return limited;
}

uint8_t classes_of(uint8_t rights, uint8_t operations) {
  Left all;
  if ((rights & protocol::kMetadata) != 0) all.add(Class::metadata);
  if ((rights & protocol::kRead) != 0) {
    all.add(Class::read);
    all.add(Class::read_write);
  }
  if ((rights & protocol::kWrite) != 0) {
    all.add(Class::write);
    all.add(Class::read_write);
    all.add(Class::make);
  }
  if ((operations & protocol::kConnect) != 0) {
    all.add(Class::connect);
    all.add(Class::send);
  }
  if ((operations & protocol::kBind) != 0) all.add(Class::bind);
  return all.classes;
}

ArgumentTest test_of(const Condition& condition) {
  ArgumentTest test;
  test.argument = condition.argument;
  test.mask = condition.mask;
  test.negated = condition.relation == Relation::none_of || condition.relation == Relation::below;
  if (condition.relation == Relation::at_least || condition.relation == Relation::below)
    test.ranges.push_back({condition.values[0], ~uint64_t{0}});
  else
    for (const uint32_t value : condition.values) test.ranges.push_back({value, value});
  return test;
}

// By which a thread's calls of these classes stop.
std::vector<SyscallRule> rules_of(uint8_t classes) {
  std::vector<SyscallRule> rules;
  for (const Row* row = rows_begin(); row != rows_end(); row++) {
    for (const Alternative& alternative : taken_back_alternatives(*row, classes)) {
      SyscallRule rule;
      rule.row = row;
      rule.action = RuleAction::stop;
      for (const Condition& condition : alternative) rule.tests.push_back(test_of(condition));
      rules.push_back(std::move(rule));
    }
  }
  return rules;
}

// seccomp(2), SECCOMP_SET_MODE_STRICT.
std::vector<SyscallRule> strict_rules() {
  constexpr std::string_view kLetBy[] = {"read", "write", "exit", "exit_group", "rt_sigreturn"};
  std::vector<SyscallRule> rules;
  for (const Row* row = rows_begin(); row != rows_end(); row++) {
    if (std::find(std::begin(kLetBy), std::end(kLetBy), row->name) != std::end(kLetBy)) continue;
    SyscallRule rule;
    rule.row = row;
    rule.action = RuleAction::kill;
    rules.push_back(std::move(rule));
  }
  return rules;
}

// Rules on one call next to each other, and in their own order.
std::vector<SyscallRule> by_call(std::vector<SyscallRule> rules) {
  std::stable_sort(rules.begin(), rules.end(),
                   [](const SyscallRule& one, const SyscallRule& other) { return one.row < other.row; });
  return rules;
}

// What a slot of the sealed page has room for, behind its head.
constexpr size_t kMostInstructions = (kLargeSlotBytes - sizeof(sock_fprog)) / sizeof(sock_filter);

// As many programs as have room; rules on one call stay together.
bool build_programs(std::vector<SyscallRule> rules, std::vector<FurtherProgram>& out) {
  if (rules.empty()) return true;
  FurtherProgram program = build_rule_filter(rules);
  if (!program.empty() && program.size() <= kMostInstructions) {
    out.push_back(std::move(program));
    return true;
  }
  size_t half = rules.size() / 2;
  while (half < rules.size() && half > 0 && rules[half].row == rules[half - 1].row) half++;
  if (half == 0 || half == rules.size()) return false;
  const auto middle = rules.begin() + static_cast<std::ptrdiff_t>(half);
  return build_programs({rules.begin(), middle}, out) && build_programs({middle, rules.end()}, out);
}

}  // namespace

bool build_strict_programs(std::vector<FurtherProgram>& out) { return build_programs(strict_rules(), out); }

void restrict_tree(Sandbox& sandbox, Tracer& tracer, FieldReader asked, const std::shared_ptr<Reply>& reply) {
  auto further = std::make_unique<Config>();
  bool strict = false;
  for (Field field; asked.next(field);) {
    std::string error;
    if (field.tag == Tag::strict_) strict = field.number() == 1;
    if (field.tag == Tag::policy_ && !further->parse(field.data, field.size, error, &sandbox.config)) {
      reply->fail(EPROTO, error);
      return;
    }
  }
  Config& now = sandbox.config;
  further->own_terminals = now.own_terminals;
  further->rules.add_command(now.command);
  static std::mutex one_at_a_time;
  const std::lock_guard<std::mutex> lock(one_at_a_time);
  if (const std::string wider = wider_than_now(now, *further); !wider.empty()) {
    reply->fail(EINVAL, wider);
    return;
  }
  if (const std::string wider = wider_pattern_than_now(now, *further); !wider.empty()) {
    reply->fail(EINVAL, wider);
    return;
  }
  const uint8_t rights = limited_rights(*further);
  further->limits_files = rights != 0;
  further->limited_operations = limited_operations(*further);
  // After that, no other program could be put on, and none could refuse more.
  static bool is_strict = false;
  std::vector<FurtherProgram> programs;
  if (!is_strict && further->no_writable_code) programs.emplace_back();
  const auto answered = [&](const Row& row) {
    return now.any_says([&](const Config& by) { return by.calls.answers(row); });
  };
  const bool fits =
      is_strict || (build_programs(by_call(further->calls.build(now.reports, now.hears_logged, answered)), programs) &&
                    (!strict || build_strict_programs(programs)));
  if (!fits) {
    reply->fail(E2BIG, "policy.syscalls: the program that each thread is to put on is too long");
    return;
  }
  const uint8_t before = taken_back();
  take_back(classes_of(rights, further->limited_operations));
  const uint8_t newly = static_cast<uint8_t>(taken_back() & ~before);
  std::vector<FurtherProgram> stops;
  if (!is_strict && !build_programs(rules_of(newly), stops)) {
    reply->fail(E2BIG, "the program that each thread is to put on is too long");
    return;
  }
  // The strictest last: after that no other could be put on.
  programs.insert(programs.begin(), stops.begin(), stops.end());
  for (const Warning& warning : further->warnings)
    report_warning(sandbox, warning.rule, warning.path, warning.target, warning.reason);
  is_strict |= strict;
  further->before = now.narrowed.load();
  now.narrowed.store(further.release());  // for as long as the tree lives
  if (programs.empty()) return;
  tracer.run_there(
      [&tracer, programs = std::move(programs), strict, reply] { tracer.put_on(programs, strict, [reply] {}); });
}

// ---- The tracer's part: each thread puts the programs on before its next call ---------------------------------------

void Tracer::put_on(const std::vector<FurtherProgram>& programs, bool strict, std::function<void()> done) {
  if (is_strict_) {
    done();
    return;
  }
  is_strict_ = strict;
  further_.insert(further_.end(), programs.begin(), programs.end());
  // At its next stop each is made to stop at its next call, too; who waits in the kernel until it is answered stops
  // right after that.
  auto number = std::make_shared<uint64_t>(0);
  *number = stop(Threads{}, Until::held, [this, number, done = std::move(done)] {
    let_go(*number);
    done();
  });
}

bool Tracer::lacks_programs(const Tracee& tracee) const { return tracee.further < further_.size(); }

// At the entry of its next call, before any program is asked about that. False: it is to go on.
bool Tracer::begin_to_put_on(Tracee& tracee) {
  __ptrace_syscall_info info = {};
  // A call by a foreign ABI is refused in any case, and could not be made once more.
  if (request(PTRACE_GET_SYSCALL_INFO, tracee.tid, as_pointer(sizeof info), &info) < 0 ||
      info.arch != arch::kAuditArch || arch::get(tracee.tid, tracee.registers) != 0)
    return false;
  tracee.number = static_cast<int>(arch::number(tracee.registers));
  tracee.puts_on = true;
  if (page_mapped_.count(tracee.group) == 0 && sandbox_.page.mapped_in(tracee.tid)) page_mapped_.insert(tracee.group);
  if (page_mapped_.count(tracee.group) == 0) {
    if (sandbox_.page.create() != 0) {
      fail_to_put_on(tracee);
      return true;
    }
    begin_injection(tracee, Phase::fetch_page, UniqueFd());
    return true;
  }
  uint64_t all = ~uint64_t{0};
  if (request(PTRACE_GETSIGMASK, tracee.tid, as_pointer(sizeof tracee.signal_mask), &tracee.signal_mask) != 0 ||
      request(PTRACE_SETSIGMASK, tracee.tid, as_pointer(sizeof all), &all) != 0)
    return true;  // it died
  put_on_next(tracee, true);
  return true;
}

// At the exit stop of the call that puts one on.
void Tracer::on_put_on(Tracee& tracee, int64_t result) {
  free_slot(tracee);
  if (result != 0) {
    fail_to_put_on(tracee);
    return;
  }
  tracee.further++;
  put_on_next(tracee, false);
}

// `at_entry`: in place of the thread's own call, which is made again at the end; else after a call of ours.
void Tracer::put_on_next(Tracee& tracee, bool at_entry) {
  if (!lacks_programs(tracee)) {
    expect_nothing(tracee.tid);
    tracee.puts_on = false;
    tracee.phase = Phase::put_on_all;
    arch::Registers original = tracee.registers;
    arch::call_again(original, tracee.number);
    if (arch::set(tracee.tid, original) == 0) resume(tracee);
    return;
  }
  const FurtherProgram& program = further_[tracee.further];
  if (program.empty()) {
    constexpr uint64_t kSetMdwe = 65, kRefuseExecGain = 1;  // PR_SET_MDWE(2const)
    const uint64_t args[6] = {kSetMdwe, kRefuseExecGain, 0, 0, 0, 0};
    inject(tracee, Phase::put_on, __NR_prctl, args, at_entry);
    return;
  }
  std::vector<uint8_t> bytes(sizeof(sock_fprog) + program.size() * sizeof(sock_filter));
  tracee.slot = sandbox_.page.take_slot(bytes.size());
  if (tracee.slot < 0) {
    fail_to_put_on(tracee);
    return;
  }
  const uint64_t at = BouncePage::address(tracee.slot);
  sock_fprog head = {};
  head.len = static_cast<unsigned short>(program.size());
  head.filter = reinterpret_cast<sock_filter*>(at + sizeof head);
  memcpy(bytes.data(), &head, sizeof head);
  memcpy(bytes.data() + sizeof head, program.data(), program.size() * sizeof(sock_filter));
  sandbox_.page.fill(tracee.slot, bytes.data(), bytes.size());
  const uint64_t args[6] = {SECCOMP_SET_MODE_FILTER, 0, at, 0, 0, 0};
  inject(tracee, Phase::put_on, __NR_seccomp, args, at_entry);
}

// A program of the tree's own refuses it, or there is no room for the page: what cannot be confined must not go on.
void Tracer::fail_to_put_on(Tracee& tracee) {
  Held call = held_call(tracee, __NR_seccomp);
  run_task([this, call] {
    report(sandbox_, call, EPERM, "restrict() could not confine this process further: it is killed");
  });
  kill_group(tracee.group);
}

}  // namespace holdfast
