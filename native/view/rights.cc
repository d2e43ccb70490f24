#include "rights.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "../protocol/unique_fd.h"

namespace holdfast {
namespace {

// Of a thread that is not in the map all is as it was when the tree began: the supervisor's own.
struct Entry {
  uint64_t change = 0;             // which one it was: what was read before another one is not remembered
  bool read = false;               // false: to be looked at
  std::shared_ptr<const Ids> ids;  // null: the supervisor's own
};

std::shared_mutex guard;
std::unordered_map<pid_t, Entry> entries;
uint64_t changes = 0;
// Whether anything is in the map: a tree that cannot change its rights, or does not, never looks there.
std::atomic<bool> any{false};

// With `guard` held.
void must_be_read(pid_t tid) {
  entries[tid] = {++changes, false, nullptr};
  any.store(true, std::memory_order_release);
}

bool read_own(Ids& ids) {
  ids.file_uid = static_cast<uid_t>(::syscall(SYS_setfsuid, -1));
  ids.file_gid = static_cast<gid_t>(::syscall(SYS_setfsgid, -1));
  if (::getresuid(&ids.real_uid, &ids.effective_uid, &ids.saved_uid) != 0) return false;
  if (::getresgid(&ids.real_gid, &ids.effective_gid, &ids.saved_gid) != 0) return false;
  const int count = ::getgroups(0, nullptr);
  if (count < 0) return false;
  ids.groups.resize(static_cast<size_t>(count));
  if (count > 0 && ::getgroups(count, ids.groups.data()) != count) return false;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  ids.effective = data[0].effective | uint64_t{data[1].effective} << 32;
  ids.permitted = data[0].permitted | uint64_t{data[1].permitted} << 32;
  return true;
}

int read_ids(pid_t tid, Ids& out) {
  thread_local std::string status;
  if (const int error = read_status(tid, status); error != 0) return error;
  std::string_view uids = status_field(status, "Uid:"), gids = status_field(status, "Gid:"),
                   groups = status_field(status, "Groups:"), effective = status_field(status, "CapEff:"),
                   permitted = status_field(status, "CapPrm:");
  uint64_t value;
  for (uid_t* each : {&out.real_uid, &out.effective_uid, &out.saved_uid, &out.file_uid}) {
    if (!next_number(uids, 10, value)) return EPERM;
    *each = static_cast<uid_t>(value);
  }
  for (gid_t* each : {&out.real_gid, &out.effective_gid, &out.saved_gid, &out.file_gid}) {
    if (!next_number(gids, 10, value)) return EPERM;
    *each = static_cast<gid_t>(value);
  }
  if (!next_number(effective, 16, out.effective) || !next_number(permitted, 16, out.permitted)) return EPERM;
  out.groups.clear();
  while (next_number(groups, 10, value)) out.groups.push_back(static_cast<gid_t>(value));
  return 0;
}

bool as_ours(const Ids& theirs) {
  constexpr uint64_t kLook = uint64_t{1} << CAP_SYS_PTRACE;
  Ids ours = own_ids().ids;
  ours.effective &= ~kLook;
  ours.permitted &= ~kLook;
  return own_ids().known && theirs == ours;
}

}  // namespace

std::string_view status_field(std::string_view status, std::string_view name) {
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
    out.append(part, static_cast<size_t>(n));
    if (static_cast<size_t>(n) < sizeof part) return 0;  // the kernel gives all of it that there is room for (seq_file)
  }
}

const OwnIds& own_ids() {
  static const OwnIds own = [] {
    OwnIds out;
    out.known = read_own(out.ids);
    return out;
  }();
  return own;
}

int ids_of(const Held& call, std::shared_ptr<const Ids>& out) {
  out.reset();
  if (!any.load(std::memory_order_acquire)) return 0;
  uint64_t change;
  {
    std::shared_lock<std::shared_mutex> lock(guard);
    const auto at = entries.find(call.tid);
    if (at == entries.end()) return 0;
    if (at->second.read) {
      out = at->second.ids;
      return 0;
    }
    change = at->second.change;
  }
  auto ids = std::make_shared<Ids>();
  if (const int error = read_ids(call.tid, *ids); error != 0) return error;
  // While its call is held the thread changes nothing, so what was read is what it has. A call that was interrupted may
  // have been followed by a change, which is then another one.
  if (!call.still_held()) return ESRCH;
  if (!as_ours(*ids)) out = std::move(ids);
  std::unique_lock<std::shared_mutex> lock(guard);
  const auto at = entries.find(call.tid);
  if (at != entries.end() && at->second.change == change) at->second = {change, true, out};
  return 0;
}

void note_rights_may_change(pid_t tid) {
  std::unique_lock<std::shared_mutex> lock(guard);
  must_be_read(tid);
}

void inherit_rights(pid_t tid, pid_t parent) {
  const bool has_some = !own_ids().known || own_ids().ids.permitted != 0;
  if (!any.load(std::memory_order_acquire) && (parent != 0 || !has_some)) return;
  std::unique_lock<std::shared_mutex> lock(guard);
  const auto from = entries.find(parent);
  if (parent == 0 || (from != entries.end() && !from->second.read))
    must_be_read(tid);
  else if (from != entries.end())
    entries[tid] = Entry(from->second);
}

void note_exec(pid_t tid, pid_t former) {
  std::unique_lock<std::shared_mutex> lock(guard);
  const bool may_differ = entries.count(former) != 0;
  entries.erase(former);
  entries.erase(tid);
  if (may_differ) must_be_read(tid);
}

void forget_rights(pid_t tid) {
  if (!any.load(std::memory_order_acquire)) return;
  std::unique_lock<std::shared_mutex> lock(guard);
  entries.erase(tid);
}

}  // namespace holdfast
