// Sockets. An address of the internet or an abstract name is copied to the sealed page and the caller's own call goes
// on with the copy. A path cannot be: the kernel would resolve it again, in a directory that the tree may be changing.
// So the supervisor resolves it once, pins what it finds, and acts on a copy of the caller's socket with the pinned
// object. The peer then sees the supervisor's pid in SO_PEERCRED and SCM_CREDENTIALS, and the caller's own uid, gid and
// groups.
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "../call/blocking.h"
#include "../policy/config.h"
#include "../policy/rules.h"
#include "../view/creds.h"
#include "../view/fs_context.h"
#include "../view/names.h"
#include "../view/resolve.h"
#include "caller.h"
#include "handlers.h"

namespace holdfast::families {
namespace {

using protocol::kBind;
using protocol::kConnect;
using protocol::kWrite;

constexpr size_t kMaxControl = 3072;              // of sendmsg; 253 descriptors, the kernel's own limit, need 1032
constexpr size_t kMaxSegments = 1024;             // UIO_MAXIOV
constexpr size_t kMaxDatagram = size_t{4} << 20;  // to a unix path; the kernel's default limit is 208 KiB

// A socket address as copied from the caller: what is judged, and what the kernel will be given.
struct Name {
  union {
    sockaddr any;
    sockaddr_in in;
    sockaddr_in6 in6;
    sockaddr_un un;
    sockaddr_storage storage = {};
  };
  size_t size = 0;
};

enum class Use : uint8_t { connect, bind, send };

// What became of an address: the call is over (`finish`), goes on with the copied address, or means a pinned path.
struct Judged {
  enum class Kind : uint8_t { over, bounce, path };
  Kind kind = Kind::over;
  Finish finish;
  Resolved where;

