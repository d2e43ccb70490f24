#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "../arch/raw_syscall.h"
#include "../syscalls/guards.h"

namespace holdfast {
namespace {

using arch::raw, arch::raw_syscall;

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
struct NetPort {
  uint64_t allowed_access;
  uint64_t port;
};
constexpr long kCreateRuleset = 444, kAddRule = 445, kRestrictSelf = 446;  // one number on every architecture
constexpr unsigned kVersionFlag = 1, kRulePathBeneath = 1, kRuleNetPort = 2;
constexpr uint64_t kExecute = 1 << 0, kReadFile = 1 << 2;
constexpr uint64_t kBindTcp = 1 << 0, kConnectTcp = 1 << 1;
constexpr uint64_t kScopeAbstract = 1 << 0, kScopeSignal = 1 << 1;
// An exec opens its file for reading too.
constexpr uint64_t kToExecute = kExecute | kReadFile;

// Every right to files that an ABI knows: 13 in the first, then REFER (2), TRUNCATE (3), IOCTL_DEV (5).
uint64_t all_rights(long abi) {
  if (abi >= 5) return (uint64_t{1} << 16) - 1;
  if (abi >= 3) return (uint64_t{1} << 15) - 1;
  if (abi == 2) return (uint64_t{1} << 14) - 1;
  return (uint64_t{1} << 13) - 1;
}

long add_path(int ruleset, int fd) {
  const PathBeneath rule = {kToExecute, fd};
  return raw_syscall(kAddRule, static_cast<uint64_t>(ruleset), kRulePathBeneath, raw(&rule));
}

long add_ports(int ruleset, const std::optional<std::vector<uint16_t>>& ports, uint64_t access) {
  if (!ports) return 0;
  for (const uint16_t port : *ports) {
    const NetPort rule = {access, port};
    if (const long result = raw_syscall(kAddRule, static_cast<uint64_t>(ruleset), kRuleNetPort, raw(&rule)))
      return result;
  }
  return 0;
}

}  // namespace

bool Confinement::may_execute(std::string_view path, dev_t device, ino_t inode) const {
  if (execute_anywhere) return true;
  for (const Place& place : executable) {
    if (!place.folder && place.device == device && place.inode == inode) return true;
    if (place.folder && (place.path == "/" || (path.starts_with(place.path) && path.size() > place.path.size() &&
                                               path[place.path.size()] == '/')))
      return true;
  }
  return false;
}

int make_ruleset(Confinement& confinement, UniqueFd& out) {
  out.reset();
  const long abi = raw_syscall(kCreateRuleset, 0, 0, kVersionFlag);
  if (abi < 1) return 0;  // not built in, or switched off
  RulesetAttributes attributes = {all_rights(abi), 0, 0};
  if (abi >= 4)
    attributes.handled_access_net =
        (confinement.bind_ports ? kBindTcp : 0) | (confinement.connect_ports ? kConnectTcp : 0);
  if (abi >= 6) attributes.scoped = kScopeSignal | (confinement.abstract_sockets ? 0 : kScopeAbstract);
  // landlock_create_ruleset(2): a kernel takes what is longer than it knows if the rest is zero, from its first size
  // on.
  const size_t size = abi >= 6 ? sizeof attributes : abi >= 4 ? sizeof(uint64_t) * 2 : sizeof(uint64_t);
  const long made = raw_syscall(kCreateRuleset, raw(&attributes), size);
  if (made < 0) return static_cast<int>(-made);
  UniqueFd ruleset(static_cast<int>(made));
  long result = 0;
  if (confinement.execute_anywhere) {
    const UniqueFd root(open("/", O_PATH | O_CLOEXEC));
    if (!root) return errno;
    result = add_path(ruleset.get(), root.get());
  }
  for (auto& place : confinement.executable) {
    if (result == 0 && !confinement.execute_anywhere) result = add_path(ruleset.get(), place.fd.get());
    place.fd.reset();
  }
  if (abi >= 4 && result == 0) result = add_ports(ruleset.get(), confinement.bind_ports, kBindTcp);
  if (abi >= 4 && result == 0) result = add_ports(ruleset.get(), confinement.connect_ports, kConnectTcp);
  if (result == 0) out = static_cast<UniqueFd&&>(ruleset);
  return static_cast<int>(-result);
}

int put_on_ruleset(int ruleset) {
  return static_cast<int>(-raw_syscall(kRestrictSelf, static_cast<uint64_t>(ruleset), 0, kOwnRuleset));
}

}  // namespace holdfast
