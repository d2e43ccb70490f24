#include "notify.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "../arch/arch.h"
#include "../call/blocking.h"
#include "../call/interrupted.h"
#include "../call/threads.h"
#include "../call/tree.h"
#include "../call/turn.h"
#include "../call/workers.h"
#include "../policy/violation.h"
#include "../syscalls/guards.h"
#include "bounce.h"
#include "dispatch.h"
#include "exec_check.h"
#include "exec_fence.h"
#include "injected.h"
#include "prepared.h"
#include "slice.h"
#include "stop_again.h"
#include "tasks.h"

// linux/seccomp.h of newer kernels than the oldest headers that we build with.
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)  // since Linux 6.6
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

namespace holdfast {
namespace {

void send(int listener, seccomp_notif_resp& response) {
  // ENOENT: the caller died or was interrupted meanwhile (seccomp_unotify(2)); there is nobody to tell.
  while (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) != 0 && errno == EINTR) continue;
}

void answer(int listener, uint64_t id, int64_t value) {
  seccomp_notif_resp response = {};
  response.id = id;
  if (value < 0 && value >= -4095)
    response.error = static_cast<int32_t>(value);
  else
    response.val = value;
  send(listener, response);
}

// In two steps, not by SECCOMP_ADDFD_FLAG_SEND: when the caller goes on, its descriptor is the only one. Else what it
// writes, closes and executes would still be open for writing here, and locks, leases and a pty's hang-up would wait.
// `refused` hears of an error that is not the caller's own.
template <typename Refused>
void hand_over(int listener, uint64_t id, UniqueFd fd, UniqueFd folder, bool close_on_exec, Refused refused) {
  seccomp_notif_addfd request = {};
  request.id = id;
  request.srcfd = static_cast<uint32_t>(fd.get());
  request.newfd_flags = close_on_exec ? O_CLOEXEC : 0;
  int result;
  while ((result = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &request)) < 0 && errno == EINTR) continue;
  const int error = errno;
  close_together(fd, folder);
  const bool own = error == EMFILE || error == ENFILE || error == ENOMEM;
  if (result >= 0) {
    answer(listener, id, result);
  } else if (error != ENOENT) {  // else it is gone
    if (!own) refused(error);
    answer(listener, id, own ? -error : -EPERM);
  }
}

// What the listener has: POLLIN, a call that nobody has received yet; POLLHUP, no task any more that could make one.
short state_of(int listener) {
  pollfd entry = {listener, POLLIN, 0};
  return poll(&entry, 1, 0) > 0 ? entry.revents : short{0};
}

// More than one that this process may use.
bool has_processors() {
  static const bool more = [] {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) > 1;
  }();
  return more;
}

void proceed(int listener, uint64_t id) {
  seccomp_notif_resp response = {};
  response.id = id;
  response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  send(listener, response);
}

// Calls by path look at their caller's memory and folder first, and then ask whether it was held (view/resolve.cc); so
// do those with an address, when they take a copy of the socket (families/caller.cc).
bool asks_after_looking(const Row& row) {
  const bool names_file = row.family == Family::files && (row.index(Arg::path) >= 0 || row.index(Arg::path2) >= 0);
  return (row.way == Way::perform || row.way == Way::bounce) && (names_file || row.index(Arg::address) >= 0);
}

// What is opened one after the other is closed by one call if its numbers are neighbours (close_together): gaps that
// the start has left between lower ones are filled.
void fill_gaps() {
  constexpr int kMost = 8;
  for (int i = 0; i < kMost; i++) {
    UniqueFd first(fcntl(0, F_DUPFD_CLOEXEC, 0)), second(fcntl(0, F_DUPFD_CLOEXEC, 0));
    if (!first || !second || second.get() == first.get() + 1) return;
    first.release();
  }
}

}  // namespace

static Notifier* notifier = nullptr;
Crew Notifier::crew_{[] { return notifier->add_worker(); }};
constexpr int kKeptReady = 2;

bool Notifier::start() {
  notifier = this;
  seccomp_notif_sizes sizes = {};
  if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) != 0) return false;
  if (sizes.seccomp_notif < sizeof(seccomp_notif) || sizes.seccomp_notif_resp < sizeof(seccomp_notif_resp))
    return false;
  request_size_ = sizes.seccomp_notif;
  response_size_ = sizes.seccomp_notif_resp;
  fill_gaps();
  // The caller and its worker hand over the processor to each other. Only a matter of speed; older kernels have no such
  // flag.
  ioctl(listener_, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
  return start_turns([](void* self) { return static_cast<Notifier*>(self)->add_worker(); }, this) && add_worker();
}

bool Notifier::add_worker() {
  // There are never more of them at work than the tree has threads.
  static std::atomic<int> started{0};
  return start_thread(run, this, started.fetch_add(1) < kKeptReady);
}

void* Notifier::run(void* self) {
  static_cast<Notifier*>(self)->work();
  return nullptr;
}

// On a thread of its own, which goes on working for the caller.
void Notifier::carry_out_behind_wall(const Held& call, std::function<Finish()> work) {
  Worker* const given = give_work_away();
  std::function<void()> task = [this, call, given, work = std::move(work)]() mutable {
    take_work(given);
    Finish finish = work();
    work = nullptr;  // and what it holds of the caller's, before the caller goes on
    carry_out(call, std::move(finish));
    end_work();
  };
  if (run_behind_wall(task)) return;
  take_work(given);
  stop_again({call.tid, listener_, call.cookie});
}

