#include "files_held.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace holdfast::families {

uint8_t access_of(int flags) {
  if ((flags & O_PATH) != 0) return 0;
  uint8_t access = 0;
  switch (flags & O_ACCMODE) {
    case O_RDONLY:
      access = kRead;
      break;
    case O_WRONLY:
      access = kWrite;
      break;
    default:
      access = kRead | kWrite;  // 3 opens for device control alone and is checked as both (open(2))
  }
  return (flags & O_TRUNC) != 0 ? access | kWrite : access;
}

namespace {

// One open file, as one read of its fdinfo shows it (proc_pid_fdinfo(5); `ino` since Linux 5.14).
struct Shown {
  unsigned long flags = 0, mount = 0, inode = 0;
  bool complete = false;
};

Shown shown_by_proc(const Held& call, const char* process, int fd) {
  char name[48], text[512];
  std::snprintf(name, sizeof name, "%s/fdinfo/%d", process, fd);
  AsSupervisor own(call);
  UniqueFd info(::openat(proc_directory(), name, O_RDONLY | O_CLOEXEC));
  const ssize_t n = info ? ::read(info.get(), text, sizeof text - 1) : -1;
  Shown out;
  if (n <= 0) return out;
  text[n] = '\0';
  out.complete = std::sscanf(text, "pos: %*d flags: %lo mnt_id: %lu ino: %lu", &out.flags, &out.mount, &out.inode) == 3;
  return out;
}

// Where no copy can be had. Mount and inode name a file, but not on btrfs, where each subvolume counts from the start.
uint8_t access_shown(const Held& call, const Resolved& at) {
  char caller[16];
  std::snprintf(caller, sizeof caller, "%d", call.tid);
  const Shown theirs = shown_by_proc(call, caller, at.reached_by),
              pinned = shown_by_proc(call, "self", at.object.get());
  struct statfs system;
  if (!call.still_held() || !theirs.complete || !pinned.complete) return 0;
  if (theirs.mount != pinned.mount || theirs.inode != pinned.inode) return 0;
  if (::fstatfs(at.object.get(), &system) != 0 || system.f_type == BTRFS_SUPER_MAGIC) return 0;
  const int flags = static_cast<int>(theirs.flags);
  return (flags & O_ACCMODE) == 3 ? 0 : access_of(flags & (O_ACCMODE | O_PATH));
}

// What the caller may do by its own descriptor, if that is the pinned object: between the pin and the look another
// thread can put something else in its place.
uint8_t access_held(const Held& call, const Resolved& at) {
  UniqueFd copy;
  struct stat theirs, pinned;
  if (const int error = copy_descriptor(call, at.reached_by, copy); error != 0)
    return error == EPERM ? access_shown(call, at) : 0;
  if (::fstat(copy.get(), &theirs) != 0 || ::fstat(at.object.get(), &pinned) != 0) return 0;
  if (theirs.st_dev != pinned.st_dev || theirs.st_ino != pinned.st_ino) return 0;
  const int flags = ::fcntl(copy.get(), F_GETFL);
  return flags < 0 || (flags & O_ACCMODE) == 3 ? 0 : access_of(flags & (O_ACCMODE | O_PATH));
}

}  // namespace

bool caller_has_it_open(const Held& call, const Resolved& at, uint8_t wanted) {
  return at.reached_by >= 0 && wanted != 0 && (wanted & ~access_held(call, at)) == 0;
}

}  // namespace holdfast::families
