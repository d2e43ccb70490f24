// What a process may change about itself: its ids and capabilities, prctl's options, what it shares.
#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

#include "../call/as_itself.h"
#include "../call/memory.h"
#include "../call/tree.h"
#include "../policy/decide.h"
#include "../view/domains.h"
#include "../view/rights.h"
#include "caller.h"
#include "handlers.h"

namespace holdfast::families {
namespace {

// Whether a call on ids leaves them all as they are: posix_spawn() and shells make such calls before each exec.
bool changes_nothing(const Held& call) {
  std::shared_ptr<const Ids> differing;
  if (!own_ids().known || ids_of(call, differing) != 0) return false;
  const Ids& now = differing ? *differing : own_ids().ids;
  const uint32_t uids[4] = {now.real_uid, now.effective_uid, now.saved_uid, now.file_uid};
  const uint32_t gids[4] = {now.real_gid, now.effective_gid, now.saved_gid, now.file_gid};
  const auto id = [&](int index) { return static_cast<uint32_t>(call.args[index]); };
  const auto kept = [&](int index, uint32_t value) { return id(index) == ~uint32_t{0} || id(index) == value; };
  const auto all = [](const uint32_t(&ids)[4], uint32_t value) {
    return ids[0] == value && ids[1] == value && ids[2] == value && ids[3] == value;
  };
  // setreuid(2): the saved id follows too; of all three the file system's id follows the effective one.
  const auto pair = [&](const uint32_t(&ids)[4]) {
    return kept(0, ids[0]) && kept(1, ids[1]) && ids[2] == ids[1] && ids[3] == ids[1];
  };
  const auto triple = [&](const uint32_t(&ids)[4]) {
    return kept(0, ids[0]) && kept(1, ids[1]) && kept(2, ids[2]) && ids[3] == ids[1];
  };
  switch (call.row->number()) {
    case SYS_setuid:
      return all(uids, id(0));
    case SYS_setgid:
      return all(gids, id(0));
    case SYS_setreuid:
      return pair(uids);
    case SYS_setregid:
      return pair(gids);
    case SYS_setresuid:
      return triple(uids);
    case SYS_setresgid:
      return triple(gids);
    case SYS_setfsuid:
      return kept(0, uids[3]);
    case SYS_setfsgid:
      return kept(0, gids[3]);
    default:
      return false;  // what lies in memory can change until the kernel reads it
  }
}

// What unshare() knows up to Linux 6.18 (check_unshare_flags() in kernel/fork.c), and what of it makes no namespace.
constexpr uint64_t kNoNamespace = CLONE_FILES | CLONE_FS | CLONE_SYSVSEM | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
constexpr uint64_t kUnshareFlags = kNoNamespace | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET |
                                   CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWCGROUP | 0x80 /* CLONE_NEWTIME */;

}  // namespace

// Only registers, or what the kernel copies once for the caller alone: the change itself needs no check, but from now
// on whoever performs something for this thread must put on what it has then.
Finish change_credentials(Sandbox&, Held& call) {
  if (changes_nothing(call)) return Finish::proceed();
  keep_memory(call.tid, call.tgid());
  note_rights_may_change(call.tid);
  if (call.engine != Held::Engine::trace || !must_look_by_ids()) return Finish::proceed();
  auto unchanged = std::make_unique<Bounce>();
  unchanged->reopens_process = true;
  return Finish::bounce(std::move(unchanged));
}

namespace {

std::atomic<bool> any_filter{false};

// The call goes on as it is, once the sealed page is mapped: mapping it takes calls of ours in the caller's name, which
// its new filter may refuse, or kill it for.
Finish go_on_with_page() {
  any_filter.store(true, std::memory_order_relaxed);
  auto unchanged = std::make_unique<Bounce>();
  const uint64_t nothing = 0;
  unchanged->append(&nothing, sizeof nothing);
  return Finish::bounce(std::move(unchanged));
}

}  // namespace

bool processes_have_filters() { return any_filter.load(std::memory_order_relaxed); }

// A filter of the tree's own. What is not in the list is a listener, or newer than it.
Finish set_filter(Sandbox& sandbox, Held& call) {
  constexpr uint32_t kFlags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW |
                              SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
  const uint32_t operation = static_cast<uint32_t>(call.args[0]), flags = static_cast<uint32_t>(call.args[1]);
  if (operation == SECCOMP_SET_MODE_FILTER && (flags & ~kFlags) == 0) return go_on_with_page();
  report(sandbox, call, EBUSY, call.row->reason);
  return Finish::error(EBUSY);
}

Finish prctl_option(Sandbox& sandbox, Held& call) {
  const int option = static_cast<int>(call.args[0]);
  switch (option) {
    case PR_CAPBSET_DROP:
    case PR_SET_SECUREBITS:
    case PR_CAP_AMBIENT:
      // Some of it shows only at the next exec.
      note_rights_may_change(call.tid);
      return Finish::proceed();
    case PR_SET_SECCOMP:
      return go_on_with_page();
    case PR_SET_DUMPABLE:
      // Undumpable, a process would hide its memory and descriptors from a supervisor without CAP_SYS_PTRACE. To
      // programs it looks done: no other process of the tree can look into it either, by calls that are held.
      if (call.args[1] > 1) return Finish::error(EINVAL);
      sandbox.tree.hide(call.tgid(), call.args[1] == 0);
      return call.args[1] == 0 && !can_look_into_all() ? Finish::answer(0) : Finish::proceed();
    default:
      report(sandbox, call, EINVAL, "a prctl option that is not allowed");
      return Finish::error(EINVAL);
  }
}

// Which of Landlock's calls there are: with the next ABI all threads of a process can be confined at once, of which
// those that are about to make a call would not be known.
Finish make_ruleset(Sandbox&, Held& call) {
  constexpr uint32_t kVersionFlag = 1;
  constexpr long kNewestAbi = 7;
  const bool asks = call.arg(Arg::pointer) == 0 && call.arg(Arg::size) == 0;
  if (!asks || static_cast<uint32_t>(call.arg(Arg::flags)) != kVersionFlag) return Finish::proceed();
  const long abi = ::syscall(call.row->number(), nullptr, 0, kVersionFlag);
  return Finish::answer(abi < 0 ? -errno : std::min(abi, kNewestAbi));
}

// What the supervisor makes for it is confined first, by the ruleset as it is now: others can only add to it what is
// allowed.
Finish confine_itself(Sandbox& sandbox, Held& call) {
  constexpr uint32_t kFlagsOfLog = 7;
  const int fd = call.fd(Arg::fd);
  if ((static_cast<uint32_t>(call.arg(Arg::flags)) & ~kFlagsOfLog) != 0) return Finish::error(EINVAL);
  if (fd == -1) return Finish::proceed();  // which is about the log alone (landlock_restrict_self(2))
  UniqueFd ruleset;
  Finish finish;
  if (!take_copy(sandbox, call, fd, "the caller's Landlock ruleset cannot be reached", ruleset, finish)) return finish;
  DomainOf domain;
  if (const int error = make_domain(call, ruleset.get(), domain); error != 0) return Finish::error(error);
  auto unchanged = std::make_unique<Bounce>();
  unchanged->afterwards = [domain](const Held& caller, int64_t result) {
    put_on_domain(caller.tid, domain);
    return result;
  };
  return Finish::bounce(std::move(unchanged));
}

Finish unshare_flags(Sandbox& sandbox, Held& call) {
  if ((call.args[0] & ~kUnshareFlags) != 0) return Finish::error(EINVAL);
  // The kernel does, or refuses with an error of its own, what is only about the process itself.
  if ((call.args[0] & ~kNoNamespace) == 0) return Finish::proceed();
  report(sandbox, call, EPERM, "namespaces would give the tree another view than the supervisor's");
  return Finish::error(EPERM);
}

}  // namespace holdfast::families
