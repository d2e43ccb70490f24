#include "creds.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "../protocol/unique_fd.h"

namespace holdfast {
namespace {

std::atomic<bool> may_differ{false};

struct Credentials {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  uint64_t effective = 0;
  mode_t mask = 0;
};

struct Capabilities {
  uint64_t effective = 0, permitted = 0, inheritable = 0;
};

// All of these go by raw system calls: libc's wrappers change every thread of the process.
bool get_capabilities(Capabilities& out) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  out.effective = data[0].effective | uint64_t{data[1].effective} << 32;
  out.permitted = data[0].permitted | uint64_t{data[1].permitted} << 32;
  out.inheritable = data[0].inheritable | uint64_t{data[1].inheritable} << 32;
  return true;
}

bool set_capabilities(const Capabilities& to) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct data[2] = {
      {static_cast<uint32_t>(to.effective), static_cast<uint32_t>(to.permitted), static_cast<uint32_t>(to.inheritable)},
      {static_cast<uint32_t>(to.effective >> 32), static_cast<uint32_t>(to.permitted >> 32),
       static_cast<uint32_t>(to.inheritable >> 32)}};
  return ::syscall(SYS_capset, &header, data) == 0;
}

bool set_ids(uid_t uid, gid_t gid) {
  ::syscall(SYS_setfsgid, gid);
  ::syscall(SYS_setfsuid, uid);
  // They report no error; an id that is none changes nothing and answers what is set (setfsuid(2)).
  return static_cast<gid_t>(::syscall(SYS_setfsgid, -1)) == gid &&
         static_cast<uid_t>(::syscall(SYS_setfsuid, -1)) == uid;
}

bool set_groups(const std::vector<gid_t>& groups) {
  return ::syscall(SYS_setgroups, groups.size(), groups.data()) == 0;
}

struct Own {
  Credentials ids;
  Capabilities capabilities;
  bool known = false;

  Own() {
    ids.uid = static_cast<uid_t>(::syscall(SYS_setfsuid, -1));
    ids.gid = static_cast<gid_t>(::syscall(SYS_setfsgid, -1));
    const int count = ::getgroups(0, nullptr);
    if (count < 0) return;
    ids.groups.resize(static_cast<size_t>(count));
    if (count > 0 && ::getgroups(count, ids.groups.data()) != count) return;
    if (!get_capabilities(capabilities)) return;
    ids.effective = capabilities.effective;
    known = true;
  }
};

// Taken before any thread wears anything else: the first AsCaller that has something to put on comes here first.
const Own& own() {
  static const Own it;
  return it;
}

struct Worn {
  bool on = false;
  Credentials caller;
};
thread_local Worn worn;

// The value of "Name:\tvalue\n" in /proc/<tid>/status.
std::string_view field(std::string_view status, std::string_view name) {
  for (size_t at = status.find(name); at != std::string_view::npos; at = status.find(name, at + 1)) {
    if (at != 0 && status[at - 1] != '\n') continue;
    std::string_view rest = status.substr(at + name.size());
    return rest.substr(0, rest.find('\n'));
  }
  return {};
}

bool next_number(std::string_view& text, unsigned base, uint64_t& out) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, static_cast<int>(base));
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

int read_status(pid_t tid, std::string& out) {
  char path[40];
  std::snprintf(path, sizeof path, "/proc/%d/status", tid);
  UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return errno == ENOENT ? ESRCH : errno;
  out.clear();
  char part[4096];  // most of them fit; a long list of groups does not
  for (;;) {
    const ssize_t n = ::read(fd.get(), part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return 0;
    out.append(part, static_cast<size_t>(n));
  }
}

int read_credentials(pid_t tid, AsCaller::Ids ids, Credentials& out) {
  thread_local std::string status;
  if (const int error = read_status(tid, status); error != 0) return error;
  std::string_view uids = field(status, "Uid:"), gids = field(status, "Gid:"), groups = field(status, "Groups:");
  std::string_view capabilities = field(status, "CapEff:"), permitted = field(status, "CapPrm:"),
                   mask = field(status, "Umask:");
  uint64_t uid[4], gid[4], value;
  for (uint64_t& each : uid)
    if (!next_number(uids, 10, each)) return EPERM;
  for (uint64_t& each : gid)
    if (!next_number(gids, 10, each)) return EPERM;
  if (!next_number(mask, 8, value)) return EPERM;
  out.mask = static_cast<mode_t>(value);
  if (!next_number(capabilities, 16, out.effective)) return EPERM;
  if (ids == AsCaller::Ids::real) {
    out.uid = static_cast<uid_t>(uid[0]);
    out.gid = static_cast<gid_t>(gid[0]);
    // As access(2) does: the real root asks with all that it is permitted, anybody else with nothing.
    if (!next_number(permitted, 16, value)) return EPERM;
    out.effective = out.uid == 0 ? value : 0;
  } else {
    out.uid = static_cast<uid_t>(uid[3]);
    out.gid = static_cast<gid_t>(gid[3]);
  }
  out.groups.clear();
  while (next_number(groups, 10, value)) out.groups.push_back(static_cast<gid_t>(value));
  return 0;
}

bool same(const Credentials& a, const Credentials& b) {
  return a.uid == b.uid && a.gid == b.gid && a.effective == b.effective && a.groups == b.groups;
}

bool put_on(const Credentials& caller) {
  if (caller.groups != own().ids.groups && !set_groups(caller.groups)) return false;
  if (!set_ids(caller.uid, caller.gid)) return false;
  Capabilities to = own().capabilities;
  to.effective = (caller.effective | uint64_t{1} << CAP_SYS_PTRACE) & to.permitted;
  return set_capabilities(to);
}

void take_off(const Credentials& caller) {
  // What is permitted was kept, so the capabilities come back first and make the rest possible.
  if (!set_capabilities(own().capabilities) || !set_ids(own().ids.uid, own().ids.gid) ||
      (caller.groups != own().ids.groups && !set_groups(own().ids.groups)) || !set_capabilities(own().capabilities))
    std::abort();  // a worker with foreign rights must not go on; the tree dies with us
}

}  // namespace

void note_credentials_may_differ() {
  own();
  may_differ.store(true, std::memory_order_release);
}

AsCaller::AsCaller(const Held& call, bool with_umask, Ids ids) {
  const bool differ = may_differ.load(std::memory_order_acquire) && !worn.on;
  if (!differ && !with_umask) return;
  Credentials here;
  Credentials& caller = worn.on ? here : worn.caller;
  error = read_credentials(call.tid, ids, caller);
  if (error == 0 && !call.still_held()) error = ESRCH;
  if (error != 0) return;
  if (with_umask) ::umask(caller.mask);
  if (!differ) return;
  if (!own().known) {
    error = EPERM;
    return;
  }
  if (same(caller, own().ids)) return;
  worn.on = changed_ = true;
  if (!put_on(caller)) error = EPERM;
}

AsCaller::~AsCaller() {
  if (!changed_) return;
  take_off(worn.caller);
  worn.on = false;
}

AsSupervisor::AsSupervisor() : changed_(worn.on) {
  if (changed_) take_off(worn.caller);
}

AsSupervisor::~AsSupervisor() {
  if (changed_ && !put_on(worn.caller)) std::abort();
}

int own_fs_context() { return ::unshare(CLONE_FS) == 0 ? 0 : errno; }

}  // namespace holdfast
