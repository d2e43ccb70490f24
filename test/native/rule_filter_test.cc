// The programs that rules on system calls become, run by an interpreter, against what the rules say when they are asked
// of registers, and both against expectations written out here.
#include "../../native/launch/rule_filter.h"

#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <random>
#include <vector>

#include "../../native/arch/arch.h"
#include "../../native/launch/filter.h"
#include "../../native/syscalls/rule.h"
#include "../../native/syscalls/table.h"
#include "bpf.h"

namespace {

using holdfast::ArgumentTest;
using holdfast::bits_read;
using holdfast::find_row;
using holdfast::Row;
using holdfast::RuleAction;
using holdfast::SyscallRule;
using Range = ArgumentTest::Range;

int failures = 0, checks = 0;

void expect(bool good, const char* what, uint64_t value = 0) {
  checks++;
  if (good) return;
  failures++;
  std::printf("FAIL %s (%#llx)\n", what, static_cast<unsigned long long>(value));
}

constexpr uint64_t kWhole = ~uint64_t{0};

ArgumentTest test(const char* call, int argument, std::vector<Range> ranges, bool negated = false,
                  uint64_t mask = kWhole) {
  ArgumentTest made;
  made.argument = static_cast<uint8_t>(argument);
  made.mask = mask & bits_read(*find_row(call), argument);
  made.ranges = std::move(ranges);
  made.negated = negated;
  return made;
}

SyscallRule rule(const char* call, std::vector<ArgumentTest> tests, RuleAction action = RuleAction::error,
                 int error = EPERM) {
  SyscallRule made;
  made.row = find_row(call);
  made.tests = std::move(tests);
  made.action = action;
  made.error = error;
  return made;
}

uint32_t ask(const std::vector<sock_filter>& program, int number, std::initializer_list<uint64_t> args,
             uint32_t arch = holdfast::arch::kAuditArch) {
  seccomp_data data = {};
  data.nr = number;
  data.arch = arch;
  size_t i = 0;
  for (const uint64_t value : args) data.args[i++] = value;
  return bpf::run(program, data);
}

constexpr uint32_t kRefused = SECCOMP_RET_ERRNO | EPERM;

// One comparison of one argument: the program, the rule, and what is expected.
void compare(const char* call, int argument, const ArgumentTest& what, uint64_t value, bool holds) {
  const std::vector<SyscallRule> rules = {rule(call, {what})};
  const std::vector<sock_filter> program = holdfast::build_rule_filter(rules);
  seccomp_data data = {};
  data.nr = find_row(call)->number();
  data.arch = holdfast::arch::kAuditArch;
  data.args[argument] = value;
  uint64_t args[6];
  std::memcpy(args, data.args, sizeof args);
  expect(rules[0].matches(args) == holds, "rule", value);
  expect(bpf::run(program, data) == (holds ? kRefused : SECCOMP_RET_ALLOW), "program", value);
}

void compares_both_halves() {
  constexpr uint64_t kBig = 0x1'0000'0002;
  // lseek's offset has 64 bits.
  const ArgumentTest equal = test("lseek", 1, {{kBig, kBig}});
  compare("lseek", 1, equal, kBig, true);
  compare("lseek", 1, equal, 2, false);
  compare("lseek", 1, equal, 0x2'0000'0002, false);
  compare("lseek", 1, equal, 0x1'0000'0003, false);
  const ArgumentTest least = test("lseek", 1, {{kBig, kWhole}});
  for (const auto& [value, holds] : std::initializer_list<std::pair<uint64_t, bool>>{{0, false},
                                                                                     {3, false},
                                                                                     {0xffff'ffff, false},
                                                                                     {0x1'0000'0001, false},
                                                                                     {kBig, true},
                                                                                     {0x1'ffff'ffff, true},
                                                                                     {0x2'0000'0000, true},
                                                                                     {kWhole, true}})
    compare("lseek", 1, least, value, holds);
  const ArgumentTest between = test("lseek", 1, {{5, kBig}});
  for (const auto& [value, holds] : std::initializer_list<std::pair<uint64_t, bool>>{{0, false},
                                                                                     {4, false},
                                                                                     {5, true},
                                                                                     {0xffff'ffff, true},
                                                                                     {0x1'0000'0000, true},
                                                                                     {kBig, true},
                                                                                     {kBig + 1, false},
                                                                                     {0x2'0000'0000, false},
                                                                                     {kWhole, false}})
    compare("lseek", 1, between, value, holds);
  const ArgumentTest outside = test("lseek", 1, {{5, kBig}}, true);
  compare("lseek", 1, outside, 4, true);
  compare("lseek", 1, outside, 5, false);
  compare("lseek", 1, outside, kWhole, true);
  const ArgumentTest everything = test("lseek", 1, {{0, kWhole}});
  compare("lseek", 1, everything, 0, true);
  compare("lseek", 1, everything, kWhole, true);
  const ArgumentTest top = test("lseek", 1, {{0xffff'ffff'0000'0005, kWhole}});
  compare("lseek", 1, top, 0xffff'ffff'0000'0004, false);
  compare("lseek", 1, top, 0xffff'ffff'0000'0005, true);
  const ArgumentTest either = test("lseek", 1, {{1, 1}, {7, 9}, {kBig, kBig}});
  for (const uint64_t value : {uint64_t{1}, uint64_t{7}, uint64_t{9}, kBig}) compare("lseek", 1, either, value, true);
  for (const uint64_t value : {uint64_t{0}, uint64_t{2}, uint64_t{6}, uint64_t{10}, kBig + 1})
    compare("lseek", 1, either, value, false);
  const ArgumentTest masked =
      test("lseek", 1, {{0x8000'0000'0000'0001, 0x8000'0000'0000'0001}}, false, 0x8000'0000'0000'0001);
  compare("lseek", 1, masked, 0x8000'0000'0000'0001, true);
  compare("lseek", 1, masked, 0xff00'0000'0000'0003, true);
  compare("lseek", 1, masked, 1, false);
  compare("lseek", 1, masked, 0x8000'0000'0000'0000, false);
}

// The kernel reads the low half of an int, so garbage above it must not hide a value.
void ignores_what_the_kernel_ignores() {
  constexpr uint64_t kJunk = 0xdeadbeef'00000000;
  const ArgumentTest netlink = test("socket", 0, {{AF_NETLINK, AF_NETLINK}});
  compare("socket", 0, netlink, AF_NETLINK, true);
  compare("socket", 0, netlink, AF_NETLINK | kJunk, true);
  compare("socket", 0, netlink, AF_INET | kJunk, false);
  const ArgumentTest negative = test("kill", 0, {{0xffff'ffff, 0xffff'ffff}});
  compare("kill", 0, negative, kWhole, true);  // -1, sign-extended
  compare("kill", 0, negative, 0xffff'ffff, true);
  compare("kill", 0, negative, 1, false);
  const ArgumentTest user = test("clone", 0, {{CLONE_NEWUSER, CLONE_NEWUSER}}, false, CLONE_NEWUSER);
  compare("clone", 0, user, CLONE_NEWUSER | SIGCHLD | kJunk, true);
  compare("clone", 0, user, SIGCHLD | kJunk, false);
  const ArgumentTest small = test("socket", 0, {{0, 1}});
  compare("socket", 0, small, 1 | kJunk, true);
  compare("socket", 0, small, 2 | kJunk, false);
  for (const char* call : {"readv", "writev", "mmap", "preadv"})
    expect(bits_read(*find_row(call), find_row(call)->index(holdfast::Arg::fd)) == 0xffff'ffff, call);
  for (const char* call : {"prctl", "lseek"}) expect(bits_read(*find_row(call), 1) == kWhole, call);
}

void first_match_decides() {
  const std::vector<SyscallRule> rules = {
      rule("socket", {test("socket", 0, {{AF_UNIX, AF_UNIX}})}, RuleAction::pass),
      rule("getpid", {}, RuleAction::trap),
      rule("socket", {test("socket", 0, {{AF_NETLINK, AF_NETLINK}}), test("socket", 2, {{0, 0}})}, RuleAction::error,
           EAFNOSUPPORT),
      rule("socket", {}, RuleAction::stop),
      rule("getppid", {}, RuleAction::kill),
      rule("getppid", {}, RuleAction::pass),
  };
  const std::vector<sock_filter> program = holdfast::build_rule_filter(rules);
  const int socket = find_row("socket")->number();
  expect(ask(program, socket, {AF_UNIX}) == SECCOMP_RET_ALLOW, "pass");
  expect(ask(program, socket, {AF_NETLINK, 3, 0}) == (SECCOMP_RET_ERRNO | EAFNOSUPPORT), "both hold");
  expect(ask(program, socket, {AF_NETLINK, 3, 1}) == SECCOMP_RET_TRACE, "one does not");
  expect(ask(program, find_row("getpid")->number(), {}) == SECCOMP_RET_TRAP, "trap");
  expect(ask(program, find_row("getppid")->number(), {}) == SECCOMP_RET_KILL_PROCESS, "kill");
  for (int number = -2; number < 1024; number++) {
    const Row* row = find_row(number);
    const bool named =
        row != nullptr && (std::strcmp(row->name, "socket") == 0 || std::strcmp(row->name, "getpid") == 0 ||
                           std::strcmp(row->name, "getppid") == 0);
    if (!named) expect(ask(program, number, {1, 2, 3}) == SECCOMP_RET_ALLOW, "others", static_cast<uint64_t>(number));
  }
  expect(ask(program, find_row("getpid")->number(), {}, 0x40000003) == SECCOMP_RET_ALLOW, "another ABI");
  expect(ask(holdfast::build_rule_filter({}), 0, {}) == SECCOMP_RET_ALLOW, "no rules");
}

void random_rules_mean_the_same() {
  std::mt19937_64 random(20261126);
  const uint64_t interesting[] = {0,          1,           2,           0x7fff'ffff, 0x8000'0000,
                                  0xffffffff, 0x100000000, 0x100000001, kWhole - 1,  kWhole};
  const auto some = [&] { return random() % 3 == 0 ? random() : interesting[random() % std::size(interesting)]; };
  const char* calls[] = {"lseek", "socket", "mmap", "read", "prctl", "futex"};
  for (int round = 0; round < 300; round++) {
    std::vector<SyscallRule> rules;
    for (size_t i = 1 + random() % 6; i-- > 0;) {
      const char* call = calls[random() % std::size(calls)];
      std::vector<ArgumentTest> tests;
      for (size_t j = random() % 3; j-- > 0;) {
        std::vector<Range> ranges;
        for (size_t k = 1 + random() % 3; k-- > 0;) {
          const uint64_t one = some(), other = random() % 2 ? one : some();
          ranges.push_back({std::min(one, other), std::max(one, other)});
        }
        tests.push_back(
            test(call, static_cast<int>(random() % 3), ranges, random() % 2 != 0, random() % 2 ? kWhole : some()));
      }
      rules.push_back(
          rule(call, tests, random() % 2 ? RuleAction::error : RuleAction::pass, static_cast<int>(1 + random() % 100)));
    }
    const std::vector<sock_filter> program = holdfast::build_rule_filter(rules);
    expect(!program.empty(), "length");
    for (int asked = 0; asked < 40; asked++) {
      seccomp_data data = {};
      const Row* row = find_row(calls[random() % std::size(calls)]);
      data.nr = row->number();
      data.arch = holdfast::arch::kAuditArch;
      uint64_t args[6];
      for (int i = 0; i < 6; i++) data.args[i] = args[i] = some();
      uint32_t wanted = SECCOMP_RET_ALLOW;
      for (const SyscallRule& one : rules) {
        if (one.row != row || !one.matches(args)) continue;
        if (one.action == RuleAction::error) wanted = SECCOMP_RET_ERRNO | static_cast<uint32_t>(one.error);
        break;
      }
      expect(bpf::run(program, data) == wanted, row->name, data.args[0]);
    }
  }
}

void too_many_are_refused() {
  std::vector<SyscallRule> rules;
  for (uint64_t i = 0; i < 4000; i++) rules.push_back(rule("lseek", {test("lseek", 1, {{i * 8, i * 8}})}));
  expect(holdfast::build_rule_filter(rules).empty(), "too long");
}

}  // namespace

int main() {
  compares_both_halves();
  ignores_what_the_kernel_ignores();
  first_match_decides();
  random_rules_mean_the_same();
  too_many_are_refused();
  std::printf("%d checks, %d failures\n", checks, failures);
  return failures == 0 ? 0 : 1;
}
