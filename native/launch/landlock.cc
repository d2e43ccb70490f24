#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>

#include "../arch/raw_syscall.h"
#include "../protocol/protocol.h"
#include "../syscalls/guards.h"

namespace holdfast {
namespace {

using arch::raw, arch::raw_syscall;

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
constexpr uint64_t kExecute = 1 << 0, kWriteFile = 1 << 1, kReadFile = 1 << 2, kReadDirectory = 1 << 3,
                   kRemoveDirectory = 1 << 4, kRemoveFile = 1 << 5, kMakeDirectory = 1 << 7, kMakeFile = 1 << 8,
                   kMakeSocket = 1 << 9, kMakeLink = 1 << 12, kRefer = 1 << 13, kTruncate = 1 << 14,
                   kDeviceIoctl = 1 << 15;
constexpr uint64_t kBindTcp = 1 << 0, kConnectTcp = 1 << 1;
constexpr uint64_t kScopeAbstract = 1 << 0, kScopeSignal = 1 << 1;
// An exec opens its file for reading too.
constexpr uint64_t kToExecute = kExecute | kReadFile;

// Every right to files that an ABI knows, so that none is left to the tree that it was not given: 13 in the first, then
// REFER (2), TRUNCATE (3), IOCTL_DEV (5).
uint64_t all_rights(long abi) {
  if (abi >= 5) return (uint64_t{1} << 16) - 1;
  if (abi >= 3) return (uint64_t{1} << 15) - 1;
  if (abi == 2) return (uint64_t{1} << 14) - 1;
  return (uint64_t{1} << 13) - 1;
}

// The rights to what a file holds, and those that only a folder can give. Names are removed and moved by the supervisor
// alone, and so are made those of devices, FIFOs and sockets.
uint64_t rights_to(uint8_t access, bool folder) {
  uint64_t rights = kDeviceIoctl;
  if ((access & protocol::kRead) != 0) rights |= kReadFile | (folder ? kReadDirectory : 0);
  if ((access & protocol::kWrite) != 0)
    rights |= kWriteFile | kTruncate | (folder ? kMakeFile | kMakeDirectory | kMakeLink : 0);
  return rights;
}

long add_path(int ruleset, int fd, uint64_t rights) {
  const PathBeneath rule = {rights, fd};
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

// Landlock has the folder that it was told of; somebody outside may have put another one there. Who may not look is
// told so by the exec itself.
static bool is_still(const Confinement::Place& place) {
  struct stat now;
  if (::stat(place.path.c_str(), &now) != 0) return errno == EACCES;
  return now.st_dev == place.device && now.st_ino == place.inode;
}

bool Confinement::may_execute(std::string_view path, dev_t device, ino_t inode) const {
  if (execute_anywhere) return true;
  for (const Place& place : executable) {
    if (!place.folder && place.device == device && place.inode == inode) return true;
    const bool below = place.path == "/" || (path.starts_with(place.path) && path.size() > place.path.size() &&
                                             path[place.path.size()] == '/');
    if (place.folder && below && is_still(place)) return true;
  }
  return false;
}

long landlock_abi() { return std::max(0L, raw_syscall(kCreateRuleset, 0, 0, kVersionFlag)); }

Handled handled(long abi, const Confinement& confinement) {
  Handled out;
  if (abi < 1) return out;
  out.attributes.files = all_rights(abi);
  out.size = sizeof out.attributes.files;
  if (abi < 4) return out;
  out.attributes.network = (confinement.bind_ports ? kBindTcp : 0) | (confinement.connect_ports ? kConnectTcp : 0);
  out.size += sizeof out.attributes.network;
  if (abi < 6) return out;
  out.attributes.scoped = kScopeSignal | (confinement.abstract_sockets ? 0 : kScopeAbstract);
  out.size += sizeof out.attributes.scoped;
  return out;
}

int make_ruleset(long abi, Confinement& confinement, UniqueFd& out) {
  out.reset();
  if (abi < 1) return 0;
  const auto& [attributes, size] = handled(abi, confinement);
  const long made = raw_syscall(kCreateRuleset, raw(&attributes), size);
  if (made < 0) return static_cast<int>(-made);
  UniqueFd ruleset(static_cast<int>(made));
  long result = 0;
  if (const uint64_t anywhere =
          (confinement.execute_anywhere ? kToExecute : 0) | (confinement.make_sockets ? kMakeSocket : 0)) {
    const UniqueFd root(open("/", O_PATH | O_CLOEXEC));
    if (!root) return errno;
    result = add_path(ruleset.get(), root.get(), anywhere);
  }
  for (auto& place : confinement.executable) {
    if (result == 0 && !confinement.execute_anywhere) result = add_path(ruleset.get(), place.fd.get(), kToExecute);
    place.fd.reset();
  }
  for (auto& [place, access] : confinement.grants) {
    uint64_t rights = rights_to(access, place.folder);
    if (confinement.changes_names && place.folder && (access & protocol::kWrite) != 0)
      rights |= kRemoveDirectory | kRemoveFile | kRefer;
    rights &= attributes.files;
    if (result == 0) result = add_path(ruleset.get(), place.fd.get(), rights);
    if (result == -EBADFD) result = 0;  // a memfd: no file of any file system, which Landlock leaves alone
    place.fd.reset();
  }
  if (abi >= 4 && result == 0) result = add_ports(ruleset.get(), confinement.bind_ports, kBindTcp);
  if (abi >= 4 && result == 0) result = add_ports(ruleset.get(), confinement.connect_ports, kConnectTcp);
  if (result == 0) out = static_cast<UniqueFd&&>(ruleset);
  return static_cast<int>(-result);
}

int confine_connecting(const std::vector<uint16_t>& ports) {
  const uint64_t attributes[] = {0, kConnectTcp};  // no access to files
  const long made = raw_syscall(kCreateRuleset, raw(attributes), sizeof attributes);
  if (made < 0) return static_cast<int>(-made);
  const UniqueFd ruleset(static_cast<int>(made));
  if (const long result = add_ports(ruleset.get(), ports, kConnectTcp)) return static_cast<int>(-result);
  return put_on_ruleset(ruleset.get());
}

int keep_signals_inside(long abi) {
  const uint64_t attributes[] = {0, 0, kScopeSignal};
  const long made = raw_syscall(kCreateRuleset, raw(attributes), sizeof attributes);
  if (made < 0) return static_cast<int>(-made);
  const UniqueFd ruleset(static_cast<int>(made));
  // A signal to everybody is denied for each who is outside; an audit log has no use for that (since ABI 7).
  constexpr uint64_t kLogSameExecOff = 1;
  const uint64_t flags = abi >= 7 ? kLogSameExecOff : 0;
  return static_cast<int>(-raw_syscall(kRestrictSelf, static_cast<uint64_t>(ruleset.get()), flags, own_ruleset_mark()));
}

int put_on_ruleset(int ruleset) {
  return static_cast<int>(-raw_syscall(kRestrictSelf, static_cast<uint64_t>(ruleset), 0, own_ruleset_mark()));
}

}  // namespace holdfast
