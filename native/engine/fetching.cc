// The tracer's part about descriptors of ours that a thread fetches where no listener can hand them over: it makes a
// pair of sockets, of which we copy one, and receives what we send by that. Where nothing can be copied
// (pidfd_getfd(2)) it connects a socket to one of ours that has a name for this once. Nothing is left behind, and what
// is received has the lowest number that is free, as what it would have opened itself.
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "../syscalls/guards.h"
#include "mappings.h"
#include "request.h"
#include "tracer.h"

namespace holdfast {
namespace {

constexpr unsigned kOfThread = O_EXCL;  // PIDFD_THREAD, linux/pidfd.h, since Linux 6.9

// What a thread's place in the scratch memory holds: the numbers of both sockets; and what recvmsg() takes and answers.
struct Place {
  int pair[2];
  uint64_t unused;
  msghdr header;
  alignas(8) char control[CMSG_SPACE(sizeof(int))];
};
static_assert(sizeof(Place) <= kScratchPlaceBytes);

uint64_t address_of(int place) { return kScratchAddress + static_cast<uint64_t>(place) * kScratchPlaceBytes; }

uint64_t name_of(int place) { return kNamesAddress + static_cast<uint64_t>(place) * sizeof(uint64_t); }

// Whether the page of names is what it is to be, whoever has mapped it: memory of the process's own that it cannot
// write.
bool has_names(pid_t tid) {
  Mapping names;
  return find_mapping(tid, kNamesAddress, names) && names.start == kNamesAddress &&
         names.end == kNamesAddress + kNamesBytes && names.inode == 0 && names.path.empty() && names.is_private &&
         !names.is_writable;
}

// A word of a stopped tracee's memory: of pages that are its own and nobody else's, so neither waits.
bool peek(pid_t tid, uint64_t address, uint64_t& out) {
  return request(PTRACE_PEEKDATA, tid, as_pointer(address), &out) == 0;
}

bool poke(pid_t tid, uint64_t address, uint64_t value) {
  return request(PTRACE_POKEDATA, tid, as_pointer(address), as_pointer(value)) == 0;
}

// One of the sockets that the process has just made. Whatever stands at that number by now, if it is none of its own
// nothing is sent by it.
UniqueFd copy_socket(pid_t tid, pid_t group, int fd) {
  UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, tid, kOfThread)));
  if (!process && errno == EINVAL) process.reset(static_cast<int>(syscall(SYS_pidfd_open, group, 0)));
  if (!process) return {};
  UniqueFd copy(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
  ucred maker = {};
  socklen_t size = sizeof maker;
  int type = 0;
  socklen_t type_size = sizeof type;
  if (!copy || getsockopt(copy.get(), SOL_SOCKET, SO_TYPE, &type, &type_size) != 0 || type != SOCK_SEQPACKET ||
      getsockopt(copy.get(), SOL_SOCKET, SO_PEERCRED, &maker, &size) != 0 || maker.pid != group)
    return {};
  return copy;
}

// Listens at a name that the kernel chooses (unix(7), "Autobind feature"): a family, a NUL and five characters.
UniqueFd listen_once(uint64_t& name) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un own = {};
  own.sun_family = AF_UNIX;
  socklen_t size = sizeof own;
  const auto* const address = reinterpret_cast<sockaddr*>(&own);
  if (!socket || bind(socket.get(), address, sizeof own.sun_family) != 0 || listen(socket.get(), 8) != 0 ||
      getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0 || size != sizeof name)
    return {};
  memcpy(&name, &own, sizeof name);
  return socket;
}

// By whom that process has connected; others can have found the name, too.
UniqueFd accept_from(int listener, pid_t group) {
  for (;;) {
    UniqueFd peer(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    ucred maker = {};
    socklen_t size = sizeof maker;
    if (!peer || (getsockopt(peer.get(), SOL_SOCKET, SO_PEERCRED, &maker, &size) == 0 && maker.pid == group))
      return peer;
  }
}

bool send_descriptor(int socket, int fd) {
  msghdr message = {};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  message.msg_control = control;
  message.msg_controllen = CMSG_LEN(sizeof fd);
  cmsghdr* const head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(head), &fd, sizeof fd);
  return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

}  // namespace

