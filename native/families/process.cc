// Calls that look at or change other processes by number, whole groups, or all of a user.
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "../call/proc_stat.h"
#include "../call/tree.h"
#include "../view/creds.h"
#include "caller.h"
#include "handlers.h"

namespace holdfast::families {
namespace {

// ioprio_get(2), linux/ioprio.h: 1 is a process, 2 a group, 3 a user; getpriority counts from 0.
constexpr int kIoprioProcess = 1, kIoprioGroup = 2, kIoprioUser = 3;
constexpr size_t kMaxMask = 1024;          // bytes of a processor set: 8192 of them, the kernel's largest configuration
constexpr size_t kMaxAttributes = 4096;    // sched_setattr(2): at most a page
constexpr uint32_t kFirstAttributes = 48;  // SCHED_ATTR_SIZE_VER0
constexpr pid_t kNobody = INT_MAX;         // above any limit of numbers: PID_MAX_LIMIT, linux/threads.h

Finish refuse_other(Sandbox& sandbox, const Held& call, const char* reason) {
  report(sandbox, call, EPERM, reason);
  return Finish::error(EPERM);
}

// A call on another process of the tree, made by the supervisor on copies of its arguments.
class OnOther {
 public:
  OnOther(Sandbox& sandbox, const Held& call, pid_t target) : sandbox_(sandbox), call_(call), target_(target) {}

  // Makes the call while the number cannot become another process's. `args` has the target's place filled already.
  // With the caller's ids and capabilities, so that the kernel asks for its rights; only around the call itself, since
  // the tree's memory cannot be read or written so.
  int64_t make(const uint64_t (&args)[6]) const {
    const auto now = [&]() -> int64_t {
      const AsPeer caller(call_);
      if (caller.error != 0) return caller.error == ESRCH ? -ESRCH : -EPERM;
      const long result = syscall(call_.row->number(), args[0], args[1], args[2], args[3], args[4], args[5]);
      return result >= 0 ? result : -errno;
    };
    const std::optional<int64_t> made = sandbox_.tree.while_stable([&]() -> std::optional<int64_t> {
      if (!sandbox_.tree.contains(target_)) return std::nullopt;
      return now();
    });
    if (made) return *made;
    // What is wrong with the arguments is said before the number is looked for. Of nobody, that is all.
    if (target_ == kNobody || changes(args)) {
      const int64_t result = of_nobody(args);
      if (target_ == kNobody || result != -ESRCH) return result;
    }
    // It has ended, and its parent may reap it at any moment: what was read by its number is its own if it is still
    // there afterwards. A change would come too late in any case, and could reach who has the number then.
    const UniqueFd ended = pin_ended(sandbox_.tree, target_);
    if (!ended) return -ESRCH;
    if (changes(args)) return change_of_ended(args);
    const int64_t result = now();
    return pid_of_pidfd(ended.get()) == target_ ? result : -ESRCH;
  }

  // The same with the target's number put into its place.
  int64_t make_for(const uint64_t (&args)[6]) const {
    uint64_t changed[6];
    std::copy(std::begin(args), std::end(args), changed);
    changed[call_.row->index(Arg::pid)] = static_cast<uint64_t>(target_);
    return make(changed);
  }

  Finish plain() const { return Finish::answer(make(call_.args)); }

  // Register `index` points to `size` bytes that the call reads.
  Finish reading(int index, size_t size, void* copy) const {
    uint64_t args[6];
    std::copy(std::begin(call_.args), std::end(call_.args), args);
    if (args[index] == 0) return Finish::answer(make(args));  // the kernel has an error of its own for that
    const int error = call_.read(call_.args[index], copy, size);
    if (error != 0) return memory_failed(error);
    args[index] = reinterpret_cast<uint64_t>(copy);
    return Finish::answer(make(args));
  }

  // Register `index` points to where the call writes; `size` bytes of its result, or as many as it answers (0).
  Finish writing(int index, size_t size, void* copy) const {
    uint64_t args[6];
    std::copy(std::begin(call_.args), std::end(call_.args), args);
    if (args[index] == 0) return Finish::answer(make(args));
    args[index] = reinterpret_cast<uint64_t>(copy);
    const int64_t result = make(args);
    if (result < 0) return Finish::answer(result);
    const int error = call_.write(call_.args[index], copy, size != 0 ? size : static_cast<size_t>(result));
    return error != 0 ? memory_failed(error) : Finish::answer(result);
  }

