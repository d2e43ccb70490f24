#include "tracer.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <iterator>

#include "../call/threads.h"
#include "../call/tree.h"
#include "../call/workers.h"
#include "../channel/channel.h"
#include "../channel/report.h"
#include "../policy/config.h"
#include "../policy/decide.h"
#include "../syscalls/guards.h"
#include "dispatch.h"
#include "exec_check.h"
#include "tasks.h"

namespace holdfast {
namespace {

// Calls that the tracer has put into a thread's registers; asked by every notification, so a count stands before the
// look-up.
struct Injected {
  int64_t number = -1;
  uint64_t args[6] = {};
  UniqueFd hand_over;  // what it fetches, if not the page's descriptor
};
std::atomic<int> injections{0};
std::mutex injected_guard;
std::unordered_map<pid_t, Injected> injected;

void expect_injected(pid_t tid, Injected call) {
  std::lock_guard<std::mutex> lock(injected_guard);
  if (injected.insert_or_assign(tid, std::move(call)).second) injections.fetch_add(1);
}

void expect_nothing(pid_t tid) {
  std::lock_guard<std::mutex> lock(injected_guard);
  if (injected.erase(tid) != 0) injections.fetch_sub(1);
}

long request(int what, pid_t tid, void* address, void* data) { return syscall(SYS_ptrace, what, tid, address, data); }

void* as_pointer(uint64_t value) { return reinterpret_cast<void*>(value); }

// Whether the filter makes a stop of this call.
bool is_stopped(const Row& row, const arch::Registers& registers) {
  if (row.way == Way::bounce || row.way == Way::verify) return true;
  const int flags = path_only_argument(row);
  return flags >= 0 && (arch::argument(registers, flags) & O_PATH) != 0;
}

// A newborn whose parent was killed before it could report it: it is a tracee too, and its first stop is still to come.
bool somebody_is_left() {
  siginfo_t info;
  return waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL) == 0 || errno != ECHILD;
}

constexpr timespec kSoon = {0, 2'000'000};

constexpr unsigned kSyscallStop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD

}  // namespace

bool Tracer::is_injected(const Held& call, int number) {
  if (injections.load(std::memory_order_acquire) == 0) return false;
  std::lock_guard<std::mutex> lock(injected_guard);
  const auto expected = injected.find(call.tid);
  return expected != injected.end() && expected->second.number == number &&
         std::equal(std::begin(call.args), std::end(call.args), std::begin(expected->second.args));
}

int Tracer::to_hand_over(pid_t tid) {
  std::lock_guard<std::mutex> lock(injected_guard);
  const auto expected = injected.find(tid);
  return expected == injected.end() ? -1 : expected->second.hand_over.get();
}

int Tracer::seize(pid_t tid) {
  constexpr uint64_t kOptions = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
                                PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
  return request(PTRACE_SEIZE, tid, nullptr, as_pointer(kOptions)) == 0 ? 0 : errno;
}

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
  adopt(launch_.child, launch_.child);
  // Nothing is lost between draining and waiting: both signals are blocked, so a new one stays pending.
  for (;;) {
    handle_posts();
    reap_and_handle();
    if (tracees_.empty() && !somebody_is_left()) break;
    if (!others_started_ && launch_.launched) begin_to_serve();
    siginfo_t info;
    if (others_started_)
      sigwaitinfo(&wanted, &info);
    else if (sigtimedwait(&wanted, &info, &kSoon) < 0 && errno == EAGAIN)
      begin_to_serve();
  }
}

// Threads that serve the command and Node take longer to start than the command to get to its first held call, so they
// come when it runs already; or when it does not run for a while, for it may have been stopped, or a hook be asked
// about its exec.
void Tracer::begin_to_serve() { others_started_ = start_others(launch_.area->listener.load()); }

