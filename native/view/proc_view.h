// What of a procfs the tree may see: its own processes, as far as the kernel lets one look into another. Not their
// memory: what was approved stands there. Names in listings are not hidden.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "../call/held.h"
#include "../call/sandbox.h"

namespace holdfast {

struct ProcPlace {
  int error = 0;           // ENOENT: not there for the tree; EACCES: not for this caller
  bool root = false;       // the mount point itself, where `self` is
  bool process = false;    // below a process or thread
  bool own = false;        // of the caller's own thread group
  bool guarded = false;    // of another one, and not for everybody: the kernel is asked by the ids of both (AsOnlooker)
  std::string_view entry;  // below the process: "", "fd", "fd/3", "cwd"
};

bool is_procfs(int fd);

// Whether a canonical name is at or below a mount of procfs that was there at the start.
bool below_proc_mount(const Config& config, std::string_view canonical);

// Whether that name means to the caller what it does not mean to us: in a procfs, or in a folder that leads elsewhere.
bool needs_own_walk(const Config& config, std::string_view canonical);

// Judges a name in a procfs. `entry` points into `canonical`.
ProcPlace look_at_proc(const Sandbox& sandbox, const Held& call, std::string_view canonical);

// The process whose directory in a procfs that is; -1 if it is none.
pid_t process_of_directory(const Config& config, std::string_view canonical);

// What any process may know of any other, by its entry.
bool is_harmless(std::string_view entry);

// Links whose target is an object and not their text (proc(5): cwd, root, exe, fd/N, map_files/A-B, ns/X).
bool is_magic_link(std::string_view entry);

// The number in "fd/N", or -1.
int descriptor_of(std::string_view entry);

}  // namespace holdfast