  Finish limits() const {
    rlimit64 wanted, had = {};
    uint64_t args[6] = {call_.args[0], call_.args[1], 0, reinterpret_cast<uint64_t>(&had), 0, 0};
    if (call_.args[2] != 0) {
      const int error = call_.read(call_.args[2], &wanted, sizeof wanted);
      if (error != 0) return memory_failed(error);
      args[2] = reinterpret_cast<uint64_t>(&wanted);
    }
    const int64_t result = make(args);
    if (result < 0 || call_.args[3] == 0) return Finish::answer(result);
    const int error = call_.write(call_.args[3], &had, sizeof had);
    return error != 0 ? memory_failed(error) : Finish::answer(result);
  }

  Finish set_attributes() const {
    if (call_.args[1] == 0) return plain();
    alignas(8) uint8_t copy[kMaxAttributes] = {};
    uint32_t size;
    int error = call_.read(call_.args[1], &size, sizeof size);
    if (error != 0) return memory_failed(error);
    if (size == 0) size = kFirstAttributes;
    // Of another size the kernel reads no more, and tells its own.
    if (size >= kFirstAttributes && size <= sizeof copy) error = call_.read(call_.args[1], copy, size);
    if (error != 0) return memory_failed(error);
    memcpy(copy, &size, sizeof size);  // the second read may have brought another one
    const uint64_t args[6] = {call_.args[0], reinterpret_cast<uint64_t>(copy), call_.args[2], 0, 0, 0};
    const int64_t result = make(args);
    if (result == -E2BIG) call_.write(call_.args[1], copy, sizeof size);
    return Finish::answer(result);
  }

  Finish get_attributes() const {
    if (call_.args[1] == 0) return plain();
    alignas(8) uint8_t copy[kMaxAttributes] = {};
    const uint32_t room = static_cast<uint32_t>(call_.args[2]);
    if (room < kFirstAttributes || room > sizeof copy) return Finish::error(EINVAL);
    const uint64_t args[6] = {call_.args[0], reinterpret_cast<uint64_t>(copy), room, call_.args[3], 0, 0};
    const int64_t result = make(args);
    if (result < 0) return Finish::answer(result);
    uint32_t size;
    memcpy(&size, copy, sizeof size);
    const int error = call_.write(call_.args[1], copy, std::min(size, room));
    return error != 0 ? memory_failed(error) : Finish::answer(result);
  }

 private:
  bool changes(const uint64_t (&args)[6]) const {
    switch (call_.row->number()) {
      case SYS_setpriority:
      case SYS_ioprio_set:
      case SYS_sched_setparam:
      case SYS_sched_setscheduler:
      case SYS_sched_setaffinity:
      case SYS_sched_setattr:
        return true;
      case SYS_prlimit64:
        return args[2] != 0;
      default:
        return false;
    }
  }

  // As set_one_prio_perm() in kernel/sys.c and check_same_owner() in kernel/sched/syscalls.c.
  int64_t of_nobody(const uint64_t (&args)[6]) const {
    uint64_t changed[6];
    std::copy(std::begin(args), std::end(args), changed);
    changed[call_.row->index(call_.has(Arg::pid) ? Arg::pid : Arg::tid)] = kNobody;
    const long result =
        syscall(call_.row->number(), changed[0], changed[1], changed[2], changed[3], changed[4], changed[5]);
    return result >= 0 ? result : -errno;
  }

