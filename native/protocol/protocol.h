// What the two ends of the channel share: the addon in Node and the supervisor. Nothing here depends on either.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace holdfast::protocol {

inline constexpr uint32_t kMagic = 0x44464c48;  // "HLFD"
inline constexpr uint32_t kVersion = 2;

// ---- The socket (SOCK_SEQPACKET): start, end, and the proof that the other end lives -------------------------------

enum class MessageType : uint32_t {
  hello = 1,      // Node -> supervisor: fds {shared memory, eventfd}
  start = 2,      // Node -> supervisor: value = size in bytes of the hooks' filters, carried as below
  kill = 3,       // Node -> supervisor: value = signal for the command
  kill_all = 4,   // Node -> supervisor: value = signal for the whole tree; SIGKILL ends it
  spawned = 5,    // supervisor -> Node: value = pid of the command
  failed = 6,     // supervisor -> Node: value = errno, detail = Stage
  configure = 7,  // Node -> supervisor, before `start`: value = size in bytes of options and policy, carried as below
  spare = 8,      // Node -> supervisor: value = signal that the command's end sends to what it leaves, not SIGKILL
  plan = 9,       // Node -> supervisor, while the command runs: a record that tells of the layers is wanted
  command = 10,   // Node -> a supervisor that was started without one: value = size in bytes of what it is, behind the
                  // message; fds {its working directory, one for each place of its stdio that is not ignored}
  request = 11,   // Node -> supervisor, while the command runs: value = size in bytes of what is asked (request, kind,
                  // ...), carried as for `start`; a `reply` record answers
};

// At most so many bytes follow the message in its own packet; more are in a memfd that comes with it.
inline constexpr uint32_t kMaxInline = 32u << 10;

// What stands at a place of a command's stdio.
enum class Place : uint8_t {
  ignored = 0,
  inherited = 1,  // the sender has it open, too
  stream = 2,     // made for the command
};

// A supervisor without a command yet takes no more places than this; below the numbers of its own descriptors.
inline constexpr int32_t kMostPlaces = 60;

struct Message {
  uint32_t magic;
  uint32_t version;
  uint32_t type;
  int32_t value;
  int32_t detail;
  int32_t reserved;
};

// Where a launch failed. `command` is the command's own fault (ENOENT, EACCES, E2BIG, ...), reported as child_process
// does.
enum class Stage : int32_t {
  command = 1,
  arguments = 2,  // the supervisor was started wrongly
  channel = 3,    // the shared memory or the configuration is not what it must be
  ptrace = 4,     // PTRACE_SEIZE is forbidden or missing
  no_new_privs = 5,
  seccomp = 6,   // the filter was refused
  listener = 7,  // another notification listener is there already, or the kernel has none
  landlock = 8,
  fork = 9,
  session = 10,  // setsid
  capabilities = 11,
  policy = 12,  // the policy does not allow the command itself
  internal = 13,
  threads = 14,     // too few of them: a limit of processes
  proc = 15,        // /proc is not that of our pid namespace
  access = 16,      // faccessat2 is refused by what does not know it
  memory = 17,      // there is none left
  limits = 18,      // one that was asked for cannot be set, or no longer be held
  needs_hold = 19,  // engine `kernel`: what was asked for is not the kernel's to decide; a `needs` record came before
};

// Who holds the calls that the kernel cannot decide by itself.
enum class Engine : int32_t {
  automatic = 0,  // asked for only: notify where there can be a listener, else ptrace
  notify = 1,     // a seccomp listener receives them; what only the caller can do is stopped
  ptrace = 2,     // each is stopped
  kernel = 3,     // nobody: seccomp and Landlock alone
};

// The process group that a command begins in.
enum class JobGroup : int32_t {
  shared = 0,   // that of the application
  own = 1,      // one that nobody leads, in the session of the application
  session = 2,  // that of a session which it begins
};

// ---- The shared memory -------------------------------------------------------------------------------------------

inline constexpr uint32_t kRingBytes = 1u << 20;   // records, supervisor -> Node; a power of two
inline constexpr uint32_t kSlotCount = 256;        // calls that hooks can think about at once; more wait for a slot
inline constexpr uint32_t kSlotData = 4160;        // bytes of a verdict's data: a path (PATH_MAX 4096) or an address
inline constexpr uint32_t kMaxRecord = 64u << 10;  // bytes; longer argv lists are cut and marked with `count`

// `waited` is `asked` of a worker that sleeps, which the answer wakes.
enum class SlotState : uint32_t { free = 0, asked = 1, answered = 2, abandoned = 3, waited = 4 };

