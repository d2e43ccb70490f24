// Fields and texts of records, for both ways into JS.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../protocol/protocol.h"

namespace holdfast {

// The top digit of a tag (fields.def).
enum class Type : uint16_t { integer = 0, text = 1, nested = 2, texts = 3, integers = 4, bytes = 5 };

inline Type type_of(protocol::Tag tag) { return static_cast<Type>(static_cast<uint16_t>(tag) >> 12); }

// The rest of a tag, and JS has tables that are so long (lib/hooks/asks.ts).
inline constexpr uint16_t kTagsOfType = 512;

// Whether a record may have such a field.
bool is_known(protocol::Tag tag);

bool is_ascii(const uint8_t* data, size_t size);

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(const uint8_t* data, size_t size);

}  // namespace holdfast
