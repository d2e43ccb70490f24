// What the calls on sockets share: addresses as the kernel takes them, how they are judged, and the caller's own
// socket.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "../call/blocking.h"
#include "../policy/decide.h"
#include "../policy/rules.h"
#include "../protocol/unique_fd.h"
#include "../view/resolve.h"
#include "caller.h"

namespace holdfast::families {

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

// `fast_open` sends and connects (MSG_FASTOPEN); `join` makes the kernel send to a group.
enum class Use : uint8_t { connect, bind, send, fast_open, join };

// What became of an address: the call is over (`finish`), goes on with the copied address, or means a pinned path.
struct Judged {
  enum class Kind : uint8_t { over, bounce, path };
  Kind kind = Kind::over;
  Finish finish;
  bool sent_all = false;  // of what is sent: a hook says that it went out
  Resolved where;

  static Judged over(Finish finish) {
    Judged j;
    j.finish = static_cast<Finish&&>(finish);
    return j;
  }
  // By a decision that does not allow it.
  static Judged refused(const Decision& decision) {
    Judged j = over(refusal(decision));
    j.sent_all = decision.kind == Decision::Kind::fake && decision.error < 0;
    return j;
  }
  static Judged bounce() {
    Judged j;
    j.kind = Kind::bounce;
    return j;
  }
};

// The end of a call whose memory could not be read.
Finish failed_read(int error);
// 0, or a negative errno as the kernel's move_addr_to_kernel would give it.
int read_name(const Held& call, uint64_t from, int size, Name& out);
// The name that this socket has; its family AF_UNSPEC if it has none.
Name name_of(int socket);

// network_address.cc: asks rules and hooks. A redirected address is written to `name`.
Decision decide_address(Sandbox& sandbox, const Held& call, Use use, const Address& address, bool granted = false);
Judged judge(Sandbox& sandbox, const Held& call, Use use, Name& name, bool granted = false);
// Whether binding needs no rule: a datagram socket's own port of the kernel's choice, as its first sending takes one.
bool is_client_bind(int socket, const Name& name);

// network_unix.cc: calls on the path of a unix socket, made on a copy of the caller's socket.

// A copy of the caller's socket, and its family. False: the call ends with `finish`. With `error`, copies that cannot
// be had here (EPERM) are for the caller of this to deal with; without, they are refused with an event.
bool copy_socket(const Held& call, UniqueFd& out, int& domain, int& error, Finish& finish);
bool copy_socket(Sandbox& sandbox, const Held& call, UniqueFd& out, int& domain, Finish& finish);

// The caller's socket, for a call on a path.
struct OwnSocket {
  UniqueFd copy;
  int error = 0;  // EPERM: copies cannot be had here
};

// Before the address is judged, as the kernel looks at the descriptor first. False: the call ends with `finish`.
bool take_socket(const Held& call, Use use, const Name& name, OwnSocket& out, Finish& finish);
// Where the caller's socket cannot be copied (Docker's default profile): its own call goes on with the canonical name,
// if that is sure to lead to what was approved.
Finish bounce_canonical(Sandbox& sandbox, const Held& call, const Resolved& where, std::string_view fixed, Name& name);
Finish connect_path(const Held& call, int socket, const Resolved& where);
// Makes the socket's file. By the caller's own text if that can be walked safely: the socket keeps it, and
// getsockname() and its peers show it. Else by its plain name in the pinned directory.
// On a copy of the caller's socket, as far as its own Landlock rules let it. 0 or a negative errno.
int bind_as(const Held& call, int socket, const Name& name);
Finish bind_path(Sandbox& sandbox, const Held& call, int socket, const Resolved& where, const Name& name);
// Reads the datagram and sends it. The result as the kernel's: bytes sent, or a negative errno.
int64_t send_to_path(const Held& call, int socket, const Resolved& where, const std::vector<iovec>& segments,
                     int flags);

// network.cc: the errno of a call that was interrupted for the caller's sake. One that waits for a limited time is not
// made again whatever its handler says (signal(7)).
int interruption(const MayBlock& may_block, int socket);
// The call goes on with this address.
Finish bounce_name(const Held& call, const Name& name);
// The address and the socket of a call that has both as arguments, read, taken and judged.
Judged judge_own_address(Sandbox& sandbox, Held& call, Use use, Name& name, OwnSocket& own);

}  // namespace holdfast::families
