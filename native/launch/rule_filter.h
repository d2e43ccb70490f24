// A further seccomp program, made of rules on system calls. The kernel asks all programs of a thread and takes the
// strictest answer, so such a one can only narrow what the first one (filter.h) says.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "../syscalls/rule.h"

namespace holdfast {

// Of the rules on one call, the first that matches decides; a call that none matches is let by. Rules on a call that
// this architecture does not have mean nothing, and other ABIs and numbers that the table does not have are left to the
// first program. Whatever is let by without a comparison stays in the kernel's bitmap.
//   pass   SECCOMP_RET_ALLOW
//   error  SECCOMP_RET_ERRNO | error
//   trap   SECCOMP_RET_TRAP
//   kill   SECCOMP_RET_KILL_PROCESS
//   stop   SECCOMP_RET_TRACE: outranked where the first program holds the call by a notification
// Empty: it would be longer than the kernel takes.
std::vector<sock_filter> build_rule_filter(const std::vector<SyscallRule>& rules);

}  // namespace holdfast