  // What the kernel would say to a change of a process that has ended, which does nothing any more. The tree has none
  // of the capabilities that help here.
  int64_t change_of_ended(const uint64_t (&args)[6]) const {
    if (const int error = may_change(); error != 0) return error;
    rlimit64 limit;
    // Asked as the caller, who has a right to it; the supervisor has none to other users' processes.
    const auto limit_of = [&](int resource) {
      const AsPeer caller(call_);
      if (caller.error != 0) return EPERM;
      return syscall(SYS_prlimit64, target_, resource, nullptr, &limit) == 0 ? 0 : errno;
    };
    switch (call_.row->number()) {
      case SYS_setpriority: {  // set_one_prio() in kernel/sys.c
        const int wanted = std::clamp(static_cast<int>(args[2]), -20, 19);
        const long now = 20 - syscall(SYS_getpriority, PRIO_PROCESS, target_);
        return wanted < now && limit_of(RLIMIT_NICE) == 0 && static_cast<rlim64_t>(20 - wanted) > limit.rlim_cur
                   ? -EACCES
                   : 0;
      }
      case SYS_sched_setscheduler:
      case SYS_sched_setparam: {  // __sched_setscheduler() in kernel/sched/syscalls.c
        const int policy = call_.row->number() == SYS_sched_setparam ? sched_getscheduler(target_)
                                                                     : static_cast<int>(args[1]) & ~SCHED_RESET_ON_FORK;
        const uint64_t at = args[call_.row->number() == SYS_sched_setparam ? 1 : 2];
        if (at == 0) return -EINVAL;
        const int priority = reinterpret_cast<const sched_param*>(at)->sched_priority;
        const int most = sched_get_priority_max(policy);
        if (most < 0 || priority < sched_get_priority_min(policy) || priority > most) return -EINVAL;
        return most > 0 && limit_of(RLIMIT_RTPRIO) == 0 && static_cast<rlim64_t>(priority) > limit.rlim_cur ? -EPERM
                                                                                                            : 0;
      }
      case SYS_sched_setaffinity: {
        const auto* const mask = reinterpret_cast<const uint8_t*>(args[2]);
        return std::all_of(mask, mask + args[1], [](uint8_t byte) { return byte == 0; }) ? -EINVAL : 0;
      }
      case SYS_prlimit64: {          // do_prlimit() in kernel/sys.c
        if (args[2] == 0) return 0;  // which changes nothing
        const auto& wanted = *reinterpret_cast<const rlimit64*>(args[2]);
        if (const int error = limit_of(static_cast<int>(args[1])); error != 0) return -error;
        if (wanted.rlim_cur > wanted.rlim_max) return -EINVAL;
        if (wanted.rlim_max > limit.rlim_max) return -EPERM;
        if (args[3] != 0) *reinterpret_cast<rlimit64*>(args[3]) = limit;
        return 0;
      }
      default:
        return 0;
    }
  }

  // 0 or a negative errno.
  int may_change() const {
    uid_t uid;
    gid_t gid;
    if (!real_ids_of(target_, uid, gid)) return -EPERM;
    const AsPeer caller(call_);
    if (caller.error != 0) return caller.error == ESRCH ? -ESRCH : -EPERM;
    return uid == static_cast<uid_t>(syscall(SYS_geteuid)) ? 0 : -EPERM;
  }

