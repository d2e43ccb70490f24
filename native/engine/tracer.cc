#include "tracer.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "../call/blocking.h"
#include "../call/interrupted.h"
#include "../call/proc_stat.h"
#include "../call/tree.h"
#include "../call/workers.h"
#include "../channel/channel.h"
#include "../channel/report.h"
#include "../policy/config.h"
#include "../policy/violation.h"
#include "../syscalls/guards.h"
#include "dispatch.h"
#include "exec_check.h"
#include "exec_fence.h"
#include "injected.h"
#include "request.h"
#include "tasks.h"

namespace holdfast {
namespace {

// A newborn whose parent was killed before it could report it: it is a tracee too, and its first stop is still to come.
bool somebody_is_left() {
  siginfo_t info;
  return waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL) == 0 || errno != ECHILD;
}

constexpr timespec kSoon = {0, 2'000'000};

constexpr unsigned kSyscallStop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD

}  // namespace

Tracer::Tracer(Sandbox& sandbox, Launch& launch)
    : meter(sandbox, sandbox.config.limits),
      sandbox_(sandbox),
      launch_(launch),
      forks_(sandbox.config.limits, sandbox.tree) {}

Tracer::Tracee* Tracer::find(pid_t tid) {
  const auto at = tracees_.find(tid);
  return at == tracees_.end() ? nullptr : at->second.get();
}

void Tracer::run() {
  set_tracer_thread(getpid(), static_cast<pid_t>(syscall(SYS_gettid)));
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGCHLD);
  sigaddset(&wanted, SIGUSR1);
  if (sandbox_.config.tells_life) life_ = protocol::LifeMode::told;
  if (sandbox_.config.usage_by_program) sandbox_.tree.usage().follow_programs();
  adopt(launch_.child, launch_.child, 0);
  // Nothing is lost between draining and waiting: both signals are blocked, so a new one stays pending.
  int woken_by = SIGCHLD;
  siginfo_t told = {};
  for (;;) {
    handle_posts();
    // A post says nothing about anybody's stop or end: those have a signal of their own.
    const bool done = woken_by == SIGUSR1 ? !held_back_ : is_all(told);
    if (!done) reap_and_handle();
    if (tracees_.empty() && !somebody_is_left()) break;
    if (!others_started_ && launch_.launched) begin_to_serve();
    const bool soon = look_at_stops() || !others_started_;
    told = {};
    if (!soon)
      woken_by = sigwaitinfo(&wanted, &told);
    else if ((woken_by = sigtimedwait(&wanted, &told, &kSoon)) < 0 && errno == EAGAIN && !others_started_)
      begin_to_serve();
  }
  end_stops();
}

// Threads that serve the command and Node take longer to start than the command to get to its first held call, so they
// come when it runs already; or when it does not run for a while, for it may have been stopped, or a hook be asked
// about its exec.
void Tracer::begin_to_serve() { others_started_ = start_others(launch_.area->listener.load()); }

bool Tracer::take_stop(pid_t tid) {
  siginfo_t stop = {};
  if (waitid(P_PID, static_cast<id_t>(tid), &stop, WSTOPPED | WNOHANG | __WALL) != 0 || stop.si_pid != tid)
    return false;
  on_stop(tid, (stop.si_status << 8) | 0x7f);  // as waitpid(2) would give it
  return true;
}

// Takes the stop that a SIGCHLD tells of before anything is looked for. True: nothing else can have happened. One such
// signal stands for all events since it was sent, as a second one is dropped while the first is pending (signal(7)), so
// a look at all must follow wherever there is anybody else: another tracee, or a newborn that nobody has told of. But
// what a single one does after this stop comes with a signal of its own, and had it been killed before, it would not be
// stopped. Only the kernel gives a code above 0 to another process (rt_sigqueueinfo(2)).
bool Tracer::is_all(const siginfo_t& told) {
  if (told.si_signo != SIGCHLD || told.si_code != CLD_TRAPPED || find(told.si_pid) == nullptr) return false;
  const bool alone = tracees_.size() == 1 && !perhaps_unknown_;
  return take_stop(told.si_pid) && alone && tracees_.size() == 1 && !perhaps_unknown_;
}

