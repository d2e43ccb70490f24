#include "blocking.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <utility>
#include <vector>

#include "signal_sets.h"
#include "watcher.h"
#include "workers.h"

namespace holdfast {

struct Wait {
  std::mutex guard;
  bool active = false;
  uint64_t turn = 0;  // counts activations, so that the watcher knows an old one
  uint64_t seen = 0;  // the watcher's own
  Held call;
  pid_t thread = 0;
  const Worker* worker = nullptr;
  std::atomic<int> error{0};
};

namespace {

std::mutex registry_guard;
std::vector<Wait*>& registry() {
  static std::vector<Wait*> slots;
  return slots;
}
std::once_flag watched;

// The error to answer if the caller has ended or has a signal to handle, or 0.
int signal_waits(pid_t tid) {
  SignalSets signals;
  if (!read_signal_sets(tid, signals)) return 0;
  if (signals.ended) return EINTR;
  // Blocked and ignored ones interrupt nothing. A traced process has those queued, too, that it ignores.
  const uint64_t quiet = signals.blocked | signals.ignored;
  if ((signals.pending & ~quiet) != 0) return kRestart;
  if ((signals.pending_to_process & ~quiet) == 0) return 0;
  // A signal to the process goes to one of its threads. If this is not the one, no signal handling would follow the
  // answer, and the caller would see ERESTARTSYS itself (kernel/signal.c, complete_signal).
  return signals.threads == 1 ? kRestart : EINTR;
}

// True if the slot is in use. `ask`: whether the call is still held, too; that takes the kernel a walk along all calls
// that are, in which nobody else's is received or answered (kernel/seccomp.c, find_notification).
bool look_at(Wait& slot, bool ask) {
  std::lock_guard<std::mutex> hold(slot.guard);
  if (!slot.active) return false;
  if (slot.turn != slot.seen) {
    slot.seen = slot.turn;
    return true;
  }
  if (slot.error.load(std::memory_order_relaxed) == 0) {
    const bool gone = slot.worker->dead.load(std::memory_order_relaxed) == slot.call.tid;
    const bool over = gone || (ask && !slot.call.still_held());
    slot.error.store(over ? EINTR : signal_waits(slot.call.tid), std::memory_order_relaxed);
  }
  // Again at each tick: the worker may not have been in its system call yet.
  if (slot.error.load(std::memory_order_relaxed) != 0) ::syscall(SYS_tgkill, ::getpid(), slot.thread, SIGUSR2);
  return true;
}

// A look costs a file of /proc, so at each tick there are no more of them than this; with more callers that wait, each
// has its turn later.
constexpr size_t kLooks = 128, kAsked = 16;

// The watcher's look.
bool look_at_all() {
  static size_t next = 0;
  std::lock_guard<std::mutex> hold(registry_guard);
  const std::vector<Wait*>& slots = registry();
  bool any = false;
  for (size_t i = 0, looks = 0; i < slots.size() && looks < kLooks; i++) {
    next = (next + 1) % slots.size();
    if (!look_at(*slots[next], looks < kAsked)) continue;
    any = true;
    looks++;
  }
  return any;
}

void begin_watching() {
  struct sigaction action = {};
  action.sa_handler = [](int) {};  // without SA_RESTART: its only use is to end a system call
  ::sigaction(SIGUSR2, &action, nullptr);
  watch(Pace::slow, look_at_all);
}

class ThreadSlot {
 public:
  ThreadSlot() {
    std::call_once(watched, begin_watching);
    slot.thread = static_cast<pid_t>(::syscall(SYS_gettid));
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
  Wait slot;
};

Wait& mine() {
  thread_local ThreadSlot it;
  return it.slot;
}

}  // namespace

Wait& this_wait() { return mine(); }

void cut_wait_short(pid_t tid) {
  std::lock_guard<std::mutex> hold(registry_guard);
  for (Wait* const slot : registry()) {
    std::lock_guard<std::mutex> look(slot->guard);
    if (!slot->active || slot->call.tid != tid) continue;
    if (slot->error.load(std::memory_order_relaxed) == 0) slot->error.store(kRestart, std::memory_order_relaxed);
    ::syscall(SYS_tgkill, ::getpid(), slot->thread, SIGUSR2);
  }
}

WaitBy::WaitBy(Wait& wait, pid_t thread) : wait_(wait) {
  const std::lock_guard<std::mutex> hold(wait.guard);
  before_ = std::exchange(wait.thread, thread);
}

WaitBy::~WaitBy() {
  const std::lock_guard<std::mutex> hold(wait_.guard);
  wait_.thread = before_;
}

MayBlock::MayBlock(const Held& call) {
  Wait& slot = mine();
  {
    std::lock_guard<std::mutex> hold(slot.guard);
    slot.call = call;
    slot.worker = &this_worker();
    slot.error.store(0, std::memory_order_relaxed);
    slot.turn++;
    slot.active = true;
  }
  wake_watcher();
}

MayBlock::~MayBlock() {
  Wait& slot = mine();
  std::lock_guard<std::mutex> hold(slot.guard);
  slot.active = false;
  slot.call = Held();  // and what it holds of the caller's, before the caller goes on
}

bool MayBlock::interrupted() const {
  Wait& slot = mine();
  if (slot.error.load(std::memory_order_relaxed) == 0) return false;
  const std::lock_guard<std::mutex> hold(slot.guard);
  slot.call.still_held();  // and if it is not, then this worker gives up
  return true;
}

int MayBlock::error() const { return mine().error.load(std::memory_order_relaxed); }

}  // namespace holdfast
