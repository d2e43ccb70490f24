// How a held call ends: a handler returns one of these and the engine carries it out.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../protocol/unique_fd.h"
#include "lineage.h"

namespace holdfast {

class Held;

// A file, whatever its names.
struct FileNumber {
  uint64_t device = 0, inode = 0;
  bool operator==(const FileNumber&) const = default;
};

// What an approved exec must turn out to be, compared at the exec stop before the first new instruction.
struct ExecApproval {
  uint64_t device = 0, inode = 0;  // of the image: the program, or the last #! interpreter
  std::string path;                // its canonical name
  std::string interpreter;         // canonical name of the ELF interpreter; empty: statically linked
  uint64_t interpreter_device = 0, interpreter_inode = 0;
  bool check_arguments = false;        // a hook has judged the argument list
  std::vector<std::string> arguments;  // as the new image must see them
  bool check_environment = false;      // a hook has given it
  std::vector<std::string> environment;
  std::vector<FileNumber> unwritten;  // of the scripts, the image and its interpreter: not written by the tree so far
  Lineage::Bits executed;             // what it and the scripts before it count as
};

// New registers for a call that goes on: up to six replacements, by value or as an offset into the call's own slot of
// the sealed page, which is filled with `bytes` first.
struct Bounce {
  static constexpr size_t kCapacity = 4096;
  struct Replacement {
    uint8_t index;
    bool in_slot;  // value is an offset into the slot
    uint64_t value;
  };
  Replacement replace[6];
  uint8_t replaced = 0;
  int64_t number = -1;  // another syscall number to run instead, or -1
  uint32_t size = 0;
  // After the call: on success write one u32 with the result (or, for `result_is_one`, answer 1) as sendmmsg does.
  uint64_t store_result_at = 0;
  bool result_is_one = false;
  // If the call fails, but for what is not there, the handler is asked again, for another way (Held::tried).
  bool tries = false;
  // The call changes the caller's ids, which closes its process to who has others: afterwards it is opened again.
  bool reopens_process = false;
  // Not the call goes on, but sendmsg with the slot's contents, on a socket of ours: what it sends is lent to the
  // handler, which is then asked again (families/caller.h).
  bool lends = false;
  // After the call, if it succeeded: what it answers then. On a thread that may wait.
  std::function<int64_t(const Held&, int64_t result)> afterwards;
  std::unique_ptr<ExecApproval> exec;
  // In place of `bytes`, where they are not enough; and where in it offsets into the slot are to become addresses.
  std::vector<uint8_t> more;
  std::vector<uint32_t> more_inner;
  // Places in `bytes` that hold an offset into the slot and must hold its address there (msghdr's own pointers).
  uint16_t inner[2];
  uint8_t inner_count = 0;
  alignas(16) uint8_t bytes[kCapacity];

  // Appends data at 16-byte alignment; the offset, or -1 if the slot is full.
  int64_t append(const void* data, size_t length) {
    const size_t at = (size + 15) & ~size_t{15};
    if (at + length > kCapacity) return -1;
    std::memcpy(bytes + at, data, length);
    size = static_cast<uint32_t>(at + length);
    return static_cast<int64_t>(at);
  }
  void pointer(int index, int64_t offset) {
    replace[replaced++] = {static_cast<uint8_t>(index), true, static_cast<uint64_t>(offset)};
  }
  void value(int index, uint64_t with) { replace[replaced++] = {static_cast<uint8_t>(index), false, with}; }
  void inner_pointer(size_t at) { inner[inner_count++] = static_cast<uint16_t>(at); }
  const uint8_t* contents() const { return more.empty() ? bytes : more.data(); }
  size_t contents_size() const { return more.empty() ? size : more.size(); }
  // Turns the inner offsets into addresses. The tracer calls it once, when it has a slot and before it fills it.
  void place(uint64_t slot_address) {
    for (; inner_count > 0; inner_count--) {
      uint64_t pointer;
      std::memcpy(&pointer, bytes + inner[inner_count - 1], sizeof pointer);
      pointer += slot_address;
      std::memcpy(bytes + inner[inner_count - 1], &pointer, sizeof pointer);
    }
    for (const uint32_t at : more_inner) {
      uint64_t pointer;
      std::memcpy(&pointer, more.data() + at, sizeof pointer);
      pointer += slot_address;
      std::memcpy(more.data() + at, &pointer, sizeof pointer);
    }
    more_inner.clear();
  }
};

struct Finish {
  enum class Kind : uint8_t {
    answer,           // value: result, or -errno
    hand_over,        // fd becomes a descriptor of the caller, which is the result; close-on-exec as asked
    proceed,          // the call runs with its own registers (way observe; or nothing of it lies in memory)
    bounce,           // trace engine only
    kill,             // value: signal for the calling process; the call answers EINTR if the signal does not end it
    refused_foreign,  // trace engine only: as answer, of a call by another ABI
    gone,             // the caller is no longer there: nothing to answer
    behind_wall,  // notify engine only: `work` ends the call, on a thread that Landlock confines as it does the tree
    by_stop,      // notify engine only: the caller must make this call itself, so it is held again, by a stop
  };

  Kind kind = Kind::answer;
  bool close_on_exec = false;
  int64_t value = -EPERM;
  UniqueFd fd;
  UniqueFd folder;  // closed with it
  std::unique_ptr<Bounce> arguments;
  std::function<Finish()> work;

  static Finish answer(int64_t value) {
    Finish f;
    f.value = value;
    return f;
  }
  static Finish error(int positive_errno) { return answer(-positive_errno); }
  static Finish hand_over(UniqueFd fd, bool close_on_exec) {
    Finish f;
    f.kind = Kind::hand_over;
    f.fd = static_cast<UniqueFd&&>(fd);
    f.close_on_exec = close_on_exec;
    return f;
  }
  static Finish proceed() {
    Finish f;
    f.kind = Kind::proceed;
    return f;
  }
  static Finish bounce(std::unique_ptr<Bounce> arguments) {
    Finish f;
    f.kind = Kind::bounce;
    f.arguments = static_cast<std::unique_ptr<Bounce>&&>(arguments);
    return f;
  }
  static Finish kill(int signal) {
    Finish f;
    f.kind = Kind::kill;
    f.value = signal;
    return f;
  }
  static Finish behind_wall(std::function<Finish()> work) {
    Finish f;
    f.kind = Kind::behind_wall;
    f.work = static_cast<std::function<Finish()>&&>(work);
    return f;
  }
  static Finish by_stop() {
    Finish f;
    f.kind = Kind::by_stop;
    return f;
  }
  static Finish gone() {
    Finish f;
    f.kind = Kind::gone;
    return f;
  }
};

}  // namespace holdfast