void Tracer::reap_and_handle() {
  // One look that takes nothing away comes first, because a dead thread that a worker still works for must stay a
  // zombie.
  const auto take = [this](idtype_t type, id_t id) {
    siginfo_t seen = {};
    if (waitid(type, id, &seen, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL) != 0 || seen.si_pid == 0) return 0;
    const pid_t tid = seen.si_pid;
    const bool dead = seen.si_code == CLD_EXITED || seen.si_code == CLD_KILLED || seen.si_code == CLD_DUMPED;
    if (!dead) {
      // It may have been killed since: then its end, which is to be seen as such, must not be taken in place of the
      // stop.
      take_stop(tid);
      return 1;
    }
    int status = 0;
    rusage used = {};
    std::unique_lock<std::mutex> reaping(sandbox_.tree.reaping());
    if (somebody_works_for_dead(tid)) return 2;
    // A leader comes last, and so with all that its threads have used.
    Ended ended;
    const Tracee* const tracee = find(tid);
    const bool is_leader = tracee != nullptr && tracee->group == tid;
    if (is_leader) {
      ended.figures = sandbox_.tree.usage().of_ended(tid);
      uint64_t look;
      sandbox_.tree.program_of(tid, ended.program, look);
      if (life_ != protocol::LifeMode::quiet) ended.parent = stat_of(tid).parent;
    } else if (tracee != nullptr) {
      sandbox_.tree.usage().end_thread(tid, tracee->group);
    }
    meter.before_reap(tid);
    if (wait4(tid, &status, WNOHANG | __WALL, &used) != tid) return 1;
    sandbox_.tree.remove(tid);
    if (is_leader) {
      ended.status = status;
      ended.figures.peak = static_cast<uint64_t>(used.ru_maxrss) * 1024;
      sandbox_.tree.usage().add_ended(tid, ended.figures, ended.program);
    }
    reaping.unlock();
    meter.after_reap();
    if (is_leader) tell_exit(tid, ended);
    on_death(tid, status);
    return 1;
  };
  held_back_ = false;
  for (;;) {
    const int got = take(P_ALL, 0);
    if (got == 0) return;
    if (got != 2) continue;
    held_back_ = true;
    // The first in the kernel's line must wait, so ask for the others by name. Rare.
    bool any = true;
    while (any) {
      any = false;
      std::vector<pid_t> all;
      for (const auto& tracee : tracees_) all.push_back(tracee.first);
      for (const pid_t tid : all)
        if (take(P_PID, static_cast<id_t>(tid)) == 1) any = true;
    }
    return;  // the worker's end wakes us again
  }
}

void Tracer::on_stop(pid_t tid, int status) {
  const int signal = WSTOPSIG(status);
  const int event = status >> 16;
  Tracee* tracee = find(tid);
  if (tracee == nullptr) {
    // A newborn whose parent's event is still to come. Its thread group is in its status; a leader if it is none's
    // thread.
    pid_t group = 0;
    for (const pid_t candidate : sandbox_.tree.groups())
      if (syscall(SYS_tgkill, candidate, tid, 0) == 0) group = candidate;
    adopt(tid, group == 0 ? tid : group, 0);
    early_.insert(tid);
    if (forks_.are_counted()) forks_.seen_early(tid, sandbox_.tree.group_of(tid) != tid);
    if (find(tid)->group == tid) {
      const pid_t parent = stat_of(tid).parent;
      sandbox_.tree.set_maker(tid, parent);
      inherit_program(tid, parent);
      tell_fork(tid, parent);
    }
    sandbox_.tree.doubt_sharing(true);
    tracee = find(tid);
  }
  tracee->at_stop = true;
  if (event != PTRACE_EVENT_STOP && (event != 0 || signal != static_cast<int>(kSyscallStop)))
    tracee->interrupted = false;  // any stop is the one that it asked for
  switch (event) {
    case 0:
      if (signal == static_cast<int>(kSyscallStop))
        on_syscall_stop(*tracee);
      else if (signal != SIGTRAP || !on_trap(*tracee))
        on_signal(*tracee, signal);
      return;
    case PTRACE_EVENT_SECCOMP:
      on_seccomp_stop(*tracee);
      return;
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE: {
      unsigned long child = 0;
      if (request(PTRACE_GETEVENTMSG, tid, nullptr, &child) == 0 && child != 0)
        tell_newborn(*tracee, static_cast<pid_t>(child));
      wait_for_room(*tracee);
      resume(*tracee);
      return;
    }
    case PTRACE_EVENT_EXEC:
      on_exec(tid);
      return;
    case PTRACE_EVENT_EXIT:
      on_end(*tracee);
      return;
    case PTRACE_EVENT_STOP:
      if (tracee->stops_again) mark_call(*tracee);
      if (waits_for_maker(*tracee)) return;
      // ptrace(2), "Group-stop": with PTRACE_SEIZE a group-stop has a stopping signal, every other such stop SIGTRAP.
      if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU) {
        tell_stopped(tid, signal);
        // Nobody waits for who is stopped: first comes the end of what others may want to do, too.
        if (tracee->fetch.is_under_way) {
          tracee->fetch.was_stopped = true;
          resume(*tracee);
          return;
        }
        // Whatever comes after it, a wait ends by it (signal(7), "Interruption ... by stop signals").
        cut_short(*tracee);
        tracee->was_stopped = true;
        listen(*tracee);
      } else {
        tell_stopped(tid, 0);
        if (!wait_on_after_interrupt(*tracee)) resume(*tracee);
      }
      return;
    default:
      resume(*tracee);
  }
}

