// The tracer's part about calls that make processes and threads: newborns, and how many there may be.
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include <optional>
#include <string>

#include "../arch/arch.h"
#include "../call/tree.h"
#include "../channel/report.h"
#include "../policy/config.h"
#include "../policy/violation.h"
#include "tracer.h"

namespace holdfast {

// At the entry of a call that makes one, before anything is made. Its exit tells whether anything was.
void Tracer::hold_fork(Tracee& tracee, const Row& row) {
  const bool thread = row.number() == SYS_clone && (arch::argument(tracee.registers, 0) & CLONE_THREAD) != 0;
  const std::optional<ForkRefusal> refusal = forks_.reserve(thread);
  if (!refusal) {
    tracee.phase = Phase::forking;
    tracee.has_reserved = true;
    tracee.makes_thread = thread;
    resume(tracee);
    return;
  }
  bool& told = refusal->name == std::string_view("threads") ? told_threads_ : told_processes_;
  if (!told) report_limit(sandbox_, refusal->name, refusal->limit, refusal->reached, tracee.group, EAGAIN);
  told = true;
  tracee.phase = Phase::deciding;
  submit(tracee, Task::decide, [this, call = held_call(tracee, tracee.number), refusal = *refusal] {
    const std::string rule = std::string("limits.") + refusal.name;
    report_by_rule(sandbox_, call, EAGAIN, rule, "there are " + std::to_string(refusal.limit) + " already");
    return Finish::error(EAGAIN);
  });
}

// At the event of a newborn, which comes before the call's exit.
void Tracer::tell_newborn(Tracee& maker, pid_t child) {
  const uint64_t shared = shared_by_newborn(maker);
  if ((shared & CLONE_VM) != 0 && (shared & CLONE_THREAD) == 0 && meter.wants_sharers())
    meter.share(child, maker.group);
  // A child that was seen first may have come and gone already: it must not be waited for a second time.
  if (early_.erase(child) == 0) {
    adopt(child, maker.group, maker.tid);
    if (const Tracee* newborn = find(child); newborn != nullptr && newborn->group == child) {
      inherit_program(child, maker.group);
      tell_fork(child, maker.group);
    }
  } else {
    sandbox_.tree.set_maker(child, maker.group);
    claim(child, maker);
  }
  forks_.told(child);
  if (maker.has_reserved) forks_.give_back(maker.makes_thread);
  maker.has_reserved = false;
  if ((shared & CLONE_FS) != 0 && (shared & CLONE_THREAD) == 0) sandbox_.tree.note_sharing();
  sandbox_.tree.doubt_sharing(!early_.empty());
}

void Tracer::on_forked(Tracee& tracee) {
  tracee.phase = Phase::running;
  if (tracee.has_reserved) forks_.give_back(tracee.makes_thread);
  tracee.has_reserved = false;
  resume(tracee);
}

// It has been killed in such a call, and tells nothing any more.
void Tracer::leave_fork(Tracee& tracee) {
  if (tracee.has_reserved) forks_.leave(tracee.makes_thread);
  tracee.has_reserved = false;
}

}  // namespace holdfast
