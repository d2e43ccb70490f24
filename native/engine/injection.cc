// The tracer's part about calls of ours that a stopped thread is made to make before its own.
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "../arch/arch.h"
#include "../call/tree.h"
#include "../policy/violation.h"
#include "../syscalls/guards.h"
#include "injected.h"
#include "request.h"
#include "tracer.h"

namespace holdfast {
namespace {

// Why a call that is allowed could not be made. A filter of the tree's own runs before ours can let the calls by.
constexpr char kPageNotFetched[] =
    "the sealed page's descriptor could not be opened in this process (its limit of descriptors, or its own filter)";
constexpr char kPageNotMapped[] =
    "the sealed page could not be mapped: the program has something of its own below 0x100000, or its own filter";
constexpr char kSocketNotFetched[] =
    "the socket could not be borrowed from this process (its limit of descriptors, or its own filter)";
constexpr char kResultNotFetched[] =
    "what was opened could not be handed over: this process cannot fetch it (its own filter, or a container's)";

}  // namespace

// From an entry stop: the thread fetches a descriptor of ours in place of its own call.
void Tracer::begin_injection(Tracee& tracee, Phase phase, UniqueFd hand_over, bool close_on_exec) {
  uint64_t all = ~uint64_t{0};
  if (request(PTRACE_GETSIGMASK, tracee.tid, as_pointer(sizeof tracee.signal_mask), &tracee.signal_mask) != 0 ||
      request(PTRACE_SETSIGMASK, tracee.tid, as_pointer(sizeof all), &all) != 0)
    return;  // it died
  tracee.phase = phase;
  if (are_held_by_stops()) {
    if (!hand_over) hand_over.reset(fcntl(sandbox_.page.read_only_fd(), F_DUPFD_CLOEXEC, 0));
    begin_fetch(tracee, std::move(hand_over), close_on_exec);
    return;
  }
  arch::Registers changed = tracee.registers;
  const uint64_t args[6] = {kInjectedHandOver, 0, O_ACCMODE, 0, 0, 0};  // flags that no policy leaves to the kernel
  Injected fetch = {__NR_openat, {}, std::move(hand_over), close_on_exec, true, true, arch::argument(changed, 0)};
  std::copy(std::begin(args), std::end(args), std::begin(fetch.args));
  for (int i = 0; i < 6; i++) arch::set_argument(changed, i, args[i]);
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
    refuse(tracee, error, "the supervisor cannot be lent the caller's descriptor");
    return;
  }
  tracee.lending.reset(ends[0]);
  begin_injection(tracee, Phase::fetch_socket, UniqueFd(ends[1]));
}