// While it is stopped each of its stops says so anew.
void Tracer::tell_stopped(pid_t tid, int signal) {
  if (tid != launch_.child || (signal != 0) == command_is_stopped_) return;
  command_is_stopped_ = signal != 0;
  report_stopped(sandbox_, signal);
}

// Somebody who was killed while a worker thought about its call is at its last stop by now, which is still to be seen:
// to let it go on from the one before would let it go on from that.
bool Tracer::is_at_unseen_stop(pid_t tid) const {
  siginfo_t stop = {};
  return hears_of_ends_ && waitid(P_PID, static_cast<id_t>(tid), &stop, WSTOPPED | WNOHANG | WNOWAIT | __WALL) == 0 &&
         stop.si_pid == tid;
}

// The one way on for a stopped thread, but for listen().
void Tracer::resume(Tracee& tracee, int signal) {
  // What has to stop again by itself is no step of a start.
  if (strict_.stepping == tracee.tid &&
      (!strict_.is_pending || tracee.wants_exit_stops() || tracee.wait.call != nullptr || lacks_programs(tracee))) {
    end_steps(tracee);
    become_strict();
  }
  if (tracee.ends) return;
  if (tracee.stops_once_more) {
    tracee.stops_once_more = false;
    request(PTRACE_INTERRUPT, tracee.tid, nullptr, nullptr);
  } else if ((tracee.waits_for_room || !stops_.empty()) && must_stay(tracee)) {
    tracee.parked = Parked::goes_on;
    tracee.parked_signal = signal;
    return;
  }
  tracee.at_stop = false;
  if (is_at_unseen_stop(tracee.tid)) return;
  tracee.delivered = signal;
  const bool stops =
      tracee.wants_exit_stops() || tracee.wait.call != nullptr || tracee.was_stopped || lacks_programs(tracee);
  const auto how = stops ? PTRACE_SYSCALL : strict_.stepping == tracee.tid ? PTRACE_SINGLESTEP : PTRACE_CONT;
  request(how, tracee.tid, nullptr, as_pointer(static_cast<uint64_t>(signal)));
}

// ---- Held calls -----------------------------------------------------------------------------------------------------