  Sandbox& sandbox_;
  const Held& call_;
  pid_t target_;
};

Finish on_other(Sandbox& sandbox, const Held& call, pid_t target) {
  const OnOther other(sandbox, call, target);
  uint64_t mask[kMaxMask / sizeof(uint64_t)] = {};
  switch (call.row->number()) {
    case SYS_getpgid:
    case SYS_getsid:
    case SYS_sched_getscheduler:
    case SYS_getpriority:
    case SYS_ioprio_get:
      return other.plain();
    case SYS_sched_getparam: {
      sched_param parameter;
      return other.writing(1, sizeof parameter, &parameter);
    }
    case SYS_sched_rr_get_interval: {
      timespec interval;
      return other.writing(1, sizeof interval, &interval);
    }
    case SYS_sched_getaffinity: {
      uint64_t args[6] = {call.args[0],
                          std::min<uint64_t>(static_cast<uint32_t>(call.args[1]), sizeof mask),
                          reinterpret_cast<uint64_t>(mask),
                          0,
                          0,
                          0};
      const int64_t result = other.make(args);
      if (result < 0) return Finish::answer(result);
      const int error = call.write(call.args[2], mask, static_cast<size_t>(result));
      return error != 0 ? memory_failed(error) : Finish::answer(result);
    }
    case SYS_sched_getattr:
      return other.get_attributes();
    case SYS_setpriority:
    case SYS_ioprio_set:
      return other.plain();
    case SYS_sched_setparam: {
      sched_param parameter;
      return other.reading(1, sizeof parameter, &parameter);
    }
    case SYS_sched_setscheduler: {
      sched_param parameter;
      return other.reading(2, sizeof parameter, &parameter);
    }
    case SYS_sched_setaffinity: {
      const uint64_t size = std::min<uint64_t>(static_cast<uint32_t>(call.args[1]), sizeof mask);
      const int error = call.read(call.args[2], mask, size);
      if (error != 0) return memory_failed(error);
      const uint64_t args[6] = {call.args[0], size, reinterpret_cast<uint64_t>(mask), 0, 0, 0};
      return Finish::answer(other.make(args));
    }
    case SYS_sched_setattr:
      return other.set_attributes();
    case SYS_prlimit64:
      return other.limits();
    case SYS_get_robust_list:
      if (target == kNobody) return Finish::error(ESRCH);
      [[fallthrough]];
    default:
      return refuse_other(sandbox, call, "not on another process");
  }
}

// Of a group or a user: as far as they are in the tree. What is outside is not there.
Finish on_many(Sandbox& sandbox, const Held& call, bool group, bool io, bool changes) {
  pid_t who = static_cast<pid_t>(call.arg(Arg::pid));
  if (who == 0 && group) {
    who = stat_of(call.tgid()).group;
  } else if (who == 0) {
    uid_t uid;
    gid_t gid;
    if (!real_ids_of(call.tid, uid, gid)) return Finish::gone();
    who = static_cast<pid_t>(uid);
  }
  if (!call.still_held()) return Finish::gone();
  const auto is_meant = [&](pid_t process) {
    uid_t uid;
    gid_t gid;
    return group ? is_in_group(process, who) : real_ids_of(process, uid, gid) && uid == static_cast<uid_t>(who);
  };
  bool found = false;
  int64_t best = 0;
  int error = ESRCH;
  const int unworn = sandbox.tree.while_stable([&] {
    // Looked up before the caller's ids are worn: /proc may hide others from them (hidepid).
    std::vector<pid_t> meant;
    for (const pid_t thread : sandbox.tree.threads()) {
      // A group is one of processes, ids belong to threads.
      if (is_meant(group ? sandbox.tree.group_of(thread) : thread)) meant.push_back(thread);
    }
    const AsPeer caller(call);
    if (caller.error != 0) return caller.error;
    for (const pid_t thread : meant) {
      const long which = io ? kIoprioProcess : PRIO_PROCESS;
      const long result = syscall(call.row->number(), which, thread, call.args[2]);
      if (result < 0) {
        if (errno != ESRCH) error = errno;
        continue;
      }
      // The raw call answers 20 - nice, so that the best one is the highest; of classes of input and output it is the
      // lowest (kernel/sys.c, block/ioprio.c).
      best = !found ? result : io ? std::min<int64_t>(best, result) : std::max<int64_t>(best, result);
      if (error == ESRCH) error = 0;
      found = true;
    }
    return 0;
  });
  if (unworn != 0) return unworn == ESRCH ? Finish::gone() : Finish::error(EPERM);
  if (changes && found) return Finish::answer(-error);
  if (found) return Finish::answer(best);
  if (error != ESRCH) return Finish::error(error);
  if (group) {
    if (who < 0) return Finish::error(ESRCH);  // no group has such a number
    // Of a group nobody but its leader may be left, who has ended.
    if (waits_for_its_parent(sandbox.tree, who) && stat_of(who).group == who) {
      const uint64_t args[6] = {static_cast<uint64_t>(io ? kIoprioProcess : PRIO_PROCESS), 0, call.args[2], 0, 0, 0};
      return Finish::answer(OnOther(sandbox, call, who).make_for(args));
    }
    if (kill(-who, 0) != 0 && errno == ESRCH) return Finish::error(ESRCH);
  } else if (syscall(SYS_getpriority, PRIO_USER, who) < 0 && errno == ESRCH) {
    return Finish::error(ESRCH);
  }
  return refuse_other(sandbox, call, "nothing of that group or user is in the tree");
}

// The process whose time a CPU clock is: ~pid << 3 and the kind (linux/posix-timers_types.h). Others are let by.
pid_t process_of_clock(const Held& call) { return ~(static_cast<int32_t>(call.args[0]) >> 3); }

}  // namespace

Finish read_clock(Sandbox& sandbox, Held& call) {
  const pid_t target = process_of_clock(call);
  if (target == call.tgid()) return Finish::proceed();
  if (process_of_tree(sandbox.tree, target) != target) {
    if (stat_of(target).state == 0 || sandbox.tree.contains(target)) return Finish::error(EINVAL);
    report(sandbox, call, EINVAL, "the time of a process that is not in the tree");
    return Finish::error(EINVAL);
  }
  timespec time = {};
  const OnOther other(sandbox, call, target);
  const uint64_t args[6] = {call.args[0], call.args[1] == 0 ? 0 : reinterpret_cast<uint64_t>(&time), 0, 0, 0, 0};
  int64_t result = other.make(args);
  if (result == -ESRCH) result = -EINVAL;
  if (result < 0 || call.args[1] == 0) return Finish::answer(result);
  const int error = call.write(call.args[1], &time, sizeof time);
  return error != 0 ? memory_failed(error) : Finish::answer(result);
}

// A timer would outlive the check of the number.
Finish use_clock(Sandbox& sandbox, Held& call) {
  const pid_t target = process_of_clock(call);
  if (target == call.tgid()) return Finish::proceed();
  if (stat_of(target).state == 0) return Finish::error(EINVAL);
  report(sandbox, call, EINVAL, call.row->reason);
  return Finish::error(EINVAL);
}

namespace {

bool is_group_of_tree(const Sandbox& sandbox, pid_t group) {
  const Tree& tree = sandbox.tree;
  const bool has_leader = tree.contains(group) || waits_for_its_parent(tree, group);
  if ((has_leader && stat_of(group).group == group) || group == sandbox.group) return true;
  const std::vector<pid_t> processes = tree.groups();
  return std::any_of(processes.begin(), processes.end(), [&](pid_t process) { return is_in_group(process, group); });
}

// The kernel takes only the caller itself and its children, which are in the tree, and groups of its session:
// setpgid(2). To groups the kernel sends signals of its own accord (SIGHUP and SIGCONT to one that is orphaned, SIGTTOU
// to one in the terminal's background), so nobody of the tree may be in one of others.
Finish set_group(Sandbox& sandbox, const Held& call) {
  const pid_t named = static_cast<pid_t>(call.args[0]), group = static_cast<pid_t>(call.args[1]);
  const pid_t process = named == 0 ? call.tgid() : named;
  // Of a negative number the kernel says what is wrong; with a process's own number a group begins.
  if (group <= 0 || group == process || is_group_of_tree(sandbox, group)) return Finish::proceed();
  if (kill(-group, 0) != 0 && errno == ESRCH) return Finish::error(EPERM);
  return refuse_other(sandbox, call, "nobody of that process group is in the tree");
}

}  // namespace

Finish own_process(Sandbox& sandbox, Held& call) {
  const int number = call.row->number();
  if (number == SYS_setpgid) return set_group(sandbox, call);

  if (call.has(Arg::command)) {
    const int which = static_cast<int>(call.arg(Arg::command));
    const bool io = number == SYS_ioprio_get || number == SYS_ioprio_set;
    const bool changes = number == SYS_setpriority || number == SYS_ioprio_set;
    if (which == (io ? kIoprioGroup : PRIO_PGRP)) return on_many(sandbox, call, true, io, changes);
    if (which == (io ? kIoprioUser : PRIO_USER)) return on_many(sandbox, call, false, io, changes);
    if (which != (io ? kIoprioProcess : PRIO_PROCESS)) return Finish::proceed();  // nobody: the kernel says so
  }

  const pid_t target = static_cast<pid_t>(call.arg(call.has(Arg::pid) ? Arg::pid : Arg::tid));
  // A negative number is no process's, and the kernel knows which error that is.
  if (target <= 0 || target == call.tid || target == call.tgid()) return Finish::proceed();
  if (sandbox.tree.contains(target) || waits_for_its_parent(sandbox.tree, target))
    return on_other(sandbox, call, target);
  if (stat_of(target).state == 0) return on_other(sandbox, call, kNobody);
  return refuse_other(sandbox, call, "the process is not in the tree");
}

}  // namespace holdfast::families
