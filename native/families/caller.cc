#include "caller.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>

#include "../call/threads.h"

namespace holdfast::families {
namespace {

constexpr unsigned kThread = O_EXCL;  // PIDFD_THREAD, linux/pidfd.h, since Linux 6.9

bool read_file(const char* name, std::string& out) {
  UniqueFd file(open(name, O_RDONLY | O_CLOEXEC));
  if (!file) return false;
  out.clear();
  char block[1024];
  for (;;) {
    const ssize_t got = read(file.get(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) return true;
    out.append(block, static_cast<size_t>(got));
  }
}

// What follows `key` at the start of a line, or nullptr.
const char* after_key(const std::string& text, const char* key) {
  const size_t length = strlen(key);
  for (size_t at = 0; at < text.size();) {
    if (text.compare(at, length, key) == 0) return text.c_str() + at + length;
    const size_t end = text.find('\n', at);
    if (end == std::string::npos) return nullptr;
    at = end + 1;
  }
  return nullptr;
}

pid_t pid_in_fdinfo(const char* name) {
  std::string text;
  if (!read_file(name, text)) return -1;
  const char* value = after_key(text, "Pid:");
  if (value == nullptr) return -1;
  const long pid = strtol(value, nullptr, 10);
  return pid > 0 ? static_cast<pid_t>(pid) : 0;
}

// glibc's wrappers change every thread of a process; these change the calling one.
int set_uids(uid_t real, uid_t effective) { return syscall(SYS_setresuid, real, effective, -1) == 0 ? 0 : errno; }
int set_gids(gid_t real, gid_t effective) { return syscall(SYS_setresgid, real, effective, -1) == 0 ? 0 : errno; }
int set_groups(const std::vector<gid_t>& groups) {
  return syscall(SYS_setgroups, groups.size(), groups.data()) == 0 ? 0 : errno;
}

// Effective capabilities: those of `wanted` that this thread is permitted.
int set_effective(uint64_t wanted) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return errno;
  for (int i = 0; i < 2; i++) data[i].effective = data[i].permitted & static_cast<uint32_t>(wanted >> (32 * i));
  return syscall(SYS_capset, &header, data) == 0 ? 0 : errno;
}

}  // namespace

int copy_descriptor(const Held& call, int fd, UniqueFd& out) {
  if (call.lent) {
    if (call.lent->error != 0) return call.lent->error == EBADF ? EBADF : EPERM;
    out.reset(fcntl(call.lent->fd.get(), F_DUPFD_CLOEXEC, 0));
    return out ? 0 : EPERM;
  }
  // The thread's own table, not its leader's: they may differ, and a leader may have ended before its threads.
  UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, call.tid, kThread)));
  if (!process && errno == EINVAL) process.reset(static_cast<int>(syscall(SYS_pidfd_open, call.tgid(), 0)));
  if (!process) return errno == ESRCH ? ESRCH : EPERM;
  if (!call.still_held()) return ESRCH;
  UniqueFd copy(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
  if (!copy) return errno == EBADF || errno == ESRCH ? errno : EPERM;
  out = static_cast<UniqueFd&&>(copy);
  return 0;
}

bool can_borrow(const Held& call, int copied) {
  return copied == EPERM && call.engine == Held::Engine::trace && !call.lent;
}

Finish borrow(int fd) {
  struct {
    alignas(16) msghdr header = {};
    alignas(16) char control[CMSG_SPACE(sizeof(int))] = {};
  } message;
  cmsghdr head = {};
  head.cmsg_len = CMSG_LEN(sizeof fd);
  head.cmsg_level = SOL_SOCKET;
  head.cmsg_type = SCM_RIGHTS;
  memcpy(message.control, &head, sizeof head);
  memcpy(message.control + CMSG_LEN(0), &fd, sizeof fd);
  message.header.msg_control = reinterpret_cast<void*>(offsetof(decltype(message), control));
  message.header.msg_controllen = CMSG_LEN(sizeof fd);
  auto bounce = std::make_unique<Bounce>();
  bounce->append(&message, sizeof message);
  bounce->inner_pointer(offsetof(msghdr, msg_control));
  bounce->lends = true;
  return Finish::bounce(static_cast<std::unique_ptr<Bounce>&&>(bounce));
}

pid_t pid_of_pidfd(int fd) {
  char name[64];
  snprintf(name, sizeof name, "/proc/thread-self/fdinfo/%d", fd);
  return pid_in_fdinfo(name);
}

