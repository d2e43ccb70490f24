#include "meter.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "../call/monotonic.h"
#include "../call/threads.h"
#include "../call/tree.h"
#include "../call/usage.h"
#include "../channel/report.h"
#include "measure.h"

namespace holdfast {
namespace {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// Between two looks, whatever is left until the limit.
constexpr int64_t kLeastForTime = kMillisecond, kMostForTime = 60'000 * kMillisecond;
constexpr int64_t kLeastForBytes = 2 * kMillisecond, kMostForBytes = 250 * kMillisecond;
// So many bytes a processor can fill or write in a second at most, taken generously (measured: docs/limits.md).
constexpr double kBytesPerSecond = 4.0 * (int64_t{1} << 30);
// To look takes so much of a processor at most, unless the tree makes looks so long that it would be left alone
// meanwhile.
constexpr int64_t kShareOfLooks = 10, kMostForShare = kMostForBytes;
// What is resident is summed up anew so often while descriptors are looked at, of which there can be very many.
constexpr int64_t kBetweenFiles = 5 * kMillisecond;
// Whoever's memory cannot be weighed in this time counts with all that it shares.
constexpr auto kPatience = std::chrono::milliseconds(500);
// So many looks in a row may be in doubt whether what is shared was counted more than once.
constexpr int kMostDoubts = 20;

int64_t processors() {
  static const int64_t count = std::max(1L, sysconf(_SC_NPROCESSORS_ONLN));
  return count;
}

// Of those that were reaped.
int64_t ended_time(Tree& tree) {
  const Figures ended = tree.usage().ended();
  return static_cast<int64_t>(ended.user + ended.system);
}

// When so many bytes could be there at the earliest.
int64_t until_bytes(int64_t left) {
  const double seconds = static_cast<double>(left) / (kBytesPerSecond * static_cast<double>(processors()));
  return std::clamp(static_cast<int64_t>(seconds * 1e9), kLeastForBytes, kMostForBytes);
}

}  // namespace

int Meter::begin() {
  begun_ = monotonic_now();
  if (const std::string& path = sandbox_.config.control_group; !path.empty())
    if (const int error = group_.open(path)) return error;
  const bool looks = sums_memory() || limits_.cpu_time != Limits::kNone || limits_.wall_time != Limits::kNone ||
                     limits_.written != Limits::kNone;
  if (!looks) return 0;
  processors();
  if (sums_memory() && !start_thread(run_weighing, this)) return EAGAIN;
  return start_thread(run, this) ? 0 : EAGAIN;
}

void* Meter::run(void* self) {
  static_cast<Meter*>(self)->look_for_ever();
  return nullptr;
}

void Meter::look_for_ever() {
  struct Look {
    int64_t limit;
    int64_t (Meter::*at)();  // nanoseconds until the next one
    int64_t due = 0;
  };
  Look looks[] = {{limits_.wall_time, &Meter::look_at_time},
                  {limits_.cpu_time, &Meter::look_at_processor_time},
                  {sums_memory() ? limits_.memory : Limits::kNone, &Meter::look_at_memory},
                  {limits_.written, &Meter::look_at_written}};
  while (!reached_.load()) {
    int64_t next = kNever;
    for (Look& look : looks) {
      if (look.limit == Limits::kNone) continue;
      const int64_t before = monotonic_now();
      if (look.due <= before) {
        const int64_t pause = (this->*look.at)();
        const int64_t after = monotonic_now();
        look.due = after + std::max(pause, std::min((after - before) * kShareOfLooks, kMostForShare));
      }
      next = std::min(next, look.due);
    }
    const timespec until = {next / 1'000'000'000, next % 1'000'000'000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) continue;
  }
}

int64_t Meter::look_at_time() {
  const int64_t limit = limits_.wall_time * kMillisecond, passed = monotonic_now() - begun_;
  if (passed < limit) return limit - passed;
  reach("wallTime", limits_.wall_time, passed / kMillisecond);
  return kMostForTime;
}

int64_t Meter::look_at_processor_time() {
  Tree& tree = sandbox_.tree;
  const int64_t used = tree.while_stable([&] {
    int64_t sum = ended_time(tree);
    for (const pid_t process : tree.groups()) sum += static_cast<int64_t>(processor_time_of(process));
    return sum;
  });
  const int64_t left = limits_.cpu_time * kMillisecond - used;
  if (left > 0) return std::clamp(left / processors(), kLeastForTime, kMostForTime);
  reach("cpuTime", limits_.cpu_time, used / kMillisecond);
  return kMostForTime;
}

// ---- Memory
// -----------------------------------------------------------------------------------------------------------

void Meter::share(pid_t process, pid_t maker) {
  std::lock_guard<std::mutex> lock(sharers_guard_);
  sharers_[process] = maker;
}

void Meter::share_no_more(pid_t process) {
  std::lock_guard<std::mutex> lock(sharers_guard_);
  const auto own = sharers_.find(process);
  // Who has shared its memory shares it with whom it had that from, or among themselves.
  pid_t heir = own == sharers_.end() ? 0 : own->second;
  if (own != sharers_.end()) sharers_.erase(own);
  for (auto at = sharers_.begin(); at != sharers_.end();) {
    if (at->second != process) {
      ++at;
    } else if (heir == 0) {
      heir = at->first;
      at = sharers_.erase(at);
    } else {
      at++->second = heir;
    }
  }
}

// The processes that have a memory of their own, with what is in it.
int64_t Meter::resident(std::vector<Member>& members) const {
  const Tree& tree = sandbox_.tree;
  std::unique_lock<std::mutex> lock(sharers_guard_);
  for (const pid_t process : tree.groups()) {
    const auto shares = sharers_.find(process);
    if (shares == sharers_.end() || tree.group_of(shares->second) == 0) members.push_back({process, 0});
  }
  lock.unlock();
  return tree.while_stable([&] {
    int64_t sum = 0;
    for (Member& member : members)
      if (tree.contains(member.process)) sum += member.resident = resident_memory(member.process);
    return sum;
  });
}

// Of those who had memory: one has none any more.
bool Meter::somebody_ended(const std::vector<Member>& members) {
  return std::any_of(members.begin(), members.end(),
                     [](const Member& member) { return member.resident > 0 && resident_memory(member.process) == 0; });
}

int64_t Meter::look_at_memory() {
  std::vector<Member> members;
  const int64_t most = resident(members);
  std::unordered_map<uint64_t, int64_t> by_file;
  int64_t summed = monotonic_now();
  bool sums_again = true;
  // Who shares another's memory may have descriptors of its own.
  for (const pid_t process : sandbox_.tree.groups()) {
    add_memory_files(process, by_file);
    if (!sums_again || monotonic_now() - summed < kBetweenFiles) continue;
    std::vector<Member> now;
    int64_t used = resident(now);
    if (used > limits_.memory) {
      if (int64_t weighed = 0; weigh(now, 0, weighed)) used = weighed;
      if (used > limits_.memory && !sandbox_.tree.sharing_is_doubted() && !somebody_ended(now)) {
        reach("memory", limits_.memory, used);
        return kMostForBytes;
      }
      sums_again = false;
    }
    summed = monotonic_now();
  }
  int64_t files = 0;
  for (const auto& [inode, size] : by_file) files += size;
  // What is shared is counted more than once there, so it is no less.
  int64_t used = most + files;
  if (used > limits_.memory && !weigh(members, files, used)) used = most + files;
  if (used <= limits_.memory) {
    doubts_ = 0;
    return until_bytes(limits_.memory - used);
  }
  // A newcomer may share its maker's memory, and nobody has said so yet. Or one has ended meanwhile, and what others
  // shared with it was divided among more before than after.
  if ((sandbox_.tree.sharing_is_doubted() || somebody_ended(members)) && ++doubts_ < kMostDoubts) return kLeastForBytes;
  reach("memory", limits_.memory, used);
  return kMostForBytes;
}

void* Meter::run_weighing(void* self) {
  Meter& meter = *static_cast<Meter*>(self);
  std::unique_lock<std::mutex> lock(meter.weighing_);
  for (;;) {
    meter.weighed_.wait(lock, [&] { return meter.asked_ != meter.answered_; });
    const uint64_t asked = meter.asked_;
    const std::vector<Member> members = meter.to_weigh_;
    lock.unlock();
    int64_t shared_sum = 0, others_sum = 0;
    for (const Member& member : members) {
      int64_t shared = 0, others = 0;
      if (weigh_memory(member.process, shared, others)) {
        // If it has ended meanwhile, its number may be another's, who is none of ours.
        if (!meter.sandbox_.tree.contains(member.process)) continue;
        shared_sum += shared;
        others_sum += others;
      } else if (meter.sandbox_.tree.contains(member.process)) {
        others_sum += member.resident;
      }
    }
    lock.lock();
    meter.answered_ = asked;
    meter.shared_ = shared_sum;
    meter.private_ = others_sum;
    meter.weighed_.notify_all();
  }
}

// False if it takes too long.
bool Meter::weigh(std::vector<Member> members, int64_t files, int64_t& out) {
  std::unique_lock<std::mutex> lock(weighing_);
  if (asked_ != answered_) return false;  // it still waits for the last one
  to_weigh_ = std::move(members);
  asked_++;
  weighed_.notify_all();
  if (!weighed_.wait_for(lock, kPatience, [&] { return asked_ == answered_; })) return false;
  // What is mapped of the files stands in both.
  out = private_ + std::max(shared_, files);
  return true;
}

// ---- What is written
// ----------------------------------------------------------------------------------------------------

void Meter::add(pid_t process, pid_t tid) {
  if (limits_.written == Limits::kNone) return;
  UniqueFd writer = open_written_by(process, tid);
  // It may have been killed already: then it has written nothing.
  if (!writer && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
    fatal("there are too few descriptors to count what the tree writes", protocol::Stage::limits);
  std::lock_guard<std::mutex> lock(written_guard_);
  if (writer) writers_[tid] = std::move(writer);
}

int64_t Meter::look_at_written() {
  std::unique_lock<std::mutex> lock(written_guard_);
  Written sum = ended_written_;
  for (const auto& [tid, writer] : writers_) {
    Written written;
    const int error = written_by(writer, written);
    // It must not go on uncounted.
    if (error != 0 && error != ESRCH) fatal("what the tree writes can no longer be counted", protocol::Stage::limits);
    sum += written;
  }
  lock.unlock();
  const int64_t used = sum.bytes();
  if (used <= limits_.written) return until_bytes(limits_.written - used);
  reach("written", limits_.written, used);
  return kMostForBytes;
}

// ---- Those that have ended
// ----------------------------------------------------------------------------------------------

void Meter::before_reap(pid_t tid) {
  const pid_t process = sandbox_.tree.group_of(tid);
  if (process == 0) return;
  if (limits_.written == Limits::kNone) return;
  std::lock_guard<std::mutex> lock(written_guard_);
  const auto writer = writers_.find(tid);
  Written written;
  if (writer != writers_.end()) {
    written_by(writer->second, written);
    writers_.erase(writer);
  }
  ended_written_ += written;
  if (tid == process)
    ended_within_.erase(process);
  else
    ended_within_[process] += written;
}

void Meter::after_reap() {
  if (limits_.memory != Limits::kNone && group_.has_run_out_of_memory()) reach("memory", limits_.memory, group_.peak());
  if (limits_.cpu_time != Limits::kNone) {
    const int64_t used = ended_time(sandbox_.tree);
    if (used >= limits_.cpu_time * kMillisecond) reach("cpuTime", limits_.cpu_time, used / kMillisecond);
  }
  if (limits_.written != Limits::kNone && ended_written_.bytes() > limits_.written)
    reach("written", limits_.written, ended_written_.bytes());
}

// What the process has beside its one thread is the leader's, other threads', which are known, and its children's:
// those have been counted when they ended, and are counted twice now rather than the leader not at all.
void Meter::leader_was_replaced(pid_t process, pid_t former) {
  if (limits_.written == Limits::kNone) return;
  std::lock_guard<std::mutex> lock(written_guard_);
  // The leader's number is its own now.
  writers_.erase(former);
  const auto writer = writers_.find(process);
  Written all, left;
  if (writer == writers_.end() || written_by_process(process, all) != 0 || written_by(writer->second, left) != 0)
    return;
  const Written gone = all - left;
  Written& known = ended_within_[process];
  ended_written_ += gone - known;
  known = gone;
}

// The first one ends the tree; its record is there before that of any end.
void Meter::reach(const char* name, int64_t limit, int64_t reached) {
  if (reached_.exchange(true)) return;
  report_limit(sandbox_, name, limit, reached);
  sandbox_.tree.kill_all();
}

}  // namespace holdfast
