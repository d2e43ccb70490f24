#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

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
  confined = false;
  const long abi = syscall(kCreateRuleset, nullptr, 0, kVersionFlag);
  if (abi < 1) return 0;  // not built in, or switched off
  RulesetAttributes attributes = {all_rights(abi), 0, abi >= 6 ? kScopeSignal : 0};
  const size_t size = abi >= 6 ? sizeof attributes : sizeof attributes.handled_access_fs;
  const int ruleset = static_cast<int>(syscall(kCreateRuleset, &attributes, size, 0));
  if (ruleset < 0) return errno;
  confined = true;
  const int root = open("/", O_PATH | O_CLOEXEC);
  int error = root < 0 ? errno : 0;
  const PathBeneath rule = {kExecute | kReadFile, root};  // an exec opens its file for reading too
  if (error == 0 && syscall(kAddRule, ruleset, kRulePathBeneath, &rule, 0) != 0) error = errno;
  if (error == 0 && syscall(kRestrictSelf, ruleset, 0) != 0) error = errno;
  if (root >= 0) close(root);
  close(ruleset);
  return error;
}

}  // namespace holdfast
