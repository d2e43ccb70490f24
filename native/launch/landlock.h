// The second wall: whatever slips past the filter and the supervisor still meets Landlock (landlock(7)).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../protocol/unique_fd.h"

namespace holdfast {

// What the tree may do by itself. Path calls that are held are made by the supervisor, so the tree needs no right to
// files but to execute them, for which the kernel reads them in the caller's name, and to what the calls that are left
// to it may touch. No signal leaves the tree in any case.
struct Confinement {
  // A file, or a folder and what lies below it.
  struct Place {
    std::string path;  // canonical
    UniqueFd fd;       // O_PATH, until the rule is made
    bool folder = false;
    dev_t device = 0;
    ino_t inode = 0;
  };
  // A place with what the tree's own calls may do there.
  struct Grant {
    Place place;
    uint8_t access = 0;  // protocol::kRead, kWrite
  };
  bool execute_anywhere = true;
  bool changes_names = false;  // where something may be written, names are removed and moved by the tree itself
  bool make_sockets = false;   // names of unix sockets, in any folder: bind() is not held
  std::vector<Place> executable;
  std::vector<Grant> grants;
  // TCP ports that may be connected to or bound. None: not confined.
  std::optional<std::vector<uint16_t>> connect_ports, bind_ports;
  bool abstract_sockets = true;  // unix sockets without a path that were made outside may be reached
  int error = 0;                 // why a place could not be opened that is there

  // Whether the kernel would let this file be executed.
  bool may_execute(std::string_view path, dev_t device, ino_t inode) const;
};

// The running kernel's; 0: Landlock is not built in, or switched off.
long landlock_abi();

// The first with scopes for signals and abstract sockets, Linux 6.12 (landlock(7)).
constexpr long kScopesAbi = 6;

// What a ruleset of this ABI takes from the tree, as landlock_create_ruleset(2) is told. A kernel refuses bits that it
// does not know.
struct Handled {
  struct {
    uint64_t files = 0, network = 0, scoped = 0;
  } attributes;
  size_t size = 0;  // what this ABI knows of it; 0: nothing
};
Handled handled(long abi, const Confinement& confinement);

// Confines the calling thread's own connections by TCP as the tree's, and nothing else of it: a signal to another
// thread of ours would not be let out of a scope before Linux 6.15. Needs no_new_privs. 0 or a positive errno.
int confine_connecting(const std::vector<uint16_t>& ports);

// Lets no signal of the calling thread, and of what it makes from now on, out of a domain of their own. Needs
// no_new_privs and kScopesAbi. 0 or a positive errno.
int keep_signals_inside(long abi);

// For the child to put on. `out` is empty where the ABI is 0. The places' descriptors are closed. 0 or a positive
// errno.
int make_ruleset(long abi, Confinement& confinement, UniqueFd& out);

// Confines the calling thread and its future children. By raw system calls (launch.cc says why). 0 or a positive errno.
int put_on_ruleset(int ruleset);

}  // namespace holdfast
