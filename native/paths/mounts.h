// Where file systems are mounted.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// Mount points of procfs, as this process sees them now. 0 or a positive errno. Any thread.
int proc_mounts(std::vector<std::string>& mounts);
// The same from the text of /proc/<pid>/mountinfo.
std::vector<std::string> proc_mounts_in(std::string_view mountinfo);

}  // namespace holdfast
