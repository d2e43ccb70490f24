// The seccomp program, made from the table. docs/filter-choice.md says why it is made here and not by libseccomp.
#pragma once

#include <linux/filter.h>

#include <vector>

namespace holdfast {

struct FilterOptions {
  bool trace_everything = false;  // there is no listener: every hold is a ptrace stop
  bool hold_nothing = false;      // nobody holds calls: what would be is let by or refused (syscalls/unheld.h)
  bool changes_names = false;     // with that: names are Landlock's to keep
};

// What the program answers:
//   let_by, and whatever a guard lets by     SECCOMP_RET_ALLOW
//   bounce, verify                           SECCOMP_RET_TRACE
//   execve without the mark of the first     SECCOMP_RET_USER_NOTIF (stopped_if() says why)
//   chdir with a path in the sealed page     SECCOMP_RET_USER_NOTIF (stopped_if() says why)
//   perform, observe, refuse                 SECCOMP_RET_USER_NOTIF (SECCOMP_RET_TRACE with trace_everything)
//   opens with O_PATH, PR_SET_SECCOMP        SECCOMP_RET_TRACE (stopped_if() says why)
//   absent                                   SECCOMP_RET_ERRNO
//   a foreign ABI or an unknown number       as refuse, so that the refusal is seen
// Calls that are let by whatever their registers say depend on the number alone, so the kernel decides them from its
// bitmap without running the program (seccomp_cache_allow, Linux 5.11).
// False if the program would be longer than the kernel takes; `out` then is not to be used.
bool build_filter(const FilterOptions& options, std::vector<sock_filter>& out);

}  // namespace holdfast
