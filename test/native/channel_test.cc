// The supervisor's end of the channel against a Node made of threads: order, a full ring, asks and their answers, calls
// that die while a hook thinks, and memory that the other end fills with nonsense.
// ThreadSanitizer: channel/channel.cc
#include <errno.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fake_node.h"

// In these tests a call is held until its test says otherwise.
bool Held::still_held() const {
  const auto* gone = reinterpret_cast<const std::atomic<bool>*>(cookie);
  return gone == nullptr || !gone->load();
}

bool Held::must_end() const {
  const auto* ending = reinterpret_cast<const std::atomic<bool>*>(args[0]);
  return ending != nullptr && ending->load();
}

static Node::Ask read_ask(FieldReader reader) {
  Node::Ask ask = {~0u, 0, -1};
  Field field;
  while (reader.next(field)) {
    if (field.tag == Tag::slot_) ask.slot = static_cast<uint32_t>(field.number());
    if (field.tag == Tag::generation_) ask.generation = static_cast<uint32_t>(field.number());
    if (field.tag == Tag::size_) ask.id = field.number();
  }
  CHECK(!reader.bad());
  return ask;
}

static void opening() {
  CHECK(Pair().result == 0);
  CHECK(Pair([](Shared& shared) { shared.magic++; }).result == EPROTO);
  CHECK(Pair([](Shared& shared) { shared.version++; }).result == EPROTO);
  CHECK(Pair([](Shared& shared) { shared.ring_bytes /= 2; }).result == EPROTO);
  CHECK(Pair([](Shared& shared) { shared.slot_count = 0; }).result == EPROTO);
  CHECK(Pair([](Shared& shared) { shared.slot_bytes++; }).result == EPROTO);
  CHECK(Pair([](Shared& shared) { shared.total_bytes++; }).result == EPROTO);
  CHECK(Pair([](Shared& shared) { shared.taken = 8; }).result == EPROTO);
  CHECK(Pair(nullptr, F_SEAL_GROW).result == EPROTO);
  CHECK(Pair(nullptr, F_SEAL_SHRINK, sizeof(Shared) - 1).result == EPROTO);
  CHECK(Pair(nullptr, F_SEAL_SHRINK, sizeof(Shared) + 1).result == EPROTO);
  CHECK(Channel().open(UniqueFd(::open("/dev/null", O_RDWR)), UniqueFd(), -1) == EPROTO);
  CHECK(Channel().open(UniqueFd(), UniqueFd(), -1) == EBADF);
}

// Every record arrives once, whole and, from one thread, in order; with a slow reader the ring is full most of the
// time.
static void records(int producers, int each, bool slow) {
  Pair pair;
  std::vector<int64_t> next(producers, 0);
  Node node(pair, [&](Node&, RecordKind kind, FieldReader reader) {
    CHECK(kind == RecordKind::violation);
    Field field;
    int64_t producer = -1, count = -1;
    while (reader.next(field)) {
      if (field.tag == Tag::pid_) producer = field.number();
      if (field.tag == Tag::count_) count = field.number();
      if (field.tag == Tag::message_)
        for (const char c : field.text()) CHECK(c == static_cast<char>(count));
    }
    CHECK(!reader.bad());
    CHECK(producer >= 0 && count == next[producer]);
    next[producer] = count + 1;
  });
  if (slow) node.delay = std::chrono::microseconds(20);
  node.start();
  std::vector<std::thread> threads;
  for (int producer = 0; producer < producers; producer++)
    threads.emplace_back([&, producer] {
      std::vector<uint8_t> buffer(kMaxRecord);
      for (int i = 0; i < each; i++) {
        FieldWriter writer(buffer.data(), buffer.size());
        writer.number(Tag::pid_, producer);
        writer.number(Tag::count_, i);
        const size_t longest = slow ? kMaxRecord - 64 : 600;
        writer.text(Tag::message_, std::string(static_cast<size_t>(i) * 7919 % longest, static_cast<char>(i)));
        CHECK(!writer.full());
        CHECK(pair.channel.send(RecordKind::violation, buffer.data(), writer.size()));
      }
    });
  for (auto& thread : threads) thread.join();
  node.stop = true;
  node.thread.join();
  for (const int64_t count : next) CHECK(count == each);
  std::vector<uint8_t> large(kMaxRecord + 8);
  CHECK(!pair.channel.send(RecordKind::violation, large.data(), large.size()));
  CHECK(!pair.channel.lost());
}