void Tracer::submit(Tracee& tracee, Task what, std::function<Finish()> work) {
  const pid_t tid = tracee.tid;
  const uint64_t task = ++tasks_;
  tracee.task = task;
  if (!launch_.launched && !sandbox_.config.hooked(Event::exec)) {
    // Until the command's exec is done there is nobody else to serve, so no thread is needed for it.
    begin_work_for(tid);
    Finish finish = work();
    end_work();
    finish_task({tid, task, what, std::move(finish)});
    return;
  }
  run_task([this, tid, task, what, number = sandbox_.tree.number_of(tid), work = std::move(work)]() mutable {
    // The tracee is stopped and was not reaped when this was queued, but it can have been killed since, or another
    // thread have taken its number.
    begin_work_for(tid);
    const bool fenced = what != Task::tell_end && is_fenced(tid);  // who ends keeps its number meanwhile
    Finish finish = !fenced && sandbox_.tree.number_of(tid) == number ? work() : Finish::gone();
    const bool gave_up = gave_up_work();
    if (!fenced && !gave_up) work = nullptr;  // and what it holds of the caller's, before the caller goes on
    end_work();
    post({tid, task, what, std::move(finish), std::move(work), gave_up});
  });
}

void Tracer::post(Post post) {
  {
    std::lock_guard<std::mutex> lock(posts_guard_);
    posts_.push_back(std::move(post));
  }
  wake_tracer();
}

void Tracer::run_there(std::function<void()> work) {
  {
    std::lock_guard<std::mutex> lock(posts_guard_);
    works_.push_back(std::move(work));
  }
  wake_tracer();
}

void Tracer::handle_posts() {
  std::vector<Post> posts;
  std::vector<std::function<void()>> works;
  {
    std::lock_guard<std::mutex> lock(posts_guard_);
    posts.swap(posts_);
    works.swap(works_);
  }
  for (Post& post : posts) finish_task(std::move(post));
  if (sandbox_.tree.is_to_end()) let_all_end();
  for (const auto& work : works) work();
  for (StopAgain& call : take_stops_again()) stop_again(call);
  go_on_executing();
}

void Tracer::finish_task(Post post) {
  Tracee* tracee = find(post.tid);
  if (tracee == nullptr || tracee->task != post.task) return;  // it died, or an exec of another thread took its number
  tracee->task = 0;
  const bool told = std::exchange(tracee->told_to_give_up, false);
  if (post.undone && post.what != Task::tell_end) {
    if (post.gave_up && !told) return;  // it has died: its end is about to be seen
    tracee->undone = post.what;
    tracee->undone_work = std::move(post.undone);
    if (!is_fenced(tracee->tid)) submit(*tracee, tracee->undone, std::exchange(tracee->undone_work, nullptr));
    return;
  }
  tracee->phase = Phase::running;
  if (!tracee->ends && is_at_unseen_stop(tracee->tid)) return;
  switch (post.what) {
    case Task::decide:
      apply(*tracee, std::move(post.finish));
      return;
    case Task::verify_exec:
      if (post.finish.kind != Finish::Kind::proceed) {
        kill_group(tracee->group);
        return;
      }
      wait_for_room(*tracee);
      if (tracee->tid != launch_.child || launch_.launched) {
        become_strict();  // another program begins before main
        resume(*tracee);
        return;
      }
      launch_.launched = true;
      sandbox_.tree.begin();
      launch_.close_inherited();
      report_launched(sandbox_, launch_.child);
      if (sandbox_.config.strict) begin_strict_start(*tracee);
      hear_of_ends();
      resume(*tracee);
      sandbox_.channel.wake();
      return;
    case Task::tell_end:
      let_end(*tracee);
      return;
    case Task::time_limit:
      on_time_limit(*tracee, post.finish);
      return;
    case Task::store_result:
      if (post.finish.kind == Finish::Kind::answer) {
        arch::set_result(tracee->registers, post.finish.value);
        arch::set(tracee->tid, tracee->registers);
      }
      resume(*tracee);
      return;
  }
}

Held Tracer::held_call(const Tracee& tracee, int64_t number) const {
  Held call;
  call.row = find_row(static_cast<int>(number));
  call.engine = Held::Engine::trace;
  call.tid = tracee.tid;
  call.tree = &sandbox_.tree;
  call.initial = !launch_.launched;
  call.again = tracee.came_marked;
  call.has_exit = arch::has_exit(tracee.registers);
  for (int i = 0; i < 6; i++) call.args[i] = arch::argument(tracee.registers, i);
  return call;
}

// What could not be done although it is allowed.
std::function<Finish()> Tracer::refusing(const Tracee& tracee, int error, const char* reason) {
  return [this, call = held_call(tracee, tracee.number), error, reason] {
    report(sandbox_, call, error, reason);
    return Finish::error(error);
  };
}

