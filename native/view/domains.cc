#include "domains.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <unordered_map>

#include "../call/blocking.h"
#include "../call/own_rights.h"
#include "../call/threads.h"
#include "../launch/landlock.h"
#include "../protocol/unique_fd.h"
#include "fs_context.h"

namespace holdfast {

std::atomic<bool> any_domain{false};

namespace {

// Each keeps two threads at least.
constexpr int kMostDomains = 256;
constexpr int kLooksForMaker = 20;
constexpr std::chrono::milliseconds kLookForMaker{5};
std::atomic<int> domains{0};

// A call to be made, by whom, and what became of it.
struct Errand {
  const std::function<long()>& act;
  ThreadRights rights;
  Wait& wait;
  int umask = -1;
  UniqueFd folder = UniqueFd();
  long result = -1;
  int error = 0;
  bool done = false;
};

pid_t own_tid() { return static_cast<pid_t>(::syscall(SYS_gettid)); }

// Threads of one domain. The first only makes the others, since a new thread has its maker's domain: it never waits for
// what the tree decides.
class DomainCrew : public std::enable_shared_from_this<DomainCrew> {
 public:
  // `above`: whose domain it adds to; null: nobody's. 0 or a positive errno.
  int begin(const std::shared_ptr<DomainCrew>& above, int ruleset) {
    ruleset_ = ruleset;
    const auto make_first = [&] { return start(first); };
    if (!(above ? above->made_by_first(make_first) : make_first())) return EAGAIN;
    std::unique_lock<std::mutex> lock(guard_);
    changed_.wait(lock, [&] { return begun_; });
    if (error_ != 0) return error_;
    lock.unlock();
    if (add_member()) return 0;
    end();
    return EAGAIN;
  }

  bool make(Errand& errand) {
    std::unique_lock<std::mutex> lock(guard_);
    while (idle_ <= errands_.size()) {  // one that is idle is another errand's, if that came first
      lock.unlock();
      if (!add_member()) return false;
      lock.lock();
    }
    errands_.push_back(&errand);
    given_.notify_one();
    changed_.wait(lock, [&] { return errand.done; });
    return true;
  }

  void end() {
    const std::lock_guard<std::mutex> lock(guard_);
    over_ = true;
    given_.notify_all();
    asked_.notify_all();
  }

 private:
  bool made_by_first(const std::function<bool()>& make) {
    std::unique_lock<std::mutex> lock(guard_);
    Request request = {make, false, false};
    requests_.push_back(&request);
    asked_.notify_one();
    changed_.wait(lock, [&] { return request.done; });
    return request.made;
  }

  // A thread that keeps this until it ends.
  bool start(void* (*run)(void*)) {
    auto self = std::make_unique<std::shared_ptr<DomainCrew>>(shared_from_this());
    if (!start_thread(run, self.get())) return false;
    static_cast<void>(self.release());
    return true;
  }

  bool add_member() {
    return made_by_first([this] {
      if (!start(member)) return false;
      const std::lock_guard<std::mutex> lock(guard_);
      idle_++;
      return true;
    });
  }

  static void* first(void* given) {
    const std::unique_ptr<std::shared_ptr<DomainCrew>> self(static_cast<std::shared_ptr<DomainCrew>*>(given));
    (*self)->make_others();
    return nullptr;
  }

  static void* member(void* given) {
    const std::unique_ptr<std::shared_ptr<DomainCrew>> self(static_cast<std::shared_ptr<DomainCrew>*>(given));
    (*self)->run_errands();
    return nullptr;
  }

  void make_others() {
    const int error = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ? errno : put_on_ruleset(ruleset_);
    std::unique_lock<std::mutex> lock(guard_);
    error_ = error;
    begun_ = true;
    changed_.notify_all();
    while (error == 0) {
      asked_.wait(lock, [&] { return over_ || !requests_.empty(); });
      if (requests_.empty()) return;
      Request& request = *requests_.front();
      requests_.pop_front();
      lock.unlock();
      const bool made = request.make();
      lock.lock();
      request.made = made;
      request.done = true;
      changed_.notify_all();
    }
  }

  void run_errands() {
    sigset_t interrupts;  // blocking.h
    sigemptyset(&interrupts);
    sigaddset(&interrupts, SIGUSR2);
    ::pthread_sigmask(SIG_UNBLOCK, &interrupts, nullptr);
    std::unique_lock<std::mutex> lock(guard_);
    for (;;) {
      given_.wait(lock, [&] { return over_ || !errands_.empty(); });
      if (errands_.empty()) return;
      Errand& errand = *errands_.front();
      errands_.pop_front();
      idle_--;
      lock.unlock();
      run(errand);
      lock.lock();
      idle_++;
      errand.done = true;
      changed_.notify_all();
    }
  }

  static void run(Errand& errand) {
    // Nothing is looked up here: its files may be out of this domain's reach.
    if (errand.umask >= 0) ::umask(static_cast<mode_t>(errand.umask));
    errand.error = errand.rights.take();
    if (errand.error == 0 && errand.folder && ::fchdir(errand.folder.get()) != 0) errand.error = errno;
    if (errand.error != 0) return;
    const WaitBy here(errand.wait, own_tid());
    errand.result = errand.act();
    errand.error = errno;
  }

  struct Request {
    const std::function<bool()>& make;
    bool done, made;
  };

