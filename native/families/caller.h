// What the families of sockets, signals and processes share: the caller's descriptors and its ids.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "../call/finish.h"
#include "../call/held.h"
#include "../call/tree.h"
#include "../policy/decide.h"
#include "../protocol/unique_fd.h"

namespace holdfast::families {

// A copy of the caller's descriptor: whatever the tree does to its own number afterwards, the copy stays what was
// checked. 0, EBADF, ESRCH (the caller is gone), or EPERM where this kernel or container does not let us
// (pidfd_getfd(2)).
int copy_descriptor(const Held& call, int fd, UniqueFd& out);

// Whether the caller itself can be made to send its descriptor (trace engine), after copy_descriptor answered EPERM;
// and the end of the handler that asks for it: the handler is called again, and copy_descriptor finds what was sent.
bool can_borrow(const Held& call, int copied);
Finish borrow(int fd);

// The process behind a pidfd of ours or, by `tid`, of a caller; -1 if it is no pidfd, 0 if that process is reaped.
pid_t pid_of_pidfd(int fd);
pid_t pid_of_pidfd(pid_t tid, int fd);

// What /proc/<pid>/stat says of a process; state 0 if it cannot be read.
struct Stat {
  char state = 0;
  pid_t parent = 0, group = 0, session = 0;
};
Stat stat_of(pid_t pid);
// A process of the tree that has ended, and whose parent there has not waited for it yet: the tracer has let go of it,
// so the tree does not count it any more, but its number still names it.
bool waits_for_its_parent(const Tree& tree, pid_t pid);

// The ids of a thread, from /proc/<tid>/status.
struct Ids {
  uid_t real_uid, effective_uid, saved_uid, file_uid;
  gid_t real_gid, effective_gid, saved_gid, file_gid;
  std::vector<gid_t> groups;
  uint64_t effective_capabilities;

  bool operator==(const Ids&) const = default;
};
// 0 or a positive errno.
int read_ids(pid_t tid, Ids& out);
// Whether the caller is, to the kernel's permission checks, who this thread of the supervisor is.
bool same_ids_as_ours(pid_t tid);

// The caller's real and effective ids, groups and effective capabilities, put on by this thread for calls that show
// them to somebody else (SO_PEERCRED, SCM_CREDENTIALS): file system ids alone would show the supervisor's.
class AsPeer {
 public:
  explicit AsPeer(const Held& call);
  ~AsPeer();
  AsPeer(const AsPeer&) = delete;
  AsPeer& operator=(const AsPeer&) = delete;
  int error = 0;  // positive errno: refuse the call

 private:
  bool changed_ = false;
  Ids own_ = {};
};

// The end of a call that a decision does not allow. A verdict that makes no sense for the call refuses it.
Finish refusal(const Decision& decision);

}  // namespace holdfast::families
