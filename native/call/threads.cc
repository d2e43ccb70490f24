#include "threads.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "own_rights.h"

namespace holdfast {
namespace {

// A sanitizer puts room between a function's variables, and checks take room too.
#ifdef HOLDFAST_SANITIZERS
constexpr size_t kStackBytes = 4 << 20;
#else
constexpr size_t kStackBytes = 512 << 10;
#endif

struct Work {
  void* (*run)(void*);
  void* argument;
};

// Never destroyed: threads wait in it until the process ends.
struct Ready {
  std::mutex guard;
  std::condition_variable given;
  size_t threads = 0;      // wait and have nothing to do yet
  std::vector<Work> work;  // for as many others, each of which is woken for one
};
Ready& ready() {
  static Ready& it = *new Ready;
  return it;
}

void* wait_for_work(void*) {
  Ready& here = ready();
  for (;;) {
    std::unique_lock<std::mutex> lock(here.guard);
    here.given.wait(lock, [&] { return !here.work.empty(); });
    const Work work = here.work.back();
    here.work.pop_back();
    lock.unlock();
    work.run(work.argument);
    lock.lock();
    here.threads++;
  }
}

bool take_ready(const Work& work) {
  Ready& here = ready();
  std::unique_lock<std::mutex> lock(here.guard);
  if (here.threads == 0) return false;
  here.threads--;
  here.work.push_back(work);
  here.given.notify_one();
  return true;
}

bool separate = false;

// Of a thread that works for nobody yet.
const ThreadRights* own_rights = nullptr;

// A new thread shares with the one that has made it, and has its rights: a worker that waits for a call starts another
// one, and wears its caller's meanwhile.
void* run_separately(void* given) {
  const Work work = *static_cast<Work*>(given);
  delete static_cast<Work*>(given);
  if (separate && (unshare(CLONE_FS) != 0 || chdir("/") != 0))
    fatal("a thread cannot have a working directory of its own", protocol::Stage::threads);
  if (own_rights != nullptr && own_rights->take() != 0) fatal("a thread cannot have the supervisor's own rights");
  return work.run(work.argument);
}

bool make_thread(void* (*run)(void*), void* argument) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_t thread;
  auto work = std::make_unique<Work>(Work{run, argument});
  const int error = pthread_create(&thread, &attributes, run_separately, work.get());
  pthread_attr_destroy(&attributes);
  if (error != 0) return false;
  static_cast<void>(work.release());
  return true;
}

thread_local Crew* own_crew = nullptr;

protocol::LastWord* last_word = nullptr;

}  // namespace

bool separate_threads() { return separate = unshare(CLONE_FS) == 0; }

bool threads_are_separate() { return separate; }

bool keep_threads_ready(size_t count) {
  Ready& here = ready();
  here.work.reserve(count);  // nobody waits yet
  auto rights = std::make_unique<ThreadRights>();
  if (rights->read() != 0) return false;
  own_rights = rights.release();
  for (size_t made = 0; made < count; made++) {
    if (!make_thread(wait_for_work, nullptr)) return false;
    std::lock_guard<std::mutex> lock(here.guard);
    here.threads++;
  }
  return true;
}

bool start_thread(void* (*run)(void*), void* argument, bool kept) {
  return (kept && take_ready({run, argument})) || make_thread(run, argument);
}

void join_crew(Crew& crew) {
  own_crew = &crew;
  crew.members++;
}

void leave_crew() {
  own_crew->members--;
  own_crew = nullptr;
}

WaitInCrew::WaitInCrew() : crew_(own_crew) {
  if (crew_ == nullptr) return;
  if (crew_->waiting.fetch_add(1) + 1 < crew_->members.load() || crew_->more()) return;
  crew_->waiting.fetch_sub(1);
  crew_ = nullptr;
  refused = true;
}

WaitInCrew::~WaitInCrew() {
  if (crew_ != nullptr) crew_->waiting.fetch_sub(1);
}

void set_last_word(protocol::LastWord* to) { last_word = to; }

void fatal(const char* reason, protocol::Stage why) {
  // The stdio is the command's and is closed here: there is no one else to tell.
  if (last_word != nullptr) {
    last_word->stage = static_cast<int32_t>(why);
    strncpy(last_word->text, reason, sizeof last_word->text - 1);
  }
  _exit(70);  // EX_SOFTWARE, sysexits.h
}

}  // namespace holdfast
