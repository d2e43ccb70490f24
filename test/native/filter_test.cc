// The seccomp program against what the table promises: a BPF interpreter runs it on every number, and on registers
// chosen for each guard. The expectations are written out here from the man pages, not taken from guards.cc.
#include "../../native/launch/filter.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "../../native/arch/arch.h"
#include "../../native/engine/bounce.h"
#include "../../native/syscalls/classes.h"
#include "../../native/syscalls/guards.h"
#include "../../native/syscalls/table.h"
#include "bpf.h"

namespace {

using holdfast::Row;
using holdfast::Way;

int failures = 0, checks = 0;

using bpf::run;

const char* name_of(uint32_t answer) {
  switch (answer & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
      return "allow";
    case SECCOMP_RET_TRACE:
      return "trace";
    case SECCOMP_RET_USER_NOTIF:
      return "notify";
    case SECCOMP_RET_ERRNO:
      return "errno";
  }
  return "invalid";
}

std::vector<sock_filter> notifying, tracing;
bool decided_at_stops = false;

uint32_t held_answer(const Row& row, const seccomp_data& data, bool trace_everything) {
  uint64_t args[6];
  std::copy(std::begin(data.args), std::end(data.args), args);
  if (row.way == Way::perform && holdfast::is_stopped(row, args)) return SECCOMP_RET_TRACE;
  // A path in the sealed page or below it is none of the program's own.
  if (std::strcmp(row.name, "chdir") == 0 && args[0] < holdfast::kBouncePageEnd && !decided_at_stops &&
      holdfast::arch::kFilterSeesChanges)
    return trace_everything ? SECCOMP_RET_TRACE : SECCOMP_RET_USER_NOTIF;
  // Only the first exec is marked.
  const bool received = row.way == Way::verify && !decided_at_stops && data.args[5] != holdfast::kStopsExec;
  switch (row.way) {
    case Way::let_by:
      return SECCOMP_RET_ALLOW;
    case Way::absent:
      return SECCOMP_RET_ERRNO | static_cast<uint32_t>(row.error);
    case Way::bounce:
    case Way::verify:
      return trace_everything || !received ? SECCOMP_RET_TRACE : SECCOMP_RET_USER_NOTIF;
    case Way::perform:
    case Way::observe:
    case Way::refuse:
      break;
  }
  return trace_everything ? SECCOMP_RET_TRACE : SECCOMP_RET_USER_NOTIF;
}

void expect(const char* what, const seccomp_data& data, uint32_t with_notify, uint32_t with_trace) {
  const uint32_t got[2] = {run(notifying, data), run(tracing, data)};
  const uint32_t wanted[2] = {with_notify, with_trace};
  for (int i = 0; i < 2; i++) {
    checks++;
    if (got[i] == wanted[i]) continue;
    failures++;
    std::printf("FAIL %s(%#llx, %#llx, %#llx, %#llx, %#llx)%s: %s %#x, expected %s %#x\n", what,
                static_cast<unsigned long long>(data.args[0]), static_cast<unsigned long long>(data.args[1]),
                static_cast<unsigned long long>(data.args[2]), static_cast<unsigned long long>(data.args[3]),
                static_cast<unsigned long long>(data.args[4]), i ? " [trace_everything]" : "", name_of(got[i]), got[i],
                name_of(wanted[i]), wanted[i]);
  }
}

seccomp_data call(int number) {
  seccomp_data data{};
  data.nr = number;
  data.arch = holdfast::arch::kAuditArch;
  return data;
}

using Values = std::initializer_list<uint64_t>;

struct Registers {
  uint64_t values[6];
};

void check(const char* name, bool let_by, Registers registers) {
  const Row* row = holdfast::find_row(name);
  if (!row) {
    failures++;
    std::printf("FAIL %s is not in the table\n", name);
    return;
  }
  if (row->number() < 0) return;
  seccomp_data data = call(row->number());
  std::memcpy(data.args, registers.values, sizeof data.args);
  expect(name, data, let_by ? SECCOMP_RET_ALLOW : held_answer(*row, data, false),
         let_by ? SECCOMP_RET_ALLOW : held_answer(*row, data, true));
}

void passes(const char* name, Registers registers) { check(name, true, registers); }
void held(const char* name, Registers registers) { check(name, false, registers); }

constexpr uint64_t kJunk = 0xdeadbeef00000000;  // in the half of an int's register that the kernel does not read
constexpr uint64_t kHigh = 0x1'0000'0000;
constexpr uint64_t kEnd = holdfast::kBouncePageEnd;

void every_number() {
  const Registers patterns[] = {{{0, 0, 0, 0, 0, 0}},
                                {{~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull}},
                                {{1, 1, 1, 1, 1, 1}},
                                {{kJunk, kJunk, kJunk, kJunk, kJunk, kJunk}}};
  for (int number = -2; number < 2048; number++) {
    const Row* row = holdfast::find_row(number);
    for (const Registers& pattern : patterns) {
      seccomp_data data = call(number);
      std::memcpy(data.args, pattern.values, sizeof data.args);
      if (!row) {
        expect("unknown number", data, SECCOMP_RET_USER_NOTIF, SECCOMP_RET_TRACE);
      } else if (row->way == Way::let_by || row->guard == holdfast::Guard::always_held) {
        expect(row->name, data, held_answer(*row, data, false), held_answer(*row, data, true));
      }
      // The same number in another ABI: i386 on x86_64, 32-bit arm on aarch64, x32's bit, or nonsense.
      for (uint32_t arch : {0x40000003u, 0x40000028u, holdfast::arch::kAuditArch ^ 0x80000000u, 0u}) {
        data.arch = arch;
        expect("foreign architecture", data, SECCOMP_RET_USER_NOTIF, SECCOMP_RET_TRACE);
      }
      data.arch = holdfast::arch::kAuditArch;
      data.nr = static_cast<int>(static_cast<uint32_t>(number) | 0x40000000u);
      expect("x32", data, SECCOMP_RET_USER_NOTIF, SECCOMP_RET_TRACE);
    }
  }
}

void memory_guards() {
  for (const char* name : {"munmap", "mprotect", "pkey_mprotect", "madvise", "remap_file_pages", "mseal", "mbind"}) {
    passes(name, {{kEnd, 4096}});
    passes(name, {{0x7fff'ffff'f000, 4096}});
    passes(name, {{kHigh, 4096}});
    held(name, {{kEnd - 1, 4096}});
    held(name, {{holdfast::kBouncePageAddress, 4096}});
    held(name, {{0, kEnd}});
    passes(name, {{0, 0}});
    passes(name, {{0, holdfast::kBouncePageAddress}});
    held(name, {{0, holdfast::kBouncePageAddress + 1}});
    held(name, {{0, ~0ull}});
    held(name, {{0xff00'0000'0000'0000 | holdfast::kBouncePageAddress, 4096}});  // a tagged address
    held(name, {{0x0100'0000'0000'0000 | (kEnd - 4096), 4096}});
  }
  passes("mmap", {{0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS}});
  passes("mmap", {{kEnd, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED}});
  passes("mmap", {{0x7f00'0000'0000, 4096, PROT_READ, MAP_FIXED_NOREPLACE}});
  held("mmap", {{0, 1 << 24, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED}});
  held("mmap", {{0, 1 << 24, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE}});
  held("mmap", {{4096, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS}});
  held("mmap", {{kEnd - 4096, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED}});
  held("mmap", {{0x0100'0000'0000'0000, 4096, PROT_READ, MAP_FIXED}});
  constexpr uint64_t kMayMove = 1, kFixed = 2, kDontUnmap = 4;
  passes("mremap", {{kHigh, 4096, 8192, kMayMove, 0}});
  passes("mremap", {{kHigh, 4096, 8192, kMayMove, 4096}});  // the fifth register means nothing here
  passes("mremap", {{kHigh, 4096, 8192, kMayMove | kFixed, kEnd}});
  passes("mremap", {{kHigh, 4096, 4096, kMayMove | kDontUnmap, 0}});
  held("mremap", {{kHigh, 4096, 8192, kMayMove | kFixed, kEnd - 4096}});
  held("mremap", {{kHigh, 4096, 8192, kMayMove | kFixed, 0}});
  held("mremap", {{kHigh, 4096, 8192, kMayMove | kFixed | kDontUnmap, 0}});
  held("mremap", {{kHigh, 4096, 4096, kMayMove | kDontUnmap, 4096}});
  passes("mremap", {{0, 4096, 8192, kMayMove, 0}});
  held("mremap", {{0, 4096, 8192, kMayMove | kFixed, kEnd - 4096}});
  held("mremap", {{0, kEnd, 8192, kMayMove, 0}});
  held("mremap", {{holdfast::kBouncePageAddress, 4096, 8192, kMayMove, 0}});
  held("mremap", {{holdfast::kBouncePageAddress, 4096, 8192, kMayMove | kFixed, kHigh}});
}

void process_guards() {
  passes("clone", {{SIGCHLD}});
  passes("clone", {{CLONE_VM | CLONE_VFORK | SIGCHLD}});
  passes("clone", {{CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
                    CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID}});
  passes("clone", {{CLONE_PIDFD | SIGCHLD}});
  for (uint64_t bit : Values{CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID,
                             CLONE_NEWNET, CLONE_UNTRACED, CLONE_PTRACE, CLONE_PARENT}) {
    held("clone", {{bit | SIGCHLD}});
    held("clone", {{bit | CLONE_VM | kJunk}});
  }
  passes("unshare", {{CLONE_FILES}});
  held("unshare", {{CLONE_NEWUSER}});
  held("unshare", {{CLONE_FILES | CLONE_NEWNS}});
  held("unshare", {{CLONE_FILES | kHigh}});
  for (const char* name : {"getpgid", "getsid", "prlimit64", "sched_setaffinity", "sched_getaffinity",
                           "sched_setscheduler", "sched_setattr", "migrate_pages", "move_pages", "get_robust_list"}) {
    passes(name, {{0, 5}});
    passes(name, {{kJunk, 5}});  // a pid is an int
    held(name, {{1}});
    held(name, {{kJunk | 1}});
    held(name, {{0xffffffff}});
  }
  passes("setpgid", {{0, 0}});
  passes("setpgid", {{5, kJunk}});  // a group of its own, whoever begins it
  held("setpgid", {{0, 5}});
  held("setpgid", {{5, kJunk | 5}});
  held("setpgid", {{0, 0xffffffff}});
  passes("setpriority", {{0, 0, 10}});
  passes("setpriority", {{kJunk, kJunk, 10}});
  held("setpriority", {{0, 1, 10}});
  held("setpriority", {{1, 0, 10}});  // PRIO_PGRP: the group may reach outside
  held("setpriority", {{2, 0, 10}});
  passes("ioprio_set", {{1, 0, 10}});
  held("ioprio_set", {{1, 1, 10}});
  held("ioprio_set", {{2, 0, 10}});
  passes("personality", {{0xffffffff}});
  passes("personality", {{0x0040000}});
  passes("personality", {{0}});
  held("personality", {{0x0100000}});  // MMAP_PAGE_ZERO
  held("personality", {{0x0140000}});
  held("personality", {{0xfffffffe}});
  held("seccomp", {{SECCOMP_SET_MODE_FILTER, 0}});
  // The child's own, before its exec: never with flags.
  passes("seccomp", {{SECCOMP_SET_MODE_FILTER, 0, 0x1000, holdfast::own_ruleset_mark()}});
  held("seccomp", {{SECCOMP_SET_MODE_FILTER, 0, 0x1000, holdfast::own_ruleset_mark() | kHigh}});
  held("seccomp", {{SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, 0x1000, holdfast::own_ruleset_mark()}});
  held("seccomp", {{SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, 0x1000, holdfast::own_ruleset_mark()}});
  held("seccomp", {{SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG}});
  held("prctl", {{PR_SET_SECCOMP, SECCOMP_MODE_FILTER}});
  passes("prctl", {{PR_GET_SECCOMP}});
  passes("seccomp", {{SECCOMP_GET_NOTIF_SIZES, 0}});
  held("seccomp", {{SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER}});
  held("seccomp", {{SECCOMP_SET_MODE_FILTER, kJunk | SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC}});
  held("seccomp", {{SECCOMP_SET_MODE_FILTER | kJunk, SECCOMP_FILTER_FLAG_NEW_LISTENER}});
  held("seccomp", {{SECCOMP_SET_MODE_FILTER, 1 << 20}});
  held("seccomp", {{99, 0}});
}

void prctl_guard() {
  for (uint64_t option :
       Values{PR_SET_NAME, PR_GET_NAME, PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_CAPBSET_READ, PR_SET_KEEPCAPS,
              PR_SET_TIMERSLACK, PR_SET_VMA, PR_GET_DUMPABLE, PR_SET_CHILD_SUBREAPER}) {
    passes("prctl", {{option}});
    passes("prctl", {{option | kJunk}});
  }
  for (uint64_t option : Values{PR_SET_MM, PR_CAPBSET_DROP, PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_SET_PTRACER,
                                PR_SET_SYSCALL_USER_DISPATCH, PR_SCHED_CORE, 0, 20000, 0x7fffffff}) {
    held("prctl", {{option, 1}});
    held("prctl", {{option | kJunk, 1}});
  }
  held("prctl", {{PR_SET_DUMPABLE, 1}});
  held("prctl", {{PR_SET_DUMPABLE, 0}});
  held("prctl", {{PR_SET_DUMPABLE | kJunk, 0}});
  held("prctl", {{PR_SET_DUMPABLE, 2}});
  held("prctl", {{PR_SET_DUMPABLE, kHigh | 1}});  // an unsigned long
}

void descriptor_guards() {
  for (uint64_t command : Values{F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_GETOWN,
                                 F_DUPFD_CLOEXEC, F_ADD_SEALS, F_SETPIPE_SZ, F_OFD_SETLK, F_SETSIG, F_NOTIFY}) {
    passes("fcntl", {{3, command}});
    passes("fcntl", {{3, command | kJunk}});
  }
  for (uint64_t command : Values{F_SETOWN, F_SETOWN_EX, 1039, 4096, kJunk | F_SETOWN}) held("fcntl", {{3, command, 1}});
  passes("fcntl", {{3, F_SETFL, kJunk | O_NONBLOCK}});
  held("fcntl", {{3, F_SETFL, O_NONBLOCK | O_ASYNC}});
  for (uint64_t command : Values{TCGETS, TCSETSW, TIOCGWINSZ, TIOCSPGRP, TIOCGPTN, TIOCSPTLCK, FIONREAD, FIONBIO,
                                 FIOCLEX, 0x802c542a, 0x40049409, 0xc020660b}) {
    passes("ioctl", {{0, command}});
    passes("ioctl", {{0, command | kJunk}});
  }
  for (uint64_t command : Values{TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSETD, 0x8901, 0x8902, 0x40086602, 0x89e0, 0,
                                 0xffffffff, kJunk | TIOCSTI, 0xc0502100})
    held("ioctl", {{0, command}});
  passes("ioctl", {{0, TIOCSCTTY, 0}});
  passes("ioctl", {{0, TIOCSCTTY, 1}});
  passes("ioctl", {{0, TIOCSCTTY, kJunk | 1}});
  for (uint64_t clock : Values{0, 1, 4, 11, 0xfffffffa,  // the caller's own
                               0xfffffffe, static_cast<uint32_t>(~3 << 3 | 3), static_cast<uint32_t>(~1234 << 3 | 6)})
    for (const char* name : {"clock_gettime", "clock_getres", "clock_nanosleep", "timer_create"})
      passes(name, {{clock}});
  for (uint64_t clock : Values{static_cast<uint32_t>(~1 << 3 | 2), static_cast<uint32_t>(~1234 << 3),
                               kJunk | static_cast<uint32_t>(~1 << 3 | 1)})
    held("clock_gettime", {{clock}});
}

void socket_guards() {
  passes("socket", {{AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0}});
  passes("socket", {{AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0}});
  passes("socket", {{AF_INET6, SOCK_DGRAM, IPPROTO_UDP}});
  passes("socket", {{kJunk | AF_INET, kJunk | SOCK_STREAM, kJunk | 6}});
  passes("socket", {{AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0}});
  held("socket", {{AF_INET, SOCK_RAW, 0}});
  held("socket", {{AF_INET, SOCK_DGRAM, 1}});
  held("socket", {{AF_INET, SOCK_STREAM, 262}});
  held("socket", {{AF_NETLINK, SOCK_RAW, 9}});
  held("socket", {{kJunk | AF_PACKET, SOCK_RAW, 0}});
  held("socket", {{AF_VSOCK, SOCK_STREAM, 0}});
  passes("socketpair", {{AF_UNIX, SOCK_STREAM, 0}});
  held("socketpair", {{AF_INET, SOCK_STREAM, 0}});
  passes("sendto", {{3, 4096, 1, 0, 0, 16}});
  held("sendto", {{3, 4096, 1, 0, 4096, 0}});
  held("sendto", {{3, 4096, 1, 0, kHigh, 16}});  // only the high half says that there is an address
  passes("setsockopt", {{3, SOL_SOCKET, SO_REUSEADDR}});
  passes("setsockopt", {{3, 6, 1}});
  passes("setsockopt", {{3, 0, 1}});
  passes("setsockopt", {{3, 41, 26}});
  held("setsockopt", {{3, SOL_SOCKET, SO_ATTACH_BPF}});
  held("setsockopt", {{3, kJunk | SOL_SOCKET, kJunk | SO_ATTACH_REUSEPORT_EBPF}});
  held("setsockopt", {{3, 6, 19}});
  held("setsockopt", {{3, 0, 4}});  // IP_OPTIONS: a source route
  held("setsockopt", {{3, 0, 64}});
  held("setsockopt", {{3, 41, 57}});
  held("setsockopt", {{3, 41, 200}});
  held("setsockopt", {{3, 284, 1}});
}

// What a worker receives, and what is stopped so that it shows who calls.
void connect(uint64_t size, bool stops) {
  const Row* row = holdfast::find_row("connect");
  seccomp_data data = call(row->number());
  data.args[2] = size;
  expect("connect", data, stops ? SECCOMP_RET_TRACE : SECCOMP_RET_USER_NOTIF, SECCOMP_RET_TRACE);
}

void directory(uint64_t path) {
  const Row* row = holdfast::find_row("chdir");
  seccomp_data data = call(row->number());
  data.args[0] = path;
  expect("chdir", data, held_answer(*row, data, false), held_answer(*row, data, true));
}

void directories() {
  constexpr uint64_t kPage = holdfast::kBouncePageAddress, kEnd = holdfast::kBouncePageEnd;
  for (const uint64_t path : {uint64_t{0}, uint64_t{1}, kPage, kPage + 4096, kEnd - 1, kEnd, kEnd + 1,
                              kPage | uint64_t{1} << 32, uint64_t{0x7ffd00001000}})
    directory(path);
}

void connects() {
  for (const uint64_t size : {16, 28}) connect(size, false);
  for (const uint64_t size : {0, 2, 15, 17, 27, 29, 110, 128}) connect(size, true);
  for (const uint64_t size : {16, 28, 110}) connect(size | holdfast::kStopsConnect, true);
}

// What seccomp_is_const_allow() in kernel/seccomp.c follows: what is decided by number and architecture alone.
bool is_constant(const sock_filter& i) {
  switch (i.code) {
    case BPF_LD | BPF_W | BPF_ABS:
      return i.k == offsetof(seccomp_data, nr) || i.k == offsetof(seccomp_data, arch);
    case BPF_RET | BPF_K:
    case BPF_JMP | BPF_JA:
    case BPF_JMP | BPF_JEQ | BPF_K:
    case BPF_JMP | BPF_JGE | BPF_K:
    case BPF_JMP | BPF_JSET | BPF_K:
    case BPF_ALU | BPF_AND | BPF_K:
      return true;
    default:
      return false;
  }
}

// Whether the kernel keeps in its bitmap that this number is allowed, and so never runs the program for it
// (Linux 5.11).
bool is_in_bitmap(const std::vector<sock_filter>& program, int number) {
  return run(program, call(number), nullptr, is_constant) == SECCOMP_RET_ALLOW;
}

void let_by_without_running() {
  for (const Row* row = holdfast::rows_begin(); row != holdfast::rows_end(); row++) {
    if (row->number() < 0) continue;
    checks++;
    const bool wanted = row->way == Way::let_by;
    if (is_in_bitmap(notifying, row->number()) == wanted && is_in_bitmap(tracing, row->number()) == wanted) continue;
    failures++;
    std::printf("FAIL %s: the kernel's bitmap %s it\n", row->name, wanted ? "lacks" : "has");
  }
}

void size_and_cost() {
  std::printf("%zu instructions\n", notifying.size());
  if (notifying.size() > 2048) {
    failures++;
    std::printf("FAIL: the kernel takes 4096 instructions, and this should stay well below\n");
  }
  size_t worst = 0;
  for (const Row* row = holdfast::rows_begin(); row != holdfast::rows_end(); row++) {
    if (row->number() < 0 || row->guard != holdfast::Guard::always_held || holdfast::stopped_if(*row)) continue;
    size_t steps = 0;
    run(notifying, call(row->number()), &steps);
    if (steps > worst) worst = steps;
  }
  std::printf("at most %zu instructions for a call without a guard\n", worst);
  checks++;
  if (worst > 16) {
    failures++;
    std::printf("FAIL: the search over numbers is not balanced\n");
  }
}

// What a policy can leave to the kernel: by number and registers, and nothing more than its class.
void classes_left() {
  using holdfast::Class, holdfast::Left, holdfast::protocol::Event;
  const auto rebuild = [](std::initializer_list<Class> classes, std::initializer_list<Event> heard = {}) {
    Left left;
    for (const Class each : classes) left.add(each);
    for (const Event event : heard) left.hear(event);
    holdfast::leave_to_kernel(left);
    if (!holdfast::build_filter({}, notifying) || !holdfast::build_filter({.trace_everything = true}, tracing)) {
      failures++;
      std::printf("FAIL: too long\n");
    }
  };
  // openat's flags are its third argument, the mode the fourth.
  const auto opens = [](bool lets, uint64_t flags, uint64_t mode = 0) {
    check("openat", lets, {{0, 0, flags, mode}});
    check("openat", lets, {{0, 0, kJunk | flags, kJunk | mode}});
    check("open", lets, {{0, flags, mode}});
  };
  constexpr uint64_t kUnnamed = 020000000 | O_DIRECTORY;
  rebuild({Class::read});
  opens(true, O_RDONLY);
  opens(true, O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK);
  for (const uint64_t flags : {uint64_t{O_WRONLY}, uint64_t{O_RDWR}, uint64_t{3}, uint64_t{O_CREAT}, uint64_t{O_TRUNC},
                               uint64_t{O_PATH}, kUnnamed, uint64_t{O_WRONLY | O_CREAT}, kUnnamed | O_RDWR})
    opens(false, flags);
  held("openat2", {{0, 0, 0, 24}});
  held("creat", {{0, 0644}});
  held("stat", {{}});
  rebuild({Class::write});
  for (const uint64_t flags :
       {O_WRONLY, O_WRONLY | O_CREAT, O_WRONLY | O_CREAT | O_TRUNC | O_EXCL, O_WRONLY | O_APPEND})
    opens(true, flags, 0644);
  opens(true, kUnnamed | O_WRONLY, 0600);
  opens(false, O_WRONLY | O_CREAT, 04755);
  opens(false, O_WRONLY | O_CREAT, 02755);
  opens(false, O_WRONLY | O_PATH);
  for (const uint64_t flags : {O_RDONLY, O_RDWR, O_RDONLY | O_CREAT, O_RDONLY | O_TRUNC, 3}) opens(false, flags, 0644);
  passes("creat", {{0, 0644}});
  held("creat", {{0, 04755}});
  held("openat2", {{0, 0, 0, 24}});
  rebuild({Class::write, Class::read_write});
  opens(true, O_RDWR | O_CREAT, 0644);
  opens(false, O_RDWR | O_CREAT, 02644);
  opens(false, O_RDONLY | O_CREAT, 0644);
  opens(false, O_RDWR | O_PATH, 0644);
  rebuild({Class::read, Class::write, Class::read_write});
  opens(true, O_RDONLY | O_CREAT, 0644);
  opens(true, O_RDONLY | O_TRUNC);
  opens(false, O_RDONLY | O_CREAT, 04644);
  opens(false, O_PATH);
  rebuild({Class::metadata});
  for (const char* name : {"stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink",
                           "readlinkat", "statfs", "chdir"})
    passes(name, {{~0ull, ~0ull, ~0ull, ~0ull}});
  opens(true, O_PATH);
  opens(true, O_PATH | O_WRONLY | O_CREAT, 07777);
  opens(false, O_RDONLY);
  for (const char* name : {"getxattr", "chmod", "unlink", "mkdir", "execve", "inotify_add_watch", "truncate"})
    held(name, {{}});
  rebuild({Class::metadata}, {Event::readlink, Event::open});
  passes("stat", {{}});
  held("readlink", {{}});
  held("readlinkat", {{}});
  opens(false, O_PATH);
  rebuild({Class::make});
  passes("mkdir", {{0, 0755}});
  passes("mkdirat", {{0, 0, 01777}});
  passes("symlink", {{}});
  passes("symlinkat", {{}});
  held("mkdir", {{0, 02755}});
  held("mkdirat", {{0, 0, 04755}});
  for (const char* name : {"rmdir", "unlink", "unlinkat", "rename", "renameat2", "link", "linkat", "mknod"})
    held(name, {{}});
  rebuild({Class::make}, {Event::mkdir});
  held("mkdir", {{0, 0755}});
  passes("symlink", {{}});
  constexpr uint64_t kFastOpen = 0x20000000;
  rebuild({Class::connect});
  passes("connect", {{~0ull, ~0ull, ~0ull}});
  for (const char* name : {"bind", "listen", "sendmsg", "sendmmsg"}) held(name, {{}});
  held("sendto", {{3, 1, 1, 0, 1, 16}});
  held("setsockopt", {{3, 0, 35}});  // IP_ADD_MEMBERSHIP
  held("socket", {{17, 3, 0}});
  rebuild({Class::send});
  passes("sendto", {{3, 1, 1, kFastOpen, 1, 16}});
  passes("sendmsg", {{3, 1, kFastOpen}});
  passes("sendmmsg", {{3, 1, 1, kFastOpen}});
  held("connect", {{3, 1, 16}});
  rebuild({Class::send}, {Event::connect});
  check("sendto", true, {{3, 1, 1, kJunk, 1, 16}});
  check("sendto", false, {{3, 1, 1, kFastOpen, 1, 16}});
  check("sendmsg", true, {{3, 1, kJunk | 0x40}});
  check("sendmsg", false, {{3, 1, kJunk | kFastOpen | 0x40}});
  check("sendmmsg", true, {{3, 1, 1, 0}});
  check("sendmmsg", false, {{3, 1, 1, kFastOpen}});
  rebuild({Class::bind});
  passes("bind", {{}});
  passes("listen", {{}});
  held("connect", {{}});
  for (const char* name : {"execve", "execveat"})
    for (const uint64_t mark : {uint64_t{0}, uint64_t{holdfast::kStopsExec}, kHigh | holdfast::kStopsExec})
      held(name, {{0, 0, 0, 0, 0, mark}});
  rebuild({Class::connect, Class::send, Class::bind}, {Event::send, Event::bind});
  passes("connect", {{}});
  for (const char* name : {"bind", "listen", "sendmsg", "sendmmsg"}) held(name, {{}});
  rebuild({});
  opens(false, O_RDONLY);
}

}  // namespace

int main() {
  if (!holdfast::build_filter({}, notifying) || !holdfast::build_filter({.trace_everything = true}, tracing)) {
    std::printf("FAIL: too long\n");
    return 1;
  }
  every_number();
  memory_guards();
  process_guards();
  prctl_guard();
  descriptor_guards();
  socket_guards();
  connects();
  directories();
  let_by_without_running();
  size_and_cost();
  classes_left();
  holdfast::stop_connects();
  if (!holdfast::build_filter({}, notifying)) return 1;
  for (const uint64_t size : {16, 28, 110}) connect(size, true);
  holdfast::decide_at_stops();
  decided_at_stops = true;
  if (!holdfast::build_filter({}, notifying)) return 1;
  directories();
  std::printf("filter: %d checks, %d failures\n", checks, failures);
  return failures ? 1 : 0;
}
