// Signals stay within the tree. A caller's signal to itself goes on as it is: its number is its own while it runs. Any
// other is sent by the supervisor while nothing of the tree is reaped, so that the number that was checked is the
// process that is meant; its receiver finds the supervisor's pid in si_pid (the kernel lets nobody choose that for
// kill).
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "../call/as_itself.h"
#include "../call/proc_stat.h"
#include "../call/tree.h"
#include "../policy/config.h"
#include "../view/creds.h"
#include "../view/domains.h"
#include "../view/proc_view.h"
#include "../view/resolve.h"
#include "caller.h"
#include "handlers.h"

namespace holdfast::families {
namespace {

constexpr unsigned kThreadFlag = 1;  // PIDFD_SIGNAL_THREAD, linux/pidfd.h, since Linux 6.9
constexpr unsigned kGroupFlag = 2;   // PIDFD_SIGNAL_THREAD_GROUP
constexpr unsigned kGroupsFlag = 4;  // PIDFD_SIGNAL_PROCESS_GROUP: to the group that the process leads
// Descriptors that need none, since Linux 6.15: PIDFD_SELF_THREAD, PIDFD_SELF_THREAD_GROUP, linux/fcntl.h.
constexpr int kSelfThread = -10000, kSelfGroup = -10001;

// What a held call wants to send, and to whom.
struct Signal {
  int number = 0;
  bool with_info = false;  // rt_*sigqueueinfo, pidfd_send_signal with one
  siginfo_t info = {};
};

// 0 or a negative errno.
int read_info(const Held& call, uint64_t from, Signal& signal) {
  signal.with_info = true;
  return call.read(from, &signal.info, sizeof signal.info);
}

// What nobody may say of a signal that goes to somebody else: that the kernel sent it, or kill() or tgkill().
bool pretends(const Signal& signal) {
  return signal.with_info && (signal.info.si_code >= 0 || signal.info.si_code == SI_TKILL);
}

// To a process (`thread` 0) or one of its threads. 0 or a positive errno.
int send_now(const Signal& signal, pid_t process, pid_t thread) {
  siginfo_t info = signal.info;
  long result;
  if (signal.with_info && thread != 0)
    result = syscall(SYS_rt_tgsigqueueinfo, process, thread, signal.number, &info);
  else if (signal.with_info)
    result = syscall(SYS_rt_sigqueueinfo, process, signal.number, &info);
  else if (thread != 0)
    result = syscall(SYS_tgkill, process, thread, signal.number);
  else
    result = kill(process, signal.number);
  return result == 0 ? 0 : errno;
}

// To who has ended and is not waited for: it does nothing, and the kernel asks for the right to do it all the same.
// False: there is no such process.
bool send_to_ended(Sandbox& sandbox, const Held& call, pid_t process, int signal, Finish& finish) {
  const UniqueFd ended = pin_ended(sandbox.tree, process);
  if (!ended) return false;
  const AsPeer sender(call);
  if (sender.error != 0)
    finish = sender.error == ESRCH ? Finish::gone() : Finish::error(EPERM);
  else
    finish = Finish::answer(syscall(SYS_pidfd_send_signal, ended.get(), signal, nullptr, 0) == 0 ? 0 : -errno);
  return true;
}

// Who is outside the tree is not the tree's to signal; who does not exist, nobody's. `target` is a process or,
// negative, a process group, of which nobody but its leader may be left.
Finish outside(Sandbox& sandbox, const Held& call, pid_t target, int signal) {
  Finish finish;
  const pid_t process = target < 0 ? -target : target;
  if ((target >= 0 || stat_of(process).group == process) && send_to_ended(sandbox, call, process, signal, finish))
    return finish;
  if (target == 0 || (kill(target, 0) != 0 && errno == ESRCH)) return Finish::error(ESRCH);
  report(sandbox, call, EPERM, "the signal would leave the tree");
  return Finish::error(EPERM);
}

// In place of a group's number (is_in_group() has what 0 is).
constexpr pid_t kNoGroup = -2, kEverybody = -1;

Finish send_to_members(Sandbox& sandbox, const Held& call, const Signal& signal, pid_t group);

// Another signal, or to another process of the tree, as a hook has said. `target` is the process that the call has
// named, or else `group` is whom.
Finish send_redirected(Sandbox& sandbox, const Held& call, const std::string& data, pid_t target, pid_t group,
                       int number) {
  protocol::RedirectSignal to;
  memcpy(&to, data.data(), sizeof to);
  Signal signal;
  signal.number = to.signal < 0 ? number : to.signal;
  if (to.pid == 0 && group != kNoGroup) return send_to_members(sandbox, call, signal, group);
  const pid_t process = to.pid == 0 ? target : to.pid;
  if (sandbox.tree.group_of(process) == 0) {
    report(sandbox, call, EPERM, "a hook redirected the signal out of the tree");
    return Finish::error(EPERM);
  }
  const pid_t meant = sandbox.tree.group_of(process);
  if (meant != call.tgid() && !domain_lets_signal(call.tid, meant)) return Finish::error(EPERM);
  const AsPeer sender(call);
  if (sender.error != 0) return sender.error == ESRCH ? Finish::gone() : Finish::error(EPERM);
  const int error = sandbox.tree.while_stable([&] {
    const pid_t found = sandbox.tree.group_of(process);
    return found == 0 ? ESRCH : send_now(signal, found, 0);
  });
  return Finish::answer(-error);
}

// Asks the hooks: of a process, or of a group (0 or the negation of its number) or everybody (-1). True: go on.
bool hooks_agree(Sandbox& sandbox, const Held& call, pid_t process, pid_t group, int signal, Finish& finish) {
  // A group whose number is 1 has none that would not say everybody.
  const pid_t target = group == kNoGroup ? process : group == kEverybody ? -1 : group == 1 ? 0 : -group;
  if (!sandbox.config.hooked(Event::signal) && !sandbox.config.records) return true;
  Facts facts;
  facts.event = Event::signal;
  facts.target_pid = target;
  facts.signal = signal;
  const Decision decision = decide(sandbox, call, facts);
  if (decision.allowed()) return true;
  finish = decision.kind == Decision::Kind::redirect
               ? send_redirected(sandbox, call, decision.data, target, group, signal)
               : refusal(decision);
  return false;
}

// `target` is any thread's number; `process` what tgkill names as its process, or 0.
Finish send_to_one(Sandbox& sandbox, Held& call, const Signal& signal, pid_t target, pid_t process, bool to_thread) {
  const pid_t own = call.tgid();
  const pid_t found = sandbox.tree.group_of(target);
  if (found == 0) {
    // Of who has ended only the process itself is left.
    if (process != 0 && process != target && waits_for_its_parent(sandbox.tree, target)) return Finish::error(ESRCH);
    return outside(sandbox, call, target, signal.number);
  }
  if (process != 0 && process != found) return Finish::error(ESRCH);
  Finish refused;
  if (!hooks_agree(sandbox, call, found, kNoGroup, signal.number, refused)) return refused;
  if (target == call.tid || target == own || process == own) return Finish::proceed();
  if (!domain_lets_signal(call.tid, to_thread ? target : found)) return Finish::error(EPERM);
  int error;
  {
    const AsPeer sender(call);
    if (sender.error != 0) return sender.error == ESRCH ? Finish::gone() : Finish::error(EPERM);
    error = sandbox.tree.while_stable([&] {
      const pid_t group = sandbox.tree.group_of(target);
      if (group == 0 || group != found) return ESRCH;
      return send_now(signal, group, to_thread ? target : 0);
    });
  }
  // It may have ended since the first look.
  if (Finish finish; error == ESRCH && send_to_ended(sandbox, call, target, signal.number, finish)) return finish;
  return Finish::answer(-error);
}

// To a process group, or to everybody, as far as they are in the tree.
Finish send_to_group(Sandbox& sandbox, Held& call, const Signal& signal, pid_t group) {
  Finish refused;
  if (!hooks_agree(sandbox, call, 0, group, signal.number, refused)) return refused;
  return send_to_members(sandbox, call, signal, group);
}

Finish send_to_members(Sandbox& sandbox, const Held& call, const Signal& signal, pid_t group) {
  const pid_t own = call.tgid();
  bool sent = false;
  int error = ESRCH;
  std::vector<pid_t> members;
  bool is_empty = true;
  const int unworn = sandbox.tree.while_stable([&] {
    // Who is in the group is looked up before the caller's ids are worn: /proc may hide others from them (hidepid).
    for (const pid_t process : sandbox.tree.groups()) {
      // kill(2): -1 does not reach the caller itself; a group that it belongs to does.
      if (!(group == kEverybody ? process != own : is_in_group(process, group))) continue;
      is_empty = false;
      if (domain_lets_signal(call.tid, process))
        members.push_back(process);
      else
        error = EPERM;
    }
    const AsPeer sender(call);
    if (sender.error != 0) return sender.error;
    for (const pid_t process : members) {
      const int failed = send_now(signal, process, 0);
      if (failed == 0)
        sent = true;
      else
        error = failed;
    }
    return 0;
  });
  if (unworn != 0) return unworn == ESRCH ? Finish::gone() : Finish::error(EPERM);
  if (sent) return Finish::answer(0);
  // Of all, those who may not be signalled do not count as a failure (kill_something_info() in kernel/signal.c).
  if (group == kEverybody) return error == EPERM ? Finish::answer(0) : Finish::error(error);
  return is_empty ? outside(sandbox, call, -group, signal.number) : Finish::error(error);
}

// The process of a directory in /proc, which does for a pidfd here (pidfd_send_signal(2)); -1 if it is none. By our
// copy of the descriptor, or without one by what the caller's own says of itself.
pid_t pid_of_proc_directory(const Sandbox& sandbox, const Held& call, const UniqueFd& copy, int fd) {
  std::string name;
  if (copy) {
    struct stat status;
    if (fstat(copy.get(), &status) != 0 || !S_ISDIR(status.st_mode) || !is_procfs(copy.get()) ||
        canonical_name(copy.get(), name) != 0)
      return -1;
  } else {
    char text[PATH_MAX];
    const CallerEntry entry(call, fd);
    const ssize_t size =
        look_by_ids(call.tid, [&] { return readlinkat(proc_directory(), entry.text, text, sizeof text); });
    if (size <= 0) return -1;
    name.assign(text, static_cast<size_t>(size));
  }
  return process_of_directory(sandbox.config, name);
}

// Whether the kernel knows PIDFD_SIGNAL_PROCESS_GROUP: flags are looked at first.
bool has_groups() {
  static const bool known = syscall(SYS_pidfd_send_signal, -1, 0, nullptr, kGroupsFlag) != 0 && errno != EINVAL;
  return known;
}

Finish send_by_pidfd(Sandbox& sandbox, Held& call, Signal& signal) {
  const unsigned flags = static_cast<unsigned>(call.arg(Arg::flags));
  // One of them at most, and only those that the kernel knows (kernel/signal.c).
  if ((flags & ~(kThreadFlag | kGroupFlag | (has_groups() ? kGroupsFlag : 0))) != 0 || (flags & (flags - 1)) != 0)
    return Finish::error(EINVAL);
  const int fd = call.fd(Arg::pidfd);
  if (fd == kSelfThread || fd == kSelfGroup) {
    if ((flags & kGroupsFlag) != 0)
      return send_to_group(sandbox, call, signal, fd == kSelfThread ? call.tid : call.tgid());
    Finish refused;
    return hooks_agree(sandbox, call, call.tgid(), kNoGroup, signal.number, refused) ? Finish::proceed()
                                                                                     : static_cast<Finish&&>(refused);
  }
  UniqueFd copy;
  const int copied = copy_descriptor(call, fd, copy);
  if (copied != 0 && copied != EPERM) return Finish::error(copied);
  pid_t target = copied == 0 ? pid_of_pidfd(copy.get()) : pid_of_pidfd(call.tid, fd);
  if (target < 0) target = pid_of_proc_directory(sandbox, call, copy, fd);
  if (!call.still_held()) return Finish::gone();
  if (target < 0) return Finish::error(EBADF);
  if (const uint64_t info_at = call.arg(Arg::info); info_at != 0) {
    if (const int error = read_info(call, info_at, signal); error != 0) return memory_failed(error);
    if (signal.info.si_signo != signal.number) return Finish::error(EINVAL);
    // To itself neither, as it is the supervisor that sends it: who wants to has rt_sigqueueinfo().
    if (pretends(signal)) return Finish::error(EPERM);
  }
  if ((flags & kGroupsFlag) != 0)
    return target == 0 ? Finish::error(ESRCH) : send_to_group(sandbox, call, signal, target);
  const pid_t found = sandbox.tree.group_of(target);
  if (found == 0) return outside(sandbox, call, target, signal.number);
  Finish refused;
  if (!hooks_agree(sandbox, call, found, kNoGroup, signal.number, refused)) return refused;
  if (found != call.tgid() && !domain_lets_signal(call.tid, (flags & kGroupFlag) != 0 ? found : target))
    return Finish::error(EPERM);
  const AsPeer sender(call);
  if (sender.error != 0) return sender.error == ESRCH ? Finish::gone() : Finish::error(EPERM);
  const int error = sandbox.tree.while_stable([&] {
    // A copy means the same process for ever; without one, the number does while nothing is reaped.
    if (!copy) {
      if (sandbox.tree.group_of(target) != found) return ESRCH;
      return send_now(signal, found, (flags & kThreadFlag) != 0 ? target : 0);
    }
    siginfo_t info = signal.info;
    return syscall(SYS_pidfd_send_signal, copy.get(), signal.number, signal.with_info ? &info : nullptr, flags) == 0
               ? 0
               : errno;
  });
  return Finish::answer(-error);
}

}  // namespace

Finish send_signal(Sandbox& sandbox, Held& call) {
  Signal signal;
  signal.number = static_cast<int>(call.arg(Arg::signal));
  if (call.has(Arg::pidfd)) return send_by_pidfd(sandbox, call, signal);
  if (call.has(Arg::info)) {
    if (const int error = read_info(call, call.arg(Arg::info), signal); error != 0) return memory_failed(error);
    signal.info.si_signo = signal.number;
  }

  const pid_t pid = static_cast<pid_t>(call.arg(Arg::pid));
  if (call.has(Arg::tid)) {
    const pid_t tid = static_cast<pid_t>(call.arg(Arg::tid));
    if (tid <= 0 || (call.has(Arg::pid) && pid <= 0)) return Finish::error(EINVAL);
    if (pretends(signal) && tid != call.tid) return Finish::error(EPERM);
    return send_to_one(sandbox, call, signal, tid, call.has(Arg::pid) ? pid : 0, true);
  }
  if (pretends(signal) && pid != call.tid) return Finish::error(EPERM);
  if (pid > 0) return send_to_one(sandbox, call, signal, pid, 0, false);
  if (signal.with_info) return Finish::error(ESRCH);  // rt_sigqueueinfo knows no groups
  if (pid == -1) return send_to_group(sandbox, call, signal, kEverybody);
  // The negation of the least number is none, and no group has the one above it: ESRCH as well.
  const Stat own = pid == 0 ? stat_of(call.tgid()) : Stat();
  if (!call.still_held()) return Finish::gone();
  if (pid == 0 && own.state == 0) return Finish::error(ESRCH);
  const pid_t group = pid == 0 ? own.group : -std::max(pid, -INT32_MAX);
  return send_to_group(sandbox, call, signal, group);
}

Finish open_pidfd(Sandbox& sandbox, Held& call) {
  const pid_t pid = static_cast<pid_t>(call.arg(Arg::pid));
  const unsigned flags = static_cast<unsigned>(call.arg(Arg::flags));
  // Opened first, looked at then: what the descriptor names cannot become another process.
  UniqueFd opened;
  bool ours = false;
  const int error = sandbox.tree.while_stable([&] {
    opened.reset(static_cast<int>(syscall(SYS_pidfd_open, pid, flags)));
    if (!opened) return errno;
    ours = sandbox.tree.contains(pid);
    return 0;
  });
  if (error != 0) return Finish::error(error);
  // A child that has ended: asked last whether it is not reaped, so that what was read was its own.
  if (!ours && waits_for_its_parent(sandbox.tree, pid) && pid_of_pidfd(opened.get()) == pid) ours = true;
  if (ours) return Finish::hand_over(static_cast<UniqueFd&&>(opened), true);
  report(sandbox, call, EPERM, "the process is not in the tree");
  return Finish::error(EPERM);
}

}  // namespace holdfast::families