void Tracer::reap_and_handle() {
  // One look that takes nothing away comes first, because a dead thread that a worker still works for must stay a
  // zombie.
  const auto take = [this](idtype_t type, id_t id) {
    siginfo_t seen = {};
    if (waitid(type, id, &seen, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL) != 0 || seen.si_pid == 0) return 0;
    const pid_t tid = seen.si_pid;
    const bool dead = seen.si_code == CLD_EXITED || seen.si_code == CLD_KILLED || seen.si_code == CLD_DUMPED;
    int status = 0;
    if (!dead) {
      if (waitpid(tid, &status, WNOHANG | __WALL) == tid) on_stop(tid, status);
      return 1;
    }
    std::unique_lock<std::mutex> reaping(sandbox_.tree.reaping());
    if (somebody_works_for_dead(tid)) return 2;
    if (waitpid(tid, &status, WNOHANG | __WALL) != tid) return 1;
    sandbox_.tree.remove(tid);
    reaping.unlock();
    on_death(tid, status);
    return 1;
  };
  for (;;) {
    const int got = take(P_ALL, 0);
    if (got == 0) return;
    if (got != 2) continue;
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

void Tracer::adopt(pid_t tid, pid_t parent_group) {
  if (find(tid) != nullptr) return;
  auto tracee = std::make_unique<Tracee>();
  tracee->tid = tid;
  // tgkill finds a thread only under its own thread group (tgkill(2)); the child is stopped, so the answer stays true.
  tracee->group = syscall(SYS_tgkill, parent_group, tid, 0) == 0 ? parent_group : tid;
  sandbox_.tree.add(tid, tracee->group);
  tracees_[tid] = std::move(tracee);
  if (sandbox_.tree.doomed()) kill(tid, SIGKILL);  // it is a tracee, so its number is its own until it is reaped here
}

void Tracer::on_death(pid_t tid, int status) {
  const auto at = tracees_.find(tid);
  if (at == tracees_.end()) return;  // an orphan that had been reaped as a tracee already
  expect_nothing(tid);
  sandbox_.page.free_slot(at->second->slot);
  tracees_.erase(at);
  if (sandbox_.tree.group_of(tid) == 0) page_mapped_.erase(tid);
  if (tid != launch_.child) return;
  // A signal that ended it on the way to its first instruction is an end like any other.
  if (!launch_.launched && !(WIFSIGNALED(status) && launch_.area->stage.load() == 0)) {
    report_failed_launch(sandbox_, launch_);
    return;
  }
  report_exit(sandbox_, tid, status);
  if (!sandbox_.config.wait_for_tree) kill_tree(sandbox_.tree);
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
    adopt(tid, group == 0 ? tid : group);
    early_.insert(tid);
    tracee = find(tid);
  }
  switch (event) {
    case 0:
      if (signal == static_cast<int>(kSyscallStop))
        on_syscall_stop(*tracee);
      else
        resume(*tracee, signal);
      return;
    case PTRACE_EVENT_SECCOMP:
      on_seccomp_stop(*tracee);
      return;
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE: {
      unsigned long child = 0;
      // A child that was seen first may have come and gone already: it must not be waited for a second time.
      if (request(PTRACE_GETEVENTMSG, tid, nullptr, &child) == 0 && child != 0 &&
          early_.erase(static_cast<pid_t>(child)) == 0)
        adopt(static_cast<pid_t>(child), tracee->group);
      resume(*tracee);
      return;
    }
    case PTRACE_EVENT_EXEC:
      on_exec(tid);
      return;
    case PTRACE_EVENT_STOP:
      // ptrace(2), "Group-stop": with PTRACE_SEIZE a group-stop has a stopping signal, every other such stop SIGTRAP.
      if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU)
        request(PTRACE_LISTEN, tid, nullptr, nullptr);
      else
        resume(*tracee);
      return;
    default:
      resume(*tracee);
  }
}

void Tracer::resume(Tracee& tracee, int signal) {
  request(tracee.wants_exit_stops() ? PTRACE_SYSCALL : PTRACE_CONT, tracee.tid, nullptr,
          as_pointer(static_cast<uint64_t>(signal)));
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
  run_task([this, tid, task, what, work = std::move(work)] {
    // The tracee is stopped and was not reaped when this was queued, but it can have been killed since.
    begin_work_for(tid);
    Finish finish = sandbox_.tree.contains(tid) ? work() : Finish::gone();
    end_work();
    post({tid, task, what, std::move(finish)});
  });
}

void Tracer::post(Post post) {
  {
    std::lock_guard<std::mutex> lock(posts_guard_);
    posts_.push_back(std::move(post));
  }
  wake_tracer();
}

