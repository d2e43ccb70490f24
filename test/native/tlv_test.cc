// Fields: what is written is read, what does not fit is not written, and the reader stays inside whatever it is given.
#include "../../native/protocol/tlv.h"

#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"

using namespace holdfast::protocol;

static void round_trip() {
  uint8_t buffer[256];
  FieldWriter writer(buffer, sizeof buffer);
  writer.number(Tag::pid_, -1);
  const size_t outer = writer.begin(Tag::fileRule_);
  writer.text(Tag::path_, "/a");
  const size_t inner = writer.begin(Tag::options_);
  writer.end(inner);
  writer.text(Tag::label_, "");
  writer.end(outer);
  writer.text(Tag::argv_, "12345678");
  writer.text(Tag::argv_, std::string_view("a\0b", 3));
  CHECK(!writer.full() && writer.size() % 8 == 0 && writer.size() + writer.room() == sizeof buffer);

  FieldReader reader(buffer, writer.size());
  Field field;
  CHECK(reader.next(field) && field.tag == Tag::pid_ && field.number() == -1);
  CHECK(reader.next(field) && field.tag == Tag::fileRule_);
  {
    FieldReader nested(field);
    Field part;
    CHECK(nested.next(part) && part.tag == Tag::path_ && part.text() == "/a" && part.number(7) == 7);
    CHECK(nested.next(part) && part.tag == Tag::options_ && part.size == 0);
    CHECK(nested.next(part) && part.tag == Tag::label_ && part.text().empty());
    CHECK(!nested.next(part) && !nested.bad());
  }
  CHECK(reader.next(field) && field.text() == "12345678");
  CHECK(reader.next(field) && field.text() == std::string_view("a\0b", 3));
  CHECK(!reader.next(field) && !reader.bad());
}

// Whatever the room, nothing is written behind it, and `full` says whether all of it is there.
static void no_room() {
  for (size_t room = 0; room <= 80; room++) {
    const std::unique_ptr<uint8_t[]> buffer(new uint8_t[room]);  // AddressSanitizer watches its ends
    FieldWriter writer(buffer.get(), room);
    writer.number(Tag::pid_, 1);
    const size_t nested = writer.begin(Tag::options_);
    writer.text(Tag::path_, "123456789");
    writer.end(nested);
    writer.text(Tag::label_, "x");
    CHECK(writer.full() == (room < 64));
    CHECK(writer.size() <= room);
  }
}

static void truncated() {
  uint8_t buffer[128];
  FieldWriter writer(buffer, sizeof buffer);
  writer.number(Tag::pid_, 1);
  writer.text(Tag::path_, "123456789");
  for (size_t size = 0; size <= writer.size(); size++) {
    const std::vector<uint8_t> copy(buffer, buffer + size);
    FieldReader reader(copy.data(), copy.size());
    Field field;
    int fields = 0;
    while (reader.next(field)) fields++;
    CHECK(reader.bad() == (size != 0 && size != 16 && size != 40));
    CHECK(fields == (size < 16 ? 0 : size < 40 ? 1 : 2));
    CHECK(!reader.next(field));
  }
}

static void read_all(const uint8_t* data, size_t size, int depth) {
  FieldReader reader(data, size);
  Field field;
  uint64_t sum = 0;
  while (reader.next(field)) {
    CHECK(field.data >= data && field.data + field.size <= data + size);
    for (const char c : field.text()) sum += static_cast<uint8_t>(c);
    sum += static_cast<uint64_t>(field.number());
    if (depth < 4) read_all(field.data, field.size, depth + 1);
  }
  if (sum == 1) std::printf("one\n");  // so that the reads are not optimised away
}

static void noise() {
  std::mt19937 random(3);
  for (int round = 0; round < 100'000; round++) {
    std::vector<uint8_t> data(random() % 96);
    for (uint8_t& byte : data) byte = random() % 3 == 0 ? random() : random() % 2 * 8;
    // A size close to the limits of its type.
    if (data.size() >= 8 && random() % 4 == 0)
      std::memset(data.data() + 4, 0xff - random() % 9, 4), data[2] = data[3] = 0;
    read_all(data.data(), data.size(), 0);
  }
}

int main() {
  round_trip();
  no_room();
  truncated();
  noise();
  if (failures == 0) std::printf("tlv: ok\n");
  return failures == 0 ? 0 : 1;
}