void Tracer::stop_lending(Tracee& tracee) {
  tracee.lending.reset();
  free_slot(tracee);
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

// At the exit stop of a call that has changed the caller's ids. The kernel makes its process undumpable by that, and
// then nobody without CAP_SYS_PTRACE sees its memory and directories, not even who has its ids (prctl(2),
// PR_SET_DUMPABLE). For the tree it is hidden as if it had stayed so.
void Tracer::begin_reopening(Tracee& tracee) {
  uint64_t all = ~uint64_t{0};
  if (request(PTRACE_GETSIGMASK, tracee.tid, as_pointer(sizeof tracee.signal_mask), &tracee.signal_mask) != 0 ||
      request(PTRACE_SETSIGMASK, tracee.tid, as_pointer(sizeof all), &all) != 0)
    return;  // it died
  constexpr uint64_t kAsk[6] = {PR_GET_DUMPABLE, 0, 0, 0, 0, 0};
  inject(tracee, Phase::ask_open, __NR_prctl, kAsk);
}

void Tracer::on_reopening(Tracee& tracee, int64_t result) {
  const bool asked = tracee.phase == Phase::ask_open;
  // Not 1: it has become so. Or SIGSTOP came before a worker received the second call.
  if (asked ? result != 1 : result == arch::kRestartIfAsked) {
    sandbox_.tree.hide(tracee.group, true);
    constexpr uint64_t kOpen[6] = {PR_SET_DUMPABLE, 1, 0, 0, 0, 0};
    inject(tracee, Phase::reopen, __NR_prctl, kOpen);
    return;
  }
  request(PTRACE_SETSIGMASK, tracee.tid, as_pointer(sizeof tracee.signal_mask), &tracee.signal_mask);
  expect_nothing(tracee.tid);
  tracee.phase = Phase::running;
  if (arch::set(tracee.tid, tracee.registers) == 0) resume(tracee);
}

// At an exit stop of ours: the thread makes its held call once more.
void Tracer::call_held_again(Tracee& tracee) {
  expect_nothing(tracee.tid);
  arch::Registers original = tracee.registers;
  if (tracee.came_marked) {
    tracee.marked = true;
    set_mark(tracee, original, tracee.number != __NR_connect);
  }
  arch::call_again(original, tracee.number);
  tracee.phase = Phase::again;
  if (arch::set(tracee.tid, original) == 0) resume(tracee);
}

// At the exit stop of a call of ours: the next one, or the held call again.
void Tracer::on_injected_exit(Tracee& tracee, int64_t result) {
  if (tracee.phase == Phase::ask_open || tracee.phase == Phase::reopen) {
    on_reopening(tracee, result);
    return;
  }
  if (tracee.fetch.is_under_way) {
    if (!go_on_fetching(tracee, result)) return;
  } else if (result == arch::kRestartIfAsked) {
    // SIGSTOP, which nothing blocks, came before a worker received it: only the fetching waits for one.
    arch::Registers again;
    if (arch::get(tracee.tid, again) != 0) return;
    arch::set_argument(again, 0, kInjectedHandOver);
    arch::call_again(again, __NR_openat);
    if (arch::set(tracee.tid, again) == 0) resume(tracee);
    return;
  }
  switch (tracee.phase) {
    case Phase::fetch_page: {
      if (result < 0) {
        abandon_injection(tracee, result == -EMFILE ? EMFILE : EPERM, kPageNotFetched);
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
        abandon_injection(tracee, EPERM, kPageNotMapped);
        return;
      }
      page_mapped_.insert(tracee.group);
      if (tracee.puts_on)
        put_on_next(tracee, false);
      else
        call_held_again(tracee);
      return;
    }
    case Phase::fetch_socket: {
      if (result < 0) {
        abandon_injection(tracee, result == -EMFILE ? EMFILE : EPERM, kSocketNotFetched);
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
    case Phase::put_on:
      on_put_on(tracee, result);
      return;
    case Phase::fetch_result:
      if (result < 0 && result != -EMFILE && result != -ENFILE && result != -ENOMEM) {
        abandon_injection(tracee, EPERM, kResultNotFetched);
        return;
      }
      request(PTRACE_SETSIGMASK, tracee.tid, as_pointer(sizeof tracee.signal_mask), &tracee.signal_mask);
      expect_nothing(tracee.tid);
      tracee.phase = Phase::running;
      arch::set_result(tracee.registers, result);
      if (arch::set(tracee.tid, tracee.registers) == 0) resume(tracee);
      return;
    case Phase::close_socket:
      take_lent(tracee);
      call_held_again(tracee);
      return;
    default:
      resume(tracee);
  }
}

// Makes a stopped thread call something of ours when it goes on: in place of its own call, at its entry; else at its
// own system call instruction, which another thread may have overwritten since: whatever runs there instead is a call
// of the tree's own, and only the very call that was injected is let by (is_injected).
void Tracer::inject(Tracee& tracee, Phase phase, int64_t number, const uint64_t (&args)[6], bool at_entry) {
  arch::Registers changed = tracee.registers;
  for (int i = 0; i < 6; i++) arch::set_argument(changed, i, args[i]);
  if (!at_entry) arch::call_again(changed, number);
  Injected expected = {number, {}, UniqueFd()};
  std::copy(std::begin(args), std::end(args), std::begin(expected.args));
  expected.at_entry = at_entry;
  expected.own_first = arch::argument(tracee.registers, 0);
  expect_injected(tracee.tid, std::move(expected));
  tracee.phase = phase;
  if (at_entry && arch::set_number(tracee.tid, changed, number) != 0) return;
  if (arch::set(tracee.tid, changed) == 0) resume(tracee);
}

// At an exit stop, with the injected call's registers: the held call answers `error` instead.
void Tracer::abandon_injection(Tracee& tracee, int error, const char* reason) {
  if (tracee.puts_on) {
    fail_to_put_on(tracee);
    return;
  }
  request(PTRACE_SETSIGMASK, tracee.tid, as_pointer(sizeof tracee.signal_mask), &tracee.signal_mask);
  expect_nothing(tracee.tid);
  stop_lending(tracee);
  tracee.pending.reset();
  tracee.phase = Phase::storing;
  submit(tracee, Task::store_result, refusing(tracee, error, reason));
}

}  // namespace holdfast