// Ends the call as its handler says.
void Notifier::carry_out(const Held& call, Finish finish) {
  if (gave_up_work()) {  // if it is held all the same it is held once more (exec_fence.h)
    stop_again({.tid = call.tid, .listener = listener_, .id = call.cookie, .marks = false});
    return;
  }
  switch (finish.kind) {
    case Finish::Kind::refused_foreign:
    case Finish::Kind::answer:
      if (finish.value == -kRestart) note_interrupted(call);
      answer(listener_, call.cookie, finish.value);
      break;
    case Finish::Kind::hand_over:
      // SECCOMP_IOCTL_NOTIF_ADDFD wakes the caller, waits until it is done, and no flag keeps both on one processor.
      let_callers_go_first();
      hand_over(listener_, call.cookie, std::move(finish.fd), std::move(finish.folder), finish.close_on_exec,
                [&](int error) {
                  report(sandbox_, call, EPERM,
                         std::string("what was opened could not be handed over: ") + strerrorname_np(error));
                });
      break;
    case Finish::Kind::proceed:
      if (finish.arguments && finish.arguments->exec && call.tid != call.tgid()) {
        // What must wait for others does so at a stop (exec_fence.h).
        finish.arguments->value(kExecMark, kStopsExec);
        stop_again({call.tid, listener_, call.cookie, std::move(finish.arguments)});
        break;
      }
      if (finish.arguments && finish.arguments->exec) approve_exec(call.tid, std::move(finish.arguments->exec));
      proceed(listener_, call.cookie);
      break;
    case Finish::Kind::kill: {
      const pid_t group = call.tgid();
      sandbox_.tree.while_stable([&] {
        if (sandbox_.tree.contains(group)) kill(group, static_cast<int>(finish.value));
      });
      answer(listener_, call.cookie, -EINTR);
      break;
    }
    case Finish::Kind::behind_wall:
      carry_out_behind_wall(call, std::move(finish.work));
      break;
    case Finish::Kind::by_stop:
      stop_again({call.tid, listener_, call.cookie});
      break;
    case Finish::Kind::bounce:  // a notification cannot change registers
      if (finish.arguments->exec) {
        stop_again({call.tid, listener_, call.cookie, std::move(finish.arguments)});
        break;
      }
      if (fill_prepared(call, sandbox_.page, *finish.arguments)) {
        proceed(listener_, call.cookie);
        break;
      }
      report(sandbox_, call, EPERM,
             call.row->way == Way::bounce
                 ? "the sealed page could not be mapped: the path lies where it would be, below 0x100000"
                 : "a call that was received cannot be given other arguments");
      answer(listener_, call.cookie, -EPERM);
      break;
    case Finish::Kind::gone:
      answer(listener_, call.cookie, -EINTR);  // if it is there at all, then to handle the signal that ends it
      break;
  }
}

void Notifier::work() {
  join_crew(crew_);
  std::vector<uint64_t> memory((std::max(request_size_, sizeof(seccomp_notif)) + 7) / 8);
  seccomp_notif& request = *reinterpret_cast<seccomp_notif*>(memory.data());
  bool has_turn = take_turn();
  while (has_turn) {
    memset(memory.data(), 0, memory.size() * 8);
    if (ioctl(listener_, SECCOMP_IOCTL_NOTIF_RECV, &request) != 0) {
      // ENOENT: the caller died before we could read its call, or no task has the filter any more.
      if (errno == EINTR || (errno == ENOENT && (state_of(listener_) & POLLHUP) == 0)) continue;
      break;
    }
    begin_turn_work();
    // A single thread makes one call at a time, and a single processor does one thing at a time: to wake another worker
    // there takes longer than the call.
    if (has_processors() && sandbox_.tree.size() > 1 && (state_of(listener_) & POLLIN) != 0) pass_turn();

    const uint64_t id = request.id;
    Held call;
    call.engine = Held::Engine::notify;
    call.tid = static_cast<pid_t>(request.pid);
    call.cookie = id;
    call.listener = listener_;
    call.tree = &sandbox_.tree;
    for (int i = 0; i < 6; i++) call.args[i] = request.data.args[i];

    // From here to end_work() the caller's number stays its own, if it is still held at any time after this.
    begin_work_outside_fence(call);
    forget_interrupted(call.tid);
    const Row* row = request.data.arch == arch::kAuditArch ? find_row(request.data.nr) : nullptr;
    if ((row != nullptr && asks_after_looking(*row)) || call.still_held()) {
      if (request.data.arch == arch::kAuditArch && is_injected(call, request.data.nr)) {
        int fd;
        bool close_on_exec;
        if (is_hand_over(call.tid, fd, close_on_exec)) {
          // A copy: the original is asked for again if SIGSTOP interrupts this.
          UniqueFd copy(fcntl(fd >= 0 ? fd : sandbox_.page.read_only_fd(), F_DUPFD_CLOEXEC, 0));
          // Without it the held call is refused in turn, and that is reported.
          hand_over(listener_, id, std::move(copy), UniqueFd(), close_on_exec, [](int) {});
        } else {
          proceed(listener_, id);  // the mapping of the page, or a bounced call under another number
        }
      } else {
        call.row = row;
        sandbox_.tree.usage().held.fetch_add(1, std::memory_order_relaxed);
        if (row != nullptr && row->way == Way::bounce) is_prepared(call);
        Finish finish = row == nullptr ? refuse_unknown(sandbox_, call, request.data.nr, request.data.arch)
                                       : dispatch(sandbox_, call);
        carry_out(call, std::move(finish));
      }
    }
    end_work();
    has_turn = keep_turn() || take_turn();
  }
  release_this_worker();
  leave_crew();
}

}  // namespace holdfast
