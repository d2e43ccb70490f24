// Calls that look at or change other processes by number, and what a process may change about itself.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "../call/tree.h"
#include "../view/creds.h"
#include "caller.h"
#include "handlers.h"

namespace holdfast::families {
namespace {

// ioprio_get(2), linux/ioprio.h: 1 is a process, 2 a group, 3 a user; getpriority counts from 0.
constexpr int kIoprioProcess = 1, kIoprioGroup = 2;
constexpr size_t kMaxMask = 1024;          // bytes of a processor set: 8192 of them, the kernel's largest configuration
constexpr size_t kMaxAttributes = 4096;    // sched_setattr(2): at most a page
constexpr uint32_t kFirstAttributes = 48;  // SCHED_ATTR_SIZE_VER0

Finish failed_read(int error) { return error == -ESRCH ? Finish::gone() : Finish::answer(error); }

Finish refuse_other(Sandbox& sandbox, const Held& call, const char* reason) {
  report(sandbox, call, EPERM, reason);
  return Finish::error(EPERM);
}

// A call on another process of the tree, made by the supervisor on copies of its arguments.
class OnOther {
 public:
  OnOther(Sandbox& sandbox, const Held& call, pid_t target) : sandbox_(sandbox), call_(call), target_(target) {}

  // Makes the call while the number cannot become another process's. `args` has the target's place filled already.
  int64_t make(const uint64_t (&args)[6]) const {
    return sandbox_.tree.while_stable([&]() -> int64_t {
      if (!sandbox_.tree.contains(target_)) return -ESRCH;
      const long result = syscall(call_.row->number(), args[0], args[1], args[2], args[3], args[4], args[5]);
      return result >= 0 ? result : -errno;
    });
  }

  Finish plain() const { return Finish::answer(make(call_.args)); }

  // Register `index` points to `size` bytes that the call reads.
  Finish reading(int index, size_t size, void* copy) const {
    const int error = call_.read(call_.args[index], copy, size);
    if (error != 0) return failed_read(error);
    uint64_t args[6];
    std::copy(std::begin(call_.args), std::end(call_.args), args);
    args[index] = reinterpret_cast<uint64_t>(copy);
    return Finish::answer(make(args));
  }

  // Register `index` points to where the call writes; `size` bytes of its result, or as many as it answers (0).
  Finish writing(int index, size_t size, void* copy) const {
    uint64_t args[6];
    std::copy(std::begin(call_.args), std::end(call_.args), args);
    args[index] = reinterpret_cast<uint64_t>(copy);
    const int64_t result = make(args);
    if (result < 0) return Finish::answer(result);
    const int error = call_.write(call_.args[index], copy, size != 0 ? size : static_cast<size_t>(result));
    return error != 0 ? failed_read(error) : Finish::answer(result);
  }

  Finish limits() const {
    rlimit64 wanted, had;
    uint64_t args[6] = {call_.args[0], call_.args[1], 0, reinterpret_cast<uint64_t>(&had), 0, 0};
    if (call_.args[2] != 0) {
      const int error = call_.read(call_.args[2], &wanted, sizeof wanted);
      if (error != 0) return failed_read(error);
      args[2] = reinterpret_cast<uint64_t>(&wanted);
    }
    const int64_t result = make(args);
    if (result < 0 || call_.args[3] == 0) return Finish::answer(result);
    const int error = call_.write(call_.args[3], &had, sizeof had);
    return error != 0 ? failed_read(error) : Finish::answer(result);
  }

  Finish set_attributes() const {
    alignas(8) uint8_t copy[kMaxAttributes] = {};
    uint32_t size;
    int error = call_.read(call_.args[1], &size, sizeof size);
    if (error != 0) return failed_read(error);
    if (size == 0) size = kFirstAttributes;
    if (size < kFirstAttributes || size > sizeof copy) return Finish::error(E2BIG);
    error = call_.read(call_.args[1], copy, size);
    if (error != 0) return failed_read(error);
    memcpy(copy, &size, sizeof size);  // the second read may have brought another one
    const uint64_t args[6] = {call_.args[0], reinterpret_cast<uint64_t>(copy), call_.args[2], 0, 0, 0};
    return Finish::answer(make(args));
  }

  Finish get_attributes() const {
    alignas(8) uint8_t copy[kMaxAttributes] = {};
    const uint32_t room = static_cast<uint32_t>(call_.args[2]);
    if (room < kFirstAttributes || room > sizeof copy) return Finish::error(EINVAL);
    const uint64_t args[6] = {call_.args[0], reinterpret_cast<uint64_t>(copy), room, call_.args[3], 0, 0};
    const int64_t result = make(args);
    if (result < 0) return Finish::answer(result);
    uint32_t size;
    memcpy(&size, copy, sizeof size);
    const int error = call_.write(call_.args[1], copy, std::min(size, room));
    return error != 0 ? failed_read(error) : Finish::answer(result);
  }

 private:
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
      return error != 0 ? failed_read(error) : Finish::answer(result);
    }
    case SYS_sched_getattr:
      return other.get_attributes();
    default:
      break;
  }

