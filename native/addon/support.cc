#include "support.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

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

}  // namespace

Napi::Object support(Napi::Env env) {
  utsname names = {};
  uname(&names);
  Napi::Object actions = Napi::Object::New(env);
  actions.Set("trace", action_available(SECCOMP_RET_TRACE));
  actions.Set("killProcess", action_available(SECCOMP_RET_KILL_PROCESS));
  actions.Set("userNotification", action_available(SECCOMP_RET_USER_NOTIF));
  Napi::Object result = Napi::Object::New(env);
  result.Set("kernel", names.release);
  result.Set("seccompActions", actions);
  result.Set("seccompMode", seccomp_mode());
  result.Set("ptraceScope", ptrace_scope());
  // PR_GET_MDWE(2const), since Linux 6.3.
  constexpr int kGetMdwe = 66;
  result.Set("refusesWritableCode", prctl(kGetMdwe, 0, 0, 0, 0) >= 0);
  result.Set("landlockAbi", static_cast<double>(landlock_abi()));
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
