// Fields as both ends write and read them: u16 tag, u16 zero, u32 size, `size` bytes, padded with zeros to 8.
// The reader trusts nothing: whatever does not fit ends the reading and sets `bad`.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "protocol.h"

namespace holdfast::protocol {

class FieldWriter {
 public:
  FieldWriter(uint8_t* buffer, size_t capacity) : buffer_(buffer), capacity_(capacity) {}

  void bytes(Tag tag, const void* data, size_t size) {
    uint8_t* at = reserve(tag, size);
    if (at != nullptr && size != 0) std::memcpy(at, data, size);
  }
  void text(Tag tag, std::string_view value) { bytes(tag, value.data(), value.size()); }
  void number(Tag tag, int64_t value) { bytes(tag, &value, sizeof value); }

  // Nested fields: begin() and end() around them.
  size_t begin(Tag tag) {
    size_t mark = size_;
    reserve(tag, 0);
    return mark;
  }
  void end(size_t mark) {
    if (full_) return;
    const uint32_t inner = static_cast<uint32_t>(size_ - mark - 8);
    std::memcpy(buffer_ + mark + 4, &inner, 4);
  }

  bool full() const { return full_; }  // something did not fit: the record must not be used
  size_t size() const { return size_; }
  size_t room() const { return capacity_ - size_; }

 private:
  uint8_t* reserve(Tag tag, size_t size) {
    const size_t padded = (size + 7) & ~size_t{7};
    if (full_ || size > UINT32_MAX || padded + 8 > capacity_ - size_) {
      full_ = true;
      return nullptr;
    }
    uint8_t* at = buffer_ + size_;
    const uint16_t head[2] = {static_cast<uint16_t>(tag), 0};
    const uint32_t length = static_cast<uint32_t>(size);
    std::memcpy(at, head, 4);
    std::memcpy(at + 4, &length, 4);
    std::memset(at + 8 + size, 0, padded - size);
    size_ += 8 + padded;
    return at + 8;
  }

  uint8_t* buffer_;
  size_t capacity_;
  size_t size_ = 0;
  bool full_ = false;
};

struct Field {
  Tag tag;
  const uint8_t* data;
  uint32_t size;

  std::string_view text() const { return {reinterpret_cast<const char*>(data), size}; }
  // An integer field has exactly 8 bytes; anything else reads as `otherwise`.
  int64_t number(int64_t otherwise = 0) const {
    if (size != 8) return otherwise;
    int64_t value;
    std::memcpy(&value, data, 8);
    return value;
  }
};

class FieldReader {
 public:
  FieldReader(const uint8_t* data, size_t size) : data_(data), left_(size) {}
  explicit FieldReader(const Field& nested) : FieldReader(nested.data, nested.size) {}

  bool next(Field& field) {
    if (left_ == 0) return false;
    uint16_t head[2];
    uint32_t size;
    if (left_ < 8) return fail();
    std::memcpy(head, data_, 4);
    std::memcpy(&size, data_ + 4, 4);
    const uint64_t padded = (uint64_t{size} + 7) & ~uint64_t{7};
    if (head[1] != 0 || padded > left_ - 8) return fail();
    field = {static_cast<Tag>(head[0]), data_ + 8, size};
    data_ += 8 + padded;
    left_ -= 8 + padded;
    return true;
  }

  bool bad() const { return bad_; }

 private:
  bool fail() {
    bad_ = true;
    left_ = 0;
    return false;
  }
  const uint8_t* data_;
  size_t left_;
  bool bad_ = false;
};

}  // namespace holdfast::protocol
