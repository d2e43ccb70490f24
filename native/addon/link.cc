#include "link.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <new>
#include <optional>

namespace holdfast {
namespace {

using protocol::kRingBytes;
using protocol::RecordHeader;
using protocol::RecordKind;
using protocol::Shared;
using protocol::Slot;
using protocol::SlotState;

static_assert((kRingBytes & (kRingBytes - 1)) == 0, "positions in the ring wrap modulo 2^32");

// Not FUTEX_PRIVATE: the waiters are in another process.
void wake_all(const std::atomic<uint32_t>* word) { syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0); }

int sealed_memory(const char* name) {
#ifndef MFD_NOEXEC_SEAL
  constexpr unsigned MFD_NOEXEC_SEAL = 0x8U;
#endif
  constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  const int fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
  // Before Linux 6.3 the flag is unknown.
  return fd < 0 && errno == EINVAL ? memfd_create(name, flags) : fd;
}

// What is shared is memory, but counts as a file: RLIMIT_FSIZE is lifted while it is made, where that may be done.
class Enlarged {
 public:
  explicit Enlarged(rlim_t size) {
    if (getrlimit(RLIMIT_FSIZE, &before_) != 0 || before_.rlim_cur >= size) return;
    const rlimit wanted = {size, before_.rlim_max < size ? size : before_.rlim_max};
    changed_ = setrlimit(RLIMIT_FSIZE, &wanted) == 0;
  }
  ~Enlarged() {
    if (changed_) setrlimit(RLIMIT_FSIZE, &before_);
  }
  Enlarged(const Enlarged&) = delete;
  Enlarged& operator=(const Enlarged&) = delete;

 private:
  rlimit before_ = {};
  bool changed_ = false;
};

// With its head and its padding.
uint32_t size_of(const RecordHeader& header) { return sizeof header + ((header.size + 7) & ~7u); }

int64_t now_ms() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1000000;
}

}  // namespace

int Link::open() {
  int pair[2] = {-1, -1};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return errno;
  socket_.reset(pair[0]);
  remote_.reset(pair[1]);
  return 0;
}

int Link::share_memory(const char** step) {
  *step = "memfd_create";
  UniqueFd memory(sealed_memory("holdfast-channel"));
  if (!memory) return errno;
  *step = "ftruncate";
  if (ftruncate(memory.get(), sizeof(Shared)) != 0) {
    if (errno != EFBIG) return errno;
    const Enlarged enlarged(sizeof(Shared));
    if (ftruncate(memory.get(), sizeof(Shared)) != 0) return errno;
  }
  // Without these seals the other end could shrink the file and turn our reads into SIGBUS.
  *step = "fcntl";
  if (fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) return errno;
  *step = "eventfd";
  wake_.reset(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake_) return errno;
  *step = "mmap";
  void* mapped = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (mapped == MAP_FAILED) return errno;
  // A fork of Node must not share the channel's memory by accident.
  madvise(mapped, sizeof(Shared), MADV_DONTFORK);

  // Fresh pages are zero, so every slot is free and the ring is empty already.
  shared_ = static_cast<Shared*>(mapped);
  shared_->magic = protocol::kMagic;
  shared_->version = protocol::kVersion;
  shared_->ring_bytes = kRingBytes;
  shared_->slot_count = protocol::kSlotCount;
  shared_->slot_bytes = sizeof(Slot);
  shared_->total_bytes = sizeof(Shared);
  shared_->sleeping.store(1);

  *step = "sendmsg";
  const int fds[2] = {memory.get(), wake_.get()};
  const int error = send(protocol::MessageType::hello, 0, fds, 2);
  return error == EPIPE || error == ECONNRESET ? 0 : error;  // that the other end is gone is found out by wait()
}

void Link::close() {
  if (shared_ != nullptr) {
    last_word_ = shared_->last_word;
    munmap(shared_, sizeof(Shared));
  }
  shared_ = nullptr;
  socket_.reset();
  remote_.reset();
  wake_.reset();
}