enum class VerdictKind : uint32_t {
  none = 0,  // no opinion: the rules decide
  allow = 1,
  deny = 2,      // error = errno (positive)
  kill = 3,      // error = signal number, sent to the calling process
  redirect = 4,  // data = path (open; a unix socket), RedirectAddress, RedirectSignal, or policy/redirected_program.h's
  respond = 5,   // data = contents, at most kSlotData bytes; open only
  fake = 6,      // error = the result; -1: that of a success
};

// In place of a size: the data comes by a request (`verdict`), which answers the slot as well.
inline constexpr uint32_t kDataElsewhere = ~uint32_t{0};
// So much of it at most: a program's arguments and environment.
inline constexpr uint32_t kMostVerdictData = 132u << 10;

struct Slot {
  std::atomic<uint32_t> state;  // SlotState; futex word
  std::atomic<uint32_t> generation;
  uint32_t verdict;  // VerdictKind
  int32_t error;
  uint32_t size;  // of data, bytes
  uint32_t reserved[3];
  uint8_t data[kSlotData];
};

// `redirect` of a connect, bind or send: family, port (host order) and 4 or 16 address bytes.
struct RedirectAddress {
  uint32_t family;
  uint32_t port;
  uint8_t bytes[16];
};

// `redirect` of a signal.
struct RedirectSignal {
  int32_t signal;  // -1: the same
  int32_t pid;     // 0: to the same
};

// Why the supervisor gave up while the tree ran, if it did.
struct LastWord {
  int32_t stage;  // Stage: of what there was too little; `internal` for what cannot be
  char text[124];
};

struct alignas(64) Shared {
  uint32_t magic;
  uint32_t version;
  uint32_t ring_bytes;
  uint32_t slot_count;
  uint32_t slot_bytes;
  uint32_t total_bytes;
  LastWord last_word;
  alignas(64) std::atomic<uint32_t> written;   // bytes ever put into the ring, modulo 2^32; the supervisor writes
  alignas(64) std::atomic<uint32_t> taken;     // bytes ever taken; Node writes; futex word for a full ring
  alignas(64) std::atomic<uint32_t> sleeping;  // 1: Node has drained the ring and must be woken by the eventfd
  alignas(64) uint8_t ring[kRingBytes];
  alignas(64) Slot slots[kSlotCount];
};

static_assert(std::atomic<uint32_t>::is_always_lock_free);
static_assert(sizeof(Slot) % 8 == 0);

// A record in the ring: this header, then `size` bytes of fields (fields.def, tlv.h), padded to 8. Records do not wrap:
// a header with kind `padding` fills the rest of the ring.
struct RecordHeader {
  uint32_t kind;  // RecordKind
  uint32_t size;  // bytes of fields after the header, before padding
};

enum class RecordKind : uint32_t {
  padding = 0,
#define RECORD(name) name,
#include "records.def"
#undef RECORD
  end,
};

// What a `life` record tells of a process.
enum class Life : uint32_t {
  fork = 0,  // pid, parent, executable
  exec = 1,  // pid, parent, executable, argv, count
  exit = 2,  // pid, parent, executable, code or signal, what it has used
};
// What a `life` request says.
enum class LifeMode : uint32_t {
  quiet = 0,
  told = 1,
  held_back = 2,  // told; but no process goes on that has made another or executed a program, until the next request
};

// What a request is about.
enum class RequestKind : uint32_t {
#define REQUEST(name) name,
#include "requests.def"
#undef REQUEST
  end,
};

enum class Event : uint8_t {
#define EVENT(name) name,
#include "events.def"
#undef EVENT
  none,
};
inline constexpr unsigned kEventCount = static_cast<unsigned>(Event::none);

enum class Tag : uint16_t {
#define FIELD(name, tag) name##_ = tag,
#include "fields.def"
#undef FIELD
};

// Access bits, in rules, hooks' filters and records.
inline constexpr uint8_t kRead = 1, kWrite = 2, kExecute = 4;
// In rules alone: its name, attributes and links may be looked at.
inline constexpr uint8_t kMetadata = 8;
// What a call makes, in hooks' filters: a process, a thread, or a process for which the caller waits until it has
// executed a program or ended.
inline constexpr uint8_t kProcess = 1, kThread = 2, kVfork = 4;
inline constexpr uint8_t kAnyKind = kProcess | kThread | kVfork;
// Operation bits of address rules.
inline constexpr uint8_t kConnect = 1, kBind = 2;

}  // namespace holdfast::protocol
