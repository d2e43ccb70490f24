// Looks into a process of the tree that has changed its ids, where the supervisor lacks CAP_SYS_PTRACE (containers).
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <cstdint>

namespace holdfast {

// Whether this supervisor lacks the right to look into processes with other ids, and the tree can have such ones.
bool must_look_by_ids();

// While it lives, this thread's file system ids are the process's real ones, by which the kernel then lets it look
// (ptrace(2), "Ptrace access mode checking"; PTRACE_MODE_FSCREDS). For a look by number and nothing else.
class AsItself {
 public:
  explicit AsItself(pid_t tid);
  ~AsItself();
  AsItself(const AsItself&) = delete;
  AsItself& operator=(const AsItself&) = delete;

 private:
  bool changed_ = false;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
  uint64_t effective_ = 0;
};

// `look` answers below 0, with errno, if it was refused.
template <typename Look>
auto look_by_ids(pid_t tid, Look look) {
  auto result = look();
  if (result >= 0 || (errno != EACCES && errno != EPERM) || !must_look_by_ids()) return result;
  const AsItself itself(tid);
  return look();
}

}  // namespace holdfast