// In place of the thread's own call, at its entry. Without a place for it the thread stays there until one is free.
void Tracer::begin_fetch(Tracee& tracee, UniqueFd what, bool close_on_exec) {
  end_fetch(tracee);  // of one that was cut short
  Fetch& fetch = tracee.fetch;
  fetch.is_under_way = true;
  fetch.what = std::move(what);
  fetch.close_on_exec = close_on_exec;
  fetch.by_name = !can_connect_copies();
  for (size_t place = 0; place < kScratchPlaces && fetch.place < 0; place++)
    if (!scratch_taken_[place]) take_place(tracee, static_cast<int>(place));
  if (fetch.place < 0) wait_for_places_.push_back(tracee.tid);
}

void Tracer::take_place(Tracee& tracee, int place) {
  tracee.fetch.place = place;
  scratch_taken_.set(static_cast<size_t>(place));
  map_scratch(tracee, true);
}

// What is not there yet; then the sockets.
void Tracer::map_scratch(Tracee& tracee, bool at_entry) {
  constexpr uint64_t kHow = MAP_PRIVATE | MAP_ANONYMOUS | 0x100000 /* MAP_FIXED_NOREPLACE */;
  if (scratch_mapped_.count(tracee.group) == 0) {
    tracee.fetch.step = Fetch::Step::map;
    const uint64_t args[6] = {
        kScratchAddress, kScratchBytes - kNamesBytes, PROT_READ | PROT_WRITE, kHow, ~uint64_t{0}, 0};
    inject(tracee, tracee.phase, __NR_mmap, args, at_entry);
  } else if (tracee.fetch.by_name && names_mapped_.count(tracee.group) == 0) {
    tracee.fetch.step = Fetch::Step::map_names;
    const uint64_t args[6] = {kNamesAddress, kNamesBytes, PROT_READ, kHow, ~uint64_t{0}, 0};
    inject(tracee, tracee.phase, __NR_mmap, args, at_entry);
  } else {
    make_socket(tracee, at_entry);
  }
}

void Tracer::make_socket(Tracee& tracee, bool at_entry) {
  tracee.fetch.step = Fetch::Step::make;
  const bool copies = !tracee.fetch.by_name;
  const uint64_t args[6] = {
      AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, copies ? address_of(tracee.fetch.place) : 0, 0, 0};
  inject(tracee, tracee.phase, copies ? __NR_socketpair : __NR_socket, args, at_entry);
}

// The pair is there: what is to be fetched waits in it; or the socket, which is to find us. The first, or only one goes
// out of the way of its number.
void Tracer::on_socket(Tracee& tracee, int64_t result) {
  Fetch& fetch = tracee.fetch;
  if (!fetch.by_name) {
    uint64_t numbers = 0;
    fetch.error = -EPERM;
    if (peek(tracee.tid, address_of(fetch.place), numbers)) {
      memcpy(fetch.pair, &numbers, sizeof fetch.pair);
      UniqueFd socket = copy_socket(tracee.tid, tracee.group, fetch.pair[1]);
      // Who has changed its ids may be out of reach of whom it descends from.
      fetch.turns_to_name = !socket && are_fetched_by_name();
      if (fetch.turns_to_name) {
        fetch.error = 0;
        close_pair(tracee);
        return;
      }
      if (socket && send_descriptor(socket.get(), fetch.what.get())) fetch.error = 0;
    }
    // When the thread goes on, its descriptor is to be the only one.
    fetch.what.reset();
    if (fetch.error != 0) {
      close_pair(tracee);
      return;
    }
  } else {
    fetch.pair[0] = static_cast<int>(result);
  }
  fetch.step = Fetch::Step::move;
  const uint64_t above = static_cast<uint64_t>(std::max(fetch.pair[0], fetch.pair[1])) + 1;
  const uint64_t args[6] = {static_cast<uint64_t>(fetch.pair[0]), F_DUPFD_CLOEXEC, above, 0, 0, 0};
  inject(tracee, tracee.phase, __NR_fcntl, args);
}

