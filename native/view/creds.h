// The caller's credentials, put on by a worker for one performed call. Whose they are is in rights.h; nothing
// is put on for a thread that has the supervisor's own.
#pragma once

#include <memory>

#include "../call/held.h"
#include "rights.h"

namespace holdfast {

// Puts on the caller's fsuid, fsgid, groups and capabilities, if they differ from ours, and takes them off again.
// `error`: positive errno if they could not be read or put on: refuse the call. May be nested: the outer one decides.
class AsCaller {
 public:
  enum class Which : uint8_t { file_system, real };  // access(2) asks with the real ids

  explicit AsCaller(const Held& call, Which which = Which::file_system);
  ~AsCaller();
  AsCaller(const AsCaller&) = delete;
  AsCaller& operator=(const AsCaller&) = delete;
  int error = 0;

 private:
  bool changed_ = false;
};

// Takes off what AsCaller put on, for a look at the caller's own /proc entry: once its ids have changed that is root's.
// Where the supervisor has no right to look into processes with other ids, its file system ids are the caller's real
// ones meanwhile, by which the kernel lets it look.
class AsSupervisor {
 public:
  explicit AsSupervisor(const Held& call);
  ~AsSupervisor();
  AsSupervisor(const AsSupervisor&) = delete;
  AsSupervisor& operator=(const AsSupervisor&) = delete;

 private:
  bool took_off_ = false, by_ids_ = false;
  std::shared_ptr<const Ids> caller_;  // whom this thread wears otherwise
};

// Without the right to look into any process, which the supervisor keeps beside what the caller has: for a look into
// another process than the caller, which the kernel allows by their ids (ptrace(2), "Ptrace access mode checking").
class AsOnlooker {
 public:
  explicit AsOnlooker(bool needed = true);
  ~AsOnlooker();
  AsOnlooker(const AsOnlooker&) = delete;
  AsOnlooker& operator=(const AsOnlooker&) = delete;

 private:
  bool changed_ = false;
};

// The caller's real and effective ids, groups and effective capabilities, put on by this thread for calls that show
// them to somebody else (SO_PEERCRED, SCM_CREDENTIALS) or ask for rights over another process: file system ids alone
// would show the supervisor's. Nobody else's memory can be read or written meanwhile.
class AsPeer {
 public:
  explicit AsPeer(const Held& call);
  ~AsPeer();
  AsPeer(const AsPeer&) = delete;
  AsPeer& operator=(const AsPeer&) = delete;
  int error = 0;  // positive errno: refuse the call

 private:
  std::shared_ptr<const Ids> theirs_;
};

// The caller's umask. 0 or a positive errno.
int umask_of(const Held& call, mode_t& out);

}  // namespace holdfast
