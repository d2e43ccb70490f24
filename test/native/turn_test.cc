// Whose turn it is to receive: one worker at a time, another as soon as that one takes long or says that it will.
// ThreadSanitizer: call/turn.cc call/watcher.cc call/own_rights.cc call/threads.cc
#include "../../native/call/turn.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>

namespace {

// Workers "receive" numbers from 1 on: what each does with them says the step.
std::atomic<int> received{0}, receiving{0}, most_receiving{0}, workers{0};
std::atomic<bool> open_gate{false}, done{false};
std::atomic<int> limit{0};
int failures = 0;

void receive_one() {
  const int now = ++receiving;
  for (int most = most_receiving; now > most && !most_receiving.compare_exchange_weak(most, now);) continue;
  while (received >= limit && !done) usleep(100);
  received++;
  receiving--;
}

void work() {
  bool has_turn = holdfast::take_turn();
  while (has_turn && !done) {
    receive_one();
    holdfast::begin_turn_work();
    if (received == 10) {
      while (!open_gate) usleep(100);  // blocks without a word
    } else if (received == 20) {
      holdfast::pass_turn();
      while (!open_gate) usleep(100);
    }
    has_turn = holdfast::keep_turn() || holdfast::take_turn();
  }
}

bool add_worker(void*) {
  workers++;
  std::thread(work).detach();
  return true;
}

void expect(bool holds, const char* claim) {
  if (holds) return;
  std::printf("not so: %s\n", claim);
  failures++;
}

bool comes_to(int count) {
  for (int i = 0; i < 5000 && received < count; i++) usleep(1000);
  return received >= count;
}

}  // namespace

int main() {
  expect(holdfast::start_turns(add_worker, nullptr), "the first worker starts");
  limit = 9;
  expect(comes_to(9), "calls are received");
  limit = 19;
  expect(comes_to(19), "a call that blocks stops no other");
  expect(workers >= 2, "by another worker");
  limit = 100;
  expect(comes_to(100), "a worker that has passed its turn stops no other");
  usleep(200'000);  // the watcher sleeps
  limit = 120;
  expect(comes_to(120), "after a pause, too");
  open_gate = true;
  limit = 5000;
  expect(comes_to(5000), "with the blocked ones back");
  expect(most_receiving == 1, "never two at a time");
  expect(workers < 20, "no more workers than needed");
  done = true;
  usleep(20'000);
  std::fflush(stdout);
  _exit(failures == 0 ? 0 : 1);  // the watcher lives as long as the process
}
