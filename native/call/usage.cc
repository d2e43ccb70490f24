#include "usage.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "monotonic.h"
#include "tree.h"
#include "workers.h"

namespace holdfast {
namespace {

// A process's clocks by its number, as clock_getcpuclockid(3) makes the third; the others are of the kernel's sampling
// at ticks (MAKE_PROCESS_CPUCLOCK, include/linux/posix-timers.h): user and system time, user time, what was measured.
enum Clock : unsigned { kSampled = 0, kUserSampled = 1, kMeasured = 2 };

uint64_t clock_of(pid_t group, Clock clock) {
  timespec at;
  const clockid_t id = static_cast<clockid_t>((~static_cast<unsigned>(group) << 3) | clock);
  if (clock_gettime(id, &at) != 0) return 0;
  return static_cast<uint64_t>(at.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(at.tv_nsec);
}

// As getrusage(2) divides what was measured (cputime_adjust() in kernel/sched/cputime.c).
void read_times(pid_t group, Figures& out) {
  const uint64_t measured = clock_of(group, kMeasured);
  const uint64_t sampled = clock_of(group, kSampled), user = clock_of(group, kUserSampled);
  out.user = sampled == 0 || user >= sampled
                 ? measured
                 : static_cast<uint64_t>(static_cast<unsigned __int128>(measured) * user / sampled);
  out.system = measured - out.user;
}

uint64_t number_after(const char* text, const char* key) {
  const char* at = strstr(text, key);
  return at == nullptr ? 0 : strtoull(at + strlen(key), nullptr, 10);
}

int open_files_of(pid_t tid) {
  char name[48];
  snprintf(name, sizeof name, "/proc/%d/task/%d/io", tid, tid);
  return open(name, O_RDONLY | O_CLOEXEC);
}

// The most that was ever resident, while it lives.
uint64_t read_peak(pid_t group) {
  char name[32], text[4096];
  snprintf(name, sizeof name, "/proc/%d/status", group);
  UniqueFd file(open(name, O_RDONLY | O_CLOEXEC));
  if (!file) return 0;
  const ssize_t size = read(file.get(), text, sizeof text - 1);
  if (size <= 0) return 0;
  text[size] = '\0';
  return number_after(text, "\nVmHWM:") * 1024;
}

}  // namespace

void Figures::add(const Figures& other) {
  user += other.user;
  system += other.system;
  peak = std::max(peak, other.peak);
  read += other.read;
  written += other.written;
}

uint64_t processor_time_of(pid_t group) { return clock_of(group, kMeasured); }

Usage::Usage() : begun_(static_cast<uint64_t>(monotonic_now())) {}

uint64_t Usage::wall_time() const { return static_cast<uint64_t>(monotonic_now()) - begun_; }

void Usage::follow(pid_t tid) {
  static const bool may_open_later = geteuid() == 0;
  if (may_open_later) return;
  {
    std::lock_guard<std::mutex> lock(guard_);
    if (files_.size() >= kMostFollowed) return;
  }
  UniqueFd file(open_files_of(tid));
  if (!file) return;
  std::lock_guard<std::mutex> lock(guard_);
  files_[tid] = std::move(file);
}

// Without the lock: of one that executes a program just now the kernel answers when that is done. Where it was not
// opened: as far as that is possible now.
Usage::Files Usage::files_of(pid_t tid) const {
  UniqueFd file;
  {
    std::lock_guard<std::mutex> lock(guard_);
    const auto at = files_.find(tid);
    if (at != files_.end()) file.reset(fcntl(at->second.get(), F_DUPFD_CLOEXEC, 0));
  }
  if (!file) file.reset(open_files_of(tid));
  char text[512];
  const ssize_t size = file ? pread(file.get(), text, sizeof text - 1, 0) : -1;
  if (size <= 0) return {};
  text[size] = '\0';
  return {number_after(text, "rchar:"), number_after(text, "wchar:")};
}

void Usage::add_ended_threads(pid_t group, Figures& out) const {
  std::lock_guard<std::mutex> lock(guard_);
  const auto at = of_ended_threads_.find(group);
  if (at == of_ended_threads_.end()) return;
  out.read += at->second.read;
  out.written += at->second.written;
}

void Usage::end_thread(pid_t tid, pid_t group) {
  const Files own = files_of(tid);
  std::lock_guard<std::mutex> lock(guard_);
  files_.erase(tid);
  Files& all = of_ended_threads_[group];
  all.read += own.read;
  all.written += own.written;
}

void Usage::forget(pid_t tid) {
  std::lock_guard<std::mutex> lock(guard_);
  files_.erase(tid);
}

Figures Usage::of(const Tree& tree, pid_t group) const {
  Figures out;
  read_times(group, out);
  out.peak = read_peak(group);
  for (const pid_t tid : tree.threads()) {
    if (tree.group_of(tid) != group) continue;
    const Files own = files_of(tid);
    out.read += own.read;
    out.written += own.written;
  }
  add_ended_threads(group, out);
  return out;
}

Figures Usage::of_ended(pid_t group) const {
  Figures out;
  read_times(group, out);
  const Files own = files_of(group);
  out.read = own.read;
  out.written = own.written;
  add_ended_threads(group, out);
  return out;
}

void Usage::add_ended(pid_t group, const Figures& figures, const std::string& program) {
  std::lock_guard<std::mutex> lock(guard_);
  files_.erase(group);
  of_ended_threads_.erase(group);
  ended_.add(figures);
  if (!follows_programs_) return;
  ByProgram& sum = by_program_[program];
  sum.figures.add(figures);
  sum.processes++;
}

std::unordered_map<std::string, Usage::ByProgram> Usage::by_program() const {
  std::lock_guard<std::mutex> lock(guard_);
  return by_program_;
}

Figures Usage::ended() const {
  std::lock_guard<std::mutex> lock(guard_);
  return ended_;
}

Figures Usage::all(const Tree& tree) const {
  struct Living {
    pid_t group;
    uint64_t life;
    Figures figures;
  };
  std::vector<Living> living;
  for (const pid_t group : tree.groups()) {
    begin_work_for(group);
    if (const uint64_t life = tree.life_of(group)) living.push_back({group, life, of(tree, group)});
    end_work();
  }
  // Who was reaped meanwhile is among the ended.
  return tree.while_stable([&] {
    Figures out = ended();
    for (const Living& each : living)
      if (tree.life_of(each.group) == each.life) out.add(each.figures);
    return out;
  });
}

}  // namespace holdfast