void Tracer::close_pair(Tracee& tracee) {
  Fetch& fetch = tracee.fetch;
  const bool neighbours = fetch.pair[1] == fetch.pair[0] + 1;
  fetch.step = neighbours          ? Fetch::Step::close_both
               : fetch.pair[1] < 0 ? Fetch::Step::close_second
                                   : Fetch::Step::close;
  const uint64_t first = static_cast<uint64_t>(fetch.pair[0]);
  const uint64_t args[6] = {first, neighbours ? first + 1 : 0, 0, 0, 0, 0};
  inject(tracee, tracee.phase, neighbours ? __NR_close_range : __NR_close, args);
}

// The pair's numbers are free again.
void Tracer::after_pair(Tracee& tracee) {
  Fetch& fetch = tracee.fetch;
  if (fetch.turns_to_name) {
    fetch.turns_to_name = false;
    fetch.by_name = true;
    fetch.pair[0] = fetch.pair[1] = -1;
    map_scratch(tracee, false);
  } else if (fetch.what) {
    connect_moved(tracee);
  } else {
    receive_by_moved(tracee);
  }
}

void Tracer::connect_moved(Tracee& tracee) {
  Fetch& fetch = tracee.fetch;
  uint64_t name = 0;
  const uint64_t at = name_of(fetch.place);
  fetch.listens = listen_once(name);
  if (!fetch.listens || !poke(tracee.tid, at, name)) {
    fetch.error = -EPERM;
    close_moved(tracee);
    return;
  }
  fetch.step = Fetch::Step::connect;
  const uint64_t args[6] = {static_cast<uint64_t>(fetch.moved), at, sizeof name, 0, 0, 0};
  inject(tracee, tracee.phase, __NR_connect, args);
}

void Tracer::receive_by_moved(Tracee& tracee) {
  Fetch& fetch = tracee.fetch;
  Place place = {};
  const uint64_t at = address_of(fetch.place);
  place.header.msg_control = as_pointer(at + offsetof(Place, control));
  place.header.msg_controllen = CMSG_LEN(sizeof(int));
  uint64_t words[(offsetof(Place, control) - offsetof(Place, header)) / sizeof(uint64_t)];
  memcpy(words, &place.header, sizeof words);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if (!poke(tracee.tid, at + offsetof(Place, header) + i * sizeof(uint64_t), words[i])) fetch.error = -EPERM;
  if (fetch.error != 0) {
    close_moved(tracee);
    return;
  }
  fetch.step = Fetch::Step::receive;
  const int flags = MSG_DONTWAIT | (fetch.close_on_exec ? MSG_CMSG_CLOEXEC : 0);
  const uint64_t args[6] = {
      static_cast<uint64_t>(fetch.moved), at + offsetof(Place, header), static_cast<uint64_t>(flags), 0, 0, 0};
  inject(tracee, tracee.phase, __NR_recvmsg, args);
}

void Tracer::close_moved(Tracee& tracee) {
  tracee.fetch.step = Fetch::Step::close_moved;
  const uint64_t args[6] = {static_cast<uint64_t>(tracee.fetch.moved), 0, 0, 0, 0, 0};
  inject(tracee, tracee.phase, __NR_close, args);
}