void Tracer::handle_posts() {
  std::vector<Post> posts;
  {
    std::lock_guard<std::mutex> lock(posts_guard_);
    posts.swap(posts_);
  }
  for (Post& post : posts) finish_task(std::move(post));
}

void Tracer::finish_task(Post post) {
  Tracee* tracee = find(post.tid);
  if (tracee == nullptr || tracee->task != post.task) return;  // it died, or an exec of another thread took its number
  tracee->task = 0;
  tracee->phase = Phase::running;
  switch (post.what) {
    case Task::decide:
      apply(*tracee, std::move(post.finish));
      return;
    case Task::verify_exec:
      if (post.finish.kind != Finish::Kind::proceed) {
        kill_group(tracee->group);
        return;
      }
      if (tracee->tid != launch_.child || launch_.launched) {
        resume(*tracee);
        return;
      }
      launch_.launched = true;
      launch_.close_inherited();
      report_launched(sandbox_, launch_.child);
      resume(*tracee);
      sandbox_.channel.wake();
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

void Tracer::on_seccomp_stop(Tracee& tracee) {
  if (tracee.phase >= Phase::fetch_socket && tracee.phase <= Phase::close_socket) {
    // Our own sendmsg. Any other call in its place comes from an instruction that was overwritten: an attack.
    arch::Registers registers;
    Held call;
    call.tid = tracee.tid;
    if (arch::get(tracee.tid, registers) != 0) return;
    for (int i = 0; i < 6; i++) call.args[i] = arch::argument(registers, i);
    if (tracee.phase == Phase::lend && is_injected(call, static_cast<int>(arch::number(registers))))
      resume(tracee);
    else
      kill_group(tracee.group);
    return;
  }
  if (arch::get(tracee.tid, tracee.registers) != 0) return;
  const int64_t number = static_cast<int>(arch::number(tracee.registers));
  expect_nothing(tracee.tid);
  if (tracee.phase == Phase::again) {
    // The held call again, now that what it needs is there. All signals were blocked, so nothing has come between; but
    // its instruction can have been replaced meanwhile, so only what the bounce replaces is sure to be what was judged.
    request(PTRACE_SETSIGMASK, tracee.tid, as_pointer(sizeof tracee.signal_mask), &tracee.signal_mask);
    tracee.phase = Phase::running;
    if (number == tracee.number && tracee.pending) {
      apply_bounce(tracee);
      return;
    }
    tracee.pending.reset();
    if (number != tracee.number) tracee.lent.reset();
  }
  const Row* row = find_row(static_cast<int>(number));
  if (row == nullptr || !is_stopped(*row, tracee.registers)) {
    // Not ours: a filter of the tree's own asked for a tracer. Without one the kernel answers ENOSYS (seccomp(2)).
    arch::skip(tracee.tid, tracee.registers, -ENOSYS);
    resume(tracee);
    return;
  }
  tracee.phase = Phase::deciding;
  tracee.number = number;
  Held call;
  call.row = row;
  call.engine = Held::Engine::trace;
  call.tid = tracee.tid;
  call.tree = &sandbox_.tree;
  call.lent = std::move(tracee.lent);
  for (int i = 0; i < 6; i++) call.args[i] = arch::argument(tracee.registers, i);
  submit(tracee, Task::decide, [this, call]() mutable { return dispatch(sandbox_, call); });
}

void Tracer::kill_group(pid_t group) {
  sandbox_.tree.while_stable([&] {
    if (sandbox_.tree.contains(group)) kill(group, SIGKILL);
  });
}

void Tracer::apply(Tracee& tracee, Finish finish) {
  switch (finish.kind) {
    case Finish::Kind::proceed:
      if (finish.arguments) tracee.exec = std::move(finish.arguments->exec);
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
    case Finish::Kind::answer:
      arch::skip(tracee.tid, tracee.registers, finish.value);
      break;
    case Finish::Kind::hand_over:  // a stop has no way to install a descriptor
      arch::skip(tracee.tid, tracee.registers, -EPERM);
      break;
  }
  resume(tracee);
}

// ---- Bouncing ----------------------------------------------------------------------------------------------------

void Tracer::apply_bounce(Tracee& tracee) {
  Bounce& bounce = *tracee.pending;
  // A forked process most often has it from its parent; it was copied at a time that no event tells, so look.
  if (bounce.size != 0 && page_mapped_.count(tracee.group) == 0 && sandbox_.page.mapped_in(tracee.tid))
    page_mapped_.insert(tracee.group);
  if (bounce.size != 0 && page_mapped_.count(tracee.group) == 0) {
    if (const int error = sandbox_.page.create()) {
      tracee.pending.reset();
      arch::skip(tracee.tid, tracee.registers, -error);
      resume(tracee);
      return;
    }
    begin_injection(tracee, Phase::fetch_page, UniqueFd());
    return;
  }
  arch::Registers changed = tracee.registers;
  if (bounce.size != 0) {
    tracee.slot = sandbox_.page.take_slot();
    if (tracee.slot < 0) {
      tracee.pending.reset();
      arch::skip(tracee.tid, tracee.registers, -EAGAIN);
      resume(tracee);
      return;
    }
    bounce.place(BouncePage::address(tracee.slot));
    sandbox_.page.fill(tracee.slot, bounce.bytes, bounce.size);
  }
  if (bounce.lends) {
    lend(tracee);
    return;
  }
  for (int i = 0; i < bounce.replaced; i++) {
    const Bounce::Replacement& with = bounce.replace[i];
    arch::set_argument(changed, with.index, with.in_slot ? BouncePage::address(tracee.slot) + with.value : with.value);
  }
  if (bounce.number >= 0) {
    // The filter is asked once more, about the new number, and may notify: that call is ours (notify.cc).
    Injected other = {bounce.number, {}, UniqueFd()};
    for (int i = 0; i < 6; i++) other.args[i] = arch::argument(changed, i);
    expect_injected(tracee.tid, std::move(other));
    if (arch::set_number(tracee.tid, changed, bounce.number) != 0) return;
  }
  if (arch::set(tracee.tid, changed) != 0) return;
  tracee.phase = Phase::in_call;
  resume(tracee);
}

// From an entry stop: the thread fetches a descriptor of ours in place of its own call.
void Tracer::begin_injection(Tracee& tracee, Phase phase, UniqueFd hand_over) {
  uint64_t all = ~uint64_t{0};
  if (request(PTRACE_GETSIGMASK, tracee.tid, as_pointer(sizeof tracee.signal_mask), &tracee.signal_mask) != 0 ||
      request(PTRACE_SETSIGMASK, tracee.tid, as_pointer(sizeof all), &all) != 0)
    return;  // it died
  tracee.phase = phase;
  arch::Registers changed = tracee.registers;
  const uint64_t args[6] = {kInjectedHandOver, 0, 0, 0, 0, 0};
  for (int i = 0; i < 6; i++) arch::set_argument(changed, i, args[i]);
  Injected fetch = {__NR_openat, {}, std::move(hand_over)};
  std::copy(std::begin(args), std::end(args), std::begin(fetch.args));
  expect_injected(tracee.tid, std::move(fetch));
  if (arch::set_number(tracee.tid, changed, __NR_openat) != 0 || arch::set(tracee.tid, changed) != 0) return;
  resume(tracee);
}

// Where pidfd_getfd is not allowed: the thread itself sends its descriptor, on a socket that is made for this one
// message. Who shares its table of descriptors can use the socket too; whatever arrives is then looked at, and acted
// on, as it is.
void Tracer::lend(Tracee& tracee) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    const int error = errno;
    stop_lending(tracee);
    tracee.pending.reset();
    arch::skip(tracee.tid, tracee.registers, -error);
    resume(tracee);
    return;
  }
  tracee.lending.reset(ends[0]);
  begin_injection(tracee, Phase::fetch_socket, UniqueFd(ends[1]));
}

