// What /proc says of a process by its number, and of those of the tree that have ended and are not waited for.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "../protocol/unique_fd.h"
#include "tree.h"

namespace holdfast {

// What /proc/<pid>/stat says of a process; state 0 if it cannot be read.
struct Stat {
  char state = 0;
  pid_t parent = 0, group = 0, session = 0;
  long threads = 0;
  uint64_t started = 0;  // in ticks since the system was
};
Stat stat_of(pid_t pid);

// Whether a process is in a process group. 0 is one, too: that of whoever started the tree, where its leader is in a
// pid namespace above ours and has no number here. There is one such group at most, as nobody can join it by its
// number.
bool is_in_group(pid_t process, pid_t group);

// The real user and group id of a process, from its status. False if it cannot be read.
bool real_ids_of(pid_t pid, uid_t& uid, gid_t& gid);

// Whether a thread has begun to end. False if it cannot be read.
bool is_ending(pid_t group, pid_t tid);
// The process that traces one, or 0.
pid_t tracer_of(pid_t pid);

// A process of the tree that has ended, and whose parent there has not waited for it yet: the tracer has let go of it,
// so the tree does not count it any more, but its number still names it.
bool waits_for_its_parent(const Tree& tree, pid_t pid);
// The thread group of what a number means in the tree, ended children among it; 0: nothing.
pid_t process_of_tree(const Tree& tree, pid_t pid);
// A process that waits for its parent, by a descriptor that means that very one whatever becomes of its number; empty
// if it is none.
UniqueFd pin_ended(const Tree& tree, pid_t pid);

// The process behind a pidfd of ours or, by `tid`, of a caller; -1 if it is no pidfd, 0 if that process is reaped.
pid_t pid_of_pidfd(int fd);
pid_t pid_of_pidfd(pid_t tid, int fd);

}  // namespace holdfast
