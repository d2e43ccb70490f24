// Node's end of the channel, made of a thread, for tests of the supervisor's end.
#pragma once

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string_view>
#include <thread>
#include <utility>

#include "../../native/channel/channel.h"
#include "check.h"

using namespace holdfast;
using namespace holdfast::protocol;

inline int memory_file(size_t size, int seals) {
  const int fd = memfd_create("channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (ftruncate(fd, static_cast<off_t>(size)) != 0 || fcntl(fd, F_ADD_SEALS, seals) != 0) std::abort();
  return fd;
}

struct Pair {
  Channel channel;
  int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int sockets[2];
  int result;

  explicit Pair(void (*change)(Shared&) = nullptr, int seals = F_SEAL_SHRINK | F_SEAL_GROW,
                size_t size = sizeof(Shared)) {
    const int memory = memory_file(size, seals);
    if (size >= sizeof(Shared)) {
      void* at = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
      Shared& shared = *static_cast<Shared*>(at);
      shared.magic = kMagic;
      shared.version = kVersion;
      shared.ring_bytes = kRingBytes;
      shared.slot_count = kSlotCount;
      shared.slot_bytes = sizeof(Slot);
      shared.total_bytes = sizeof(Shared);
      if (change != nullptr) change(shared);
      munmap(at, sizeof(Shared));
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) std::abort();
    result = channel.open(UniqueFd(memory), UniqueFd(dup(wake)), sockets[0]);
  }
  ~Pair() {
    close(wake);
    close(sockets[0]);
    close(sockets[1]);
  }
};

// Node's side, as the addon does it. It uses the same mapping as the channel, so that ThreadSanitizer sees both.
struct Node {
  struct Ask {
    uint32_t slot, generation;
    int64_t id;
  };

  Shared& shared;
  int wake;
  std::function<void(Node&, RecordKind, FieldReader)> on_record;
  std::function<void(Node&)> on_idle = [](Node&) {};
  std::atomic<bool> stop{false};
  std::chrono::microseconds delay{0};
  std::thread thread;

  Node(Pair& pair, std::function<void(Node&, RecordKind, FieldReader)> act)
      : shared(*pair.channel.shared()), wake(pair.wake), on_record(std::move(act)) {}
  void start() {
    thread = std::thread([this] { run(); });
  }
  ~Node() {
    stop = true;
    if (thread.joinable()) thread.join();
  }

  bool drain() {
    bool any = false;
    for (;;) {
      const uint32_t taken = shared.taken.load(std::memory_order_relaxed);
      if (shared.written.load() == taken) return any;
      any = true;
      RecordHeader header;
      const uint8_t* at = shared.ring + (taken & (kRingBytes - 1));
      std::memcpy(&header, at, sizeof header);
      const uint32_t length = sizeof header + ((header.size + 7) & ~7u);
      if ((taken & (kRingBytes - 1)) + length > kRingBytes) {
        CHECK(!"a record goes beyond the ring's end");
        std::abort();
      }
      if (header.kind != static_cast<uint32_t>(RecordKind::padding))
        on_record(*this, static_cast<RecordKind>(header.kind), FieldReader(at + sizeof header, header.size));
      if (delay.count() != 0) std::this_thread::sleep_for(delay);
      shared.taken.store(taken + length, std::memory_order_release);
      syscall(SYS_futex, &shared.taken, FUTEX_WAKE, 1 << 30, nullptr, nullptr, 0);
    }
  }

  void run() {
    while (!stop) {
      if (!drain()) {
        shared.sleeping.store(1);
        if (!drain()) {
          pollfd wait = {wake, POLLIN, 0};
          // A missed wake shows as a test that takes for ever, so the time-out is only for `stop` and `on_idle`.
          poll(&wait, 1, 20);
          uint64_t count;
          if ((wait.revents & POLLIN) != 0 && read(wake, &count, sizeof count) < 0) continue;
        }
        shared.sleeping.store(0);
      }
      on_idle(*this);
    }
    drain();
  }

  // False if the call is no longer there to be answered.
  bool answer(uint32_t number, uint32_t generation, VerdictKind verdict, int error, std::string_view data = {}) {
    Slot& slot = shared.slots[number];
    const auto asked = static_cast<uint32_t>(SlotState::asked), waited = static_cast<uint32_t>(SlotState::waited);
    uint32_t state = slot.state.load(std::memory_order_acquire);
    if (state != asked && state != waited) return false;
    if (slot.generation.load(std::memory_order_relaxed) != generation) return false;
    slot.verdict = static_cast<uint32_t>(verdict);
    slot.error = error;
    slot.size = static_cast<uint32_t>(data.size());
    if (!data.empty()) std::memcpy(slot.data, data.data(), data.size());
    while (!slot.state.compare_exchange_weak(state, static_cast<uint32_t>(SlotState::answered)))
      if (state != asked && state != waited) return false;
    if (state == waited) syscall(SYS_futex, &slot.state, FUTEX_WAKE, 1, nullptr, nullptr, 0);
    return true;
  }
};
