#include "landlock.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "../arch/raw_syscall.h"

namespace holdfast {
namespace {

// linux/landlock.h, in the form of Linux 6.12; older kernels take a shorter structure, so its size goes along.
struct RulesetAttributes {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
  uint64_t scoped;
};
struct __attribute__((packed)) PathBeneath {
  uint64_t allowed_access;
  int32_t parent_fd;
};
constexpr long kCreateRuleset = 444, kAddRule = 445, kRestrictSelf = 446;  // one number on every architecture
constexpr unsigned kVersionFlag = 1, kRulePathBeneath = 1;
constexpr uint64_t kExecute = 1 << 0, kReadFile = 1 << 2;
constexpr uint64_t kScopeSignal = 2;

// Every right to files that an ABI knows: 13 in the first, then REFER (2), TRUNCATE (3), IOCTL_DEV (5).
uint64_t all_rights(long abi) {
  if (abi >= 5) return (uint64_t{1} << 16) - 1;
  if (abi >= 3) return (uint64_t{1} << 15) - 1;
  if (abi == 2) return (uint64_t{1} << 14) - 1;
  return (uint64_t{1} << 13) - 1;
}

}  // namespace

int confine_by_landlock(bool& confined) {
  using arch::raw, arch::raw_syscall;
  confined = false;
  const long abi = raw_syscall(kCreateRuleset, 0, 0, kVersionFlag);
  if (abi < 1) return 0;  // not built in, or switched off
  const RulesetAttributes attributes = {all_rights(abi), 0, abi >= 6 ? kScopeSignal : 0};
  const size_t size = abi >= 6 ? sizeof attributes : sizeof attributes.handled_access_fs;
  const long ruleset = raw_syscall(kCreateRuleset, raw(&attributes), size);
  if (ruleset < 0) return static_cast<int>(-ruleset);
  confined = true;
  const long root = raw_syscall(SYS_openat, static_cast<uint64_t>(AT_FDCWD), raw("/"), O_PATH | O_CLOEXEC);
  long result = root < 0 ? root : 0;
  // An exec opens its file for reading too.
  const PathBeneath rule = {kExecute | kReadFile, static_cast<int32_t>(root)};
  const auto set = static_cast<uint64_t>(ruleset);
  if (result == 0) result = raw_syscall(kAddRule, set, kRulePathBeneath, raw(&rule));
  if (result == 0) result = raw_syscall(kRestrictSelf, set);
  if (root >= 0) raw_syscall(SYS_close, static_cast<uint64_t>(root));
  raw_syscall(SYS_close, set);
  return static_cast<int>(-result);
}

}  // namespace holdfast
