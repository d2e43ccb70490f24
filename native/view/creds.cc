#include "creds.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "../call/as_itself.h"
#include "../call/own_rights.h"
#include "../call/threads.h"
#include "../call/tree.h"

namespace holdfast {
namespace {

constexpr uint64_t kLook = uint64_t{1} << CAP_SYS_PTRACE;

// As in call/own_rights.h. 0 or a positive errno.

int set_uids(uid_t real, uid_t effective) { return ::syscall(SYS_setresuid, real, effective, -1) == 0 ? 0 : errno; }
int set_gids(gid_t real, gid_t effective) { return ::syscall(SYS_setresgid, real, effective, -1) == 0 ? 0 : errno; }

int set_groups(const std::vector<gid_t>& groups) {
  return ::syscall(SYS_setgroups, groups.size(), groups.data()) == 0 ? 0 : errno;
}

// What a worker wears for its call's file system work.
struct Worn {
  bool on = false;
  std::shared_ptr<const Ids> caller;  // whose groups they are; null: ours
  uid_t uid = 0;
  gid_t gid = 0;
  uint64_t effective = 0;
};
thread_local Worn worn;

const std::vector<gid_t>& groups_worn() { return worn.caller ? worn.caller->groups : own_ids().ids.groups; }

int put_on() {
  const Ids& own = own_ids().ids;
  int error = groups_worn() == own.groups ? 0 : set_groups(groups_worn());
  if (error == 0) error = set_file_ids(worn.uid, worn.gid);
  return error == 0 ? set_effective(worn.effective | kLook) : error;
}

void take_off() {
  const Ids& own = own_ids().ids;
  // What is permitted was kept, so the capabilities come back first and make the rest possible.
  if (set_effective(own.effective) != 0 || set_file_ids(own.file_uid, own.file_gid) != 0 ||
      (groups_worn() != own.groups && set_groups(own.groups) != 0) || set_effective(own.effective) != 0)
    fatal("a worker cannot take off the rights of its caller");
}

}  // namespace

int umask_of(const Held& call, mode_t& out) {
  uint64_t look;
  if (call.tree->umask_of(call.tid, out, look)) return 0;
  thread_local std::string status;
  if (const int error = read_status(call.tid, status); error != 0) return error;
  std::string_view field = status_field(status, "Umask:");
  uint64_t value;
  if (!next_number(field, 8, value)) return EPERM;
  out = static_cast<mode_t>(value);
  if (!call.was_held()) return ESRCH;
  if (look != 0) call.tree->remember_umask(call.tid, out, look);
  return 0;
}

AsCaller::AsCaller(const Held& call, Which which) {
  if (worn.on) return;
  std::shared_ptr<const Ids> caller;
  if ((error = ids_of(call, caller)) != 0) return;
  const Ids& own = own_ids().ids;
  const Ids& ids = caller ? *caller : own;
  const bool real = which == Which::real;
  const uid_t uid = real ? ids.real_uid : ids.file_uid;
  const gid_t gid = real ? ids.real_gid : ids.file_gid;
  // As access(2) does: the real root asks with all that it is permitted, anybody else with nothing.
  const uint64_t effective = !real ? ids.effective : uid == 0 ? ids.permitted : 0;
  const bool same = uid == own.file_uid && gid == own.file_gid && ((effective ^ own.effective) & ~kLook) == 0 &&
                    (!caller || caller->groups == own.groups);
  if (same) return;
  if (!own_ids().known) {
    error = EPERM;
    return;
  }
  worn = {true, std::move(caller), uid, gid, effective};
  changed_ = true;
  if (put_on() != 0) error = EPERM;
}

AsCaller::~AsCaller() {
  if (!changed_) return;
  take_off();
  worn = {};
}

AsSupervisor::AsSupervisor(const Held& call) : took_off_(worn.on) {
  if (took_off_) take_off();
  if (!must_look_by_ids() || ids_of(call, caller_) != 0 || !caller_) return;
  // Nor may the caller have a capability that the onlooker does not use (cap_ptrace_access_check() in
  // security/commoncap.c).
  by_ids_ = set_file_ids(caller_->real_uid, caller_->real_gid) == 0 && set_effective(~uint64_t{0}) == 0;
}

AsSupervisor::~AsSupervisor() {
  const Ids& own = own_ids().ids;
  if (by_ids_ && (set_file_ids(own.file_uid, own.file_gid) != 0 || set_effective(own.effective) != 0))
    fatal("a worker cannot take its own ids back after a look");
  if (took_off_ && put_on() != 0) fatal("a worker cannot put on the rights of its caller again");
}

AsOnlooker::AsOnlooker(bool needed) {
  changed_ = needed && (own_ids().ids.effective & kLook) != 0;
  if (changed_ && set_effective((worn.on ? worn.effective : own_ids().ids.effective) & ~kLook) != 0)
    fatal("a worker cannot take off its right to look into the tree");
}

AsOnlooker::~AsOnlooker() {
  if (changed_ && set_effective((worn.on ? worn.effective : own_ids().ids.effective) | kLook) != 0)
    fatal("a worker cannot take back its right to look into the tree");
}

AsPeer::AsPeer(const Held& call) {
  if ((error = ids_of(call, theirs_)) != 0 || !theirs_) return;
  const Ids& own = own_ids().ids;
  // The way back leads through the saved ids (setresuid(2)); without them as they are now there is none.
  if (!own_ids().known || own.real_uid != own.saved_uid || own.effective_uid != own.saved_uid ||
      own.real_gid != own.saved_gid || own.effective_gid != own.saved_gid) {
    error = EPERM;
    theirs_.reset();
    return;
  }
  if (theirs_->groups != own.groups) error = set_groups(theirs_->groups);
  if (error == 0) error = set_gids(theirs_->real_gid, theirs_->effective_gid);
  if (error == 0) error = set_uids(theirs_->real_uid, theirs_->effective_uid);
  // The file system ids followed the effective ones; theirs may have been set apart, which takes capabilities again.
  if (theirs_->file_uid != theirs_->effective_uid || theirs_->file_gid != theirs_->effective_gid) {
    if (error == 0) error = set_effective(~uint64_t{0});
    if (error == 0) error = set_file_ids(theirs_->file_uid, theirs_->file_gid);
  }
  if (error == 0) error = set_effective(theirs_->effective);
}

AsPeer::~AsPeer() {
  if (!theirs_) return;
  const Ids& own = own_ids().ids;
  if (set_uids(own.real_uid, own.effective_uid) != 0) fatal("a worker cannot take its own user ids back");
  if (set_effective(~uint64_t{0}) != 0) fatal("a worker cannot take its own capabilities back");
  if (set_gids(own.real_gid, own.effective_gid) != 0) fatal("a worker cannot take its own group ids back");
  if (theirs_->groups != own.groups && set_groups(own.groups) != 0) fatal("a worker cannot take its own groups back");
  if (set_effective(own.effective) != 0) fatal("a worker cannot take its own capabilities back");
}

}  // namespace holdfast
