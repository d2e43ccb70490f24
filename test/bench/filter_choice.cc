// Our generator of the seccomp program against libseccomp's, on the same table. Not part of the benchmark that
// `npm run bench` runs: it needs libseccomp, which holdfast does not. docs/filter-choice.md has
// the commands and the numbers.
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../../native/arch/arch.h"
#include "../../native/launch/filter.h"
#include "../../native/syscalls/guards.h"
#include "../../native/syscalls/table.h"

using holdfast::Alternative;
using holdfast::Condition;
using holdfast::Relation;
using holdfast::Row;
using holdfast::Way;

namespace {

constexpr int kRounds = 15;
constexpr int kCalls = 500'000;

double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;  // microseconds
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Lacks {
  int numbers = 0;     // rules it refuses because it does not know the call
  int conditions = 0;  // conditions that it can only say in a stricter way
  const char* example = "";
};

// libseccomp has one comparison for each argument of a rule, of all 64 bits; with a mask it knows only "equal".
// Where that does not do, this says the nearest thing that still can be loaded, so that there is something to measure.
void comparisons(const Condition& what, std::vector<std::vector<scmp_arg_cmp>>& choices, Lacks& lacks) {
  const unsigned a = what.argument;
  std::vector<scmp_arg_cmp> one;
  switch (what.relation) {
    case Relation::one_of:
      for (uint32_t value : what.values) one.push_back(SCMP_CMP64(a, SCMP_CMP_MASKED_EQ, what.mask, value));
      break;
    case Relation::at_least:
      lacks.conditions += what.mask != ~uint64_t{0};
      one.push_back(SCMP_CMP64(a, SCMP_CMP_GE, what.values[0]));
      break;
    case Relation::below:
      lacks.conditions += what.mask != ~uint64_t{0};
      one.push_back(SCMP_CMP64(a, SCMP_CMP_LT, what.values[0]));
      break;
    case Relation::none_of: {
      lacks.conditions++;
      one.push_back(SCMP_CMP64(a, SCMP_CMP_GT, what.values.back()));
      break;
    }
  }
  choices.push_back(std::move(one));
}

void add_rules(scmp_filter_ctx context, const Row& row, Lacks& lacks) {
  const auto add = [&](uint32_t action, const std::vector<scmp_arg_cmp>& with) {
    if (seccomp_rule_add_array(context, action, row.number(), static_cast<unsigned>(with.size()), with.data()) == 0)
      return;
    lacks.numbers++;
    lacks.example = row.name;
  };
  if (row.way == Way::let_by) return add(SCMP_ACT_ALLOW, {});
  if (row.guard == holdfast::Guard::always_held) {
    if (row.way == Way::bounce || row.way == Way::verify) return add(SCMP_ACT_TRACE(0), {});
    if (row.way == Way::absent) return add(SCMP_ACT_ERRNO(static_cast<uint32_t>(row.error)), {});
    return;  // as the default
  }
  for (const Alternative& alternative : holdfast::alternatives(row.guard)) {
    // With the other alternatives of mremap, seccomp_rule_add_array of 2.5.4 does not come back within five minutes.
    if (row.guard == holdfast::Guard::high_move && &alternative != holdfast::alternatives(row.guard).data()) {
      lacks.conditions++;
      continue;
    }
    std::vector<std::vector<scmp_arg_cmp>> choices;
    for (const Condition& condition : alternative) {
      const bool again = std::any_of(choices.begin(), choices.end(),
                                     [&](const auto& choice) { return choice[0].arg == condition.argument; });
      if (again) lacks.conditions++;  // two comparisons of one argument
      if (!again) comparisons(condition, choices, lacks);
    }
    std::vector<size_t> at(choices.size());
    for (bool more = true; more;) {
      std::vector<scmp_arg_cmp> with;
      for (size_t i = 0; i < choices.size(); i++) with.push_back(choices[i][at[i]]);
      add(SCMP_ACT_ALLOW, with);
      more = false;
      for (size_t i = 0; i < at.size() && !more; i++) {
        more = ++at[i] < choices[i].size();
        if (!more) at[i] = 0;
      }
    }
  }
}

bool with_libseccomp(int optimize, std::vector<sock_filter>& out, Lacks& lacks) {
  scmp_filter_ctx context = seccomp_init(SCMP_ACT_NOTIFY);
  if (!context) return false;
  seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_NOTIFY);
  seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, static_cast<uint32_t>(optimize));
  for (const Row* row = holdfast::rows_begin(); row != holdfast::rows_end(); row++)
    if (row->number() >= 0) add_rules(context, *row, lacks);
  const int fd = memfd_create("filter", MFD_CLOEXEC);
  const bool exported = seccomp_export_bpf(context, fd) == 0;
  const off_t size = lseek(fd, 0, SEEK_END);
  out.resize(static_cast<size_t>(size) / sizeof(sock_filter));
  const bool read = pread(fd, out.data(), static_cast<size_t>(size), 0) == size;
  close(fd);
  seccomp_release(context);
  return exported && read;
}

