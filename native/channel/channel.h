// The supervisor's end of the channel: records to Node, verdicts back. Any thread may call.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "../call/held.h"
#include "../call/threads.h"
#include "../protocol/protocol.h"
#include "../protocol/tlv.h"
#include "../protocol/unique_fd.h"

namespace holdfast {

class Channel {
 public:
  struct Answer {
    protocol::VerdictKind verdict = protocol::VerdictKind::none;
    int error = 0;
    std::string data;
    bool gone = false;      // the caller died or was interrupted while its hook thought
    bool lost = false;      // the channel is gone: the tree is being killed
    bool too_long = false;  // the call does not fit into a record; nobody was asked
  };

  Channel() = default;
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Maps the memory that Node sent and checks its header. 0 or a positive errno.
  int open(UniqueFd memory, UniqueFd wake, int socket);

  // Appends a record and wakes Node if it sleeps. Waits while the ring is full; false if the channel is gone (or the
  // record is longer than kMaxRecord).
  bool send(protocol::RecordKind kind, const uint8_t* fields, size_t size);

  // Appends a record, but returns false instead of waiting, and leaves Node asleep.
  bool send_now(protocol::RecordKind kind, const uint8_t* fields, size_t size);

  // Wakes Node if it sleeps.
  void wake();

  // Waits until Node has taken every record, or is gone.
  void wait_until_taken();

  // Takes a verdict slot (waits for one), sends the ask record that `build` completes (slot and generation are written
  // already), and waits for the verdict; `before_sleep` is called between the two.
  Answer ask(
      const Held& call, const std::function<void(protocol::FieldWriter&)>& build,
      const std::function<void()>& before_sleep = [] {});

  // An answer of Node's that is too long for its slot, as if it stood there. Any thread. False: nobody waits for it.
  bool deliver(uint32_t slot, uint32_t generation, protocol::VerdictKind verdict, std::string data);

  // fatal() leaves its reason where Node finds it.
  void keep_last_word() { set_last_word(&shared_->last_word); }
  void lose() { lost_.store(true); }
  bool lost() const { return lost_.load(std::memory_order_relaxed); }
  int socket() const { return socket_; }
  protocol::Shared* shared() const { return shared_; }

 private:
  bool take_delivered(uint32_t slot, std::string& out);

  std::mutex delivered_guard_;
  std::unordered_map<uint32_t, std::string> delivered_;  // by slot
  static constexpr unsigned kFreeWords = protocol::kSlotCount / 64;
  static_assert(protocol::kSlotCount % 64 == 0);

  // A slot whose call is gone, until Node has taken the record that says so: only then can no late answer reach it.
  struct Abandoned {
    uint32_t slot;
    uint64_t until;  // place in the ring, in bytes ever written
  };

  bool append(protocol::RecordKind kind, const uint8_t* fields, size_t size, bool may_wait, uint64_t* end = nullptr);
  int take_slot(const Held& call, bool& gone);
  void free_slot(uint32_t slot);
  void reclaim_abandoned();
  Answer wait(uint32_t slot, uint32_t generation, const Held& call);
  void abandon(uint32_t slot, uint32_t generation);
  // Node wrote what it must not: ends the connection, so that whoever watches the socket kills the tree.
  void break_off();

  protocol::Shared* shared_ = nullptr;
  UniqueFd wake_;
  int socket_ = -1;
  std::atomic<bool> lost_{false};

  std::mutex producers_;
  std::atomic<uint64_t> written_{0};  // our own count: what stands in shared memory is only for Node

  std::atomic<uint64_t> free_[kFreeWords];      // a bit per slot
  std::atomic<uint32_t> freed_{0};              // futex word: counts slots given back
  std::atomic<uint32_t> waiting_{0};            // threads that wait for a slot
  uint32_t generations_[protocol::kSlotCount];  // each its slot's holder's
  std::mutex abandoned_guard_;
  std::vector<Abandoned> abandoned_;
  std::atomic<bool> any_abandoned_{false};
};

}  // namespace holdfast
