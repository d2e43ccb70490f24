// What the kernel says of the memory and the files of a process (its time: call/usage.h). None of these waits for the
// tree, except weigh_memory().
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <unordered_map>

#include "../protocol/unique_fd.h"

namespace holdfast {

// Bytes that are in memory, shared ones counted as a whole. 0: it is gone.
int64_t resident_memory(pid_t process);

// The same with what several share divided among them: what it shares with files in memory, and all else. False: it is
// gone, or may not be looked into. The kernel may wait for the process's own lock on its mappings.
bool weigh_memory(pid_t process, int64_t& shared, int64_t& others);

// Bytes as the kernel counts them: handed to write calls, and made dirty on a disk, by those or by way of a mapping.
struct Written {
  int64_t handed = 0, dirtied = 0;
  int64_t bytes() const { return handed > dirtied ? handed : dirtied; }
  Written& operator+=(const Written& more) {
    handed += more.handed;
    dirtied += more.dirtied;
    return *this;
  }
  Written operator-(const Written& less) const { return {handed - less.handed, dirtied - less.dirtied}; }
};
// What is open tells it of one thread, also when that has ended, until it is reaped: then only root may still open it.
UniqueFd open_written_by(pid_t process, pid_t tid);
// 0, or a positive errno.
int written_by(const UniqueFd& thread, Written& out);
// Of a process with those threads of it that are gone, and with all of the children that it has waited for.
int written_by_process(pid_t process, Written& out);

// Memory of files that have no name but their descriptor's (memfd_create(2)): adds what the process has open to
// `files`, each once.
void add_memory_files(pid_t process, std::unordered_map<uint64_t, int64_t>& files);

}  // namespace holdfast
