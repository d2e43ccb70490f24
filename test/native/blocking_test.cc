// Callers that wait in an open, and the looks at them: however many there are, a tick takes no more looks than it may,
// and each caller has its turn. Counted between two sleeps of the watcher, so that it is no question of time.
#include "../../native/call/blocking.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "../../native/call/sandbox.h"
#include "../../native/call/tree.h"
#include "check.h"

namespace {

constexpr int kCallers = 400;
constexpr size_t kMost = 128;

std::mutex guard;
std::set<pid_t> seen;
std::atomic<size_t> looks{0}, most{0}, slept{0};

void look_at(const char* path) {
  const char* const number = path + std::strlen("/proc/");
  if (std::strncmp(path, "/proc/", std::strlen("/proc/")) != 0 || std::strstr(number, "/status") == nullptr) return;
  looks++;
  std::lock_guard<std::mutex> lock(guard);
  seen.insert(std::atoi(number));
}

size_t seen_so_far() {
  std::lock_guard<std::mutex> lock(guard);
  return seen.size();
}

}  // namespace

// In place of libc's: the watcher's looks go through the one, its ticks through the other.
extern "C" int open(const char* path, int flags, ...) {
  look_at(path);
  va_list rest;
  va_start(rest, flags);
  const int mode = va_arg(rest, int);
  va_end(rest);
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

extern "C" int nanosleep(const timespec* wanted, timespec* left) {
  const size_t now = looks.exchange(0);
  if (now > most) most = now;
  slept++;
  return static_cast<int>(syscall(SYS_nanosleep, wanted, left));
}

int main() {
  using holdfast::Held;
  holdfast::Tree tree;
  std::atomic<int> waiting{0};
  std::atomic<bool> done{false};
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; i++)
    callers.emplace_back([&] {
      Held call;
      call.engine = Held::Engine::trace;
      call.tid = static_cast<pid_t>(syscall(SYS_gettid));
      call.tree = &tree;
      const holdfast::MayBlock wait(call);
      waiting++;
      while (!done) usleep(1000);
      CHECK(!wait.interrupted());
      waiting--;
    });
  while (waiting < kCallers) usleep(1000);
  // Each of the callers has its turn; a watcher that forgets some of them ends this by the limit of time.
  while (seen_so_far() < kCallers) usleep(1000);
  CHECK(most > 0);
  CHECK(most <= kMost);
  done = true;
  for (std::thread& caller : callers) caller.join();
  CHECK(waiting == 0);
  std::printf("at most %zu looks at a tick\n", most.load());
  return failures == 0 ? 0 : 1;
}