  static Judged over(Finish finish) {
    Judged j;
    j.finish = static_cast<Finish&&>(finish);
    return j;
  }
  static Judged bounce() {
    Judged j;
    j.kind = Kind::bounce;
    return j;
  }
};

Finish failed_read(int error) { return error == -ESRCH ? Finish::gone() : Finish::answer(error); }

// 0, or a negative errno as the kernel's move_addr_to_kernel would give it.
int read_name(const Held& call, uint64_t from, int size, Name& out) {
  if (size < 0 || static_cast<size_t>(size) > sizeof out.storage) return -EINVAL;
  out.size = static_cast<size_t>(size);
  return call.read(from, &out.storage, out.size);
}

// ---- Judging -----------------------------------------------------------------------------------------------------

uint8_t operation_of(Use use) { return use == Use::bind ? kBind : kConnect; }

Decision decide_address(Sandbox& sandbox, const Held& call, Use use, const Address& address) {
  Facts facts;
  facts.event = call.row->event;
  facts.address = &address;
  facts.operation = operation_of(use);
  return decide(sandbox, call, facts);
}

// A socket that is a file: a rule on unix sockets decides if there is one; else the right to write there, which is what
// the kernel itself asks of who connects (unix(7)).
Decision decide_path(Sandbox& sandbox, const Held& call, Use use, const std::string& canonical) {
  Address address;
  address.family = AF_UNIX;
  address.unix_name = canonical;
  Facts facts;
  facts.event = call.row->event;
  facts.operation = operation_of(use);
  if (sandbox.config.rules.address(address, facts.operation).effect != Effect::none) {
    facts.address = &address;
  } else {
    facts.paths[0] = {canonical, kWrite, false};
    facts.path_count = 1;
  }
  return decide(sandbox, call, facts);
}

bool is_any(const uint8_t* bytes) { return bytes[0] == 0 && bytes[1] == 0 && bytes[2] == 0 && bytes[3] == 0; }

// Writes an IPv4 address where the caller's address has one: as it is, or mapped into IPv6.
void put_inet(Name& name, const uint8_t* bytes) {
  if (name.any.sa_family == AF_INET6) {
    in6_addr mapped = {};
    mapped.s6_addr[10] = mapped.s6_addr[11] = 0xff;
    memcpy(mapped.s6_addr + 12, bytes, 4);
    name.in6.sin6_addr = mapped;
    name.in6.sin6_scope_id = 0;
  } else {
    memcpy(&name.in.sin_addr, bytes, 4);
  }
}

int redirect(const std::string& data, Name& name) {
  protocol::RedirectAddress to;
  if (data.size() != sizeof to) return EPERM;
  memcpy(&to, data.data(), sizeof to);
  if (to.port > 0xffff) return EPERM;
  const bool six = name.any.sa_family == AF_INET6;
  if (to.family == AF_INET) {
    put_inet(name, to.bytes);
    if (!six) name.in.sin_family = AF_INET;
  } else if (to.family == AF_INET6 && six) {
    memcpy(&name.in6.sin6_addr, to.bytes, sizeof name.in6.sin6_addr);
    name.in6.sin6_scope_id = 0;
    name.size = sizeof name.in6;
  } else {
    return EAFNOSUPPORT;
  }
  (six ? name.in6.sin6_port : name.in.sin_port) = htons(static_cast<uint16_t>(to.port));
  return 0;
}

Judged judge_inet(Sandbox& sandbox, const Held& call, Use use, Address& address, Name& name) {
  const Decision decision = decide_address(sandbox, call, use, address);
  if (decision.kind == Decision::Kind::redirect) {
    const int error = redirect(decision.data, name);
    return error != 0 ? Judged::over(Finish::error(error)) : Judged::bounce();
  }
  if (!decision.allowed()) return Judged::over(refusal(decision));
  // To 0.0.0.0 means to this machine, at the address that the socket is bound to, which nobody has judged: make it the
  // loopback address that the rules were asked about (ip_route_output_key_hash_rcu in net/ipv4/route.c).
  if (use != Use::bind && address.family == AF_INET && is_any(address.bytes)) {
    const uint8_t loopback[4] = {127, 0, 0, 1};
    put_inet(name, loopback);
  }
  return Judged::bounce();
}

Judged judge_unix(Sandbox& sandbox, const Held& call, Use use, const Address& address) {
  if (address.unix_name.empty()) {
    if (use != Use::bind) return Judged::bounce();  // EINVAL from the kernel
    // The kernel chooses an abstract name (unix(7), autobind): judged as the abstract name without any character.
    Address chosen;
    chosen.family = AF_UNIX;
    chosen.abstract = true;
    chosen.unix_name = "@";
    const Decision decision = decide_address(sandbox, call, use, chosen);
    return decision.allowed() ? Judged::bounce() : Judged::over(refusal(decision));
  }
  if (address.abstract) {
    const Decision decision = decide_address(sandbox, call, use, address);
    return decision.allowed() ? Judged::bounce() : Judged::over(refusal(decision));
  }
  Judged judged;
  const unsigned flags = use == Use::bind ? kParent | kMayMiss : kFollow;
  {
    const AsCaller caller(call);
    const int error = caller.error != 0 ? caller.error
                                        : resolve_text(sandbox, call, AT_FDCWD, address.unix_name, flags, judged.where);
    if (error != 0) return Judged::over(Finish::error(error));
  }
  if (use == Use::bind && judged.where.last != Last::name) return Judged::over(Finish::error(EADDRINUSE));
  if (judged.where.by_descriptor) {
    report(sandbox, call, EACCES, "a socket without a name, by way of a descriptor", judged.where.path);
    return Judged::over(Finish::error(EACCES));
  }
  const Decision decision = decide_path(sandbox, call, use, judged.where.path);
  if (!decision.allowed()) return Judged::over(refusal(decision));
  judged.kind = Judged::Kind::path;
  return judged;
}

Judged judge(Sandbox& sandbox, const Held& call, Use use, Name& name) {
  if (name.size < sizeof(sa_family_t)) return Judged::bounce();  // no family, no address: EINVAL from the kernel
  Address address;
  switch (name.any.sa_family) {
    case AF_UNSPEC:
      // connect() dissolves an association. bind() and sendto() on an IPv4 socket take it for an IPv4 address
      // (__inet_bind in net/ipv4/af_inet.c, udp_sendmsg in net/ipv4/udp.c); a shorter one is refused there.
      if (use == Use::connect || name.size < sizeof(sockaddr_in)) return Judged::bounce();
      if (!Address::parse(&name.storage, name.size, address)) return Judged::over(Finish::error(EINVAL));
      address.family = AF_INET;
      return judge_inet(sandbox, call, use, address, name);
    case AF_INET:
    case AF_INET6:
      if (!Address::parse(&name.storage, name.size, address)) return Judged::over(Finish::error(EINVAL));
      return judge_inet(sandbox, call, use, address, name);
    case AF_UNIX:
      if (!Address::parse(&name.storage, name.size, address)) return Judged::over(Finish::error(EINVAL));
      return judge_unix(sandbox, call, use, address);
    case AF_NETLINK:
      return Judged::bounce();  // to the kernel, which asks for capabilities where it changes anything
    default:
      report(sandbox, call, EAFNOSUPPORT, "an address of a family that no rule can judge");
      return Judged::over(Finish::error(EAFNOSUPPORT));
  }
}

// ---- Acting on a copy of the socket --------------------------------------------------------------------------------

int domain_of(int socket) {
  int domain;
  socklen_t size = sizeof domain;
  return getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 ? domain : -1;
}

// The caller's socket, for a call on a path.
struct OwnSocket {
  UniqueFd copy;
  int error = 0;  // EPERM: copies cannot be had here
};

bool is_path(const Name& name) {
  return name.size > offsetof(sockaddr_un, sun_path) && name.any.sa_family == AF_UNIX && name.un.sun_path[0] != '\0';
}

// Before the address is judged, as the kernel looks at the descriptor first. False: the call ends with `finish`.
bool take_socket(const Held& call, const Name& name, OwnSocket& out, Finish& finish) {
  if (!is_path(name)) return true;
  const int fd = call.fd(Arg::socket);
  out.error = copy_descriptor(call, fd, out.copy);
  if (can_borrow(call, out.error)) {
    finish = borrow(fd);
    return false;
  }
  if (out.error == EPERM) return true;
  if (out.error == 0) {
    const int domain = domain_of(out.copy.get());
    if (domain < 0)
      out.error = errno == EBADF ? EBADF : ENOTSOCK;
    else if (domain != AF_UNIX)
      out.error = EAFNOSUPPORT;
  }
  if (out.error == 0) return true;
  finish = Finish::error(out.error);
  return false;
}

// Whether nobody in the tree can make this name mean something else. To replace an existing file or directory on the
// way one has to rename or remove something, which takes the right to write there, or a hook that allows it.
bool name_is_fixed(const Sandbox& sandbox, std::string_view canonical) {
  if (sandbox.config.hooked(Event::rename) || sandbox.config.hooked(Event::unlink)) return false;
  for (size_t end = 1; end <= canonical.size(); end++) {
    if (end != canonical.size() && canonical[end] != '/') continue;
    if (sandbox.config.rules.path(canonical.substr(0, end), kWrite).effect == Effect::allow) return false;
  }
  return true;
}

// Where the caller's socket cannot be copied (Docker's default profile): its own call goes on with the canonical name,
// if that is sure to lead to what was approved.
Finish bounce_canonical(Sandbox& sandbox, const Held& call, const Resolved& where, std::string_view fixed, Name& name) {
  if (!name_is_fixed(sandbox, fixed)) {
    report(sandbox, call, EPERM, "the socket cannot be reached safely: it cannot be copied here", where.path);
    return Finish::error(EPERM);
  }
  if (where.path.size() >= sizeof name.un.sun_path) return Finish::error(ENAMETOOLONG);
  name = Name();
  name.un.sun_family = AF_UNIX;
  memcpy(name.un.sun_path, where.path.data(), where.path.size());
  name.size = offsetof(sockaddr_un, sun_path) + where.path.size() + 1;
  return Finish::proceed();  // the caller bounces `name`
}

// The pinned object, by a name that means it to this thread whatever the tree does.
Name name_of_pinned(int fd) {
  Name name;
  name.un.sun_family = AF_UNIX;
  const int length = snprintf(name.un.sun_path, sizeof name.un.sun_path, "/proc/self/fd/%d", fd);
  name.size = offsetof(sockaddr_un, sun_path) + static_cast<size_t>(length) + 1;
  return name;
}

// A call that was interrupted for the caller's sake.
int interruption(const MayBlock& may_block) { return may_block.interrupted() ? may_block.error() : EINTR; }

Finish connect_path(const Held& call, int socket, const Resolved& where) {
  const Name pinned = name_of_pinned(where.object.get());
  int result;
  {
    const AsPeer peer(call);
    if (peer.error != 0) return Finish::error(peer.error == ESRCH ? ESRCH : EPERM);
    const MayBlock may_block(call);
    result = connect(socket, &pinned.any, static_cast<socklen_t>(pinned.size)) == 0 ? 0 : -errno;
    if (result == -EINTR) result = -interruption(may_block);
  }
  return call.still_held() ? Finish::answer(result) : Finish::gone();
}

// Whether the directory of this text is, on this thread's own walk from its working directory, the pinned one. Not by
// way of a descriptor or a process in /proc, which the tree may exchange at any time.
bool leads_to(const Name& text, size_t length, const Resolved& where) {
  std::string directory(text.un.sun_path, length);
  const size_t slash = directory.rfind('/');
  directory = slash == std::string::npos ? "." : slash == 0 ? "/" : directory.substr(0, slash);
  struct open_how how = {};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_NO_MAGICLINKS;
  const UniqueFd found(static_cast<int>(syscall(SYS_openat2, AT_FDCWD, directory.c_str(), &how, sizeof how)));
  struct stat here, pinned;
  return found && fstat(found.get(), &here) == 0 && fstat(where.parent.get(), &pinned) == 0 &&
         here.st_dev == pinned.st_dev && here.st_ino == pinned.st_ino;
}

// Makes the socket's file. By the caller's own text if that can be walked safely: the socket keeps it, and
// getsockname() and its peers show it. Else by its plain name in the pinned directory.
Finish bind_path(const Held& call, int socket, const Resolved& where, const Name& name) {
  if (where.must_be_directory || where.name.empty()) return Finish::error(ENOENT);
  if (where.name.size() >= sizeof(sockaddr_un::sun_path)) return Finish::error(ENAMETOOLONG);
  const size_t length = strnlen(name.un.sun_path, name.size - offsetof(sockaddr_un, sun_path));
  int result = -EAGAIN;
  const OwnWorkingDirectory own;
  {
    const CallerEntry entry(call, AT_FDCWD);
    const UniqueFd directory(openat(proc_directory(), entry.text, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!call.still_held()) return Finish::gone();
    const bool in_place = directory && fchdir(directory.get()) == 0;
    const AsCaller caller(call);
    if (caller.error != 0) return Finish::error(caller.error);
    const WithUmask with_umask(call);
    if (with_umask.error != 0) return Finish::error(with_umask.error);
    if (const NamesStandStill still; still.held() && in_place && leads_to(name, length, where))
      result = bind(socket, &name.any, static_cast<socklen_t>(name.size)) == 0 ? 0 : -errno;
  }
  if (result == -EAGAIN) {
    Name plain;
    plain.un.sun_family = AF_UNIX;
    memcpy(plain.un.sun_path, where.name.data(), where.name.size());
    plain.size = offsetof(sockaddr_un, sun_path) + where.name.size() + 1;
    const AsCaller caller(call);
    if (caller.error != 0) return Finish::error(caller.error);
    const WithUmask with_umask(call);
    if (with_umask.error != 0) return Finish::error(with_umask.error);
    result = fchdir(where.parent.get()) == 0 ? 0 : -errno;
    if (result == 0) result = bind(socket, &plain.any, static_cast<socklen_t>(plain.size)) == 0 ? 0 : -errno;
  }
  return Finish::answer(result);
}

// Reads the datagram and sends it. The result as the kernel's: bytes sent, or a negative errno.
int64_t send_to_path(const Held& call, int socket, const Resolved& where, const std::vector<iovec>& segments,
                     int flags) {
  size_t total = 0;
  for (const iovec& segment : segments) {
    if (segment.iov_len > kMaxDatagram - total) return -EMSGSIZE;
    total += segment.iov_len;
  }
  int room;
  socklen_t size = sizeof room;
  if (getsockopt(socket, SOL_SOCKET, SO_SNDBUF, &room, &size) != 0) return -errno;
  if (total > static_cast<size_t>(room)) return -EMSGSIZE;
  std::vector<uint8_t> data(total);
  size_t at = 0;
  for (const iovec& segment : segments) {
    const int error = call.read(reinterpret_cast<uint64_t>(segment.iov_base), data.data() + at, segment.iov_len);
    if (error != 0) return error;
    at += segment.iov_len;
  }
  const Name pinned = name_of_pinned(where.object.get());
  const AsPeer peer(call);
  if (peer.error != 0) return peer.error == ESRCH ? -ESRCH : -EPERM;
  const MayBlock may_block(call);
  const ssize_t sent =
      sendto(socket, data.data(), total, flags | MSG_NOSIGNAL, &pinned.any, static_cast<socklen_t>(pinned.size));
  if (sent >= 0) return sent;
  return errno == EINTR ? -interruption(may_block) : -errno;
}

// ---- Bouncing ------------------------------------------------------------------------------------------------------

Finish bounce_name(const Held& call, const Name& name) {
  auto bounce = std::make_unique<Bounce>();
  // Never empty: the register must point somewhere.
  const int64_t at = bounce->append(&name.storage, std::max(name.size, sizeof(sa_family_t)));
  bounce->pointer(call.row->index(Arg::address), at);
  bounce->value(call.row->index(Arg::address_size), name.size);
  return Finish::bounce(static_cast<std::unique_ptr<Bounce>&&>(bounce));
}

// ---- Messages ------------------------------------------------------------------------------------------------------

struct Message {
  msghdr header = {};
  Name name;
  std::vector<uint8_t> control;
};

// Control data that sends a packet somewhere else than to its address: source routes (ip(7), RFC 3542).
bool names_a_route(const std::vector<uint8_t>& control) {
  for (size_t at = 0; control.size() - at >= sizeof(cmsghdr);) {
    cmsghdr head;
    memcpy(&head, control.data() + at, sizeof head);
    if (head.cmsg_len < sizeof head || head.cmsg_len > control.size() - at)
      return false;  // the kernel stops there: EINVAL
    if (head.cmsg_level == IPPROTO_IP && head.cmsg_type == IP_RETOPTS) return true;
    if (head.cmsg_level == IPPROTO_IPV6 && (head.cmsg_type == IPV6_RTHDR || head.cmsg_type == IPV6_2292RTHDR))
      return true;
    at += std::min(control.size() - at, CMSG_ALIGN(head.cmsg_len));
  }
  return false;
}

// 0, or a negative errno in the order of the kernel's copy_msghdr_from_user.
int read_message(const Held& call, uint64_t from, Message& out) {
  int error = call.read(from, &out.header, sizeof out.header);
  if (error != 0) return error;
  int name_size = static_cast<int>(out.header.msg_namelen);
  if (name_size < 0) return -EINVAL;
  if (out.header.msg_name == nullptr) name_size = 0;
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

// One message, of sendmsg or the first of sendmmsg. `bounced` is filled if the call is to go on; else the finish tells.
Finish send_one(Sandbox& sandbox, const Held& call, std::unique_ptr<Bounce>& bounced) {
  Message message;
  const int error = read_message(call, call.arg(Arg::message), message);
  if (error != 0) return failed_read(error);
  if (names_a_route(message.control)) {
    report(sandbox, call, EPERM, "a source route in control data");
    return Finish::error(EPERM);
  }
  if (message.name.size != 0) {
    OwnSocket own;
    Finish end;
    if (!take_socket(call, message.name, own, end)) return end;
    Judged judged = judge(sandbox, call, Use::send, message.name);
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
        return call.still_held() ? Finish::answer(sent) : Finish::gone();
      }
    }
  }
  bounced = bounce_message(call, message);
  return Finish::proceed();
}

// The address and the socket of a call that has both as arguments, read, taken and judged.
Judged judge_own_address(Sandbox& sandbox, Held& call, Use use, Name& name, OwnSocket& own) {
  const int error = read_name(call, call.arg(Arg::address), static_cast<int>(call.arg(Arg::address_size)), name);
  if (error != 0) return Judged::over(failed_read(error));
  Finish end;
  if (!take_socket(call, name, own, end)) return Judged::over(static_cast<Finish&&>(end));
  return judge(sandbox, call, use, name);
}

}  // namespace

// ---- Handlers ------------------------------------------------------------------------------------------------------

Finish connect_socket(Sandbox& sandbox, Held& call) {
  Name name;
  OwnSocket own;
  Judged judged = judge_own_address(sandbox, call, Use::connect, name, own);
  if (judged.kind == Judged::Kind::over) return static_cast<Finish&&>(judged.finish);
  if (judged.kind == Judged::Kind::path) {
    if (own.error == 0) return connect_path(call, own.copy.get(), judged.where);
    Finish finish = bounce_canonical(sandbox, call, judged.where, judged.where.path, name);
    if (finish.kind != Finish::Kind::proceed) return finish;
  }
  return bounce_name(call, name);
}

Finish bind_socket(Sandbox& sandbox, Held& call) {
  Name name;
  OwnSocket own;
  Judged judged = judge_own_address(sandbox, call, Use::bind, name, own);
  if (judged.kind == Judged::Kind::over) return static_cast<Finish&&>(judged.finish);
  if (judged.kind == Judged::Kind::path) {
    if (own.error == 0) return bind_path(call, own.copy.get(), judged.where, name);
    // bind() follows no link in last place, so it is enough that the directory stays what it is.
    const std::string_view path = judged.where.path;
    const std::string_view directory = path.substr(0, std::max<size_t>(path.rfind('/'), 1));
    Finish finish = bounce_canonical(sandbox, call, judged.where, directory, name);
    if (finish.kind != Finish::Kind::proceed) return finish;
  }
  return bounce_name(call, name);
}

Finish send_to(Sandbox& sandbox, Held& call) {
  Name name;
  OwnSocket own;
  Judged judged = judge_own_address(sandbox, call, Use::send, name, own);
  if (judged.kind == Judged::Kind::over) return static_cast<Finish&&>(judged.finish);
  if (judged.kind == Judged::Kind::path) {
    if (own.error == 0) {
      const std::vector<iovec> segments = {{reinterpret_cast<void*>(call.arg(Arg::buffer)), call.arg(Arg::size)}};
      const int64_t sent =
          send_to_path(call, own.copy.get(), judged.where, segments, static_cast<int>(call.arg(Arg::flags)));
      return call.still_held() ? Finish::answer(sent) : Finish::gone();
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

namespace {

uint16_t port_of(int socket) {
  Name name;
  socklen_t size = sizeof name.storage;
  if (getsockname(socket, &name.any, &size) != 0) return 0;
  return name.any.sa_family == AF_INET ? name.in.sin_port : name.any.sa_family == AF_INET6 ? name.in6.sin6_port : 0;
}

// listen() on an internet socket that is not bound binds it to every address and a port of the kernel's choice.
Decision decide_autobind(Sandbox& sandbox, const Held& call, sa_family_t family) {
  Address everywhere;
  everywhere.family = family;
  return decide_address(sandbox, call, Use::bind, everywhere);
}

}  // namespace

Finish listen_socket(Sandbox& sandbox, Held& call) {
  const int fd = call.fd(call.has(Arg::socket) ? Arg::socket : Arg::fd);
  const int backlog = static_cast<int>(call.args[1]);
  UniqueFd socket;
  const int error = copy_descriptor(call, fd, socket);
  if (can_borrow(call, error)) return borrow(fd);
  if (error == EPERM) {
    // No look at the socket, and the tree could exchange it anyway: only where any port may be bound.
    const Decision decision = decide_autobind(sandbox, call, AF_INET);
    return decision.allowed() ? Finish::proceed() : refusal(decision);
  }
  if (error != 0) return Finish::error(error);
  const int domain = domain_of(socket.get());
  switch (domain) {
    case AF_UNIX: {
      // Its file or abstract name was judged by bind(). Who connects sees the ids of who called listen().
      const AsPeer peer(call);
      if (peer.error != 0) return Finish::error(peer.error);
      return Finish::answer(listen(socket.get(), backlog) == 0 ? 0 : -errno);
    }
    case AF_INET:
    case AF_INET6: {
      const uint16_t port = port_of(socket.get());
      if (port == 0) {
        const Decision decision = decide_autobind(sandbox, call, static_cast<sa_family_t>(domain));
        if (!decision.allowed()) return refusal(decision);
      }
      if (listen(socket.get(), backlog) != 0) return Finish::error(errno);
      // Its port was the passing one of a connection that another thread dissolved just now: listening on another port
      // is not what was approved.
      if (port != 0 && port_of(socket.get()) != port) {
        shutdown(socket.get(), SHUT_RDWR);
        report(sandbox, call, EACCES, "the socket lost its address while it was to listen");
        return Finish::error(EACCES);
      }
      return Finish::answer(0);
    }
    case -1:
      return Finish::error(errno == EBADF ? EBADF : ENOTSOCK);
    default:
      report(sandbox, call, EOPNOTSUPP, "listening on a socket of a family that no rule can judge");
      return Finish::error(EOPNOTSUPP);
  }
}

}  // namespace holdfast::families
