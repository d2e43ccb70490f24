#include "text.h"

#include <cstring>

namespace holdfast {
namespace {

constexpr uint16_t kTags[] = {
#define FIELD(name, tag) tag,
#include "../protocol/fields.def"
#undef FIELD
};

struct Known {
  bool of_type[16][kTagsOfType] = {};
};

constexpr Known known() {
  Known result;
  for (const uint16_t tag : kTags) result.of_type[tag >> 12][tag & (kTagsOfType - 1)] = true;
  return result;
}

constexpr bool fit() {
  for (const uint16_t tag : kTags)
    if ((tag & 0xfff) >= kTagsOfType) return false;
  return true;
}
static_assert(fit());

constexpr Known kKnown = known();

}  // namespace

bool is_known(protocol::Tag tag) {
  const auto number = static_cast<uint16_t>(tag);
  return (number & 0xfff) < kTagsOfType && kKnown.of_type[number >> 12][number & 0xfff];
}

bool is_ascii(const uint8_t* data, size_t size) {
  size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    uint64_t word;
    std::memcpy(&word, data + i, 8);
    if ((word & 0x8080808080808080u) != 0) return false;
  }
  for (; i < size; i++) {
    if (data[i] >= 0x80) return false;
  }
  return true;
}

bool is_utf8(const uint8_t* data, size_t size) {
  for (size_t i = 0; i < size;) {
    const uint8_t first = data[i++];
    if (first < 0x80) continue;
    size_t more = 0;
    uint8_t low = 0x80, high = 0xbf;
    if (first >= 0xc2 && first <= 0xdf) {
      more = 1;
    } else if (first >= 0xe0 && first <= 0xef) {
      more = 2;
      if (first == 0xe0) low = 0xa0;
      if (first == 0xed) high = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
      more = 3;
      if (first == 0xf0) low = 0x90;
      if (first == 0xf4) high = 0x8f;
    } else {
      return false;
    }
    for (; more > 0; more--, i++) {
      if (i >= size || data[i] < low || data[i] > high) return false;
      low = 0x80;
      high = 0xbf;
    }
  }
  return true;
}

}  // namespace holdfast
