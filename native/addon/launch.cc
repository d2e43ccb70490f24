#include "launch.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdint>
#include <memory>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000  // linux/sched.h, since Linux 5.2
#endif

namespace holdfast {
namespace {

// All that the child needs, made before it is there: it shares our memory and allocates nothing.
struct Plan {
  const char* path;
  char* const* arguments;
  char* const* environment;
  const char* directory;  // null: as it is
  int* descriptors;
  int count;
  const bool* ours;  // made for the child: not what we have open ourselves
  bool detached;
  int error = 0;
};

[[noreturn]] void fail(Plan& plan) {
  plan.error = errno;
  for (;;) _exit(127);
}

// As uv__process_child_init() in libuv's src/unix/process.c.
void place_descriptors(Plan& plan) {
  // What lies below its place would be overwritten before its turn.
  for (int place = 0; place < plan.count; place++) {
    int& from = plan.descriptors[place];
    if (from < 0 || from >= place) continue;
    from = fcntl(from, F_DUPFD_CLOEXEC, plan.count);
    if (from < 0) fail(plan);
  }
  for (int place = 0; place < plan.count; place++) {
    int from = plan.descriptors[place];
    if (from < 0) {
      if (place > 2) continue;
      close(place);
      from = open("/dev/null", place == 0 ? O_RDONLY : O_RDWR);
      if (from < 0) fail(plan);
    }
    // dup2() of a number to itself keeps its close-on-exec.
    if (from == place ? fcntl(place, F_SETFD, 0) < 0 : dup2(from, place) < 0) fail(plan);
    if (place > 2 || plan.ours[place]) continue;
    // A program expects that its standard streams block.
    const int flags = fcntl(place, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) != 0) fcntl(place, F_SETFL, flags & ~O_NONBLOCK);
  }
}

// The child, in our memory and on a stack of its own, while the thread that made it waits: it must change nothing that
// others use. Its descriptors, directory and dispositions are copies.
int run(void* argument) {
  Plan& plan = *static_cast<Plan*>(argument);
  // Handlers of Node's must never run here. All signals are blocked until the last of them is gone.
  struct sigaction by_default = {};
  by_default.sa_handler = SIG_DFL;
  for (int signal = 1; signal < 32; signal++)
    if (signal != SIGKILL && signal != SIGSTOP) sigaction(signal, &by_default, nullptr);
  if (plan.detached) setsid();
  place_descriptors(plan);
  if (plan.directory != nullptr && chdir(plan.directory) != 0) fail(plan);
  const uint64_t none = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
  execve(plan.path, plan.arguments, plan.environment);
  fail(plan);
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

}  // namespace

int stream_pair(std::vector<UniqueFd>& ours, std::vector<UniqueFd>& theirs) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return errno;
  ours.emplace_back(pair[0]);
  theirs.emplace_back(pair[1]);
  return 0;
}

int launch(const Program& program, Launched& launched) {
  const size_t count = program.descriptors.size();
  std::vector<int> descriptors = program.descriptors;
  std::vector<UniqueFd> remote, ends;
  const std::unique_ptr<bool[]> ours(new bool[count]());
  for (size_t place = 0; place < count; place++) {
    ours[place] = program.descriptors[place] < 0;
    if (program.descriptors[place] != Program::kStream) continue;
    if (const int error = stream_pair(ends, remote)) return error;
    descriptors[place] = remote.back().get();
  }
  const std::vector<char*> arguments = pointers(program.arguments), environment = pointers(program.environment);
  Plan plan = {program.path.c_str(), arguments.data(),
               environment.data(),   program.directory.empty() ? nullptr : program.directory.c_str(),
               descriptors.data(),   static_cast<int>(count),
               ours.get(),           program.detached};
  // clone(2) by itself, as posix_spawn has no way to change the directory or the session in glibc 2.28, and pidfds by
  // it only since 2.39. All signals, with those that libc keeps for itself: none may find the child with our handlers.
  alignas(16) char stack[32 << 10];
  const uint64_t all = ~uint64_t{0};
  uint64_t before = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
  int process = -1;
  const pid_t pid = clone(run, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &plan, &process);
  const int error = pid < 0 ? errno : plan.error;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, sizeof before);
  launched.process.reset(process);
  if (pid < 0) return error;
  if (error != 0 || process < 0) {
    if (error == 0) kill(pid, SIGKILL);  // without its pidfd there is no way to hear of its end
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
    launched.process.reset();
    return error != 0 ? error : ENOSYS;
  }
  launched.pid = pid;
  launched.ends = std::move(ends);
  return 0;
}

}  // namespace holdfast
