#include "as_itself.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "own_rights.h"
#include "proc_stat.h"
#include "threads.h"

namespace holdfast {

bool must_look_by_ids() {
  static const bool must = [] {
    const auto bit = [](int capability) { return uint64_t{1} << capability; };
    OwnCapabilities own;
    return get_capabilities(own) == 0 && (own.permitted & bit(CAP_SYS_PTRACE)) == 0 &&
           (own.permitted & (bit(CAP_SETUID) | bit(CAP_SETGID))) != 0;
  }();
  return must;
}

AsItself::AsItself(pid_t tid) {
  uid_t uid;
  gid_t gid;
  OwnCapabilities before;
  if (!real_ids_of(tid, uid, gid) || get_capabilities(before) != 0) return;
  changed_ = true;
  effective_ = before.effective;
  gid_ = static_cast<gid_t>(::syscall(SYS_setfsgid, gid));
  uid_ = static_cast<uid_t>(::syscall(SYS_setfsuid, uid));
  // Nor may the process have a capability that the onlooker does not use (cap_ptrace_access_check() in
  // security/commoncap.c).
  set_effective(~uint64_t{0});
}

AsItself::~AsItself() {
  if (!changed_) return;
  // A change from or to user 0 takes or gives what root may do with files (capabilities(7)), and what is permitted was
  // kept: so the capabilities come last too.
  OwnCapabilities now;
  if (set_file_ids(uid_, gid_) == 0 && get_capabilities(now) == 0 && now.effective == effective_) return;
  if (set_effective(effective_) != 0 || set_file_ids(uid_, gid_) != 0 || set_effective(effective_) != 0)
    fatal("a worker cannot take its own ids back after a look");
}

}  // namespace holdfast
