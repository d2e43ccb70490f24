#include "as_itself.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proc_stat.h"
#include "threads.h"

namespace holdfast {
namespace {

bool get_capabilities(__user_cap_data_struct (&data)[2]) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  return ::syscall(SYS_capget, &header, data) == 0;
}

bool has(const __user_cap_data_struct (&data)[2], int capability) {
  return (data[capability >> 5].permitted >> (capability & 31) & 1) != 0;
}

}  // namespace

bool must_look_by_ids() {
  static const bool must = [] {
    __user_cap_data_struct own[2] = {};
    return get_capabilities(own) && !has(own, CAP_SYS_PTRACE) && (has(own, CAP_SETUID) || has(own, CAP_SETGID));
  }();
  return must;
}

AsItself::AsItself(pid_t tid) {
  uid_t uid;
  gid_t gid;
  __user_cap_data_struct before[2] = {};
  if (!real_ids_of(tid, uid, gid) || !get_capabilities(before)) return;
  changed_ = true;
  effective_[0] = before[0].effective;
  effective_[1] = before[1].effective;
  gid_ = static_cast<gid_t>(::syscall(SYS_setfsgid, gid));
  uid_ = static_cast<uid_t>(::syscall(SYS_setfsuid, uid));
  // Nor may the process have a capability that the onlooker does not use (cap_ptrace_access_check() in
  // security/commoncap.c).
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  for (auto& word : before) word.effective = word.permitted;
  ::syscall(SYS_capset, &header, before);
}

AsItself::~AsItself() {
  if (!changed_) return;
  ::syscall(SYS_setfsuid, uid_);
  ::syscall(SYS_setfsgid, gid_);
  // A change from or to user 0 takes or gives what root may do with files (capabilities(7)).
  __user_cap_data_struct now[2] = {};
  const bool known = get_capabilities(now);
  if (known && now[0].effective == effective_[0] && now[1].effective == effective_[1] &&
      static_cast<uid_t>(::syscall(SYS_setfsuid, -1)) == uid_ &&
      static_cast<gid_t>(::syscall(SYS_setfsgid, -1)) == gid_)
    return;
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  now[0].effective = effective_[0];
  now[1].effective = effective_[1];
  if (!known || ::syscall(SYS_capset, &header, now) != 0 || static_cast<uid_t>(::syscall(SYS_setfsuid, uid_)) != uid_ ||
      static_cast<gid_t>(::syscall(SYS_setfsgid, gid_)) != gid_)
    fatal("a worker cannot take its own ids back after a look");
}

}  // namespace holdfast
