#include "fork_hooks.h"

#include <sched.h>
#include <signal.h>

#include <string_view>

namespace holdfast {

using protocol::Event;

namespace {

// The low half, as the kernel reads it (lower_32_bits in kernel/fork.c).
ArgumentTest with(uint64_t bits, uint64_t set) { return {0, false, bits, {{set, set}}}; }

}  // namespace

Newborn newborn_of(const Held& call) {
  const std::string_view name = call.row->name;
  uint32_t flags = SIGCHLD;
  if (name == "clone") flags = static_cast<uint32_t>(call.args[0]);
  if (name == "vfork") flags |= CLONE_VM | CLONE_VFORK;
  const uint8_t kind = (flags & CLONE_THREAD) != 0  ? protocol::kThread
                       : (flags & CLONE_VFORK) != 0 ? protocol::kVfork
                                                    : protocol::kProcess;
  return {kind, flags};
}

void stop_forks(Config& config) {
  uint8_t kinds = 0;
  for (const uint32_t index : config.hooks_of[static_cast<unsigned>(Event::fork)]) kinds |= config.hooks[index].kinds;
  const auto stop = [&](const char* name, uint8_t kind, std::vector<ArgumentTest> tests) {
    const Row* const row = find_row(name);
    if ((kinds & kind) == 0 || row == nullptr || row->number() < 0) return;
    SyscallRule rule;
    rule.row = row;
    rule.tests = std::move(tests);
    config.calls.stop_for_others(std::move(rule));
  };
  stop("fork", protocol::kProcess, {});
  stop("vfork", protocol::kVfork, {});
  stop("clone", protocol::kThread, {with(CLONE_THREAD, CLONE_THREAD)});
  stop("clone", protocol::kVfork, {with(CLONE_THREAD | CLONE_VFORK, CLONE_VFORK)});
  stop("clone", protocol::kProcess, {with(CLONE_THREAD | CLONE_VFORK, 0)});
}

}  // namespace holdfast
