// This thread's own capabilities and file system ids. All of it goes by raw system calls: libc's wrappers change every
// thread of the process. Functions answer 0 or a positive errno.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace holdfast {

struct OwnCapabilities {
  uint64_t effective = 0;
  uint64_t permitted = 0;
};

int get_capabilities(OwnCapabilities& out);

// Those of `wanted` that this thread is permitted.
int set_effective(uint64_t wanted);

int set_file_ids(uid_t uid, gid_t gid);

// All that a new thread has from the one that has made it, which may wear a caller's just then (view/creds.h).
class ThreadRights {
 public:
  int read();
  // Makes them the calling thread's own, if it has others. Its saved ids must be those that they were read with.
  int take() const;

 private:
  bool operator==(const ThreadRights& other) const = default;

  uid_t uids_[3] = {}, file_uid_ = 0;
  gid_t gids_[3] = {}, file_gid_ = 0;
  std::vector<gid_t> groups_;
  uint64_t effective_ = 0;
};

}  // namespace holdfast
