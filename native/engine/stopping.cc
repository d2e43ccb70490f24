// The tracer's part about threads that are stopped from outside and stay so until they are let go.
#include <errno.h>
#include <sys/ptrace.h>

#include <utility>
#include <vector>

#include "../arch/arch.h"
#include "../call/blocking.h"
#include "../call/monotonic.h"
#include "../call/proc_stat.h"
#include "request.h"
#include "tracer.h"
#include "waits.h"

namespace holdfast {
namespace {

// Of one that has not come to a stop nobody tells whether it waits in the kernel, so it is looked at so often.
constexpr int64_t kLookNanoseconds = 1'500'000;

}  // namespace

bool Tracer::Stop::covers(const Tracee& tracee) const {
  return (which.tid == 0 || which.tid == tracee.tid) && (which.group == 0 || which.group == tracee.group);
}

bool Tracer::must_stay(const Tracee& tracee) const {
  if (tracee.waits_for_room) return true;
  for (const auto& [number, stop] : stops_)
    if (stop.covers(tracee)) return true;
  return false;
}

uint64_t Tracer::stop(Threads which, Until until, std::function<void()> on_all_stopped) {
  const uint64_t number = ++stop_numbers_;
  Stop& stop = stops_[number];
  stop.which = which;
  stop.until = until;
  stop.on_all_stopped = std::move(on_all_stopped);
  stop.pending = true;
  // One that listens for the end of its group's stop is in no stop that ptrace(2) can work on.
  for (const auto& [tid, tracee] : tracees_) {
    if (tracee->at_stop || tracee->ends || !stop.covers(*tracee)) continue;
    tracee->interrupted = request(PTRACE_INTERRUPT, tid, nullptr, nullptr) == 0;
  }
  look_again_ = true;
  return number;
}

void Tracer::let_go(uint64_t number) {
  const auto at = stops_.find(number);
  if (at == stops_.end()) return;
  // Whoever still waits for it hears of it: it is over.
  std::function<void()> told = at->second.pending ? std::move(at->second.on_all_stopped) : nullptr;
  stops_.erase(at);
  release_parked();
  if (told) told();
}

// Lets go on who is ready to, and covered by no stop any more.
void Tracer::release_parked() {
  for (const auto& [tid, tracee] : tracees_) {
    if (tracee->parked == Parked::no || must_stay(*tracee)) continue;
    const Parked how = std::exchange(tracee->parked, Parked::no);
    if (how == Parked::in_group_stop)
      listen(*tracee);
    else
      resume(*tracee, tracee->parked_signal);
  }
}

// In a stop of its whole process, by SIGSTOP or its like: it does not run, but hears of the stop's end.
void Tracer::listen(Tracee& tracee) {
  if (must_stay(tracee)) {
    tracee.parked = Parked::in_group_stop;
    return;
  }
  tracee.at_stop = false;
  request(PTRACE_LISTEN, tracee.tid, nullptr, nullptr);
}

// PTRACE_INTERRUPT wakes who waits in the kernel, and some calls answer EINTR then, which without a supervisor only a
// signal's handler brings about (signal(7)). They are made again. At the stop that it asked for. True: the thread has
// been let go.
bool Tracer::wait_on_after_interrupt(Tracee& tracee) {
  if (!std::exchange(tracee.interrupted, false) || tracee.was_stopped || tracee.has_handled) return false;
  arch::Registers registers;
  if (arch::get(tracee.tid, registers) != 0) return false;
  if (arch::result(registers) != -EINTR) return false;
  const int64_t number = arch::call_beside(tracee.tid, registers);
  if (number < 0) return false;
  const WaitCall* const call = find_wait(number);
  if (call == nullptr) return false;
  wait_again(tracee, *call, registers, 0);
  return true;
}

// At the exit stop of a call that was cut short. Either that stop has come in place of the one that was asked for; or
// the call was made again already, and what has woken it is for another thread. Only at that stop can it be made again,
// so it is asked for once more. It comes before the thread's next instruction.
void Tracer::ask_for_stop_again(Tracee& tracee) {
  if (tracee.was_stopped || (!tracee.interrupted && tracee.wait.call == nullptr)) return;
  tracee.stops_once_more = tracee.interrupted = true;
}

// Who comes to no stop soon. D: it sleeps in the kernel until it is answered, or (vfork(2)) until its child runs a
// program of its own, and stops before its next instruction. Z, X: it has ended before its other threads.
bool Tracer::is_there(const Tracee& tracee, Until until) {
  const char state = stat_of(tracee.tid).state;
  return state == 'Z' || state == 'X' || (state == 'D' && until == Until::held);
}

// Tells of each stop that has come to its end. Returns whether one has not.
bool Tracer::look_at_stops() {
  if (stops_.empty()) return false;
  const int64_t at = monotonic_now();
  const bool look = look_again_ || at - looked_at_ >= kLookNanoseconds;
  bool pending = false;
  std::vector<std::function<void()>> told;
  for (auto& [number, stop] : stops_) {
    if (!stop.pending) continue;
    bool all = true;
    for (const auto& [tid, tracee] : tracees_) {
      if (tracee->at_stop || tracee->ends || !stop.covers(*tracee)) continue;
      if (look && is_there(*tracee, stop.until)) continue;
      if (look && stop.until == Until::stopped && tracee->interrupted) cut_wait_short(tid);
      all = false;
      break;
    }
    if (all) {
      stop.pending = false;
      told.push_back(std::exchange(stop.on_all_stopped, nullptr));
    } else {
      pending = true;
    }
  }
  if (look) looked_at_ = at;
  look_again_ = false;
  for (const auto& tell : told)
    if (tell) tell();
  return pending;
}

void Tracer::freeze(std::function<void()> on_frozen) {
  if (frozen_ != 0 && !stops_[frozen_].pending) {
    on_frozen();
    return;
  }
  on_frozen_.push_back(std::move(on_frozen));
  if (frozen_ != 0) return;
  is_frozen_ = true;
  frozen_ = stop(Threads{}, Until::held, [this] {
    for (const auto& tell : std::exchange(on_frozen_, {})) tell();
  });
}

void Tracer::thaw() {
  is_frozen_ = false;
  let_go(std::exchange(frozen_, 0));
}

// Nothing of the tree is left.
void Tracer::end_stops() {
  while (!stops_.empty()) let_go(stops_.begin()->first);
}

}  // namespace holdfast
