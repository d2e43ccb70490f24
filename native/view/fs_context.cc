#include "fs_context.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>

#include "../call/threads.h"
#include "creds.h"

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
  inside_ = enter(call, mask);
  if (!inside_) error = ESRCH;
}

WithUmask::~WithUmask() {
  if (inside_) leave();
}

OwnWorkingDirectory::OwnWorkingDirectory() : hold_(directory_guard) {}

OwnWorkingDirectory::~OwnWorkingDirectory() {
  if (::chdir("/") != 0) fatal("the working directory cannot be left");
}

}  // namespace holdfast