// At the held call's entry.
void Tracer::refuse(Tracee& tracee, int error, const char* reason) {
  tracee.pending.reset();
  tracee.phase = Phase::deciding;
  submit(tracee, Task::decide, refusing(tracee, error, reason));
}

void Tracer::on_seccomp_stop(Tracee& tracee) {
  if (strict_.stepping == tracee.tid) {
    // A start that makes calls of its own is none that is known.
    end_steps(tracee);
    become_strict();
  }
  if (tracee.phase >= Phase::fetch_page && tracee.phase <= Phase::put_on) {
    // Our own call; for a filter of the tree's own may ask for a tracer, any of them. Another call in its place comes
    // from an instruction that was overwritten: an attack where something of ours is there, else a call like any other.
    arch::Registers registers;
    Held call;
    call.tid = tracee.tid;
    if (arch::get(tracee.tid, registers) != 0) return;
    for (int i = 0; i < 6; i++) call.args[i] = arch::argument(registers, i);
    if (is_injected(call, static_cast<int>(arch::entered_number(tracee.tid, registers)))) {
      resume(tracee);
      return;
    }
    if (tracee.phase >= Phase::fetch_socket) {
      kill_group(tracee.group);
      return;
    }
    end_fetch(tracee);
  }
  if (are_held_by_stops() && is_foreign(tracee)) return;
  const arch::Registers judged = tracee.registers;
  if (arch::get(tracee.tid, tracee.registers) != 0) return;
  const int64_t number = static_cast<int>(arch::number(tracee.registers));
  expect_nothing(tracee.tid);
  tracee.came_marked = unmark_call(tracee, number);
  if (tracee.phase == Phase::again) {
    // The held call again, now that what it needs is there. All signals were blocked, so nothing has come between; but
    // its instruction can have been replaced meanwhile, by some that make another call, or this one with other
    // arguments: then nothing of it has been judged.
    request(PTRACE_SETSIGMASK, tracee.tid, as_pointer(sizeof tracee.signal_mask), &tracee.signal_mask);
    tracee.phase = Phase::running;
    bool same = number == tracee.number;
    for (int i = 0; i < 6; i++) same = same && arch::argument(tracee.registers, i) == arch::argument(judged, i);
    if (same && tracee.pending) {
      apply_bounce(tracee);
      return;
    }
    tracee.pending.reset();
    if (!same) tracee.lent.reset();
  }
  if (tracee.came_marked && tracee.marked_with && number != __NR_connect) {
    // Its registers may be others by now, as a signal's handler can set them. None counts but for the list of
    // arguments, which is compared with what was judged.
    tracee.number = number;
    tracee.pending = std::move(tracee.marked_with);
    apply_bounce(tracee);
    return;
  }
  const Row* row = find_row(static_cast<int>(number));
  Held call = held_call(tracee, number);
  call.tried = tracee.tried;
  tracee.tried = false;
  const bool is_back = row != nullptr && is_taken_back(*row, call.args);
  const bool is_ours = row != nullptr && is_stopped(*row, call.args) && !lets_by(*row, call.args);
  const bool is_ruled = row != nullptr && sandbox_.config.stops(*row, call.args);
  if (row != nullptr && is_counted(*row) && !is_ruled) {
    tracee.number = number;
    hold_fork(tracee, *row);
    return;
  }
  if (row == nullptr && are_held_by_stops()) {
    tracee.number = number;
    refuse_foreign(tracee, static_cast<int>(number), arch::kAuditArch);
    return;
  }
  if (row == nullptr || (!tracee.came_marked && !is_back && !is_ours && !is_ruled)) {
    // Not ours: a filter of the tree's own asked for a tracer. Without one the kernel answers ENOSYS (seccomp(2)).
    arch::skip(tracee.tid, tracee.registers, -ENOSYS);
    resume(tracee);
    return;
  }
  tracee.number = number;
  // What the filter let by it would not receive a second time.
  if (is_ours && !is_back && prepare(tracee, *row)) return;
  tracee.phase = Phase::deciding;
  call.lent = std::move(tracee.lent);
  if (!call.lent) sandbox_.tree.usage().held.fetch_add(1, std::memory_order_relaxed);
  submit(tracee, Task::decide, [this, call]() mutable { return dispatch(sandbox_, call); });
}

