#include "fs_context.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>

#include "../call/threads.h"
#include "../call/tree.h"
#include "creds.h"
#include "resolve.h"

namespace holdfast {
namespace {

using std::chrono::milliseconds;

// Who waits for another umask has it when those who are inside now have left: newcomers let it go first, for so long.
constexpr milliseconds kCourtesy{10};
constexpr milliseconds kLook{50};  // whether the caller is still there

struct {
  std::mutex guard;
  std::condition_variable left;
  mode_t current = 0;  // as set at the start
  unsigned inside = 0, waiting = 0;
} process;

std::mutex directory_guard;

thread_local int own_umask = -1;     // not known yet
thread_local uint64_t own_stay = 0;  // Tree::stay_of() of whoever's working directory is this thread's

// False if the caller is gone.
bool enter(const Held& call, mode_t mask) {
  std::unique_lock<std::mutex> lock(process.guard);
  const auto free = [] { return process.inside == 0; };
  if (process.inside != 0 && (process.current != mask || process.waiting != 0)) {
    process.waiting++;
    if (process.current == mask) process.left.wait_for(lock, kCourtesy, free);
    while (process.inside != 0 && process.current != mask) {
      if (process.left.wait_for(lock, kLook, free)) break;
      if (call.still_held()) continue;
      process.waiting--;
      return false;
    }
    process.waiting--;
  }
  if (process.current != mask) ::umask(process.current = mask);
  process.inside++;
  return true;
}

void leave() {
  std::lock_guard<std::mutex> lock(process.guard);
  if (--process.inside == 0 && process.waiting != 0) process.left.notify_all();
}

}  // namespace

WithUmask::WithUmask(const Held& call) {
  mode_t mask = 0;
  error = umask_of(call, mask);
  if (error != 0) return;
  if (threads_are_separate()) {
    if (own_umask != static_cast<int>(mask)) ::umask(mask);
    own_umask = static_cast<int>(mask);
    return;
  }
  inside_ = enter(call, mask);
  if (!inside_) error = ESRCH;
}

WithUmask::~WithUmask() {
  if (inside_) leave();
}

int WithUmask::worn() { return own_umask; }

namespace {

// Whose descriptors this thread can copy, by Tree::alone(): a thread's own table is its process's if it is the only
// one.
thread_local struct {
  uint64_t life = 0;
  UniqueFd process;
} known;
std::atomic<bool> refused{false};  // by a container's profile, or what guards ptrace

// Goes to the caller's descriptor by a copy of it: half of what the way through /proc takes.
bool go_by_copy(const Held& call, int dirfd) {
  const uint64_t life = refused.load(std::memory_order_relaxed) ? 0 : call.tree->alone(call.tid);
  if (life == 0) return false;
  if (known.life != life) {
    known.life = 0;
    known.process.reset(static_cast<int>(::syscall(SYS_pidfd_open, call.tid, 0)));
    if (!known.process || !call.still_held()) return false;
    known.life = life;
  }
  const UniqueFd copy(static_cast<int>(::syscall(SYS_pidfd_getfd, known.process.get(), dirfd, 0)));
  if (!copy && errno != EBADF && errno != ESRCH && errno != EMFILE) refused.store(true);
  return copy && ::fchdir(copy.get()) == 0;
}

bool go_through_proc(const Held& call, int dirfd) {
  return ::chdir((std::string("/proc/") + CallerEntry(call, dirfd).text).c_str()) == 0;
}

}  // namespace

bool stays_in(const Held& call, int dirfd) {
  return threads_are_separate() && dirfd == AT_FDCWD && call.tree->stay_of(call.tid) != 0;
}

bool stand_in(const Held& call, int dirfd) {
  if (!threads_are_separate() || (dirfd < 0 && dirfd != AT_FDCWD)) return false;
  const uint64_t stay = dirfd == AT_FDCWD ? call.tree->stay_of(call.tid) : 0;
  if (stay != 0 && stay == own_stay) return true;
  {
    AsSupervisor own(call);
    if (!(dirfd >= 0 && go_by_copy(call, dirfd)) && !go_through_proc(call, dirfd)) return false;
  }
  // A caller that is not held any more may be anywhere.
  own_stay = stay != 0 && call.still_held() ? stay : 0;
  return true;
}

bool name_of_stand(std::string& out) {
  char buffer[PATH_MAX];
  // libc's own would look for it in other ways where the kernel cannot say.
  const long size = ::syscall(SYS_getcwd, buffer, sizeof buffer);
  if (size <= 1 || buffer[0] != '/') return false;  // getcwd(2): "(unreachable)"
  out.assign(buffer, static_cast<size_t>(size) - 1);
  return true;
}

OwnWorkingDirectory::OwnWorkingDirectory() : hold_(directory_guard, std::defer_lock) {
  if (!threads_are_separate()) hold_.lock();
  own_stay = 0;
}

OwnWorkingDirectory::~OwnWorkingDirectory() {
  if (::chdir("/") != 0) fatal("the working directory cannot be left");
}

}  // namespace holdfast
