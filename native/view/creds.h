// The caller's credentials and umask, put on by a worker for one performed call.
#pragma once

#include "../call/held.h"

namespace holdfast {

// Set as soon as anything in the tree may have changed its ids, groups or capabilities; until then the supervisor's own
// credentials are the tree's.
void note_credentials_may_differ();

// Puts on the caller's fsuid, fsgid, groups and capabilities, if they may differ from ours, and takes them off again.
// The caller's umask only if asked for. `error`: positive errno if they could not be read or put on: refuse the call.
// May be nested: the outer one decides about ids.
class AsCaller {
 public:
  enum class Ids : uint8_t { file_system, real };  // access(2) asks with the real ids

  explicit AsCaller(const Held& call, bool with_umask = false, Ids ids = Ids::file_system);
  ~AsCaller();
  AsCaller(const AsCaller&) = delete;
  AsCaller& operator=(const AsCaller&) = delete;
  int error = 0;

 private:
  bool changed_ = false;
};

// Takes off what AsCaller put on, for a look at the caller's own /proc entry: once its ids have changed that is root's.
class AsSupervisor {
 public:
  AsSupervisor();
  ~AsSupervisor();
  AsSupervisor(const AsSupervisor&) = delete;
  AsSupervisor& operator=(const AsSupervisor&) = delete;

 private:
  bool changed_;
};

// Each worker calls it once: a file system context (umask) of its own. 0 or a positive errno.
int own_fs_context();

}  // namespace holdfast