// Where no listener receives them: a call by another ABI, or one that the table does not have.
bool Tracer::is_foreign(Tracee& tracee) {
  __ptrace_syscall_info info = {};
  if (request(PTRACE_GET_SYSCALL_INFO, tracee.tid, as_pointer(sizeof info), &info) < 0) return true;  // it died
  if (info.arch == arch::kAuditArch) return false;
  expect_nothing(tracee.tid);
  tracee.number = -1;
  arch::get(tracee.tid, tracee.registers);
  refuse_foreign(tracee, static_cast<int>(info.seccomp.nr), info.arch);
  return true;
}

void Tracer::refuse_foreign(Tracee& tracee, int number, uint32_t audit_arch) {
  tracee.phase = Phase::deciding;
  sandbox_.tree.usage().held.fetch_add(1, std::memory_order_relaxed);
  Held call = held_call(tracee, number);
  const bool is_native = audit_arch == arch::kAuditArch;
  submit(tracee, Task::decide, [this, call, number, audit_arch, is_native]() mutable {
    Finish end = refuse_unknown(sandbox_, call, number, audit_arch);
    if (!is_native) end.kind = Finish::Kind::refused_foreign;
    return end;
  });
}

void Tracer::apply(Tracee& tracee, Finish finish) {
  switch (finish.kind) {
    case Finish::Kind::proceed:
      if (finish.arguments && finish.arguments->exec && tracee.tid != tracee.group) {
        tracee.pending = std::move(finish.arguments);
        apply_bounce(tracee);
        return;
      }
      if (finish.arguments) approve_exec(tracee.tid, std::move(finish.arguments->exec));
      // Counted last: who has refused it has not taken a place from anybody.
      if (const Row* const row = find_row(static_cast<int>(tracee.number)); row != nullptr && is_counted(*row)) {
        hold_fork(tracee, *row);
        return;
      }
      break;
    case Finish::Kind::kill:
      sandbox_.tree.while_stable([&] {
        if (sandbox_.tree.contains(tracee.group)) kill(tracee.group, static_cast<int>(finish.value));
      });
      arch::skip(tracee.tid, tracee.registers, -EINTR);
      break;
    case Finish::Kind::bounce:
      tracee.pending = std::move(finish.arguments);
      apply_bounce(tracee);
      return;
    case Finish::Kind::gone:  // if it is there at all, then to handle the signal that ends it
      arch::skip(tracee.tid, tracee.registers, -EINTR);
      break;
    case Finish::Kind::refused_foreign:
      if (arch::skip_foreign(tracee.tid, tracee.registers, finish.value) != 0) kill_group(tracee.group);
      break;
    case Finish::Kind::answer:
      if (finish.value == -kRestart) {
        tracee.phase = Phase::interrupting;  // at its exit, arch::interrupt
        // What its first argument is when it is made again, aarch64's kernel takes from here (seen with 6.1).
        finish.value = arch::kResultArgument >= 0
                           ? static_cast<int64_t>(arch::argument(tracee.registers, arch::kResultArgument))
                           : -EINTR;
      }
      arch::skip(tracee.tid, tracee.registers, finish.value);
      tracee.answered = tracee.number;
      tracee.answered_at = arch::instruction_pointer(tracee.registers);
      break;
    case Finish::Kind::hand_over:  // a stop has no way to install a descriptor, so the caller fetches it
      begin_injection(tracee, Phase::fetch_result, std::move(finish.fd), finish.close_on_exec);
      return;
    case Finish::Kind::behind_wall:  // for calls that a worker has received
    case Finish::Kind::by_stop:
      refuse(tracee, EPERM, "a call that was stopped must end where it is");
      return;
  }
  resume(tracee);
}

