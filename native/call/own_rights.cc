#include "own_rights.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace holdfast {
namespace {

using Words = __user_cap_data_struct[2];

int read_words(Words& out) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  return ::syscall(SYS_capget, &header, out) == 0 ? 0 : errno;
}

}  // namespace

int get_capabilities(OwnCapabilities& out) {
  Words words = {};
  if (const int error = read_words(words); error != 0) return error;
  out.effective = words[0].effective | uint64_t{words[1].effective} << 32;
  out.permitted = words[0].permitted | uint64_t{words[1].permitted} << 32;
  return 0;
}

int set_effective(uint64_t wanted) {
  Words words = {};
  if (const int error = read_words(words); error != 0) return error;
  for (int i = 0; i < 2; i++) words[i].effective = words[i].permitted & static_cast<uint32_t>(wanted >> (32 * i));
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  return ::syscall(SYS_capset, &header, words) == 0 ? 0 : errno;
}

int set_file_ids(uid_t uid, gid_t gid) {
  ::syscall(SYS_setfsgid, gid);
  ::syscall(SYS_setfsuid, uid);
  // They report no error; an id that is none changes nothing and answers what is set (setfsuid(2)).
  const bool done =
      static_cast<gid_t>(::syscall(SYS_setfsgid, -1)) == gid && static_cast<uid_t>(::syscall(SYS_setfsuid, -1)) == uid;
  return done ? 0 : EPERM;
}

int ThreadRights::read() {
  OwnCapabilities capabilities;
  if (const int error = get_capabilities(capabilities); error != 0) return error;
  effective_ = capabilities.effective;
  if (::syscall(SYS_getresuid, &uids_[0], &uids_[1], &uids_[2]) != 0 ||
      ::syscall(SYS_getresgid, &gids_[0], &gids_[1], &gids_[2]) != 0)
    return errno;
  file_uid_ = static_cast<uid_t>(::syscall(SYS_setfsuid, -1));
  file_gid_ = static_cast<gid_t>(::syscall(SYS_setfsgid, -1));
  const long count = ::syscall(SYS_getgroups, 0, nullptr);
  if (count < 0) return errno;
  groups_.resize(static_cast<size_t>(count));
  return ::syscall(SYS_getgroups, groups_.size(), groups_.data()) == count ? 0 : EAGAIN;
}

int ThreadRights::take() const {
  ThreadRights now;
  if (const int error = now.read(); error != 0 || now == *this) return error;
  // What is permitted was kept, and makes the rest possible; a change of ids takes and gives what is effective.
  if (const int error = set_effective(~uint64_t{0}); error != 0) return error;
  if (::syscall(SYS_setresuid, uids_[0], uids_[1], -1) != 0) return errno;
  if (const int error = set_effective(~uint64_t{0}); error != 0) return error;
  if (::syscall(SYS_setresgid, gids_[0], gids_[1], -1) != 0) return errno;
  if (now.groups_ != groups_ && ::syscall(SYS_setgroups, groups_.size(), groups_.data()) != 0) return errno;
  if (const int error = set_file_ids(file_uid_, file_gid_); error != 0) return error;
  if (const int error = set_effective(effective_); error != 0) return error;
  if (const int error = now.read(); error != 0) return error;
  return now == *this ? 0 : EPERM;
}

}  // namespace holdfast