enum Which { none, ours, plain, tree, kWhich };
const char* const kNames[kWhich] = {"no filter", "ours", "libseccomp", "libseccomp, binary tree"};

bool build(Which which, std::vector<sock_filter>& program, Lacks& lacks) {
  switch (which) {
    case none:
    case kWhich:
      return true;
    case ours:
      return holdfast::build_filter({}, program);
    case plain:
      return with_libseccomp(1, program, lacks);
    case tree:
      return with_libseccomp(2, program, lacks);
  }
  return false;
}

struct Sample {
  double build, load, getppid, fcntl, ioctl;
};

template <typename Call>
double per_call(Call call) {
  const double start = now();
  for (int i = 0; i < kCalls; i++) call();
  return (now() - start) * 1000 / kCalls;  // nanoseconds
}

// In a process of its own, because a filter stays. The listener stays open in it; nothing that it does is held.
Sample measure(Which which) {
  int report[2];
  if (pipe(report) != 0) std::abort();
  const int null = open("/dev/null", O_RDWR);
  const pid_t child = fork();
  if (child == 0) {
    Sample sample{};
    std::vector<sock_filter> program;
    Lacks lacks;
    double start = now();
    if (!build(which, program, lacks)) _exit(1);
    sample.build = now() - start;
    if (which != none) {
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      const sock_fprog load{static_cast<unsigned short>(program.size()), program.data()};
      start = now();
      if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &load) < 0) _exit(2);
      sample.load = now() - start;
    }
    sample.getppid = per_call([] { syscall(SYS_getppid); });
    sample.fcntl = per_call([&] { syscall(SYS_fcntl, null, F_GETFD, 0); });
    sample.ioctl = per_call([&] { syscall(SYS_ioctl, null, TIOCGWINSZ, 0); });
    if (write(report[1], &sample, sizeof sample) != sizeof sample) _exit(3);
    _exit(0);
  }
  close(report[1]);
  close(null);
  Sample sample{};
  if (read(report[0], &sample, sizeof sample) != sizeof sample) {
    int status = 0;
    waitpid(child, &status, 0);
    std::fprintf(stderr, "%s: status %#x\n", kNames[which], static_cast<unsigned>(status));
    std::exit(1);
  }
  close(report[0]);
  waitpid(child, nullptr, 0);
  return sample;
}

}  // namespace

int main() {
  const scmp_version* version = seccomp_version();
  std::printf("libseccomp %u.%u.%u, %s, %d rounds of %d calls, medians\n\n", version->major, version->minor,
              version->micro, holdfast::arch::kName, kRounds, kCalls);
  std::vector<Sample> samples[kWhich];
  for (int round = 0; round < kRounds; round++)
    for (int which = 0; which < kWhich; which++) samples[which].push_back(measure(static_cast<Which>(which)));
  std::printf("| program | instructions | build, us | load, us | getppid, ns | fcntl, ns | ioctl, ns |\n");
  std::printf("|---|---|---|---|---|---|---|\n");
  for (int which = 0; which < kWhich; which++) {
    std::vector<sock_filter> program;
    Lacks lacks;
    build(static_cast<Which>(which), program, lacks);
    const auto of = [&](double Sample::*field) {
      std::vector<double> values;
      for (const Sample& sample : samples[which]) values.push_back(sample.*field);
      return median(std::move(values));
    };
    std::printf("| %s | %zu | %.0f | %.0f | %.1f | %.1f | %.1f |\n", kNames[which], program.size(), of(&Sample::build),
                of(&Sample::load), of(&Sample::getppid), of(&Sample::fcntl), of(&Sample::ioctl));
  }
  std::vector<sock_filter> program;
  Lacks lacks;
  with_libseccomp(1, program, lacks);
  int unknown = 0;
  for (const Row* row = holdfast::rows_begin(); row != holdfast::rows_end(); row++)
    if (row->number() >= 0 && seccomp_syscall_resolve_name(row->name) != row->number()) unknown++;
  std::printf(
      "\nlibseccomp does not know %d of the calls, refuses %d rules (%s), and cannot say %d conditions exactly\n",
      unknown, lacks.numbers, lacks.example, lacks.conditions);
  return 0;
}