void Tracer::stop_lending(Tracee& tracee) {
  tracee.lending.reset();
  sandbox_.page.free_slot(tracee.slot);
  tracee.slot = -1;
}

// What the thread has sent.
void Tracer::take_lent(Tracee& tracee) {
  if (tracee.lent->error == 0) {
    tracee.lent->error = EPERM;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message = {};
    message.msg_control = control;
    message.msg_controllen =
        CMSG_LEN(sizeof(int));  // the padding would have room for a second one, which nobody closes
    if (recvmsg(tracee.lending.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) >= 0) {
      const cmsghdr* head = CMSG_FIRSTHDR(&message);
      if (head != nullptr && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
          head->cmsg_len == CMSG_LEN(sizeof(int))) {
        int fd;
        memcpy(&fd, CMSG_DATA(head), sizeof fd);
        tracee.lent->fd.reset(fd);
        tracee.lent->error = 0;
      }
    }
  }
  stop_lending(tracee);
  tracee.pending.reset();
}

// At an exit stop of ours: the thread makes its held call once more.
void Tracer::call_held_again(Tracee& tracee) {
  expect_nothing(tracee.tid);
  arch::Registers original = tracee.registers;
  arch::call_again(original, tracee.number);
  tracee.phase = Phase::again;
  if (arch::set(tracee.tid, original) == 0) resume(tracee);
}

