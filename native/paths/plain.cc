#include "plain.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace holdfast {

int open_plain(const char* name, int flags) { return open_plain_below(AT_FDCWD, name, flags); }

int open_plain_below(int folder, const char* name, int flags) {
  const open_how request = {static_cast<uint64_t>(flags), 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  const long fd = ::syscall(__NR_openat2, folder, name, &request, sizeof request);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

}  // namespace holdfast
