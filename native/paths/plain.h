// Names that lead to themselves: without a link on their way.
#pragma once

namespace holdfast {

// Opens an absolute name: descriptor or -errno, ELOOP if a symbolic or a magic link is on its way. Needs openat2(2):
// ENOSYS before Linux 5.6, EPERM where a container's profile does not know it.
int open_plain(const char* name, int flags);
// The same for a name below a folder.
int open_plain_below(int folder, const char* name, int flags);

}  // namespace holdfast
