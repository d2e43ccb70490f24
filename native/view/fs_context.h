// What all threads of a process share beside its memory: umask and working directory. Here each has its own, after
// unshare(CLONE_FS); where a container refuses that, a worker wears the caller's only for the one call that needs it.
#pragma once

#include <sys/types.h>

#include <mutex>
#include <string>

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

  // What this thread has by one of these, if threads have each their own; -1: none so far.
  static int worn();

 private:
  bool inside_ = false;
};

// The caller's folder (AT_FDCWD: its working directory) becomes this thread's own working directory, and stays so: a
// name in it is then looked at as the caller's kernel does, without a way through /proc. False: it cannot, and another
// way is to be taken. Whether the caller was held is still to be asked.
bool stand_in(const Held& call, int dirfd);
// Whether that costs next to nothing: nobody else can have changed the caller's since this thread stood in it, or will
// unseen.
bool stays_in(const Held& call, int dirfd);
// What the folder is called by now: asked after the look at what is in it. False: it has no name.
bool name_of_stand(std::string& out);

// While it lives, the working directory is this thread's to change; it goes back to the root, where everybody else
// expects it. Taken before WithUmask.
class OwnWorkingDirectory {
 public:
  OwnWorkingDirectory();
  ~OwnWorkingDirectory();
  OwnWorkingDirectory(const OwnWorkingDirectory&) = delete;
  OwnWorkingDirectory& operator=(const OwnWorkingDirectory&) = delete;

 private:
  std::unique_lock<std::mutex> hold_;
};

}  // namespace holdfast
