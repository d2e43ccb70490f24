#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bit>
#include <cstring>
#include <memory>

namespace holdfast {

using protocol::FieldWriter;
using protocol::kRingBytes;
using protocol::kSlotCount;
using protocol::kSlotData;
using protocol::RecordHeader;
using protocol::RecordKind;
using protocol::Shared;
using protocol::Slot;
using protocol::SlotState;
using protocol::Tag;

namespace {

// Nothing that the other side does or fails to do may hold a thread for good, so every wait looks up this often.
constexpr long kSliceNs = 50'000'000;

constexpr uint32_t as_word(SlotState state) { return static_cast<uint32_t>(state); }

// Shared with another process unless said otherwise, so without FUTEX_PRIVATE_FLAG.
void futex_wait(const std::atomic<uint32_t>& word, uint32_t expected, int flags = 0) {
  const timespec slice = {0, kSliceNs};
  syscall(SYS_futex, &word, FUTEX_WAIT | flags, expected, &slice, nullptr, 0);
}

void futex_wake(const std::atomic<uint32_t>& word, int count, int flags) {
  syscall(SYS_futex, &word, FUTEX_WAKE | flags, count, nullptr, nullptr, 0);
}

// Where a thread writes its ask before it goes into the ring: too large for a stack, too frequent for the heap.
uint8_t* ask_buffer() {
  thread_local std::unique_ptr<uint8_t[]> buffer(new uint8_t[protocol::kMaxRecord]);
  return buffer.get();
}

}  // namespace

Channel::~Channel() {
  if (shared_ != nullptr) munmap(shared_, sizeof *shared_);
}

int Channel::open(UniqueFd memory, UniqueFd wake, int socket) {
  struct stat status;
  if (fstat(memory.get(), &status) != 0) return errno;
  if (status.st_size != static_cast<off_t>(sizeof(Shared))) return EPROTO;
  // Without the seal the other end could cut the file, and a touch of the mapping would be SIGBUS.
  const int seals = fcntl(memory.get(), F_GET_SEALS);
  if (seals < 0) return errno;
  if ((seals & F_SEAL_SHRINK) == 0) return EPROTO;
  void* at = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (at == MAP_FAILED) return errno;
  shared_ = static_cast<Shared*>(at);
  if (shared_->magic != protocol::kMagic || shared_->version != protocol::kVersion ||
      shared_->ring_bytes != kRingBytes || shared_->slot_count != kSlotCount || shared_->slot_bytes != sizeof(Slot) ||
      shared_->total_bytes != sizeof(Shared) || shared_->written.load() != 0 || shared_->taken.load() != 0) {
    munmap(shared_, sizeof *shared_);
    shared_ = nullptr;
    return EPROTO;
  }
  for (auto& word : free_) word.store(~uint64_t{0});
  std::memset(generations_, 0, sizeof generations_);
  wake_ = static_cast<UniqueFd&&>(wake);
  socket_ = socket;
  return 0;
}

void Channel::break_off() {
  lost_.store(true);
  if (socket_ >= 0) shutdown(socket_, SHUT_RDWR);
}

void Channel::wake() {
  // Node sets `sleeping` and then looks at `written` once more; we the other way round, all of it sequentially
  // consistent: one of us sees the other.
  if (shared_->sleeping.load() == 0 || shared_->sleeping.exchange(0) == 0) return;
  const uint64_t one = 1;
  while (write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) continue;
}

bool Channel::send(RecordKind kind, const uint8_t* fields, size_t size) {
  if (!append(kind, fields, size, true)) return false;
  wake();
  return true;
}

void Channel::wait_until_taken() {
  for (long nanoseconds = 50'000; !lost() && shared_->taken.load() != shared_->written.load();) {
    wake();
    pollfd end = {socket_, POLLRDHUP, 0};
    const timespec tick = {0, nanoseconds};
    if (ppoll(&end, 1, &tick, nullptr) > 0) return;
    nanoseconds = std::min(2 * nanoseconds, 10'000'000L);
  }
}

bool Channel::send_now(RecordKind kind, const uint8_t* fields, size_t size) {
  return append(kind, fields, size, false);
}

bool Channel::append(RecordKind kind, const uint8_t* fields, size_t size, bool may_wait, uint64_t* end) {
  if (size > protocol::kMaxRecord) return false;
  const uint32_t padded = static_cast<uint32_t>((size + 7) & ~size_t{7});
  const uint32_t length = sizeof(RecordHeader) + padded;
  {
    std::unique_lock<std::mutex> hold(producers_, std::defer_lock);
    if (may_wait)
      hold.lock();
    else if (!hold.try_lock())  // its holder may wait for room
      return false;
    uint64_t written = written_.load(std::memory_order_relaxed);
    const uint32_t at = static_cast<uint32_t>(written) & (kRingBytes - 1);
    const uint32_t to_end = kRingBytes - at;
    const uint32_t skipped = to_end < length ? to_end : 0;
    for (;;) {
      if (lost()) return false;
      const uint32_t taken = shared_->taken.load(std::memory_order_acquire);
      const uint32_t used = static_cast<uint32_t>(written) - taken;
      if (used > kRingBytes || taken % 8 != 0) {
        break_off();
        return false;
      }
      if (kRingBytes - used >= skipped + length) break;
      if (!may_wait) return false;
      futex_wait(shared_->taken, taken);
    }
    uint8_t* to = shared_->ring + at;
    if (skipped != 0) {
      const RecordHeader padding = {static_cast<uint32_t>(RecordKind::padding),
                                    skipped - static_cast<uint32_t>(sizeof(RecordHeader))};
      std::memcpy(to, &padding, sizeof padding);
      to = shared_->ring;
    }
    const RecordHeader header = {static_cast<uint32_t>(kind), static_cast<uint32_t>(size)};
    std::memcpy(to, &header, sizeof header);
    if (size != 0) std::memcpy(to + sizeof header, fields, size);
    std::memset(to + sizeof header + size, 0, padded - size);
    written += skipped + length;
    written_.store(written, std::memory_order_relaxed);
    shared_->written.store(static_cast<uint32_t>(written));
    if (end != nullptr) *end = written;
  }
  return true;
}

int Channel::take_slot(const Held& call, bool& gone) {
  for (;;) {
    if (lost()) return -1;
    if (any_abandoned_.load(std::memory_order_relaxed)) reclaim_abandoned();
    const uint32_t freed = freed_.load(std::memory_order_acquire);
    for (unsigned i = 0; i < kFreeWords; i++) {
      uint64_t word = free_[i].load(std::memory_order_relaxed);
      while (word != 0) {
        const unsigned bit = static_cast<unsigned>(std::countr_zero(word));
        if (free_[i].compare_exchange_weak(word, word & ~(uint64_t{1} << bit), std::memory_order_acquire))
          return static_cast<int>(i * 64 + bit);
      }
    }
    waiting_.fetch_add(1);
    if (freed_.load() == freed) futex_wait(freed_, freed, FUTEX_PRIVATE_FLAG);
    waiting_.fetch_sub(1);
    if (freed_.load() == freed && (!call.still_held() || call.must_end())) {
      gone = true;
      return -1;
    }
  }
}

void Channel::free_slot(uint32_t slot) {
  free_[slot / 64].fetch_or(uint64_t{1} << slot % 64, std::memory_order_release);
  freed_.fetch_add(1);
  if (waiting_.load() != 0) futex_wake(freed_, 1, FUTEX_PRIVATE_FLAG);
}

void Channel::reclaim_abandoned() {
  std::lock_guard<std::mutex> hold(abandoned_guard_);
  // `taken` first: it never runs ahead of a `written_` that is read after it, by more than the ring.
  const uint32_t taken = shared_->taken.load(std::memory_order_acquire);
  const uint64_t written = written_.load(std::memory_order_acquire);
  const uint32_t used = static_cast<uint32_t>(written) - taken;
  if (used > kRingBytes) return;  // nonsense, or a moment's picture; append() tells them apart
  const uint64_t seen = written - used;
  std::erase_if(abandoned_, [&](const Abandoned& old) {
    if (old.until > seen) return false;
    free_slot(old.slot);
    return true;
  });
  any_abandoned_.store(!abandoned_.empty(), std::memory_order_relaxed);
}

void Channel::abandon(uint32_t slot, uint32_t generation) {
  uint32_t waited = as_word(SlotState::waited);
  shared_->slots[slot].state.compare_exchange_strong(waited, as_word(SlotState::abandoned));
  uint8_t fields[64];
  FieldWriter writer(fields, sizeof fields);
  writer.number(Tag::slot_, slot);
  writer.number(Tag::generation_, generation);
  uint64_t until;
  if (!append(RecordKind::forgotten, fields, writer.size(), true, &until)) return;  // lost: nobody asks any more
  wake();
  std::lock_guard<std::mutex> hold(abandoned_guard_);
  abandoned_.push_back({slot, until});
  any_abandoned_.store(true, std::memory_order_relaxed);
}

Channel::Answer Channel::ask(const Held& call, const std::function<void(FieldWriter&)>& build,
                             const std::function<void()>& before_sleep) {
  Answer answer;
  const int taken = take_slot(call, answer.gone);
  if (taken < 0) {
    answer.lost = !answer.gone;
    return answer;
  }
  const uint32_t number = static_cast<uint32_t>(taken);
  Slot& slot = shared_->slots[number];
  const uint32_t generation = ++generations_[number];
  uint8_t* const buffer = ask_buffer();
  FieldWriter writer(buffer, protocol::kMaxRecord);
  writer.number(Tag::slot_, number);
  writer.number(Tag::generation_, generation);
  build(writer);
  if (writer.full()) {
    free_slot(number);
    answer.too_long = true;
    return answer;
  }
  // Node answers only a slot that is asked and of the generation that it was asked in.
  slot.generation.store(generation, std::memory_order_relaxed);
  slot.state.store(as_word(SlotState::asked), std::memory_order_release);
  if (!append(RecordKind::ask, buffer, writer.size(), true)) {
    answer.lost = true;
    return answer;
  }
  wake();
  before_sleep();
  // In a burst Node may have answered already, and then nobody needs to be woken.
  uint32_t asked = as_word(SlotState::asked);
  slot.state.compare_exchange_strong(asked, as_word(SlotState::waited));
  return wait(number, generation, call);
}

Channel::Answer Channel::wait(uint32_t number, uint32_t generation, const Held& call) {
  Slot& slot = shared_->slots[number];
  Answer answer;
  for (;;) {
    const uint32_t state = slot.state.load(std::memory_order_acquire);
    if (state == as_word(SlotState::answered)) break;
    if (state != as_word(SlotState::waited)) break_off();
    if (lost()) {
      answer.lost = true;
      return answer;
    }
    futex_wait(slot.state, as_word(SlotState::waited));
    if (slot.state.load(std::memory_order_relaxed) == as_word(SlotState::waited) &&
        (!call.still_held() || call.must_end())) {
      abandon(number, generation);
      answer.gone = true;
      return answer;
    }
  }
  answer.verdict = static_cast<protocol::VerdictKind>(slot.verdict);
  answer.error = slot.error;
  const uint32_t size = slot.size;
  if (size == protocol::kDataElsewhere && take_delivered(number, answer.data)) {
    // Not in the slot.
  } else if (size <= kSlotData) {
    answer.data.assign(reinterpret_cast<const char*>(slot.data), size);
  } else {
    break_off();
    answer.lost = true;
  }
  slot.state.store(as_word(SlotState::free), std::memory_order_relaxed);
  free_slot(number);
  return answer;
}

bool Channel::take_delivered(uint32_t number, std::string& out) {
  std::lock_guard<std::mutex> hold(delivered_guard_);
  const auto at = delivered_.find(number);
  if (at == delivered_.end()) return false;
  out = std::move(at->second);
  delivered_.erase(at);
  return true;
}

bool Channel::deliver(uint32_t number, uint32_t generation, protocol::VerdictKind verdict, std::string data) {
  if (number >= kSlotCount || data.size() > protocol::kMostVerdictData) return false;
  Slot& slot = shared_->slots[number];
  const auto is_open = [](uint32_t state) {
    return state == as_word(SlotState::asked) || state == as_word(SlotState::waited);
  };
  uint32_t state = slot.state.load(std::memory_order_acquire);
  if (!is_open(state) || slot.generation.load(std::memory_order_acquire) != generation) return false;
  {
    std::lock_guard<std::mutex> hold(delivered_guard_);
    delivered_.insert_or_assign(number, std::move(data));
  }
  slot.verdict = static_cast<uint32_t>(verdict);
  slot.error = 0;
  slot.size = protocol::kDataElsewhere;
  while (!slot.state.compare_exchange_weak(state, as_word(SlotState::answered))) {
    if (is_open(state)) continue;
    std::string unused;
    take_delivered(number, unused);
    return false;
  }
  if (state == as_word(SlotState::waited)) futex_wake(slot.state, 1, 0);
  return true;
}

}  // namespace holdfast