// At the exit of each of these calls. True: it was the last one, and `result` is the descriptor's number or -errno.
bool Tracer::go_on_fetching(Tracee& tracee, int64_t& result) {
  Fetch& fetch = tracee.fetch;
  switch (fetch.step) {
    case Fetch::Step::map:
      // -EEXIST: a process that shares this address space (vfork) has it already, or its maker had.
      if (result < 0 && result != -EEXIST) {
        fetch.error = result;
        break;
      }
      scratch_mapped_.insert(tracee.group);
      map_scratch(tracee, false);
      return false;
    case Fetch::Step::map_names:
      // What an address means that is connected to is not for the tree to say.
      if ((result < 0 && result != -EEXIST) || !has_names(tracee.tid)) {
        fetch.error = -EPERM;
        break;
      }
      names_mapped_.insert(tracee.group);
      map_scratch(tracee, false);
      return false;
    case Fetch::Step::make:
      if (result < 0) {
        fetch.error = result;
        break;
      }
      on_socket(tracee, result);
      return false;
    case Fetch::Step::move:
      if (result < 0)
        fetch.error = result == -EINVAL ? -EMFILE : result;  // beyond its limit, dup(2)
      else
        fetch.moved = static_cast<int>(result);
      close_pair(tracee);
      return false;
    case Fetch::Step::close_both:
      if (result < 0) {  // a filter of its own
        fetch.step = Fetch::Step::close;
        const uint64_t args[6] = {static_cast<uint64_t>(fetch.pair[0]), 0, 0, 0, 0, 0};
        inject(tracee, tracee.phase, __NR_close, args);
        return false;
      }
      if (fetch.error != 0) break;
      after_pair(tracee);
      return false;
    case Fetch::Step::close: {
      fetch.step = Fetch::Step::close_second;
      const uint64_t args[6] = {static_cast<uint64_t>(fetch.pair[1]), 0, 0, 0, 0, 0};
      inject(tracee, tracee.phase, __NR_close, args);
      return false;
    }
    case Fetch::Step::close_second:
      if (fetch.error != 0) break;
      after_pair(tracee);
      return false;
    case Fetch::Step::connect: {
      const UniqueFd peer = result == 0 ? accept_from(fetch.listens.get(), tracee.group) : UniqueFd();
      fetch.error = peer && send_descriptor(peer.get(), fetch.what.get()) ? 0 : -EPERM;
      fetch.listens.reset();
      fetch.what.reset();
      if (fetch.error == 0)
        receive_by_moved(tracee);
      else
        close_moved(tracee);
      return false;
    }
    case Fetch::Step::receive: {
      uint64_t length = 0, number = 0;
      const uint64_t at = address_of(fetch.place) + offsetof(Place, control);
      if (result < 0) {
        fetch.error = result == -EAGAIN ? -EPERM : result;
      } else if (!peek(tracee.tid, at, length) || !peek(tracee.tid, at + sizeof(cmsghdr), number)) {
        fetch.error = -EPERM;
      } else if (length != CMSG_LEN(sizeof(int))) {
        fetch.error = -EMFILE;  // others have taken the numbers meanwhile: MSG_CTRUNC in recvmsg(2)
      } else {
        fetch.received = static_cast<int>(number);
      }
      close_moved(tracee);
      return false;
    }
    case Fetch::Step::close_moved:
      break;
  }
  result = fetch.error != 0 ? fetch.error : fetch.received;
  end_fetch(tracee);
  return true;
}

void Tracer::end_fetch(Tracee& tracee) {
  const int place = tracee.fetch.place;
  if (tracee.fetch.was_stopped) tracee.stops_once_more = true;
  tracee.fetch = {};
  if (place < 0) return;
  scratch_taken_.reset(static_cast<size_t>(place));
  while (!wait_for_places_.empty()) {
    Tracee* const next = find(wait_for_places_.front());
    wait_for_places_.pop_front();
    // It may have been killed since, or even have begun anew.
    if (next == nullptr || next == &tracee || !next->fetch.is_under_way || next->fetch.place >= 0) continue;
    take_place(*next, place);
    return;
  }
}

}  // namespace holdfast