  // What follows changes the other process: with the caller's ids and capabilities, so that the kernel asks for its
  // rights.
  const AsPeer caller(call);
  if (caller.error != 0) return caller.error == ESRCH ? Finish::gone() : Finish::error(EPERM);
  switch (call.row->number()) {
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
      if (error != 0) return failed_read(error);
      const uint64_t args[6] = {call.args[0], size, reinterpret_cast<uint64_t>(mask), 0, 0, 0};
      return Finish::answer(other.make(args));
    }
    case SYS_sched_setattr:
      return other.set_attributes();
    case SYS_prlimit64:
      return other.limits();
    default:
      return refuse_other(sandbox, call, "not on another process");
  }
}

}  // namespace

Finish own_process(Sandbox& sandbox, Held& call) {
  const int number = call.row->number();
  // The kernel takes only the caller itself and its children, which are in the tree, and groups of its own session:
  // setpgid(2). All in registers.
  if (number == SYS_setpgid) return Finish::proceed();

  if (call.has(Arg::command)) {
    const int which = static_cast<int>(call.arg(Arg::command));
    const bool io = number == SYS_ioprio_get || number == SYS_ioprio_set;
    const bool changes = number == SYS_setpriority || number == SYS_ioprio_set;
    if (which != (io ? kIoprioProcess : PRIO_PROCESS)) {
      // Whole groups and users reach beyond the tree. To read what its own group's is tells nothing about who has it.
      const bool own_group = which == (io ? kIoprioGroup : PRIO_PGRP) && static_cast<int>(call.arg(Arg::pid)) == 0;
      if (own_group && !changes) return Finish::proceed();
      return refuse_other(sandbox, call, "a group or user may have processes outside the tree");
    }
  }

  const pid_t target = static_cast<pid_t>(call.arg(Arg::pid));
  if (target == 0 || target == call.tid || target == call.tgid()) return Finish::proceed();
  if (target < 0) return Finish::error(number == SYS_getpgid || number == SYS_getsid ? ESRCH : EINVAL);
  if (sandbox.tree.contains(target)) return on_other(sandbox, call, target);
  const Stat stat = stat_of(target);
  if (stat.state == 0) return Finish::error(ESRCH);
  if (stat.state == 'Z' && sandbox.tree.contains(stat.parent)) {
    if (number == SYS_getpgid) return Finish::answer(stat.group);
    if (number == SYS_getsid) return Finish::answer(stat.session);
    return Finish::error(ESRCH);
  }
  return refuse_other(sandbox, call, "the process is not in the tree");
}

// Only registers, or what the kernel copies once for the caller alone: the change itself needs no check, but from now
// on whoever performs something for the tree must put on the caller's ids.
Finish change_credentials(Sandbox&, Held&) {
  note_credentials_may_differ();
  return Finish::proceed();
}

Finish prctl_option(Sandbox& sandbox, Held& call) {
  const int option = static_cast<int>(call.args[0]);
  if (option == PR_SET_DUMPABLE) {
    // Undumpable, a process would hide its memory and descriptors from the supervisor. To programs it looks done:
    // nobody else can look into it either, ptrace and foreign /proc are refused in the tree.
    if (call.args[1] == 0) return Finish::answer(0);
    return call.args[1] == 1 ? Finish::proceed() : Finish::error(EINVAL);
  }
  report(sandbox, call, EINVAL, "a prctl option that is not allowed");
  return Finish::error(EINVAL);
}

// F_SETOWN: who gets SIGIO, or what F_SETSIG chose instead. Only the caller itself, or a group that a process of the
// tree has made and leads: one that came from outside has members there.
Finish set_owner(Sandbox& sandbox, Held& call) {
  if (static_cast<int>(call.arg(Arg::command)) == F_SETFL) {
    // Of a terminal it also makes the foreground group the owner, and of other devices the caller, which would be us.
    UniqueFd copy;
    const int error = copy_descriptor(call, call.fd(Arg::fd), copy);
    if (can_borrow(call, error)) return borrow(call.fd(Arg::fd));
    if (error != 0) return Finish::error(error);
    struct stat status;
    if (fstat(copy.get(), &status) != 0 || S_ISCHR(status.st_mode)) {
      report(sandbox, call, EPERM, "signals of a device to whoever is in its foreground");
      return Finish::error(EPERM);
    }
    return Finish::answer(fcntl(copy.get(), F_SETFL, static_cast<int>(call.args[2])) == 0 ? 0 : -errno);
  }
  if (static_cast<int>(call.arg(Arg::command)) == F_SETOWN) {
    const int owner = static_cast<int>(call.arg(Arg::pid));
    if (owner == 0 || owner == call.tgid()) return Finish::proceed();
    if (owner < 0 && owner != INT32_MIN && -owner == call.tgid()) return Finish::proceed();
  }
  report(sandbox, call, EPERM, "signals of a descriptor to another process");
  return Finish::error(EPERM);
}

}  // namespace holdfast::families
