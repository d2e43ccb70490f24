#include "proc_stat.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "as_itself.h"

namespace holdfast {
namespace {

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

pid_t pid_in_fdinfo(const std::string& text) {
  const char* value = after_key(text, "Pid:");
  if (value == nullptr) return -1;
  const long pid = strtol(value, nullptr, 10);
  return pid > 0 ? static_cast<pid_t>(pid) : 0;
}

}  // namespace

Stat stat_of(pid_t pid) {
  char name[32];
  snprintf(name, sizeof name, "/proc/%d/stat", pid);
  std::string text;
  if (!read_file(name, text)) return {};
  // The command's name may hold anything, ')' too (proc_pid_stat(5)).
  const size_t after = text.rfind(')');
  Stat stat;
  if (after == std::string::npos ||
      sscanf(text.c_str() + after + 1,
             " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %" SCNu64, &stat.state,
             &stat.parent, &stat.group, &stat.session, &stat.threads, &stat.started) != 6)
    return {};
  return stat;
}

bool is_in_group(pid_t process, pid_t group) {
  const Stat stat = stat_of(process);
  return stat.state != 0 && stat.group == group;
}

bool real_ids_of(pid_t pid, uid_t& uid, gid_t& gid) {
  char name[32];
  snprintf(name, sizeof name, "/proc/%d/status", pid);
  std::string text;
  if (!read_file(name, text)) return false;
  const char* uids = after_key(text, "Uid:");
  const char* gids = after_key(text, "Gid:");
  return uids != nullptr && gids != nullptr && sscanf(uids, "%u", &uid) == 1 && sscanf(gids, "%u", &gid) == 1;
}

bool is_ending(pid_t group, pid_t tid) {
  char name[48];
  snprintf(name, sizeof name, "/proc/%d/task/%d/stat", group, tid);
  std::string text;
  if (!read_file(name, text)) return false;
  const size_t after = text.rfind(')');
  unsigned flags = 0;
  constexpr unsigned kExiting = 0x4;  // PF_EXITING, linux/sched.h
  return after != std::string::npos && sscanf(text.c_str() + after + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) == 1 &&
         (flags & kExiting) != 0;
}

pid_t tracer_of(pid_t pid) {
  char name[32];
  snprintf(name, sizeof name, "/proc/%d/status", pid);
  std::string text;
  if (!read_file(name, text)) return 0;
  const char* const tracer = after_key(text, "TracerPid:");
  return tracer == nullptr ? 0 : static_cast<pid_t>(strtol(tracer, nullptr, 10));
}

bool waits_for_its_parent(const Tree& tree, pid_t pid) {
  const Stat stat = stat_of(pid);
  return stat.state == 'Z' && tree.contains(stat.parent);
}

pid_t process_of_tree(const Tree& tree, pid_t pid) {
  const pid_t group = tree.group_of(pid);
  return group == 0 && waits_for_its_parent(tree, pid) ? pid : group;
}

UniqueFd pin_ended(const Tree& tree, pid_t pid) {
  UniqueFd pinned(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  // Asked last: it is not reaped, so what was read by its number was its own.
  if (!pinned || !waits_for_its_parent(tree, pid) || pid_of_pidfd(pinned.get()) != pid) return UniqueFd();
  return pinned;
}

pid_t pid_of_pidfd(int fd) {
  char name[64];
  snprintf(name, sizeof name, "/proc/thread-self/fdinfo/%d", fd);
  std::string text;
  return read_file(name, text) ? pid_in_fdinfo(text) : -1;
}

pid_t pid_of_pidfd(pid_t tid, int fd) {
  char name[64];
  snprintf(name, sizeof name, "/proc/%d/fdinfo/%d", tid, fd);
  std::string text;
  const int read = look_by_ids(tid, [&] { return read_file(name, text) ? 0 : -1; });
  return read == 0 ? pid_in_fdinfo(text) : -1;
}

}  // namespace holdfast