// A call that was received and that only its caller can make is given back, to be made once more in any case, and
// marked on the way so that it is held by a stop. Whoever is held by this notification is a tracee that was not reaped,
// so if the answer is taken, it is for this one.
void Tracer::stop_again(StopAgain& call) {
  Tracee* const tracee = find(call.tid);
  if (tracee == nullptr || request(PTRACE_INTERRUPT, call.tid, nullptr, nullptr) != 0) return;
  seccomp_notif_resp response = {};
  response.id = call.id;
  response.error = static_cast<int32_t>(arch::kRestartInAnyCase);
  int result;
  while ((result = ioctl(call.listener, SECCOMP_IOCTL_NOTIF_SEND, &response)) != 0 && errno == EINTR) continue;
  if (result != 0) return;
  tracee->stops_again = call.marks;
  tracee->marked_with = std::move(call.with);
}

// At the first stop after that, on the way out of the call, of whichever kind it is.
void Tracer::mark_call(Tracee& tracee) {
  arch::Registers registers;
  if (arch::get(tracee.tid, registers) != 0) return;
  tracee.stops_again = false;
  tracee.marked = true;
  const bool is_exec = tracee.marked_with != nullptr;
  tracee.unmarked = arch::argument(registers, is_exec ? kExecMark : kConnectSize);
  set_mark(tracee, registers, is_exec);
  arch::set(tracee.tid, registers);
}

void Tracer::set_mark(Tracee& tracee, arch::Registers& registers, bool is_exec) {
  if (is_exec)
    arch::set_argument(registers, kExecMark, kStopsExec);
  else
    arch::set_argument(registers, kConnectSize, tracee.unmarked | kStopsConnect);
}

// Whether it is the call that was marked; then its argument is what it was. Another one comes from a signal's handler,
// or from an instruction that was overwritten.
bool Tracer::unmark_call(Tracee& tracee, int64_t number) {
  const bool is_exec = number == __NR_execve || number == __NR_execveat;
  if (tracee.marked && is_exec && arch::argument(tracee.registers, kExecMark) == kStopsExec) {
    arch::set_argument(tracee.registers, kExecMark, tracee.unmarked);
    tracee.marked = false;
    return true;
  }
  if (!tracee.marked || number != __NR_connect ||
      arch::argument(tracee.registers, kConnectSize) != (tracee.unmarked | kStopsConnect))
    return false;
  arch::set_argument(tracee.registers, kConnectSize, tracee.unmarked);
  tracee.marked = false;
  return true;
}

// At the exit stop of a call that waited and was cut short: the kernel restarts it or not, as the handler asks. It does
// not look at a call that was skipped, so that comes after.
void Tracer::interrupt(Tracee& tracee) {
  tracee.phase = Phase::running;
  arch::Registers now;
  if (arch::get(tracee.tid, now) == 0) arch::interrupt(tracee.tid, now, tracee.number);
  resume(tracee);
}

void Tracer::on_syscall_stop(Tracee& tracee) {
  // It went on from its seccomp stop, which comes after the entry's (seccomp(2)), so this is the exit.
  if (tracee.phase == Phase::in_call) {
    leave_call(tracee);
    return;
  }
  __ptrace_syscall_info info = {};
  if (request(PTRACE_GET_SYSCALL_INFO, tracee.tid, as_pointer(sizeof info), &info) < 0) return;
  const bool at_exit = info.op == PTRACE_SYSCALL_INFO_EXIT;
  if (!tracee.wants_exit_stops()) {
    arch::Registers now;
    if (!at_exit) {
      on_entry(tracee);
      if (lacks_programs(tracee) && begin_to_put_on(tracee)) return;
    } else if (arch::get(tracee.tid, now) == 0)
      on_exit(tracee, now);
    resume(tracee);
  } else if (!at_exit) {
    if (tracee.phase == Phase::put_on_all) {
      request(PTRACE_SETSIGMASK, tracee.tid, as_pointer(sizeof tracee.signal_mask), &tracee.signal_mask);
      tracee.phase = Phase::running;
      if (lacks_programs(tracee) && begin_to_put_on(tracee)) return;
    }
    resume(tracee);
  } else if (tracee.phase == Phase::interrupting)
    interrupt(tracee);
  else if (tracee.phase == Phase::forking)
    on_forked(tracee);
  else
    on_injected_exit(tracee, info.exit.rval);
}

}  // namespace holdfast