int Link::send(protocol::MessageType type, int32_t value, const int* fds, size_t fd_count, const uint8_t* bytes,
               size_t size) {
  if (!socket_) return EPIPE;
  protocol::Message message = {protocol::kMagic, protocol::kVersion, static_cast<uint32_t>(type), value, 0, 0};
  iovec parts[] = {{&message, sizeof message}, {const_cast<uint8_t*>(bytes), size}};
  alignas(cmsghdr) char control[CMSG_SPACE((protocol::kMostPlaces + 1) * sizeof(int))];
  msghdr header = {};
  header.msg_iov = parts;
  header.msg_iovlen = size == 0 ? 1 : 2;
  if (fd_count > protocol::kMostPlaces + 1) return E2BIG;
  if (fd_count != 0) {
    std::memset(control, 0, CMSG_SPACE(fd_count * sizeof(int)));
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    std::memcpy(CMSG_DATA(rights), fds, fd_count * sizeof(int));
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? errno : 0;
}

int Link::send_bytes(protocol::MessageType type, const uint8_t* bytes, size_t size) {
  if (!is_open()) return EPIPE;
  if (size > INT32_MAX) return EMSGSIZE;
  if (size <= protocol::kMaxInline) return send(type, static_cast<int32_t>(size), nullptr, 0, bytes, size);
  UniqueFd memory(sealed_memory("holdfast-config"));
  if (!memory) return errno;
  std::optional<Enlarged> enlarged;
  for (size_t done = 0; done < size;) {
    const ssize_t wrote = ::write(memory.get(), bytes + done, size - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == EFBIG && !enlarged) {
      enlarged.emplace(size);
      continue;
    }
    if (wrote < 0) return errno;
    done += static_cast<size_t>(wrote);
  }
  if (fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) return errno;
  const int fd = memory.get();
  return send(type, static_cast<int32_t>(size), &fd, 1);
}

Link::Report Link::read() {
  if (!socket_) return {Report::Kind::lost};
  protocol::Message message;
  ssize_t got;
  do {
    // No room for control data: descriptors that the other end might send are dropped by the kernel.
    got = recv(socket_.get(), &message, sizeof message, MSG_DONTWAIT | MSG_TRUNC);
    // ECONNRESET says once that the other end left something unread; what it sent before is still there (unix(7)).
  } while (got < 0 && (errno == EINTR || errno == ECONNRESET));
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return {};
  if (got <= 0) return {Report::Kind::lost};
  if (got != sizeof message || message.magic != protocol::kMagic || message.version != protocol::kVersion) {
    return {Report::Kind::corrupt};
  }
  switch (static_cast<protocol::MessageType>(message.type)) {
    case protocol::MessageType::spawned:
      return {message.value > 0 ? Report::Kind::spawned : Report::Kind::corrupt, message.value};
    case protocol::MessageType::failed:
      return {Report::Kind::failed, message.value, message.detail};
    case protocol::MessageType::hello:
    case protocol::MessageType::configure:
    case protocol::MessageType::start:
    case protocol::MessageType::kill:
    case protocol::MessageType::kill_all:
    case protocol::MessageType::spare:
    case protocol::MessageType::plan:
    case protocol::MessageType::command:
    case protocol::MessageType::request:
      break;
  }
  return {Report::Kind::corrupt};
}

Link::Report Link::wait(int timeout_ms) {
  const int64_t end = now_ms() + timeout_ms;
  while (true) {
    const Report report = read();
    if (report.kind != Report::Kind::nothing) return report;
    const int64_t left = end - now_ms();
    if (left <= 0) return {};
    pollfd entry = {socket_.get(), POLLIN, 0};
    if (poll(&entry, 1, static_cast<int>(left)) < 0 && errno != EINTR) return {Report::Kind::lost};
  }
}

void Link::advance(uint32_t bytes) {
  const uint32_t before = taken_;
  taken_ += bytes;
  shared_->taken.store(taken_, std::memory_order_seq_cst);
  // A producer waits only while the ring is nearly full. It has stored `written` before it looks at `taken` a last time
  // (the kernel does, in FUTEX_WAIT), so either it sees the new value there or we see its `written` here.
  if (shared_->written.load(std::memory_order_seq_cst) - before > kRingBytes / 2) wake_all(&shared_->taken);
}

Link::Next Link::peek(RecordHeader& header) {
  while (is_open()) {
    const uint32_t used = shared_->written.load(std::memory_order_acquire) - taken_;
    if (used == 0) return Next::empty;
    if (used > kRingBytes || used % sizeof(RecordHeader) != 0) return Next::corrupt;
    const uint32_t offset = taken_ & (kRingBytes - 1);
    const uint32_t rest = kRingBytes - offset;
    std::memcpy(&header, shared_->ring + offset, sizeof header);
    if (header.kind == static_cast<uint32_t>(RecordKind::padding)) {
      if (rest > used) return Next::corrupt;
      advance(rest);
      continue;
    }
    if (header.kind >= static_cast<uint32_t>(RecordKind::end) || header.size > protocol::kMaxRecord) {
      return Next::corrupt;
    }
    const uint32_t total = size_of(header);
    if (total > used || total > rest) return Next::corrupt;
    return Next::record;
  }
  return Next::empty;
}

void Link::take(const RecordHeader& header, uint8_t* fields) {
  std::memcpy(fields, shared_->ring + (taken_ & (kRingBytes - 1)) + sizeof header, header.size);
  advance(size_of(header));
}

bool Link::sleep() {
  if (!is_open()) return true;
  shared_->sleeping.store(1, std::memory_order_seq_cst);
  // The producer stores `written` before it reads `sleeping`: one of the two sees the other.
  if (shared_->written.load(std::memory_order_seq_cst) == taken_) return true;
  shared_->sleeping.store(0, std::memory_order_seq_cst);
  return false;
}

void Link::awake() {
  if (!is_open()) return;
  shared_->sleeping.store(0, std::memory_order_seq_cst);
  uint64_t count;
  [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &count, sizeof count);
}

void Link::wake_self() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t wrote = ::write(wake_.get(), &one, sizeof one);
}

bool Link::answer(uint32_t index, uint32_t generation, protocol::VerdictKind verdict, int32_t error,
                  const uint8_t* data, size_t size) {
  if (!is_open() || index >= protocol::kSlotCount || size > protocol::kSlotData) return false;
  Slot& slot = shared_->slots[index];
  constexpr auto asked = static_cast<uint32_t>(SlotState::asked), waited = static_cast<uint32_t>(SlotState::waited);
  uint32_t state = slot.state.load(std::memory_order_acquire);
  if (state != asked && state != waited) return false;
  if (slot.generation.load(std::memory_order_acquire) != generation) return false;
  slot.verdict = static_cast<uint32_t>(verdict);
  slot.error = error;
  slot.size = static_cast<uint32_t>(size);
  if (size != 0) std::memcpy(slot.data, data, size);
  while (!slot.state.compare_exchange_weak(state, static_cast<uint32_t>(SlotState::answered))) {
    if (state != asked && state != waited) return false;
  }
  if (state == waited) wake_all(&slot.state);
  return true;
}

}  // namespace holdfast
