// What a process has mapped where: proc_pid_maps(5).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace holdfast {

struct Mapping {
  uint64_t start = 0, end = 0;
  bool is_writable = false, is_private = false;
  uint64_t device = 0, inode = 0;
  std::string path;  // the kernel's name of the file, or a name like [vdso]; empty if it has none
};

// The mapping that an address points into. False if there is none, or it cannot be seen.
bool find_mapping(pid_t tid, uint64_t address, Mapping& out);
// The same by each of two ways: by PROCMAP_QUERY (Linux 6.11), with 0 or an errno, ENOTTY where the kernel has it not;
// and from the text of /proc/<pid>/maps.
int query_mapping(int maps, uint64_t address, Mapping& out);
bool read_mapping(int maps, uint64_t address, Mapping& out);

}  // namespace holdfast