static void asks(int threads_count, int each) {
  Pair pair;
  Node node(pair, [](Node& node, RecordKind kind, FieldReader reader) {
    CHECK(kind == RecordKind::ask);
    const Node::Ask ask = read_ask(reader);
    CHECK(
        node.answer(ask.slot, ask.generation, VerdictKind::redirect, static_cast<int>(ask.id), std::to_string(ask.id)));
  });
  node.start();
  std::vector<std::thread> threads;
  for (int t = 0; t < threads_count; t++)
    threads.emplace_back([&, t] {
      Held call;
      for (int i = 0; i < each; i++) {
        const int id = t * each + i;
        const auto answer = pair.channel.ask(call, [&](FieldWriter& writer) { writer.number(Tag::size_, id); });
        CHECK(!answer.gone && !answer.lost && answer.verdict == VerdictKind::redirect);
        CHECK(answer.error == id && answer.data == std::to_string(id));
      }
    });
  for (auto& thread : threads) thread.join();
}

// In a burst Node has answered before the worker sleeps: it need not be woken, and finds its answer.
static void answered_before_sleep() {
  Pair pair;
  Node node(pair, [](Node& node, RecordKind, FieldReader reader) {
    const Node::Ask ask = read_ask(reader);
    const auto& state = node.shared.slots[ask.slot].state;
    CHECK(state.load() == static_cast<uint32_t>(SlotState::asked));
    CHECK(node.answer(ask.slot, ask.generation, VerdictKind::allow, static_cast<int>(ask.id)));
    CHECK(state.load() == static_cast<uint32_t>(SlotState::answered));
  });
  for (int id = 0; id < 300; id++) {
    const auto answer = pair.channel.ask(
        Held(), [&](FieldWriter& writer) { writer.number(Tag::size_, id); }, [&] { CHECK(node.drain()); });
    CHECK(answer.verdict == VerdictKind::allow && answer.error == id);
  }
}

// More calls at once than slots: the rest waits, and all are answered although none is before the last slot is taken.
static void more_than_slots() {
  Pair pair;
  std::vector<Node::Ask> held;
  Node node(pair, [&](Node&, RecordKind, FieldReader reader) { held.push_back(read_ask(reader)); });
  node.on_idle = [&](Node& node) {
    if (held.size() < kSlotCount) return;
    for (const Node::Ask& ask : held)
      CHECK(node.answer(ask.slot, ask.generation, VerdictKind::allow, static_cast<int>(ask.id)));
    held.clear();
  };
  node.start();
  std::vector<std::thread> threads;
  for (int id = 0; id < 2 * static_cast<int>(kSlotCount); id++)
    threads.emplace_back([&, id] {
      Held call;
      const auto answer = pair.channel.ask(call, [&](FieldWriter& writer) { writer.number(Tag::size_, id); });
      CHECK(answer.verdict == VerdictKind::allow && answer.error == id);
    });
  for (auto& thread : threads) thread.join();
}

// Calls die while their hook thinks, and the hook answers all the same: nobody else may get that answer.
static void dying_calls() {
  Pair pair;
  std::deque<Node::Ask> late;
  std::map<uint32_t, int> forgotten;
  int answered_late = 0;
  Node node(pair, [&](Node& node, RecordKind kind, FieldReader reader) {
    const Node::Ask ask = read_ask(reader);
    if (kind == RecordKind::forgotten) {
      forgotten[ask.slot]++;
      return;
    }
    if (ask.id % 2 == 0) {
      CHECK(node.answer(ask.slot, ask.generation, VerdictKind::allow, static_cast<int>(ask.id)));
    } else {
      late.push_back(ask);
    }
    // Answers of calls that are long gone, and whose slots others use now.
    while (late.size() > 3) {
      answered_late +=
          node.answer(late.front().slot, late.front().generation, VerdictKind::deny, static_cast<int>(late.front().id));
      late.pop_front();
    }
  });
  node.start();
  std::vector<std::thread> threads;
  std::atomic<int> gone_calls{0};
  for (int t = 0; t < 8; t++)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 40; i++) {
        const int id = t * 40 + i;
        // Some callers are dead, and some only have a signal that will end them.
        std::atomic<bool> gone{id % 4 == 1}, ending{id % 4 == 3};
        Held call;
        call.cookie = reinterpret_cast<uint64_t>(&gone);
        call.args[0] = reinterpret_cast<uint64_t>(&ending);
        const auto answer = pair.channel.ask(call, [&](FieldWriter& writer) { writer.number(Tag::size_, id); });
        CHECK(!answer.lost);
        if (answer.gone)
          gone_calls++;
        else
          CHECK(answer.error == id && (answer.verdict == VerdictKind::allow) == (id % 2 == 0));
      }
    });
  for (auto& thread : threads) thread.join();
  node.stop = true;
  node.thread.join();
  int told = 0;
  for (const auto& [slot, count] : forgotten) told += count;
  CHECK(told == gone_calls);
  CHECK(gone_calls > 0);
}

