// One held call, whichever engine holds it: its registers, its caller's memory, and whether it is still held.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "../protocol/unique_fd.h"
#include "../syscalls/table.h"

namespace holdfast {

class Tree;

// A copy of one of the caller's descriptors that the caller itself was made to send. `error`: a positive errno instead.
struct Lent {
  UniqueFd fd;
  int error = 0;
};

class Held {
 public:
  enum class Engine : uint8_t { notify, trace };

  const Row* row = nullptr;
  Engine engine = Engine::notify;
  pid_t tid = 0;  // of the calling thread, in the supervisor's pid namespace
  uint64_t args[6] = {};
  uint64_t cookie = 0;  // the notification's id
  int listener = -1;
  const Tree* tree = nullptr;
  bool again = false;                // a connect that a worker had received, made again to be stopped
  bool tried = false;                // the caller has made it itself, and that failed (Bounce::tries)
  bool ends = false;                 // no call: the caller is about to end (PTRACE_EVENT_EXIT)
  bool has_exit = true;              // trace engine: results can be changed at its exit stop (arch::has_exit)
  bool initial = false;              // the command's own exec, before its first instruction
  std::shared_ptr<const Lent> lent;  // trace engine; null if nothing was asked for yet

  bool has(Arg kind) const { return row->index(kind) >= 0; }
  // A register by what it is; 0 if the call has no such argument.
  uint64_t arg(Arg kind) const {
    const int i = row->index(kind);
    return i < 0 ? 0 : args[i];
  }
  int fd(Arg kind) const { return static_cast<int>(arg(kind)); }  // the kernel reads descriptors as 32-bit values

  // The caller's memory. 0, or -EFAULT as the kernel would answer; -ESRCH if the call is no longer held. All or
  // nothing.
  int read(uint64_t address, void* to, size_t size) const;
  int write(uint64_t address, const void* from, size_t size) const;
  // Reads up to and including the NUL. Length without it, or -EFAULT, -ENAMETOOLONG (no NUL within `capacity` bytes),
  // -ESRCH. Reads no further than the page that holds the NUL.
  ssize_t read_string(uint64_t address, char* to, size_t capacity) const;

  // False as soon as the caller died or was interrupted. After opening anything by `tid`, ask before using it.
  bool still_held() const;

  // The same, asked once for all looks at the caller that came before: ask before anything is done for it, written to
  // it, or told of it. What only reads the caller, and ends with an answer or a descriptor, need not ask: the kernel
  // takes those for a call that is held and for no other (seccomp_unotify(2)).
  bool was_held() const { return seen_held_ || still_held(); }

  // True if the caller has a signal that will end it as soon as its call is answered. While it is traced, the kernel
  // does not interrupt a held call for any signal but SIGKILL (complete_signal() in kernel/signal.c). Reads /proc: for
  // waits.
  bool must_end() const;

  // The thread group of the caller (from the tree; no look-up in /proc).
  pid_t tgid() const;

 private:
  mutable bool seen_held_ = false;
};

}  // namespace holdfast