pid_t pid_of_pidfd(pid_t tid, int fd) {
  char name[64];
  snprintf(name, sizeof name, "/proc/%d/fdinfo/%d", tid, fd);
  return pid_in_fdinfo(name);
}

Stat stat_of(pid_t pid) {
  char name[32];
  snprintf(name, sizeof name, "/proc/%d/stat", pid);
  std::string text;
  if (!read_file(name, text)) return {};
  // The command's name may hold anything, ')' too (proc_pid_stat(5)).
  const size_t after = text.rfind(')');
  Stat stat;
  if (after == std::string::npos ||
      sscanf(text.c_str() + after + 1, " %c %d %d %d", &stat.state, &stat.parent, &stat.group, &stat.session) != 4)
    return {};
  return stat;
}

bool waits_for_its_parent(const Tree& tree, pid_t pid) {
  const Stat stat = stat_of(pid);
  return stat.state == 'Z' && tree.contains(stat.parent);
}

int read_ids(pid_t tid, Ids& out) {
  char name[64];
  snprintf(name, sizeof name, "/proc/%d/status", tid);
  std::string text;
  if (!read_file(name, text)) return ESRCH;
  const char* uids = after_key(text, "Uid:");
  const char* gids = after_key(text, "Gid:");
  const char* groups = after_key(text, "Groups:");
  const char* capabilities = after_key(text, "CapEff:");
  if (uids == nullptr || gids == nullptr || groups == nullptr || capabilities == nullptr) return EPERM;
  if (sscanf(uids, "%u %u %u %u", &out.real_uid, &out.effective_uid, &out.saved_uid, &out.file_uid) != 4) return EPERM;
  if (sscanf(gids, "%u %u %u %u", &out.real_gid, &out.effective_gid, &out.saved_gid, &out.file_gid) != 4) return EPERM;
  out.effective_capabilities = strtoull(capabilities, nullptr, 16);
  out.groups.clear();
  for (const char* at = groups; *at != '\0' && *at != '\n';) {
    char* end;
    const unsigned long group = strtoul(at, &end, 10);
    if (end == at) break;
    out.groups.push_back(static_cast<gid_t>(group));
    at = end;
    while (*at == ' ' || *at == '\t') at++;
  }
  return 0;
}

AsPeer::AsPeer(const Held& call) {
  Ids theirs;
  error = read_ids(call.tid, theirs);
  if (error == 0) error = read_ids(gettid(), own_);
  if (error != 0) return;
  if (!call.still_held()) {
    error = ESRCH;
    return;
  }
  if (theirs == own_) return;
  // The way back leads through the saved ids (setresuid(2)); without them as they are now there is none.
  if (own_.real_uid != own_.saved_uid || own_.effective_uid != own_.saved_uid || own_.real_gid != own_.saved_gid ||
      own_.effective_gid != own_.saved_gid) {
    error = EPERM;
    return;
  }
  changed_ = true;
  if (theirs.groups != own_.groups) error = set_groups(theirs.groups);
  if (error == 0) error = set_gids(theirs.real_gid, theirs.effective_gid);
  if (error == 0) error = set_uids(theirs.real_uid, theirs.effective_uid);
  if (error == 0) error = set_effective(theirs.effective_capabilities);
}

AsPeer::~AsPeer() {
  if (!changed_) return;
  if (set_uids(own_.real_uid, own_.effective_uid) != 0) fatal("a worker cannot take its own user ids back");
  if (set_effective(~uint64_t{0}) != 0) fatal("a worker cannot take its own capabilities back");
  if (set_gids(own_.real_gid, own_.effective_gid) != 0) fatal("a worker cannot take its own group ids back");
  Ids now;
  if (read_ids(gettid(), now) != 0) fatal("a worker cannot read its own ids");
  if (now.groups != own_.groups && set_groups(own_.groups) != 0) fatal("a worker cannot take its own groups back");
  if (set_effective(own_.effective_capabilities) != 0) fatal("a worker cannot take its own capabilities back");
}

Finish refusal(const Decision& decision) {
  switch (decision.kind) {
    case Decision::Kind::error:
      return Finish::error(decision.error > 0 ? decision.error : EPERM);
    case Decision::Kind::kill:
      return Finish::kill(decision.error);
    case Decision::Kind::gone:
      return Finish::gone();
    case Decision::Kind::allow:
    case Decision::Kind::redirect:
    case Decision::Kind::respond:
      break;
  }
  return Finish::error(EPERM);
}

}  // namespace holdfast::families
