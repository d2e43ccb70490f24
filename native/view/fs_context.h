// What all threads of a process share beside its memory: umask and working directory. Each worker could have its own
// after unshare(CLONE_FS), which containers refuse, so a worker wears the caller's only for the one call that needs it.
#pragma once

#include <sys/types.h>

#include <mutex>

#include "../call/held.h"

namespace holdfast {

// While it lives, the process has the caller's umask, for a file that is made at once: never around a decision. Those
// whose umask is the same are there together, so a file system that answers late holds up only who has another.
class WithUmask {
 public:
  explicit WithUmask(const Held& call);
  ~WithUmask();
  WithUmask(const WithUmask&) = delete;
  WithUmask& operator=(const WithUmask&) = delete;
  int error = 0;  // positive errno if the umask could not be read: refuse the call

 private:
  bool inside_ = false;
};

// While it lives, the working directory is this thread's to change; it goes back to the root, where everybody else
// expects it. Taken before WithUmask.
class OwnWorkingDirectory {
 public:
  OwnWorkingDirectory();
  ~OwnWorkingDirectory();
  OwnWorkingDirectory(const OwnWorkingDirectory&) = delete;
  OwnWorkingDirectory& operator=(const OwnWorkingDirectory&) = delete;

 private:
  std::lock_guard<std::mutex> hold_;
};

}  // namespace holdfast
