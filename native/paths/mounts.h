// Where file systems are mounted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// Mount points of procfs, as this process sees them now. 0 or a positive errno. Any thread.
int proc_mounts(std::vector<std::string>& mounts);
// The same from the text of /proc/<pid>/mountinfo.
std::vector<std::string> proc_mounts_in(std::string_view mountinfo);

// The numbers of all mounts in it, as statx(2) gives them (STATX_MNT_ID).
std::vector<uint64_t> mount_numbers_in(std::string_view mountinfo);

// Whether this is on a file system that is mounted where this process can get to it. What is not (unmounted lazily, or
// of another mount namespace) has a name all the same, by which it is taken for something else (d_path() in
// fs/d_path.c). Any thread, after the first.
bool is_on_a_mount(int fd);
// Opens what tells of them. 0 or a positive errno.
int watch_mounts();

}  // namespace holdfast
