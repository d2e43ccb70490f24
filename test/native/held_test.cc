// Whether a call is still held, asked of the kernel about calls of this process's own threads; and who works for whom.
#include "../../native/call/held.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "../../native/call/tree.h"
#include "../../native/call/workers.h"
#include "check.h"

using namespace holdfast;

namespace {

std::atomic<int> listener{-2}, result{0};
std::atomic<bool> returned{false};

// getppid is held in this thread and no other.
int listen_to_getppid() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog all = {sizeof program / sizeof *program, program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return static_cast<int>(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &all));
}

void make_one_call() {
  returned = false;
  const long got = syscall(SYS_getppid);
  result = got < 0 ? -errno : static_cast<int>(got);
  returned = true;
}

void wait_for(const std::atomic<bool>& flag) {
  while (!flag) usleep(1000);
}

Held receive(const Tree& tree) {
  seccomp_notif request = {};
  CHECK(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) == 0);
  Held call;
  call.tid = static_cast<pid_t>(request.pid);
  call.cookie = request.id;
  call.listener = listener;
  call.tree = &tree;
  return call;
}

void answer(const Held& call, int value) {
  seccomp_notif_resp response = {};
  response.id = call.cookie;
  response.val = value;
  CHECK(ioctl(call.listener, SECCOMP_IOCTL_NOTIF_SEND, &response) == 0);
}

// A call is held until it is answered or interrupted, and no longer.
void held_calls() {
  Tree tree;
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR2, &action, nullptr);
  std::atomic<bool> go_on{false};
  std::thread caller([&] {
    listener = listen_to_getppid();
    if (listener < 0) return;
    make_one_call();
    wait_for(go_on);
    make_one_call();
  });
  while (listener == -2) usleep(1000);
  if (listener < 0) {
    caller.join();
    printf("there is no listener here\n");
    return;
  }
  Held call = receive(tree);
  CHECK(call.still_held());
  pthread_kill(caller.native_handle(), SIGUSR2);
  wait_for(returned);
  CHECK(result == -EINTR);
  CHECK(!call.still_held());

  const Held before = call;
  go_on = true;
  call = receive(tree);
  CHECK(call.still_held());
  CHECK(!before.still_held());  // the same thread, another call
  answer(call, 77);
  caller.join();
  CHECK(result == 77);
  CHECK(!call.still_held());

  // A call that a stop holds ends with its thread, which the tracer tells.
  call.engine = Held::Engine::trace;
  begin_work_for(call.tid);
  CHECK(call.still_held());
  CHECK(somebody_works_for_dead(call.tid));
  CHECK(!call.still_held());
  end_work();
}

// A dead thread is not reaped while anybody works for it, and the tracer is told when nobody does any more.
void dead_callers() {
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
  set_tracer_thread(getpid(), static_cast<pid_t>(syscall(SYS_gettid)));
  const timespec none = {0, 0};
  const auto woken = [&] { return sigtimedwait(&wanted, nullptr, &none) == SIGUSR1; };

  CHECK(!somebody_works_for_dead(100));
  std::atomic<bool> begun{false}, end{false}, ended{false};
  std::thread worker([&] {
    begin_work_for(100);
    begun = true;
    wait_for(end);
    end_work();
    ended = true;
    wait_for(begun);
    release_this_worker();
  });
  wait_for(begun);
  begun = false;
  CHECK(!somebody_works_for_dead(101));
  CHECK(somebody_works_for_dead(100));
  CHECK(somebody_works_for_dead(100));
  CHECK(!woken());
  end = true;
  wait_for(ended);
  CHECK(woken());
  CHECK(!somebody_works_for_dead(100));
  begun = true;
  worker.join();

  // Nobody is woken for a caller that lives.
  begin_work_for(102);
  end_work();
  CHECK(!woken());
}

}  // namespace

int main() {
  held_calls();
  dead_callers();
  return failures == 0 ? 0 : 1;
}
