// The tracer's part about calls that go on with their arguments in the sealed page.
#include <asm/unistd.h>
#include <errno.h>

#include <utility>

#include "../arch/arch.h"
#include "../policy/violation.h"
#include "../syscalls/guards.h"
#include "dispatch.h"
#include "exec_check.h"
#include "injected.h"
#include "prepared.h"
#include "request.h"
#include "tracer.h"

namespace holdfast {

// At the entry of a call of which nothing but one path is bounced, where the sealed page is there: a worker decides on
// it. False: it is to be decided here.
bool Tracer::prepare(Tracee& tracee, const Row& row) {
  const int argument = row.index(Arg::path);
  if (row.way != Way::bounce || !stopped_if(row) || page_mapped_.count(tracee.group) == 0) return false;
  const int slot = sandbox_.page.take_slot(Bounce::kCapacity);
  if (slot < 0) return false;
  const uint64_t own = arch::argument(tracee.registers, argument);
  if (!prepare_call(tracee.tid, slot, argument, own)) {
    sandbox_.page.free_slot(slot);
    return false;
  }
  tracee.slot = slot;
  tracee.is_received = true;
  tracee.pending = std::make_unique<Bounce>();
  tracee.pending->pointer(argument, 0);
  arch::Registers changed = tracee.registers;
  arch::set_argument(changed, argument, BouncePage::address(slot));
  if (arch::set(tracee.tid, changed) != 0) return true;  // it died
  tracee.phase = Phase::in_call;
  resume(tracee);
  return true;
}

void Tracer::free_slot(Tracee& tracee) {
  forget_prepared(tracee.tid);
  sandbox_.page.free_slot(tracee.slot);
  tracee.slot = -1;
}

void Tracer::apply_bounce(Tracee& tracee) {
  Bounce& bounce = *tracee.pending;
  // A forked process most often has it from its parent; it was copied at a time that no event tells, so look.
  const size_t size = bounce.contents_size();
  if (size != 0 && page_mapped_.count(tracee.group) == 0 && sandbox_.page.mapped_in(tracee.tid))
    page_mapped_.insert(tracee.group);
  if (size != 0 && page_mapped_.count(tracee.group) == 0) {
    if (const int error = sandbox_.page.create()) {
      refuse(tracee, error, "the supervisor could not make the sealed page");
      return;
    }
    begin_injection(tracee, Phase::fetch_page, UniqueFd());
    return;
  }
  arch::Registers changed = tracee.registers;
  if (size != 0 && tracee.slot < 0) {
    tracee.slot = sandbox_.page.take_slot(size);
    if (tracee.slot < 0 && bounce.tries) {
      tracee.pending.reset();
      tracee.phase = Phase::deciding;
      Held call = held_call(tracee, tracee.number);
      call.tried = true;
      submit(tracee, Task::decide, [this, call]() mutable { return dispatch(sandbox_, call); });
      return;
    }
    if (tracee.slot < 0) {
      refuse(tracee, EAGAIN, "too many calls wait in the sealed page");
      return;
    }
    bounce.place(BouncePage::address(tracee.slot));
    sandbox_.page.fill(tracee.slot, bounce.contents(), size);
  }
  if (bounce.lends) {
    lend(tracee);
    return;
  }
  if (bounce.exec && !may_execute(tracee)) return;
  for (int i = 0; i < bounce.replaced; i++) {
    const Bounce::Replacement& with = bounce.replace[i];
    arch::set_argument(changed, with.index, with.in_slot ? BouncePage::address(tracee.slot) + with.value : with.value);
  }
  // The filter is asked once more about the new registers (seccomp(2), SECCOMP_RET_TRACE), and must not notify.
  if (tracee.number == __NR_connect)
    arch::set_argument(changed, kConnectSize, arch::argument(changed, kConnectSize) | kStopsConnect);
  // The filter is asked once more, about what it is now, and may notify: that call is ours (notify.cc).
  Injected other = {bounce.number >= 0 ? bounce.number : tracee.number, {}, UniqueFd()};
  for (int i = 0; i < 6; i++) other.args[i] = arch::argument(changed, i);
  other.at_entry = true;
  other.own_first = arch::argument(tracee.registers, 0);
  tracee.is_received = !are_held_by_stops() &&
                       (bounce.number >= 0 || !is_stopped(*find_row(static_cast<int>(tracee.number)), other.args));
  if (tracee.is_received) expect_injected(tracee.tid, std::move(other));
  if (bounce.number >= 0 && arch::set_number(tracee.tid, changed, bounce.number) != 0) return;
  if (arch::set(tracee.tid, changed) != 0) return;
  if (bounce.exec) approve_exec(tracee.tid, std::move(bounce.exec));
  tracee.phase = Phase::in_call;
  resume(tracee);
}

// At the exit stop of a bounced call: the caller finds its own registers again.
void Tracer::leave_call(Tracee& tracee) {
  arch::Registers now;
  if (arch::get(tracee.tid, now) != 0) return;
  leave_fence(tracee);  // an exec that has failed
  Bounce& bounce = *tracee.pending;
  for (int i = 0; i < bounce.replaced; i++) {
    const int index = bounce.replace[i].index;
    if (index == arch::kResultArgument) continue;
    arch::set_argument(now, index, arch::argument(tracee.registers, index));
  }
  if (bounce.number >= 0) arch::set_number(tracee.tid, now, tracee.number);
  if (tracee.is_received) {
    expect_nothing(tracee.tid);
    // It waited for a worker only (waiting.cc, on_signal).
    if (arch::result(now) == arch::kRestartIfAsked) arch::set_result(now, arch::kRestartInAnyCase);
  }
  on_exit(tracee, now);
  arch::set(tracee.tid, now);
  free_slot(tracee);
  const int64_t result = arch::result(now);
  if (bounce.tries && result < 0 && result != -ENOENT && result > arch::kRestartIfAsked) {
    tracee.pending.reset();
    tracee.tried = true;
    tracee.phase = Phase::running;
    arch::Registers again = tracee.registers;
    arch::call_again(again, tracee.number);
    if (arch::set(tracee.tid, again) == 0) resume(tracee);
    return;
  }
  const uint64_t store_at = bounce.store_result_at;
  const bool result_is_one = bounce.result_is_one, reopens = bounce.reopens_process;
  const auto afterwards = std::move(bounce.afterwards);
  tracee.pending.reset();
  if (reopens && result >= 0) {
    tracee.registers = now;
    begin_reopening(tracee);
    return;
  }
  if ((store_at == 0 && !afterwards) || result < 0) {
    tracee.phase = Phase::running;
    resume(tracee);
    return;
  }
  // Writing may fault for as long as the tree likes: not here.
  Held call = held_call(tracee, tracee.number);
  tracee.registers = now;
  tracee.phase = Phase::storing;
  if (afterwards) {
    submit(tracee, Task::store_result, [call, result, afterwards] { return Finish::answer(afterwards(call, result)); });
    return;
  }
  submit(tracee, Task::store_result, [call, store_at, result, result_is_one] {
    const uint32_t value = static_cast<uint32_t>(result);
    if (const int error = call.write(store_at, &value, sizeof value)) return Finish::answer(error);
    return Finish::answer(result_is_one ? 1 : result);
  });
}

}  // namespace holdfast
