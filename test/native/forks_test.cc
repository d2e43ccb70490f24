// How many processes and threads there may be: reservations, newborns that are seen before their makers have told of
// them, makers that are killed on the way.
#include "../../native/limits/forks.h"

#include <sys/wait.h>
#include <unistd.h>

#include <string_view>

#include "check.h"

using namespace holdfast;

namespace {

// Numbers above any that a process can have: nothing is found of them in /proc.
constexpr pid_t kFirst = 1 << 29;

Limits limits_of(int64_t processes, int64_t threads) {
  Limits limits;
  limits.processes = processes;
  limits.threads = threads;
  return limits;
}

void reservations() {
  const Limits limits = limits_of(3, 4);
  Tree tree;
  tree.add(kFirst, kFirst);
  Forks forks(limits, tree);
  CHECK(forks.are_counted());
  CHECK(!forks.reserve(false));
  CHECK(!forks.reserve(false));
  const auto refused = forks.reserve(false);
  CHECK(refused && refused->name == std::string_view("processes") && refused->limit == 3 && refused->reached == 4);
  // A call that has failed gives it back.
  forks.give_back(false);
  CHECK(!forks.reserve(false));
  // It counts once, by itself or by its reservation.
  tree.add(kFirst + 1, kFirst + 1);
  forks.give_back(false);
  CHECK(forks.reserve(false));
  CHECK(!forks.reserve(true));
  const auto thread = forks.reserve(true);
  CHECK(thread && thread->name == std::string_view("threads") && thread->reached == 5);
  tree.remove(kFirst + 1);
  CHECK(!forks.reserve(false));
}

void early_newborns() {
  const Limits limits = limits_of(2, Limits::kNone);
  Tree tree;
  tree.add(kFirst, kFirst);
  Forks forks(limits, tree);
  CHECK(!forks.reserve(false));
  tree.add(kFirst + 1, kFirst + 1);
  forks.seen_early(kFirst + 1, false);
  CHECK(forks.reserve(false));
  // It has come and gone before its maker tells of it.
  tree.remove(kFirst + 1);
  CHECK(!forks.reserve(false));
  forks.give_back(false);
  forks.told(kFirst + 1);
  forks.give_back(false);
  CHECK(!forks.reserve(false));
  CHECK(forks.reserve(false));
}

void killed_makers() {
  const Limits limits = limits_of(2, 2);
  Tree tree;
  tree.add(kFirst, kFirst);
  Forks forks(limits, tree);
  // It has made nothing: nobody unknown is traced by this process.
  CHECK(!forks.reserve(false));
  forks.leave(false);
  CHECK(!forks.reserve(false));
  forks.leave(false);
  // It has made one, which counts by itself as soon as it is seen.
  tree.add(kFirst + 1, kFirst + 1);
  forks.seen_early(kFirst + 1, false);
  CHECK(forks.reserve(false));
  CHECK(forks.reserve(true));
}

// One that has ended counts until its parent has waited for it.
void zombies() {
  const Limits limits = limits_of(2, Limits::kNone);
  Tree tree;
  tree.add(getpid(), getpid());
  Forks forks(limits, tree);
  const pid_t child = fork();
  if (child == 0) _exit(0);
  siginfo_t ended;
  waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT);
  forks.process_ended(child);
  CHECK(forks.reserve(false));
  waitpid(child, nullptr, 0);
  CHECK(!forks.reserve(false));
  CHECK(forks.reserve(false));
}

void uncounted() {
  const Limits limits;
  Tree tree;
  Forks forks(limits, tree);
  CHECK(!forks.are_counted());
  for (int i = 0; i < 1000; i++) CHECK(!forks.reserve(i % 2 == 0));
}

}  // namespace

int main() {
  reservations();
  early_newborns();
  killed_makers();
  zombies();
  uncounted();
  return failures == 0 ? 0 : 1;
}
