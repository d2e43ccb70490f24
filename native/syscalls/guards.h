// What a call's registers alone can show, as data: launch/filter.cc compiles it to BPF.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "table.h"

namespace holdfast {

// Between the masked register and the values, all unsigned.
enum class Relation : uint8_t { one_of, none_of, at_least, below };

struct Condition {
  uint8_t argument;
  Relation relation;
  // The bits that count. The kernel takes an `int` from the low half and never looks at the rest, so neither may a
  // condition on one; an address or an `unsigned long` counts as a whole.
  uint64_t mask;
  std::span<const uint32_t> values;  // sorted, each once; one value for at_least and below
};

// In a third register, which landlock_restrict_self does not have, and in a fourth of seccomp, says that the command
// confines itself before its exec. No secret: whoever else gives it takes rights away from itself alone, and what the
// supervisor makes for it is as wide as before. Not the same in any two supervisors, one of which may run in a sandbox
// of the other.
uint32_t own_ruleset_mark();

// All conditions together.
using Alternative = std::span<const Condition>;

// The call is let by if any alternative holds; with none it is always held.
std::span<const Alternative> alternatives(Guard guard);
// The same, asked of registers.
bool lets_by(Guard guard, const uint64_t (&args)[6]);
// With what the policy leaves to the kernel (classes.h).
bool lets_by(const Row& row, const uint64_t (&args)[6]);
// Whether it would be, and a stop holds it again all the same (take_back() in classes.h).
bool is_taken_back(const Row& row, const uint64_t (&args)[6]);

// Where the supervisor cannot look into a process that has changed its ids, the calls that change them are stopped, so
// that the caller can be opened to it at their end. Said once, before the filter is made.
void stop_changes_of_rights();

// Where the supervisor cannot have a copy of the caller's socket, or a held call could be interrupted after it was
// made, every connect() is stopped. Said once, before the filter is made.
void stop_connects();

// Every call that makes a process or a thread is stopped, to be counted. Said once, before the filter is made.
void count_forks();
bool is_counted(const Row& row);

// In the size of connect()'s address, of which the kernel reads the low half: this one is stopped. The tracer sets it
// for a call that only its caller can make; whoever sets it himself is just as well off.
inline constexpr uint64_t kStopsConnect = uint64_t{1} << 32;
inline constexpr int kConnectSize = 2;  // the argument

// Where a held call could be interrupted after a worker has received it, every call that is bounced or verified is
// decided at its stop. Said once, before the filter is made.
void decide_at_stops();

// Where there is no listener, every call that is held is stopped. Said once, before the filter that is put on is made.
// `by_name`: a thread may have to find us by a socket's name to fetch what it opens (engine/fetching.cc).
void hold_by_stops(bool by_name);
bool are_held_by_stops();
bool are_fetched_by_name();
// Nobody holds any (engine `kernel`). Said once, before anything else.
void hold_nothing();
bool is_nothing_held();
// The engine that these say.
protocol::Engine engine_in_use();

// In a register that execve() does not have: such an exec is held by a stop, as there is no worker yet for the first
// one. No secret: whoever else gives it is held all the same.
inline constexpr uint32_t kStopsExec = 0x686f6c64;
inline constexpr int kExecMark = 5;  // the argument

// Whether a stop holds the call, if it is held at all. What is bounced is, unless it has a path alone (chdir) that lies
// in the sealed page or below it: one that the tracer has put there (engine/prepared.h), or nobody's; all where the
// filter would not see that. What is verified
// is if it is marked (kStopsExec). Three kinds of
// performed calls are stopped when a register says so: connect(), unless its address is as long as one of the internet
// (others show who calls, SO_PEERCRED in unix(7)); opens with O_PATH, since no kernel hands over such a descriptor by
// SECCOMP_IOCTL_NOTIF_ADDFD (fget() refuses it) and the caller opens the approved name itself (openat2 has its flags in
// memory and cannot be told apart here); and prctl(PR_SET_SECCOMP), before which the sealed page must be there.
bool is_stopped(const Row& row, const uint64_t (&args)[6]);
// That condition of a row, if it has one.
std::optional<Condition> stopped_if(const Row& row);

}  // namespace holdfast