void Tracer::on_syscall_stop(Tracee& tracee) {
  __ptrace_syscall_info info = {};
  if (request(PTRACE_GET_SYSCALL_INFO, tracee.tid, as_pointer(sizeof info), &info) < 0) return;
  if (info.op != PTRACE_SYSCALL_INFO_EXIT || !tracee.wants_exit_stops()) {
    resume(tracee);
    return;
  }
  const int64_t result = info.exit.rval;
  switch (tracee.phase) {
    case Phase::in_call:
      leave_call(tracee);
      return;
    case Phase::fetch_page: {
      if (result < 0) {
        abandon_injection(tracee, result == -EMFILE ? EMFILE : EPERM);
        return;
      }
      tracee.handed_over = static_cast<int>(result);
      const uint64_t args[6] = {kBouncePageAddress,
                                kBouncePageBytes,
                                1 /* PROT_READ */,
                                0x100001 /* MAP_SHARED | MAP_FIXED_NOREPLACE */,
                                static_cast<uint64_t>(result),
                                0};
      inject(tracee, Phase::map_page, __NR_mmap, args);
      return;
    }
    case Phase::map_page: {
      // -EEXIST: a process that shares this address space (vfork) has it already. What stands there is looked at below.
      const uint64_t args[6] = {static_cast<uint64_t>(tracee.handed_over), 0, 0, 0, 0, 0};
      inject(tracee, Phase::close_page, __NR_close, args);
      return;
    }
    case Phase::close_page: {
      if (!sandbox_.page.mapped_in(tracee.tid)) {
        abandon_injection(tracee, EPERM);
        return;
      }
      page_mapped_.insert(tracee.group);
      call_held_again(tracee);
      return;
    }
    case Phase::fetch_socket: {
      if (result < 0) {
        abandon_injection(tracee, result == -EMFILE ? EMFILE : EPERM);
        return;
      }
      tracee.handed_over = static_cast<int>(result);
      const uint64_t args[6] = {
          static_cast<uint64_t>(result), BouncePage::address(tracee.slot), MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0, 0};
      inject(tracee, Phase::lend, __NR_sendmsg, args);
      return;
    }
    case Phase::lend: {
      tracee.lent = std::make_shared<Lent>();
      tracee.lent->error = result < 0 ? static_cast<int>(-result) : 0;
      const uint64_t args[6] = {static_cast<uint64_t>(tracee.handed_over), 0, 0, 0, 0, 0};
      inject(tracee, Phase::close_socket, __NR_close, args);
      return;
    }
    case Phase::close_socket:
      take_lent(tracee);
      call_held_again(tracee);
      return;
    default:
      resume(tracee);
  }
}

// Makes a stopped thread call something of ours when it goes on. It goes on at its own system call instruction, which
// another thread may have overwritten since: whatever runs there instead is a call of the tree's own, and only the very
// call that was injected is let by (is_injected).
void Tracer::inject(Tracee& tracee, Phase phase, int64_t number, const uint64_t (&args)[6]) {
  arch::Registers changed = tracee.registers;
  for (int i = 0; i < 6; i++) arch::set_argument(changed, i, args[i]);
  arch::call_again(changed, number);
  Injected expected = {number, {}, UniqueFd()};
  std::copy(std::begin(args), std::end(args), std::begin(expected.args));
  expect_injected(tracee.tid, std::move(expected));
  tracee.phase = phase;
  if (arch::set(tracee.tid, changed) == 0) resume(tracee);
}

