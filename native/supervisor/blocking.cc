#include "blocking.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "threads.h"
#include "unique_fd.h"

namespace holdfast {
namespace {

constexpr long kTickNanoseconds = 20'000'000;
constexpr int kIdleTicks = 50;  // then the watcher sleeps until somebody may block again

struct Slot {
  std::mutex guard;
  bool active = false;
  uint64_t turn = 0;  // counts activations, so that the watcher knows an old one
  uint64_t seen = 0;  // the watcher's own
  Held call;
  pid_t worker = 0;
  std::atomic<int> error{0};
};

std::mutex registry_guard;
std::vector<Slot*>& registry() {
  static std::vector<Slot*> slots;
  return slots;
}
std::atomic<uint32_t> asleep{0};
std::once_flag watcher_started;

uint64_t mask_of(const char* status, const char* name) {
  const char* at = std::strstr(status, name);
  return at == nullptr ? 0 : std::strtoull(at + std::strlen(name), nullptr, 16);
}

constexpr uint64_t bit(int signal) { return uint64_t{1} << (signal - 1); }

// The error to answer if the caller has a signal to handle, or 0.
int signal_waits(pid_t tid) {
  char path[40], status[8192];
  std::snprintf(path, sizeof path, "/proc/%d/status", tid);
  UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return 0;
  const ssize_t n = ::read(fd.get(), status, sizeof status - 1);
  if (n <= 0) return 0;
  status[n] = '\0';
  const uint64_t own = mask_of(status, "\nSigPnd:\t"), shared = mask_of(status, "\nShdPnd:\t");
  // Blocked and ignored ones interrupt nothing. A traced process has those queued, too, that it ignores by default.
  const uint64_t ignored_by_default = bit(SIGCHLD) | bit(SIGURG) | bit(SIGWINCH) | bit(SIGCONT);
  const uint64_t quiet = mask_of(status, "\nSigBlk:\t") | mask_of(status, "\nSigIgn:\t") |
                         (ignored_by_default & ~mask_of(status, "\nSigCgt:\t"));
  if ((own & ~quiet) != 0) return kRestart;
  if ((shared & ~quiet) == 0) return 0;
  // A signal to the process goes to one of its threads. If this is not the one, no signal handling would follow the
  // answer, and the caller would see ERESTARTSYS itself (kernel/signal.c, complete_signal).
  const char* threads = std::strstr(status, "\nThreads:\t");
  return threads != nullptr && std::atoi(threads + 10) == 1 ? kRestart : EINTR;
}

// True if the slot is in use.
bool look_at(Slot& slot) {
  std::lock_guard<std::mutex> hold(slot.guard);
  if (!slot.active) return false;
  if (slot.turn != slot.seen) {
    slot.seen = slot.turn;
    return true;
  }
  if (slot.error.load(std::memory_order_relaxed) == 0)
    slot.error.store(slot.call.still_held() ? signal_waits(slot.call.tid) : EINTR, std::memory_order_relaxed);
  // Again at each tick: the worker may not have been in its system call yet.
  if (slot.error.load(std::memory_order_relaxed) != 0) ::syscall(SYS_tgkill, ::getpid(), slot.worker, SIGUSR2);
  return true;
}

void* watch(void*) {
  int idle = 0;
  uint64_t last_turns = 0;
  for (;;) {
    const timespec tick{0, kTickNanoseconds};
    ::nanosleep(&tick, nullptr);
    bool busy = false;
    uint64_t turns = 0;
    {
      std::lock_guard<std::mutex> hold(registry_guard);
      for (Slot* slot : registry()) {
        busy |= look_at(*slot);
        turns += slot->seen;
      }
    }
    idle = busy || turns != last_turns ? 0 : idle + 1;
    last_turns = turns;
    if (idle < kIdleTicks) continue;
    idle = 0;
    asleep.store(1);
    // Whoever became active before the store is seen here, whoever comes after it wakes us.
    bool any = false;
    {
      std::lock_guard<std::mutex> hold(registry_guard);
      for (Slot* slot : registry()) any |= look_at(*slot);
    }
    if (any)
      asleep.store(0);
    else
      ::syscall(SYS_futex, &asleep, FUTEX_WAIT_PRIVATE, 1, nullptr, nullptr, 0);
  }
}

void start_watcher() {
  struct sigaction action = {};
  action.sa_handler = [](int) {};  // without SA_RESTART: its only use is to end a system call
  ::sigaction(SIGUSR2, &action, nullptr);
  if (!start_thread(watch, nullptr)) fatal("no thread can be started that watches over calls that block");
}

class ThreadSlot {
 public:
  ThreadSlot() {
    std::call_once(watcher_started, start_watcher);
    slot.worker = static_cast<pid_t>(::syscall(SYS_gettid));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    std::lock_guard<std::mutex> hold(registry_guard);
    registry().push_back(&slot);
  }
  ~ThreadSlot() {
    std::lock_guard<std::mutex> hold(registry_guard);
    auto& slots = registry();
    slots.erase(std::find(slots.begin(), slots.end(), &slot));
  }
  Slot slot;
};

Slot& mine() {
  thread_local ThreadSlot it;
  return it.slot;
}

}  // namespace

MayBlock::MayBlock(const Held& call) {
  Slot& slot = mine();
  {
    std::lock_guard<std::mutex> hold(slot.guard);
    slot.call = call;
    slot.error.store(0, std::memory_order_relaxed);
    slot.turn++;
    slot.active = true;
  }
  if (asleep.load() != 0 && asleep.exchange(0) != 0)
    ::syscall(SYS_futex, &asleep, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

MayBlock::~MayBlock() {
  Slot& slot = mine();
  std::lock_guard<std::mutex> hold(slot.guard);
  slot.active = false;
}

bool MayBlock::interrupted() const { return mine().error.load(std::memory_order_relaxed) != 0; }

int MayBlock::error() const { return mine().error.load(std::memory_order_relaxed); }

}  // namespace holdfast
