// Node's end of the channel without Node: the shared memory, the socket, the ring's reader, the verdict slots.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "../protocol/protocol.h"
#include "../protocol/unique_fd.h"

namespace holdfast {

class Link {
 public:
  // What the supervisor said on the socket.
  struct Report {
    enum class Kind : uint8_t { nothing, spawned, failed, lost, corrupt };
    Kind kind = Kind::nothing;
    int32_t value = 0;   // pid or errno
    int32_t detail = 0;  // protocol::Stage
  };
  enum class Next : uint8_t { record, empty, corrupt };

  Link() = default;
  ~Link() { close(); }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Makes the socket pair. 0, or a positive errno.
  int open();
  // Makes the memory and the eventfd, and sends both (`hello`). 0, or a positive errno with `step` set.
  int share_memory(const char** step);
  void close();
  bool is_open() const { return shared_ != nullptr; }

  int remote() const { return remote_.get(); }
  void close_remote() { remote_.reset(); }
  int socket() const { return socket_.get(); }
  int wake() const { return wake_.get(); }

  // Blocks until a message, the other end's death (`lost`), or the end of the time (`nothing`).
  Report wait(int timeout_ms);
  // The next message that is there already; `nothing` if none is.
  Report read();
  // With `size` bytes behind it. 0 or a positive errno. Never blocks.
  int send(protocol::MessageType type, int32_t value, const int* fds = nullptr, size_t fd_count = 0,
           const uint8_t* bytes = nullptr, size_t size = 0);
  int configure(const uint8_t* policy, size_t size) {
    return send_bytes(protocol::MessageType::configure, policy, size);
  }
  int start(const uint8_t* hooks, size_t size) { return send_bytes(protocol::MessageType::start, hooks, size); }

  int request(const uint8_t* asked, size_t size) { return send_bytes(protocol::MessageType::request, asked, size); }

  // The head of the next record. What it says fits, and the record can be taken.
  Next peek(protocol::RecordHeader& header);
  // Takes it out of the ring: its fields are copied, because the other end could still write to them.
  void take(const protocol::RecordHeader& header, uint8_t* fields);
  // Why the supervisor gave up; empty if it did not say so. Also after the end, which may be known before its exit is.
  std::string last_word() const {
    const auto& text = (is_open() ? shared_->last_word : last_word_).text;
    return std::string(text, strnlen(text, sizeof text));
  }
  int last_stage() const { return (is_open() ? shared_->last_word : last_word_).stage; }
  // Announces that the eventfd must be used from now on. False if a record came meanwhile: drain again.
  bool sleep();
  void awake();
  // Makes the eventfd readable, so that the loop comes back to us after others had their turn.
  void wake_self();

  // False if this call is no longer waiting for this answer.
  bool answer(uint32_t slot, uint32_t generation, protocol::VerdictKind verdict, int32_t error, const uint8_t* data,
              size_t size);

 private:
  protocol::LastWord last_word_ = {};
  int send_bytes(protocol::MessageType type, const uint8_t* bytes, size_t size);
  void advance(uint32_t bytes);

  protocol::Shared* shared_ = nullptr;
  uint32_t taken_ = 0;  // our own copy: the one in shared memory is not to be trusted
  UniqueFd socket_, remote_, wake_;
};

}  // namespace holdfast
