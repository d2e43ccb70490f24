// This thread's own capabilities and file system ids. All of it goes by raw system calls: libc's wrappers change every
// thread of the process. Functions answer 0 or a positive errno.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace holdfast {

struct OwnCapabilities {
  uint64_t effective = 0;
  uint64_t permitted = 0;
};

int get_capabilities(OwnCapabilities& out);

// Those of `wanted` that this thread is permitted.
int set_effective(uint64_t wanted);

int set_file_ids(uid_t uid, gid_t gid);

}  // namespace holdfast
