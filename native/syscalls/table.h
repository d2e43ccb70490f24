// The one table of system calls (table.def): numbers on both architectures, family, arguments, and how a call is
// finished. The filter, the dispatcher, the documentation and the tests read it.
#pragma once

#include <cstdint>
#include <string_view>

#include "../protocol/protocol.h"

namespace holdfast {

using protocol::Event;

// How a call is finished. What `guard` lets by on registers alone is never held.
enum class Way : uint8_t {
  let_by,   // harmless whatever its registers say: no path, no address, no pid, no foreign memory
  perform,  // held by a notification; the supervisor does it on pinned objects and hands over the result
  bounce,   // held by a ptrace stop; goes on with its arguments copied to the sealed page
  verify,   // held by a ptrace stop; what really happened is checked before the first new instruction (exec)
  observe,  // held by a notification; every argument that matters is in a register, so after the check it goes on
  refuse,   // answered with `error`, and a violation
  absent,   // answered with `error` by the kernel itself, quietly: libc is expected to fall back
};

// What an argument register is. `none` ends the list.
enum class Arg : uint8_t {
  none,
  value,  // a number with no further meaning here
  dirfd,  // belongs to the path after it
  path,
  dirfd2,  // the second pair of rename and link; the link's own place in symlink
  path2,
  fd,          // the descriptor acted on
  open_flags,  // O_*
  mode,
  at_flags,  // AT_*
  how,       // struct open_how *
  size,
  buffer,  // of results or data
  text,    // symlink's target, or a string with no path meaning (an attribute's name)
  flags,
  mask,
  command,
  device,
  uid,
  gid,
  length,  // truncate
  times,   // struct utimbuf, timeval[2], timespec[2]
  pid,
  tid,
  pidfd,
  signal,
  info,
  socket,
  address,
  address_size,
  message,
  count,
  argv,
  envp,
  pointer,  // into the caller's own memory, read or written by the kernel in the caller's name
};

enum class Family : uint8_t { files, network, exec, process, signals, memory, ipc, time, system };

// Register conditions under which a call is let by (guards.h says what each means, filter.cc compiles them).
enum class Guard : uint8_t {
#define GUARD(name) name,
#include "guards.def"
#undef GUARD
};

struct Row {
  const char* name;
  int16_t x86_64;  // -1: this architecture has no such call
  int16_t aarch64;
  Family family;
  Event event;  // the hook that hears of it; Event::none if none does
  Way way;
  int16_t error;  // errno (positive) of refuse and absent; 0 for the others
  Guard guard;
  uint16_t handler;  // place in the table, and so in the dispatcher's list of handlers
  Arg args[6];
  const char* reason;  // why it is refused, or why letting it by is harmless where that is not plain

  int16_t number() const;  // on the architecture this was built for
  // Register of an argument kind, or -1.
  constexpr int index(Arg kind) const {
    for (int i = 0; i < 6; i++)
      if (args[i] == kind) return i;
    return -1;
  }
};

const Row* rows_begin();
const Row* rows_end();
// Above every number of this table's.
int number_end();
// The row of a number on this architecture, or nullptr.
const Row* find_row(int number);
const Row* find_row(std::string_view name);
const char* to_string(Way);
const char* to_string(Arg);
const char* to_string(Family);
const char* to_string(Guard);
const char* to_string(Event);  // protocol/events.def
// One JSON object a line, for docs/generate-syscalls.mjs and the tests (supervisor option --table).
void print_table(int fd);

}  // namespace holdfast
