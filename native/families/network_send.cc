// Calls that send: an address may stand in a register or in a message's header.
#include <errno.h>
#include <linux/in6.h>
#include <string.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "../policy/config.h"
#include "../policy/layers.h"
#include "handlers.h"
#include "network.h"

namespace holdfast::families {
namespace {

constexpr size_t kMaxControl = 3072;   // of sendmsg; 253 descriptors, the kernel's own limit, need 1032
constexpr size_t kMaxSegments = 1024;  // UIO_MAXIOV

// With MSG_FASTOPEN a TCP socket is connected by sending (tcp_sendmsg_fastopen in net/ipv4/tcp.c).
Use use_of(const Held& call) { return (call.arg(Arg::flags) & MSG_FASTOPEN) != 0 ? Use::fast_open : Use::send; }

struct Message {
  msghdr header = {};
  Name name;
  std::vector<uint8_t> control;
};

// Control data of the internet protocols that is more than how a packet is marked and where it leaves: source routes
// and other options of the header (ip(7), RFC 3542) can send it somewhere else than to its address.
bool names_a_route(const std::vector<uint8_t>& control) {
  for (size_t at = 0; control.size() - at >= sizeof(cmsghdr);) {
    cmsghdr head;
    memcpy(&head, control.data() + at, sizeof head);
    if (head.cmsg_len < sizeof head || head.cmsg_len > control.size() - at)
      return false;  // the kernel stops there: EINVAL
    const int type = head.cmsg_type;
    if (head.cmsg_level == IPPROTO_IP && type != IP_TOS && type != IP_TTL && type != IP_PKTINFO) return true;
    if (head.cmsg_level == IPPROTO_IPV6 && type != IPV6_PKTINFO && type != IPV6_2292PKTINFO && type != IPV6_HOPLIMIT &&
        type != IPV6_2292HOPLIMIT && type != IPV6_TCLASS && type != IPV6_DONTFRAG)
      return true;
    at += std::min(control.size() - at, CMSG_ALIGN(head.cmsg_len));
  }
  return false;
}

// 0, or a negative errno in the order of the kernel's copy_msghdr_from_user.
int read_message(const Held& call, uint64_t from, Message& out) {
  int error = call.read(from, &out.header, sizeof out.header);
  if (error != 0) return error;
  int name_size = out.header.msg_name != nullptr ? static_cast<int>(out.header.msg_namelen) : 0;
  name_size = std::min<int>(name_size, sizeof(sockaddr_storage));
  error = read_name(call, reinterpret_cast<uint64_t>(out.header.msg_name), name_size, out.name);
  if (error != 0) return error;
  if (out.header.msg_iovlen > kMaxSegments) return -EMSGSIZE;
  if (out.header.msg_controllen > kMaxControl) return -ENOBUFS;
  out.control.resize(out.header.msg_controllen);
  return call.read(reinterpret_cast<uint64_t>(out.header.msg_control), out.control.data(), out.control.size());
}

// The header, the address and the control data go to the slot; the data's own place stays, as nobody judges what it
// says.
std::unique_ptr<Bounce> bounce_message(const Held& call, const Message& message) {
  auto bounce = std::make_unique<Bounce>();
  msghdr header = message.header;
  header.msg_name = nullptr;
  header.msg_namelen = static_cast<socklen_t>(message.name.size);
  header.msg_control = nullptr;
  bounce->append(&header, sizeof header);
  const auto attach = [&](const void* data, size_t size, size_t field) {
    if (size == 0) return;
    const int64_t at = bounce->append(data, size);
    memcpy(bounce->bytes + field, &at, sizeof at);
    bounce->inner_pointer(field);
  };
  attach(&message.name.storage, message.name.size, offsetof(msghdr, msg_name));
  attach(message.control.data(), message.control.size(), offsetof(msghdr, msg_control));
  bounce->pointer(call.row->index(Arg::message), 0);
  return bounce;
}

// Bytes of a message, or a negative errno.
int64_t size_of(const Held& call, const msghdr& header) {
  std::vector<iovec> segments(header.msg_iovlen);
  const int error =
      call.read(reinterpret_cast<uint64_t>(header.msg_iov), segments.data(), segments.size() * sizeof(iovec));
  if (error != 0) return error;
  constexpr uint64_t kMost = 0x7ffff000;  // MAX_RW_COUNT, linux/fs.h
  uint64_t size = 0;
  for (const iovec& segment : segments)
    size = std::min<uint64_t>(kMost, size + std::min<uint64_t>(kMost, segment.iov_len));
  return static_cast<int64_t>(size);
}

// One message, of sendmsg or the first of sendmmsg. `bounced` is filled if the call is to go on; else the finish tells.
Finish send_one(Sandbox& sandbox, const Held& call, std::unique_ptr<Bounce>& bounced) {
  Message message;
  const int error = read_message(call, call.arg(Arg::message), message);
  if (error != 0) return failed_read(error);
  if (names_a_route(message.control) && !gives_every_address(sandbox.config, protocol::kConnect, Event::send)) {
    report(sandbox, call, EPERM, "a source route or another option of the header in control data");
    return Finish::error(EPERM);
  }
  if (message.name.size != 0) {
    OwnSocket own;
    Finish end;
    if (!take_socket(call, Use::send, message.name, own, end)) return end;
    Judged judged = judge(sandbox, call, use_of(call), message.name);
    if (judged.sent_all) return Finish::answer(size_of(call, message.header));
    if (judged.kind == Judged::Kind::over) return static_cast<Finish&&>(judged.finish);
    if (judged.kind == Judged::Kind::path) {
      // Descriptors and credentials in control data are the caller's own and cannot be sent for it.
      if (own.error != 0 || !message.control.empty()) {
        Finish finish = bounce_canonical(sandbox, call, judged.where, judged.where.path, message.name);
        if (finish.kind != Finish::Kind::proceed) return finish;
      } else {
        std::vector<iovec> segments(message.header.msg_iovlen);
        const int read = call.read(reinterpret_cast<uint64_t>(message.header.msg_iov), segments.data(),
                                   segments.size() * sizeof(iovec));
        if (read != 0) return failed_read(read);
        const int flags = static_cast<int>(call.arg(Arg::flags));
        const int64_t sent = send_to_path(call, own.copy.get(), judged.where, segments, flags);
        return sent >= 0 || call.still_held() ? Finish::answer(sent) : Finish::gone();
      }
    }
  }
  bounced = bounce_message(call, message);
  return Finish::proceed();
}

}  // namespace

Finish send_to(Sandbox& sandbox, Held& call) {
  Name name;
  OwnSocket own;
  Judged judged = judge_own_address(sandbox, call, use_of(call), name, own);
  if (judged.sent_all) return Finish::answer(static_cast<int64_t>(std::min<uint64_t>(call.arg(Arg::size), 0x7ffff000)));
  if (judged.kind == Judged::Kind::over) return static_cast<Finish&&>(judged.finish);
  if (judged.kind == Judged::Kind::path) {
    if (own.error == 0) {
      const std::vector<iovec> segments = {{reinterpret_cast<void*>(call.arg(Arg::buffer)), call.arg(Arg::size)}};
      const int64_t sent =
          send_to_path(call, own.copy.get(), judged.where, segments, static_cast<int>(call.arg(Arg::flags)));
      return sent >= 0 || call.still_held() ? Finish::answer(sent) : Finish::gone();
    }
    Finish finish = bounce_canonical(sandbox, call, judged.where, judged.where.path, name);
    if (finish.kind != Finish::Kind::proceed) return finish;
  }
  return bounce_name(call, name);
}

Finish send_message(Sandbox& sandbox, Held& call) {
  std::unique_ptr<Bounce> bounced;
  Finish finish = send_one(sandbox, call, bounced);
  return bounced ? Finish::bounce(static_cast<std::unique_ptr<Bounce>&&>(bounced)) : static_cast<Finish&&>(finish);
}

// Sends the first message only and answers 1, as sendmmsg(2) may at any time: the caller goes on with the rest.
Finish send_messages(Sandbox& sandbox, Held& call) {
  if (static_cast<unsigned>(call.arg(Arg::count)) == 0) return Finish::answer(0);
  const uint64_t sent_at = call.arg(Arg::message) + offsetof(mmsghdr, msg_len);
  std::unique_ptr<Bounce> bounced;
  Finish finish = send_one(sandbox, call, bounced);
  if (bounced) {
    bounced->number = SYS_sendmsg;
    bounced->value(2, call.arg(Arg::flags));  // sendmsg's place for them; its first two arguments are sendmmsg's
    bounced->store_result_at = sent_at;
    bounced->result_is_one = true;
    return Finish::bounce(static_cast<std::unique_ptr<Bounce>&&>(bounced));
  }
  if (finish.kind == Finish::Kind::answer && finish.value >= 0) {
    const uint32_t sent = static_cast<uint32_t>(finish.value);
    const int error = call.write(sent_at, &sent, sizeof sent);
    return error != 0 ? failed_read(error) : Finish::answer(1);
  }
  return finish;
}

}  // namespace holdfast::families
