// The tracer's part about threads as such: newcomers, ends, execs.
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "../arch/arch.h"
#include "../call/interrupted.h"
#include "../call/memory.h"
#include "../call/tree.h"
#include "../call/workers.h"
#include "../channel/report.h"
#include "../policy/config.h"
#include "../syscalls/guards.h"
#include "../view/domains.h"
#include "../view/rights.h"
#include "descendants.h"
#include "exec_check.h"
#include "exec_fence.h"
#include "injected.h"
#include "process_facts.h"
#include "request.h"
#include "tracer.h"

namespace holdfast {

int Tracer::seize(pid_t tid) { return request(PTRACE_SEIZE, tid, nullptr, as_pointer(kOptions)) == 0 ? 0 : errno; }

void Tracer::adopt(pid_t tid, pid_t parent_group, pid_t parent) {
  if (find(tid) != nullptr) return;
  auto tracee = std::make_unique<Tracee>();
  tracee->tid = tid;
  // tgkill finds a thread only under its own thread group (tgkill(2)); the child is stopped, so the answer stays true.
  tracee->group = syscall(SYS_tgkill, parent_group, tid, 0) == 0 ? parent_group : tid;
  sandbox_.tree.add(tid, tracee->group, parent == 0 ? 0 : parent_group);
  sandbox_.tree.usage().follow(tid);
  inherit_rights(tid, parent);
  inherit_domain(tid, parent);
  meter.add(tracee->group, tid);
  if (const Tracee* const maker = find(parent)) {
    tracee->further = maker->further;
    tracee->has_handled = maker->has_handled;  // it can be in that handler
  }
  tracees_[tid] = std::move(tracee);
  if (sandbox_.tree.doomed()) kill(tid, SIGKILL);  // it is a tracee, so its number is its own until it is reaped here
}

// Rules may depend on whom a process descends from, and what it may do on Landlock rules of its maker's, so nothing of
// a new one runs before that is known.
bool Tracer::waits_for_maker(Tracee& newborn) {
  const bool matters = domains_are_put_on() || (sandbox_.config.exec.by_descent() && newborn.tid == newborn.group);
  if (!matters || newborn.was_unclaimed || early_.count(newborn.tid) == 0) return false;
  newborn.unclaimed = newborn.was_unclaimed = true;
  return true;
}

// The maker of a newborn that was seen first has told of it.
void Tracer::claim(pid_t newborn, const Tracee& maker) {
  sandbox_.tree.inherit(newborn, maker.group);
  inherit_domain(newborn, maker.tid);
  Tracee* const tracee = find(newborn);
  if (tracee == nullptr) return;
  tracee->has_handled |= maker.has_handled;
  if (!tracee->puts_on) tracee->further = std::max(tracee->further, maker.further);
  if (!tracee->unclaimed) return;
  tracee->unclaimed = false;
  resume(*tracee);
}

// Somebody has ended who may have been on the way out of a fork. Whose newborns these are is not known, and counts
// against them; unless their maker still tells.
void Tracer::release_unclaimed() {
  for (const pid_t tid : early_) {
    Tracee* const tracee = find(tid);
    if (tracee == nullptr || !tracee->unclaimed) continue;
    tracee->unclaimed = false;
    lose_domain(tid);
    resume(*tracee);
  }
}

// It runs what its maker does, until it executes something else.
void Tracer::inherit_program(pid_t newborn, pid_t maker) {
  std::string program;
  uint64_t look;
  if (sandbox_.tree.program_of(maker, program, look)) sandbox_.tree.set_program(newborn, program);
}

// At the event of a newborn: what it shares with its maker, as flags of clone(2). The registers are the call's.
uint64_t Tracer::shared_by_newborn(const Tracee& tracee) {
  arch::Registers registers;
  if (arch::get(tracee.tid, registers) != 0) return CLONE_FS;  // it has been killed; other threads of its may live on
  const int64_t number = arch::number(registers);
  if (number == SYS_clone) return arch::argument(registers, 0);
#ifdef SYS_vfork
  if (number == SYS_vfork) return CLONE_VM;
#endif
  return 0;
}

void Tracer::on_death(pid_t tid, int status) {
  const auto at = tracees_.find(tid);
  if (at == tracees_.end()) return;  // an orphan that had been reaped as a tracee already
  if (at->second->group == tid) reap_former(tid, status);
  // Who was killed on its way out of a fork has not told of the child; so can a thread be, when its process exits.
  const bool in_fork = WIFSIGNALED(status) || at->second->group != tid;
  if (in_fork) perhaps_unknown_ = true;
  expect_nothing(tid);
  forget_interrupted(tid);
  forget_rights(tid);
  forget_domain(tid);
  take_exec_approval(tid);
  free_slot(*at->second);
  end_fetch(*at->second);
  leave_fork(*at->second);
  leave_fence(*at->second);
  const pid_t group = at->second->group;
  tracees_.erase(at);
  if (in_fork) release_unclaimed();
  if (tid == group) {
    told_ends_.erase(tid);
    meter.share_no_more(tid);
    if (tid != launch_.child) forks_.process_ended(tid);
  }
  if (sandbox_.tree.group_of(tid) == 0) forget_address_space(tid);
  if (tid != launch_.child) return;
  if (strict_.stepping == tid) strict_.stepping = 0;
  become_strict();  // who is left of it comes to no main
  // A signal that ended it on the way to its first instruction is an end like any other.
  if (!launch_.launched && !(WIFSIGNALED(status) && launch_.area->stage.load() == 0)) {
    report_failed_launch(sandbox_, launch_);
    return;
  }
  report_exit(sandbox_, tid, status);
  if (sandbox_.config.wait_for_tree) return;
  const int signal = sandbox_.tree.spared_by();
  if (signal >= 0) signal_tree(sandbox_.tree, signal == 0 ? SIGKILL : signal);
}

// A leader is reaped last of its process (wait(2) gives it when no other thread is left). Who is still known then had
// taken the leader's number by an exec, and was killed before the stop that tells of it: under its own number it never
// ends.
void Tracer::reap_former(pid_t leader, int status) {
  std::vector<pid_t> former;
  for (const auto& [tid, tracee] : tracees_)
    if (tid != leader && tracee->group == leader) former.push_back(tid);
  for (const pid_t tid : former) {
    forget_number(tid, leader);
    on_death(tid, status);
  }
}

// A thread has another one's number by its exec.
void Tracer::forget_number(pid_t former, pid_t leader) {
  sandbox_.tree.remove(former);
  sandbox_.tree.usage().forget(former);
  meter.leader_was_replaced(leader, former);
}

// It is gone, or another one's by an exec: what was mapped there for us, and the way in.
void Tracer::forget_address_space(pid_t group) {
  page_mapped_.erase(group);
  scratch_mapped_.erase(group);
  names_mapped_.erase(group);
  forget_memory(group);
}

void Tracer::kill_group(pid_t group) {
  sandbox_.tree.while_stable([&] {
    if (sandbox_.tree.contains(group)) kill(group, SIGKILL);
  });
}

// Of one that is about to go on into an approved exec. False: it waits until nobody works for its leader.
bool Tracer::may_execute(Tracee& tracee) {
  if (tracee.tid == tracee.group) return true;
  if (!tracee.in_fence) begin_fence(tracee.group);
  tracee.in_fence = true;
  // Of an end that hooks are asked about nobody is kept: its process ends, and this thread with it.
  Tracee* const leader = find(tracee.group);
  const bool ends = leader != nullptr && leader->ends && leader->task != 0;
  if (!ends && !somebody_works_for_dead(tracee.group)) return true;
  if (leader != nullptr && !ends) leader->told_to_give_up = leader->task != 0;
  wait_to_execute_.push_back(tracee.tid);
  return false;
}

void Tracer::go_on_executing() {
  for (const pid_t tid : std::exchange(wait_to_execute_, {})) {
    Tracee* const tracee = find(tid);
    if (tracee != nullptr && tracee->in_fence && tracee->pending) apply_bounce(*tracee);
  }
}

// The exec is done, or has failed, or was not made after all.
void Tracer::leave_fence(Tracee& tracee) {
  if (!tracee.in_fence) return;
  tracee.in_fence = false;
  end_fence(tracee.group);
  Tracee* const leader = find(tracee.group);
  if (leader != nullptr && leader->undone_work && !is_fenced(tracee.group))
    submit(*leader, leader->undone, std::exchange(leader->undone_work, nullptr));
}

void Tracer::on_exec(pid_t tid) {
  unsigned long message = 0;
  request(PTRACE_GETEVENTMSG, tid, nullptr, &message);
  const pid_t former = static_cast<pid_t>(message);
  if (former != 0 && former != tid) {
    // A thread that is not the leader has become it: it took the leader's number, and nobody reports the old leader's
    // end (ptrace(2), "execve(2) under ptrace").
    perhaps_unknown_ = true;
    release_unclaimed();
    const auto from = tracees_.find(former);
    if (from != tracees_.end()) {
      std::unique_ptr<Tracee> moved = std::move(from->second);
      tracees_.erase(from);
      forget_number(former, tid);
      expect_nothing(former);
      if (Tracee* leader = find(tid)) {
        free_slot(*leader);
        leave_fork(*leader);
        end_fetch(*leader);
      }
      moved->tid = tid;
      sandbox_.tree.renew(tid);
      moved->at_stop = true;
      moved->parked = Parked::no;
      tracees_[tid] = std::move(moved);
    }
  }
  Tracee* tracee = find(tid);
  if (tracee == nullptr) {
    kill(tid, SIGKILL);
    return;
  }
  tracee->has_handled = false;
  tracee->group = tid;
  leave_fence(*tracee);
  meter.share_no_more(tid);
  note_exec(tid, former != 0 ? former : tid);
  move_domain(tid, former != 0 ? former : tid);
  sandbox_.tree.hide(tid, false);
  expect_nothing(tid);
  stop_lending(*tracee);
  tracee->lent.reset();
  tracee->pending.reset();
  tracee->marked_with.reset();
  free_slot(*tracee);  // of its arguments, which the kernel has taken
  end_fetch(*tracee);
  tracee->wait = {};
  tracee->stops_again = tracee->marked = tracee->came_marked = false;
  forget_address_space(tid);
  tracee->phase = Phase::verifying;
  std::shared_ptr<ExecApproval> approved = take_exec_approval(former != 0 ? former : tid);
  if (!approved) {
    // An exec that nobody approved: it cannot be, and it must not run.
    kill_group(tid);
    return;
  }
  arch::Registers registers;
  if (arch::get(tid, registers) != 0) return;
  Held call;
  call.row = find_row("execve");
  call.engine = Held::Engine::trace;
  call.tid = tid;
  call.tree = &sandbox_.tree;
  const uint64_t stack = arch::stack_pointer(registers), start = arch::instruction_pointer(registers);
  submit(*tracee, Task::verify_exec, [this, call, approved, stack, start] {
    if (!exec_is_as_approved(sandbox_, call, *approved, stack, start)) return Finish::error(EACCES);
    sandbox_.tree.set_program(call.tid, approved->path);
    // None of its instructions has run: nobody in the tree can have changed them yet.
    if (sandbox_.config.reports)
      sandbox_.tree.set_arguments(call.tid,
                                  std::make_shared<const std::vector<std::string>>(arguments_of(call.tid).texts));
    tell_exec(call.tid, approved->path);
    return Finish::proceed();
  });
}

void signal_tree(Tree& tree, int signal) {
  if (is_nothing_held()) return signal_descendants(signal);
  if (signal == SIGKILL) return tree.kill_all();
  tree.begin_to_end();
  tree.while_stable([&] {
    for (const pid_t group : tree.groups()) kill(group, signal);
  });
}

}  // namespace holdfast
