#include "control.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "../call/threads.h"
#include "../call/tree.h"
#include "../channel/channel.h"
#include "../engine/descendants.h"
#include "../engine/tracer.h"
#include "../families/ipc.h"
#include "../policy/layers.h"
#include "requests.h"

namespace holdfast {

using protocol::Message;
using protocol::MessageType;

namespace {
constexpr off_t kMostConfig = 64 << 20;  // bytes

bool carries_bytes(const Message& message) {
  return message.type == static_cast<uint32_t>(MessageType::configure) ||
         message.type == static_cast<uint32_t>(MessageType::start) ||
         message.type == static_cast<uint32_t>(MessageType::request);
}

bool is_inline(const Message& message) { return message.value <= static_cast<int32_t>(protocol::kMaxInline); }

int descriptors_of(const Message& message) {
  if (message.type == static_cast<uint32_t>(MessageType::hello)) return 2;
  return carries_bytes(message) && !is_inline(message) ? 1 : 0;
}

ssize_t size_of(const Message& message) {
  const bool follow = carries_bytes(message) && is_inline(message) && message.value > 0;
  return static_cast<ssize_t>(sizeof message) + (follow ? message.value : 0);
}

}  // namespace

std::vector<UniqueFd> take_descriptors(msghdr& header) {
  std::vector<UniqueFd> out;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      out.emplace_back(fd);
    }
  }
  return out;
}

int Control::receive(Message& message, UniqueFd* fds, int fd_count, uint8_t* bytes) {
  memset(&message, 0, sizeof message);
  iovec parts[] = {{&message, sizeof message}, {bytes, protocol::kMaxInline}};
  alignas(cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))];
  msghdr header = {};
  header.msg_iov = parts;
  header.msg_iovlen = bytes == nullptr ? 1 : 2;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t size;
  while ((size = recvmsg(socket_, &header, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) continue;
  if (size <= 0) return 0;
  std::vector<UniqueFd> came = take_descriptors(header);
  const int taken = static_cast<int>(came.size());
  for (int i = 0; i < std::min(taken, fd_count); i++) fds[i] = std::move(came[static_cast<size_t>(i)]);
  const bool valid = size == size_of(message) && message.magic == protocol::kMagic &&
                     message.version == protocol::kVersion && (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 &&
                     taken == descriptors_of(message) && taken <= fd_count;
  return valid ? 1 : -1;
}

bool Control::has_message() const {
  pollfd socket = {socket_, POLLIN, 0};
  return poll(&socket, 1, 0) == 1;
}

bool Control::receive_hello(UniqueFd& memory, UniqueFd& wake) {
  Message message;
  UniqueFd fds[2];
  if (receive(message, fds, 2) != 1 || message.type != static_cast<uint32_t>(MessageType::hello)) return false;
  memory = std::move(fds[0]);
  wake = std::move(fds[1]);
  return true;
}

bool Control::receive_bytes(MessageType type, std::vector<uint8_t>& bytes, pid_t command) {
  Message message;
  UniqueFd fd;
  const std::unique_ptr<uint8_t[]> packet(new uint8_t[protocol::kMaxInline]);
  for (;;) {
    if (receive(message, &fd, 1, packet.get()) != 1) return false;
    if (message.type == static_cast<uint32_t>(type)) break;
    // The command is all of the tree that there is yet.
    if (message.type == static_cast<uint32_t>(MessageType::kill) ||
        message.type == static_cast<uint32_t>(MessageType::kill_all))
      kill(command, message.value);
    else if (message.type != static_cast<uint32_t>(MessageType::spare))  // it has no descendants yet
      return false;
  }
  return take_bytes(message, fd, packet.get(), bytes);
}

bool Control::take_bytes(const Message& message, const UniqueFd& fd, const uint8_t* packet,
                         std::vector<uint8_t>& bytes) {
  if (message.value < 0) return false;
  if (is_inline(message)) {
    bytes.assign(packet, packet + message.value);
    return true;
  }
  struct stat status;
  if (fstat(fd.get(), &status) != 0 || status.st_size != message.value || status.st_size > kMostConfig) return false;
  bytes.resize(static_cast<size_t>(message.value));
  size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = pread(fd.get(), bytes.data() + have, bytes.size() - have, static_cast<off_t>(have));
    if (got <= 0) return false;
    have += static_cast<size_t>(got);
  }
  return true;
}

bool Control::send(MessageType type, int value, int detail) {
  const Message message = {protocol::kMagic, protocol::kVersion, static_cast<uint32_t>(type), value, detail, 0};
  ssize_t sent;
  while ((sent = ::send(socket_, &message, sizeof message, MSG_NOSIGNAL)) < 0 && errno == EINTR) continue;
  return sent == sizeof message;
}

bool Control::serve(Sandbox& sandbox, Tracer* tracer, pid_t command) {
  auto* serving = new Serving{this, &sandbox, tracer, command};
  return start_thread(run, serving, true);
}

void* Control::run(void* argument) {
  const Serving serving = *static_cast<Serving*>(argument);
  delete static_cast<Serving*>(argument);
  Tree& tree = serving.sandbox->tree;
  const std::unique_ptr<uint8_t[]> packet(new uint8_t[protocol::kMaxInline]);
  for (;;) {
    Message message;
    UniqueFd fd;
    std::vector<uint8_t> asked;
    int got = serving.control->receive(message, &fd, 1, packet.get());
    const bool is_request = got == 1 && message.type == static_cast<uint32_t>(MessageType::request);
    if (is_request && !take_bytes(message, fd, packet.get(), asked)) got = -1;
    if (got != 1) {
      // Node is gone, or its end of the channel is not to be trusted any more: nothing goes on unwatched.
      serving.sandbox->channel.lose();
      if (serving.tracer == nullptr) signal_descendants(SIGKILL);
      remove_ipc_objects();
      _exit(got == 0 ? 0 : 71);
    }
    if (is_request) {
      take_request(*serving.sandbox, serving.tracer, std::move(asked));
    } else if (message.type == static_cast<uint32_t>(MessageType::kill_all)) {
      signal_tree(tree, message.value);
    } else if (message.type == static_cast<uint32_t>(MessageType::spare)) {
      tree.spare(message.value);
    } else if (message.type == static_cast<uint32_t>(MessageType::plan)) {
      // Not here: it may have to wait for room, and the next message may be to kill.
      const auto report = [](void* sandbox) -> void* { return report_plan(*static_cast<Sandbox*>(sandbox)), nullptr; };
      if (!start_thread(report, serving.sandbox)) fatal("the plan cannot be told", protocol::Stage::threads);
    } else if (message.type == static_cast<uint32_t>(MessageType::kill)) {
      tree.while_stable([&] {
        if (tree.contains(serving.command)) kill(serving.command, message.value);
      });
    }
  }
}

}  // namespace holdfast
