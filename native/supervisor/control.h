// The socket to Node: the start, and afterwards a thread that hears of kills and of Node's end.
#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

#include "../call/sandbox.h"
#include "../launch/launch.h"
#include "../protocol/protocol.h"
#include "../protocol/unique_fd.h"

namespace holdfast {

// The descriptors that came with a message: all are ours, whatever it is.
std::vector<UniqueFd> take_descriptors(msghdr& header);

class Tracer;

class Control {
 public:
  explicit Control(int socket) : socket_(socket) {}
  int socket() const { return socket_; }

  // Each waits for its message; false if Node is gone or sent something else.
  bool receive_hello(UniqueFd& memory, UniqueFd& wake);
  // What is to be killed meanwhile is: `command` waits for the start and is not reaped yet.
  bool receive_bytes(protocol::MessageType type, std::vector<uint8_t>& bytes, pid_t command);

  // Whether one has come that nobody has received.
  bool has_message() const;

  bool send(protocol::MessageType type, int value, int detail = 0);
  bool failed(protocol::Stage stage, int error) {
    return send(protocol::MessageType::failed, error, static_cast<int>(stage));
  }

  // From then on a thread of its own serves the socket; when Node is gone it ends the supervisor, and so the tree
  // (PTRACE_O_EXITKILL).
  // `tracer`: null where nobody follows the tree; then the thread ends that first.
  bool serve(Sandbox& sandbox, Tracer* tracer, pid_t command);

 private:
  struct Serving {
    Control* control;
    Sandbox* sandbox;
    Tracer* tracer;
    pid_t command;
  };
  static void* run(void* serving);
  // 1: a message; 0: Node is gone; -1: not a message of ours. With `bytes`, room for kMaxInline that may follow it.
  int receive(protocol::Message& message, UniqueFd* fds, int fd_count, uint8_t* bytes = nullptr);
  // What came with a message: in its packet, or in the file whose descriptor came. False if it is not what it must be.
  static bool take_bytes(const protocol::Message& message, const UniqueFd& fd, const uint8_t* packet,
                         std::vector<uint8_t>& bytes);

  int socket_;
};

}  // namespace holdfast
