// The barest question to a hook: speaks the channel as the supervisor does, but has no call to hold. Asks with an empty
// record, again and again, and prints the nanoseconds until the answer is there. asker <channel fd> <iterations>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../../../native/protocol/protocol.h"
#include "../../../native/protocol/tlv.h"

using namespace holdfast::protocol;

namespace {

double now_ns() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

[[noreturn]] void fail(const char* what) {
  perror(what);
  exit(1);
}

void receive(int socket, MessageType type, int* fds, size_t fd_count) {
  Message message = {};
  uint8_t rest[256];
  iovec data[] = {{&message, sizeof message}, {rest, sizeof rest}};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
  msghdr header = {};
  header.msg_iov = data;
  header.msg_iovlen = 2;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  if (recvmsg(socket, &header, 0) < static_cast<ssize_t>(sizeof message)) fail("recvmsg");
  if (message.type != static_cast<uint32_t>(type)) fail("message");
  if (fd_count == 0) return;
  const cmsghdr* rights = CMSG_FIRSTHDR(&header);
  if (rights == nullptr || rights->cmsg_len != CMSG_LEN(fd_count * sizeof(int))) fail("descriptors");
  memcpy(fds, CMSG_DATA(rights), fd_count * sizeof(int));
}

void ask(Shared& shared, int wake, uint32_t generation, uint32_t& written) {
  Slot& slot = shared.slots[0];
  uint8_t record[sizeof(RecordHeader) + 32];
  FieldWriter fields(record + sizeof(RecordHeader), 32);
  fields.number(Tag::slot_, 0);
  fields.number(Tag::generation_, generation);
  const RecordHeader header = {static_cast<uint32_t>(RecordKind::ask), 32};
  memcpy(record, &header, sizeof header);

  const uint32_t at = written & (kRingBytes - 1), left = kRingBytes - at;
  uint8_t* to = shared.ring + at;
  if (left < sizeof record) {
    const RecordHeader padding = {static_cast<uint32_t>(RecordKind::padding),
                                  left - static_cast<uint32_t>(sizeof(RecordHeader))};
    memcpy(to, &padding, sizeof padding);
    written += left;
    to = shared.ring;
  }
  memcpy(to, record, sizeof record);
  slot.generation.store(generation);
  slot.state.store(static_cast<uint32_t>(SlotState::asked));
  written += sizeof record;
  shared.written.store(written);
  if (shared.sleeping.exchange(0) != 0) {
    const uint64_t one = 1;
    if (write(wake, &one, sizeof one) < 0) fail("eventfd");
  }
  uint32_t asked = static_cast<uint32_t>(SlotState::asked);
  const uint32_t waited = static_cast<uint32_t>(SlotState::waited);
  slot.state.compare_exchange_strong(asked, waited);
  while (slot.state.load() == waited) syscall(SYS_futex, &slot.state, FUTEX_WAIT, waited, nullptr, nullptr, 0);
  slot.state.store(static_cast<uint32_t>(SlotState::free));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  const int socket = atoi(argv[1]);
  const uint32_t count = static_cast<uint32_t>(atoi(argv[2]));
  int fds[2];
  receive(socket, MessageType::hello, fds, 2);
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
  if (memory == MAP_FAILED) fail("mmap");
  const Message spawned = {kMagic, kVersion, static_cast<uint32_t>(MessageType::spawned), getpid(), 0, 0};
  if (send(socket, &spawned, sizeof spawned, 0) < 0) fail("send");
  receive(socket, MessageType::configure, nullptr, 0);
  receive(socket, MessageType::start, nullptr, 0);

  Shared& shared = *static_cast<Shared*>(memory);
  uint32_t written = 0, generation = 0;
  for (uint32_t warm = count / 20; warm > 0; warm--) ask(shared, fds[1], ++generation, written);
  const double start = now_ns();
  for (uint32_t n = 0; n < count; n++) ask(shared, fds[1], ++generation, written);
  printf("%.1f 0\n", (now_ns() - start) / count);
  return 0;
}
