#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "../protocol/unique_fd.h"

namespace holdfast {
namespace {

std::string read_small(const char* path) {
  UniqueFd file(open(path, O_RDONLY | O_CLOEXEC));
  char buffer[4096];
  const ssize_t got = file ? read(file.get(), buffer, sizeof buffer) : 0;
  return std::string(buffer, got > 0 ? static_cast<size_t>(got) : 0);
}

bool action_available(uint32_t action) { return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0; }

// -1: there is no Yama, so nothing is restricted beyond the classic check.
int ptrace_scope() {
  const std::string text = read_small("/proc/sys/kernel/yama/ptrace_scope");
  return text.empty() ? -1 : std::atoi(text.c_str());
}

// 0: no Landlock, or it is switched off. landlock_create_ruleset has number 444 on every architecture.
long landlock_abi() {
  constexpr long kCreateRuleset = 444;
  constexpr uint32_t kVersionFlag = 1;
  const long abi = syscall(kCreateRuleset, nullptr, 0, kVersionFlag);
  return abi > 0 ? abi : 0;
}

// The field of /proc/self/status: 2 means that a filter lies above this process already.
int seccomp_mode() {
  const std::string status = read_small("/proc/self/status");
  const size_t at = status.find("\nSeccomp:");
  return at == std::string::npos ? 0 : std::atoi(status.c_str() + at + std::strlen("\nSeccomp:"));
}

// Calls of a start that a filter above this process may not have, with arguments by which each of them does nothing.
struct Asked {
  const char* name;
  long number;
  long arguments[4];
};
constexpr Asked kAsked[] = {
    {"seccomp", SYS_seccomp, {-1, 0, 0, 0}},
    {"ptrace", SYS_ptrace, {PTRACE_SEIZE, -1, 0, 0}},
    {"landlock_create_ruleset", 444, {0, 0, -1, 0}},
    {"landlock_add_rule", 445, {-1, 0, 0, -1}},
    {"landlock_restrict_self", 446, {-1, -1, 0, 0}},
    {"pidfd_getfd", 438, {-1, -1, -1, 0}},
    {"process_vm_readv", SYS_process_vm_readv, {0, 0, 0, 0}},
};

// Those for which that filter kills who makes them, as systemd's do unless they are told otherwise. A child tries them:
// with memory of its own, as a core dump ends all who share it.
const std::vector<const char*>& killing_calls() {
  static const std::vector<const char*> found = [] {
    std::vector<const char*> out;
    void* const page = seccomp_mode() != 2
                           ? MAP_FAILED
                           : mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return out;
    auto& at = *new (page) std::atomic<size_t>(0);
    for (; at < std::size(kAsked); at++) {
      const pid_t child = static_cast<pid_t>(syscall(SYS_clone, 0, nullptr, nullptr, nullptr, nullptr));
      if (child < 0) break;
      if (child == 0) {
        const rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        for (; at < std::size(kAsked); at++) {
          const auto& [name, number, given] = kAsked[at];
          syscall(number, given[0], given[1], given[2], given[3]);
        }
        _exit(0);
      }
      int status = 0;
      while (waitpid(child, &status, __WCLONE) < 0 && errno == EINTR) continue;
      if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) break;
      out.push_back(kAsked[at].name);
    }
    munmap(page, 4096);
    return out;
  }();
  return found;
}

bool kills(const std::string_view call) {
  const auto& all = killing_calls();
  return std::find(all.begin(), all.end(), call) != all.end();
}

}  // namespace

Napi::Object support(Napi::Env env) {
  utsname names = {};
  uname(&names);
  Napi::Object actions = Napi::Object::New(env);
  const auto knows = [](uint32_t action) { return !kills("seccomp") && action_available(action); };
  actions.Set("trace", knows(SECCOMP_RET_TRACE));
  actions.Set("killProcess", knows(SECCOMP_RET_KILL_PROCESS));
  actions.Set("userNotification", knows(SECCOMP_RET_USER_NOTIF));
  Napi::Object result = Napi::Object::New(env);
  result.Set("kernel", names.release);
  result.Set("seccompActions", actions);
  result.Set("seccompMode", seccomp_mode());
  Napi::Array killing = Napi::Array::New(env);
  for (const char* const name : killing_calls()) killing.Set(killing.Length(), name);
  result.Set("killingCalls", killing);
  result.Set("ptraceScope", ptrace_scope());
  // PR_GET_MDWE(2const), since Linux 6.3.
  constexpr int kGetMdwe = 66;
  result.Set("refusesWritableCode", prctl(kGetMdwe, 0, 0, 0, 0) >= 0);
  result.Set("landlockAbi", kills("landlock_create_ruleset") ? 0 : static_cast<double>(landlock_abi()));
  return result;
}

// systemd.resource-control(5), Delegate=: the first is for root only, the second is there since systemd 251.
bool is_delegated(const std::string& folder) {
  for (const char* const mark : {"trusted.delegate", "user.delegate"}) {
    char value = '0';
    if (getxattr(folder.c_str(), mark, &value, 1) == 1 && value == '1') return true;
  }
  return false;
}

}  // namespace holdfast
