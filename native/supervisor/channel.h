// The supervisor's end of the channel: records to Node, verdicts back. Any thread may call.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "../protocol/protocol.h"
#include "../protocol/tlv.h"
#include "held.h"
#include "unique_fd.h"

namespace holdfast {

class Channel {
 public:
  struct Answer {
    protocol::VerdictKind verdict = protocol::VerdictKind::none;
    int error = 0;
    std::string data;
    bool gone = false;  // the caller died or was interrupted while its hook thought
    bool lost = false;  // the channel is gone: the tree is being killed
  };

  // Maps the memory that Node sent and checks its header. 0 or a positive errno.
  int open(UniqueFd memory, UniqueFd wake, int socket);

  // Appends a record and wakes Node if it sleeps. Waits while the ring is full; false if the channel is gone.
  bool send(protocol::RecordKind kind, const uint8_t* fields, size_t size);

  // Takes a verdict slot (waits for one), sends the ask record that `build` completes (slot and generation are written
  // already), and waits for the verdict.
  Answer ask(const Held& call, const std::function<void(protocol::FieldWriter&)>& build);

  void lose() { lost_.store(true); }
  bool lost() const { return lost_.load(std::memory_order_relaxed); }
  int socket() const { return socket_; }

 private:
  int take_slot(const Held& call);
  Answer wait(uint32_t slot, uint32_t generation, const Held& call);
  void wake();

  protocol::Shared* shared_ = nullptr;
  UniqueFd wake_;
  int socket_ = -1;
  std::mutex producers_;
  std::atomic<bool> lost_{false};
};

}  // namespace holdfast
