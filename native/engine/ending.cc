// The tracer's part about ends that hooks hear of. Each thread that ends stops once more (PTRACE_EVENT_EXIT,
// ptrace(2)), with its memory and registers; one of each process's waits there for the hooks. The kernel drops every
// signal to a process that ends, SIGKILL too, so nobody but the tracer lets such a thread go.
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <string>

#include "../arch/arch.h"
#include "../call/tree.h"
#include "../policy/ask.h"
#include "../policy/config.h"
#include "exec_check.h"
#include "request.h"
#include "tracer.h"

namespace holdfast {

// At the command's first stop as itself, before anything else of the tree is there.
void Tracer::hear_of_ends() {
  if (!sandbox_.config.hooked(Event::exit)) return;
  hears_of_ends_ = true;
  request(PTRACE_SETOPTIONS, launch_.child, nullptr, as_pointer(kOptions | PTRACE_O_TRACEEXIT));
}

// Whether its whole process ends with it, and it is the one to be asked about: the first of which that is sure, since
// the others are on their way out then. Whoever is in doubt is not; the last one never is.
bool Tracer::ends_process(const Tracee& tracee, unsigned long status) {
  bool last = true, other_has_signal = false, exec = false;
  const int signal = static_cast<int>(status & 0x7f);
  for (const auto& [tid, other] : tracees_) {
    if (other->group != tracee.group || other.get() == &tracee || other->ends) continue;
    last = false;
    if (other->delivered == signal) other_has_signal = true;
    if (may_be_in_exec(tid)) exec = true;
  }
  if (last) return true;
  // Of these two a single thread can die: by a seccomp program (SECCOMP_RET_KILL_THREAD, strict mode).
  if (signal == SIGKILL || signal == SIGSYS) return false;
  // The one to which it was delivered is the one that the signal is about.
  if (signal != 0) return tracee.delivered == signal || !other_has_signal;
  // The other threads of a process in which one executes a program end, too, with code 0.
  arch::Registers registers;
  if (exec || arch::get(tracee.tid, registers) != 0 || arch::entered_number(tracee.tid, registers) != SYS_exit_group)
    return false;
  return status == (arch::argument(registers, 0) & 0xff) << 8;
}

void Tracer::on_end(Tracee& tracee) {
  unsigned long status = 0;
  request(PTRACE_GETEVENTMSG, tracee.tid, nullptr, &status);
  const bool asked = launch_.launched && !sandbox_.tree.is_to_end() && told_ends_.count(tracee.group) == 0 &&
                     ends_process(tracee, status);
  // Whatever it was doing is over, and what a worker still does for it comes to nothing.
  tracee.ends = true;
  tracee.task = 0;
  tracee.phase = Phase::running;
  tracee.parked = Parked::no;
  tracee.unclaimed = false;
  if (!asked) {
    let_end(tracee);
    return;
  }
  told_ends_.insert(tracee.group);
  Held call = held_call(tracee, SYS_exit_group);
  call.ends = true;
  submit(tracee, Task::tell_end, [this, call, status] {
    const std::string program = executable_of(sandbox_, call);
    const int ended = static_cast<int>(status);
    Facts facts;
    facts.event = Event::exit;
    facts.kind = protocol::kAnyKind;
    facts.program = &program;
    if (WIFSIGNALED(ended))
      facts.signal = WTERMSIG(ended);
    else
      facts.code = WEXITSTATUS(ended);
    Decision unused;
    if (anybody_wants(sandbox_.config, call, facts)) ask(sandbox_, call, facts, unused);
    return Finish::proceed();
  });
}

// Neither a freeze nor an inspection keeps it: it runs no instruction of its own any more, and could not be killed.
void Tracer::let_end(Tracee& tracee) {
  tracee.task = 0;
  if (!tracee.at_stop) return;
  tracee.at_stop = false;
  request(PTRACE_CONT, tracee.tid, nullptr, nullptr);
}

// The tree is to end: nobody waits for hooks any more.
void Tracer::let_all_end() {
  for (const auto& [tid, tracee] : tracees_)
    if (tracee->ends) let_end(*tracee);
}

}  // namespace holdfast
