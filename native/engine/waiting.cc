// The tracer's part about signals that arrive in a call that waits.
#include <errno.h>
#include <sys/ptrace.h>

#include "../arch/arch.h"
#include "../call/interrupted.h"
#include "../call/monotonic.h"
#include "../call/signal_sets.h"
#include "../syscalls/guards.h"
#include "request.h"
#include "tracer.h"
#include "waits.h"

namespace holdfast {
namespace {

constexpr int64_t kMillisecond = 1'000'000;

// Whether the filter holds this call by a notification.
bool is_notified(int64_t number, const uint64_t (&args)[6]) {
  const Row* row = find_row(static_cast<int>(number));
  if (row == nullptr) return true;
  if (row->way == Way::let_by || row->way == Way::absent || is_stopped(*row, args)) return false;
  return !lets_by(*row, args);
}

// Whether a handler will be called.
bool is_handled(pid_t tid, int signal) {
  SignalSets signals;
  return !read_signal_sets(tid, signals) || (signals.caught & signal_bit(signal)) != 0;
}

// Whether the kernel would have dropped the signal, had the thread not been traced. One that is blocked but for the
// length of this call (epoll_pwait(2)) can have come before it, and then it cuts it short there, too.
bool means_nothing(pid_t tid, int signal) {
  SignalSets signals;
  uint64_t blocked = 0;
  return read_signal_sets(tid, signals) && (signals.ignored & signal_bit(signal)) != 0 &&
         request(PTRACE_GETSIGMASK, tid, as_pointer(sizeof blocked), &blocked) == 0 &&
         (blocked & signal_bit(signal)) == 0;
}

}  // namespace

// At a signal-delivery stop.
void Tracer::on_signal(Tracee& tracee, int signal) {
  arch::Registers registers;
  if (arch::get(tracee.tid, registers) != 0) return;
  const int64_t result = arch::result(registers);
  const bool again = arch::is_to_call_again(tracee.tid, registers);
  const int64_t number = again || result == -EINTR ? arch::call_beside(tracee.tid, registers) : -1;
  uint64_t args[6];
  for (int i = 0; i < 6; i++) args[i] = arch::argument(registers, i);
  if (arch::kForgetsCalls && !tracee.has_handled) tracee.has_handled = is_handled(tracee.tid, signal);
  if (tracee.wait.begins) {
    if (!means_nothing(tracee.tid, signal)) cut_short(tracee);
  } else if (number >= 0 && again && is_notified(number, args) && !was_interrupted(tracee.tid, number, args) &&
             !(arch::kForgetsCalls && waits_by_itself(number))) {
    // A call that waited for a worker only is one that nothing interrupts without the supervisor: it is made again
    // after the handler (the kernel's wait for a worker ends with ERESTARTSYS, seccomp(2)).
    arch::call_again_in_any_case(tracee.tid, registers);
  } else if (number >= 0 && result == -EINTR && !tracee.was_stopped && !tracee.has_handled) {
    const WaitCall* const call = find_wait(number);
    if (call != nullptr && means_nothing(tracee.tid, signal)) {
      wait_again(tracee, *call, registers, signal);
      return;
    }
  }
  resume(tracee, signal);
}

// The wait was interrupted by what means nothing, so it is made again. When it began nobody knows, so its limit counts
// from the first time on.
void Tracer::wait_again(Tracee& tracee, const WaitCall& call, arch::Registers& registers, int signal) {
  Wait& wait = tracee.wait;
  const bool first = wait.call != &call;
  if (first) {
    wait = {};
    wait.call = &call;
    wait.since = monotonic_now();
  }
  Held held = held_call(tracee, arch::number(registers));
  for (int i = 1; i < 6; i++) held.args[i] = arch::argument(registers, i);
  if (!arch::first_argument(tracee.tid, registers, held.args[0])) {
    wait = {};
    resume(tracee, signal);
    return;
  }
  if (first || call.is_endless(held.args)) {
    wait_on(tracee, registers);
    resume(tracee, signal);
    return;
  }
  wait.signal = signal;
  submit(tracee, Task::time_limit, [held, &call] {
    int64_t limit;
    return read_time_limit(held, call, limit) ? Finish::answer(limit) : Finish::error(EINTR);
  });
}

void Tracer::on_time_limit(Tracee& tracee, const Finish& limit) {
  Wait& wait = tracee.wait;
  const int signal = wait.signal;
  arch::Registers registers;
  if (arch::get(tracee.tid, registers) != 0) return;
  const int64_t left = limit.value == -1 ? INT64_MAX : limit.value - (monotonic_now() - wait.since);
  if (limit.kind != Finish::Kind::answer || limit.value == -EINTR) {
    wait = {};
  } else if (left <= 0) {
    arch::change_result(tracee.tid, registers, -EINTR, wait.call->at_limit);
    wait = {};
  } else {
    if (wait.call->limit == WaitCall::Limit::milliseconds && limit.value >= 0) {
      wait.replaced = true;
      wait.limit = arch::argument(registers, wait.call->argument);
      const int64_t milliseconds = (left + kMillisecond - 1) / kMillisecond;
      arch::set_argument(registers, wait.call->argument, static_cast<uint64_t>(milliseconds));
    }
    wait_on(tracee, registers);
  }
  resume(tracee, signal);
}

void Tracer::wait_on(Tracee& tracee, arch::Registers& registers) {
  if (arch::change_result(tracee.tid, registers, -EINTR, arch::kRestartInAnyCase))
    tracee.wait.begins = true;
  else
    tracee.wait = {};
}

// Before it was made again came what does cut it short.
void Tracer::cut_short(Tracee& tracee) {
  arch::Registers registers;
  if (!tracee.wait.begins || arch::get(tracee.tid, registers) != 0) return;
  if (tracee.wait.replaced) arch::set_argument(registers, tracee.wait.call->argument, tracee.wait.limit);
  arch::change_result(tracee.tid, registers, arch::kRestartInAnyCase, -EINTR);
  tracee.wait = {};
}

// At the stops of a thread's calls while one of them is a wait that was made again, or after it was stopped.
void Tracer::on_entry(Tracee& tracee) {
  if (tracee.phase == Phase::again) return;  // it has entered already
  tracee.was_stopped = false;
  if (!tracee.wait.begins) tracee.wait = {};  // another thread took the signal, so this one left with EINTR
  tracee.wait.begins = false;
}

// `now`: its registers, which are written if they change.
void Tracer::on_exit(Tracee& tracee, arch::Registers& now) {
  Wait& wait = tracee.wait;
  if (arch::result(now) == -EINTR) ask_for_stop_again(tracee);
  if (wait.call == nullptr) return;
  const int64_t result = wait.call->result_made_again(arch::result(now));
  if (wait.replaced) arch::set_argument(now, wait.call->argument, wait.limit);
  if (wait.replaced || result != arch::result(now)) {
    arch::set_result(now, result);
    arch::set(tracee.tid, now);
  }
  wait.replaced = false;
  if (result != -EINTR) wait = {};
}

}  // namespace holdfast