  std::mutex guard_;
  std::condition_variable given_;    // to a member
  std::condition_variable asked_;    // of the first
  std::condition_variable changed_;  // something is done
  std::deque<Errand*> errands_;
  std::deque<Request*> requests_;
  size_t idle_ = 0;
  int ruleset_ = -1;
  int error_ = 0;
  bool begun_ = false, over_ = false;
};

}  // namespace

class Domain {
 public:
  Domain() : is_one_too_many(domains.fetch_add(1) >= kMostDomains) {}
  ~Domain() {
    domains--;
    if (crew) crew->end();
  }
  Domain(const Domain&) = delete;
  Domain& operator=(const Domain&) = delete;

  const bool is_one_too_many;
  DomainOf above;
  std::shared_ptr<DomainCrew> crew;  // null: nobody knows what it refuses
  bool keeps_signals = true;         // inside it, or one above it does
};

namespace {

std::shared_mutex guard;
std::unordered_map<pid_t, DomainOf> domain_by_thread;

DomainOf domain_of(pid_t tid) {
  if (!domains_are_put_on()) return nullptr;
  const std::shared_lock<std::shared_mutex> lock(guard);
  const auto at = domain_by_thread.find(tid);
  return at == domain_by_thread.end() ? nullptr : at->second;
}

bool is_within(const DomainOf& inner, const Domain& outer) {
  for (const Domain* at = inner.get(); at != nullptr; at = at->above.get())
    if (at == &outer) return true;
  return false;
}

long failed_with(int error) {
  errno = error;
  return -1;
}

}  // namespace

int make_domain(const Held& call, int ruleset, DomainOf& out) {
  const DomainOf above = domain_of(call.tid);
  auto made = std::make_shared<Domain>();
  if (made->is_one_too_many || (above && !above->crew)) return ENOMEM;
  made->above = above;
  auto crew = std::make_shared<DomainCrew>();
  if (const int error = crew->begin(above ? above->crew : nullptr, ruleset); error != 0) return error;
  made->crew = std::move(crew);
  // Which scopes a ruleset has, nothing tells but a try: the caller is not in this domain yet.
  const pid_t process = call.tgid();
  const std::function<long()> ask = [process] { return ::kill(process, 0); };
  Errand errand{ask, {}, this_wait()};
  if (errand.rights.read() == 0 && made->crew->make(errand)) made->keeps_signals = errand.result != 0;
  out = std::move(made);
  return 0;
}

void put_on_domain(pid_t tid, DomainOf domain) {
  const std::unique_lock<std::shared_mutex> lock(guard);
  domain_by_thread[tid] = std::move(domain);
  any_domain.store(true, std::memory_order_release);
}

void inherit_domain(pid_t tid, pid_t maker) {
  if (!domains_are_put_on()) return;
  const DomainOf own = domain_of(tid);
  if (own && own->crew) return;  // its own doing, on top of its maker's
  forget_domain(tid);
  if (DomainOf domain = domain_of(maker)) put_on_domain(tid, std::move(domain));
}

void move_domain(pid_t tid, pid_t former) {
  if (tid == former || !domains_are_put_on()) return;
  DomainOf domain = domain_of(former);
  forget_domain(former);
  forget_domain(tid);
  if (domain) put_on_domain(tid, std::move(domain));
}

void forget_domain(pid_t tid) {
  if (!domains_are_put_on()) return;
  DomainOf last;  // its threads are told outside the lock
  const std::unique_lock<std::shared_mutex> lock(guard);
  const auto at = domain_by_thread.find(tid);
  if (at == domain_by_thread.end()) return;
  last = std::move(at->second);
  domain_by_thread.erase(at);
}

void lose_domain(pid_t tid) {
  if (domains_are_put_on() && !has_domain(tid)) put_on_domain(tid, std::make_shared<Domain>());
}

bool has_domain(pid_t tid) { return domain_of(tid) != nullptr; }

long make_within_domain(const Held& call, const std::function<long()>& act, From from) {
  DomainOf domain = domain_of(call.tid);
  // Its maker, if it lives, has not been heard of for a moment only.
  for (int looks = 0; domain && !domain->crew && looks < kLooksForMaker; looks++) {
    std::this_thread::sleep_for(kLookForMaker);
    domain = domain_of(call.tid);
  }
  if (!domain) return act();
  if (!domain->crew) return failed_with(EACCES);
  Errand errand{act, {}, this_wait()};
  if (const int error = errand.rights.read(); error != 0) return failed_with(error);
  if (threads_are_separate()) {
    errand.umask = WithUmask::worn();
    if (from == From::here) {
      errand.folder.reset(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (!errand.folder) return failed_with(errno);
    }
  }
  if (!domain->crew->make(errand)) return failed_with(EAGAIN);
  errno = errand.error;
  return errand.result;
}

bool domain_lets_look(pid_t tid, pid_t target) {
  const DomainOf domain = domain_of(tid);
  return !domain || is_within(domain_of(target), *domain);
}

bool domain_lets_signal(pid_t tid, pid_t target) {
  const DomainOf theirs = domain_of(target);
  const DomainOf own = domain_of(tid);
  for (const Domain* at = own.get(); at != nullptr; at = at->above.get())
    if (at->keeps_signals && !is_within(theirs, *at)) return false;
  return true;
}

}  // namespace holdfast