// A call that dies while it waits for a slot is gone, and takes none.
static void dying_without_slot() {
  Pair pair;
  std::vector<std::thread> threads;
  std::atomic<uint32_t> lost{0};
  for (uint32_t i = 0; i < kSlotCount; i++)
    threads.emplace_back([&] {
      Held call;
      lost += pair.channel.ask(call, [](FieldWriter&) {}).lost;
    });
  while (pair.channel.shared()->written.load() < kSlotCount * 40) std::this_thread::yield();
  std::atomic<bool> gone{true};
  Held call;
  call.cookie = reinterpret_cast<uint64_t>(&gone);
  const auto answer = pair.channel.ask(call, [](FieldWriter&) { CHECK(!"there is no slot"); });
  CHECK(answer.gone && !answer.lost);
  pair.channel.lose();
  for (auto& thread : threads) thread.join();
  CHECK(lost == kSlotCount);
}

static void losing() {
  Pair pair;
  std::thread full([&] {
    std::vector<uint8_t> buffer(4096);
    while (pair.channel.send(RecordKind::violation, buffer.data(), buffer.size())) continue;
    CHECK(pair.channel.lost());
  });
  std::thread asking([&] {
    Held call;
    CHECK(pair.channel.ask(call, [](FieldWriter&) {}).lost);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  CHECK(!pair.channel.lost());
  pair.channel.lose();
  full.join();
  asking.join();
  CHECK(!pair.channel.send(RecordKind::exit, nullptr, 0));
}

// Node's memory goes wrong: the channel is given up, and the socket says so to whoever watches it.
static void nonsense() {
  const auto broken = [](Pair& pair) {
    char byte;
    return pair.channel.lost() && recv(pair.sockets[1], &byte, 1, MSG_DONTWAIT) == 0;
  };
  for (const uint32_t taken : {8u, 0x80000000u, ~0u, 0u - kRingBytes - 8}) {
    Pair pair;
    pair.channel.shared()->taken = taken;
    CHECK(!pair.channel.send(RecordKind::exit, nullptr, 0));
    CHECK(broken(pair));
  }
  {
    Pair pair;
    Node node(pair, [](Node& node, RecordKind, FieldReader reader) {
      Slot& slot = node.shared.slots[read_ask(reader).slot];
      slot.size = ~0u;
      slot.state.store(static_cast<uint32_t>(SlotState::answered));
    });
    node.start();
    Held call;
    CHECK(pair.channel.ask(call, [](FieldWriter&) {}).lost);
    CHECK(broken(pair));
  }
  {
    Pair pair;
    Node node(pair,
              [](Node& node, RecordKind, FieldReader reader) { node.shared.slots[read_ask(reader).slot].state = 77; });
    node.start();
    Held call;
    CHECK(pair.channel.ask(call, [](FieldWriter&) {}).lost);
    CHECK(broken(pair));
  }
  {
    Pair pair;
    pair.channel.shared()->written = 12345;  // is ours: what stands there does not matter to us
    for (int i = 0; i < 3; i++) CHECK(pair.channel.send(RecordKind::exit, nullptr, 0));
    CHECK(pair.channel.shared()->written.load() == 24);
  }
  {
    Pair pair;
    Held call;
    const std::string large(kMaxRecord, 'x');
    CHECK(pair.channel.ask(call, [&](FieldWriter& writer) { writer.text(Tag::path_, large); }).too_long);
    CHECK(pair.channel.shared()->written.load() == 0);
  }
}

int main() {
  opening();
  records(1, 20'000, false);
  records(4, 10'000, false);
  records(4, 300, true);
  asks(1, 2000);
  asks(6, 1000);
  answered_before_sleep();
  more_than_slots();
  dying_calls();
  dying_without_slot();
  losing();
  nonsense();
  if (failures == 0) std::printf("channel: ok\n");
  return failures == 0 ? 0 : 1;
}