// At an exit stop, with the injected call's registers: the held call answers `error` instead.
void Tracer::abandon_injection(Tracee& tracee, int error) {
  request(PTRACE_SETSIGMASK, tracee.tid, as_pointer(sizeof tracee.signal_mask), &tracee.signal_mask);
  expect_nothing(tracee.tid);
  stop_lending(tracee);
  tracee.pending.reset();
  tracee.phase = Phase::running;
  arch::Registers original = tracee.registers;
  arch::set_result(original, -error);
  arch::set(tracee.tid, original);
  resume(tracee);
}

// At the exit stop of a bounced call: the caller finds its own registers again.
void Tracer::leave_call(Tracee& tracee) {
  arch::Registers now;
  if (arch::get(tracee.tid, now) != 0) return;
  Bounce& bounce = *tracee.pending;
  for (int i = 0; i < bounce.replaced; i++) {
    const int index = bounce.replace[i].index;
    if (index == arch::kResultArgument) continue;
    arch::set_argument(now, index, arch::argument(tracee.registers, index));
  }
  if (bounce.number >= 0) {
    expect_nothing(tracee.tid);
    arch::set_number(tracee.tid, now, tracee.number);
  }
  arch::set(tracee.tid, now);
  sandbox_.page.free_slot(tracee.slot);
  tracee.slot = -1;
  const int64_t result = arch::result(now);
  const uint64_t store_at = bounce.store_result_at;
  const bool result_is_one = bounce.result_is_one;
  tracee.pending.reset();
  if (store_at == 0 || result < 0) {
    tracee.phase = Phase::running;
    resume(tracee);
    return;
  }
  // Writing may fault for as long as the tree likes: not here.
  tracee.registers = now;
  tracee.phase = Phase::storing;
  Held call;
  call.engine = Held::Engine::trace;
  call.tid = tracee.tid;
  call.tree = &sandbox_.tree;
  submit(tracee, Task::store_result, [call, store_at, result, result_is_one] {
    const uint32_t value = static_cast<uint32_t>(result);
    if (const int error = call.write(store_at, &value, sizeof value)) return Finish::answer(error);
    return Finish::answer(result_is_one ? 1 : result);
  });
}

// ---- Exec -----------------------------------------------------------------------------------------------------------

void Tracer::on_exec(pid_t tid) {
  unsigned long message = 0;
  request(PTRACE_GETEVENTMSG, tid, nullptr, &message);
  const pid_t former = static_cast<pid_t>(message);
  if (former != 0 && former != tid) {
    // A thread that is not the leader has become it: it took the leader's number, and nobody reports the old leader's
    // end (ptrace(2), "execve(2) under ptrace").
    const auto from = tracees_.find(former);
    if (from != tracees_.end()) {
      std::unique_ptr<Tracee> moved = std::move(from->second);
      tracees_.erase(from);
      sandbox_.tree.remove(former);
      expect_nothing(former);
      if (Tracee* leader = find(tid)) sandbox_.page.free_slot(leader->slot);
      moved->tid = tid;
      tracees_[tid] = std::move(moved);
    }
  }
  Tracee* tracee = find(tid);
  if (tracee == nullptr) {
    kill(tid, SIGKILL);
    return;
  }
  tracee->group = tid;
  expect_nothing(tid);
  stop_lending(*tracee);
  tracee->lent.reset();
  tracee->pending.reset();
  page_mapped_.erase(tid);
  tracee->phase = Phase::verifying;
  if (!tracee->exec) {
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
  std::shared_ptr<ExecApproval> approved = std::move(tracee->exec);
  submit(*tracee, Task::verify_exec, [this, call, approved, stack, start] {
    return exec_is_as_approved(sandbox_, call, *approved, stack, start) ? Finish::proceed() : Finish::error(EACCES);
  });
}

void kill_tree(Tree& tree) {
  tree.doom();
  tree.while_stable([&] {
    for (const pid_t group : tree.groups()) kill(group, SIGKILL);
  });
}

}  // namespace holdfast
