#include "record_to_js.h"

#include <cstring>
#include <string>

#include "../protocol/tlv.h"
#include "text.h"

namespace holdfast {
namespace {

using protocol::Field;
using protocol::FieldReader;
using protocol::RecordKind;
using protocol::Tag;

struct Name {
  uint16_t tag;
  const char* name;
};

constexpr Name kNames[] = {
#define FIELD(name, tag) {tag, #name},
#include "../protocol/fields.def"
#undef FIELD
};
constexpr size_t kNameCount = sizeof kNames / sizeof kNames[0];

int index_of(Tag tag) {
  for (size_t i = 0; i < kNameCount; i++) {
    if (kNames[i].tag == static_cast<uint16_t>(tag)) return static_cast<int>(i);
  }
  return -1;
}

napi_value integer(napi_env env, int64_t value) {
  constexpr int64_t kSafe = (int64_t{1} << 53) - 1;
  napi_value result = nullptr;
  if (value >= INT32_MIN && value <= INT32_MAX) {
    napi_create_int32(env, static_cast<int32_t>(value), &result);
  } else if (value >= -kSafe && value <= kSafe) {
    napi_create_int64(env, value, &result);
  } else {
    napi_create_bigint_int64(env, value, &result);
  }
  return result;
}

napi_value text(napi_env env, const Field& field, bool& exact) {
  napi_value result = nullptr;
  const auto* chars = reinterpret_cast<const char*>(field.data);
  exact = true;
  if (is_ascii(field.data, field.size)) {
    napi_create_string_latin1(env, chars, field.size, &result);
  } else {
    exact = is_utf8(field.data, field.size);
    napi_create_string_utf8(env, chars, field.size, &result);
  }
  return result;
}

// Sets the exact bytes beside the repaired text.
bool set_bytes(napi_env env, napi_value object, const char* name, const Field& field) {
  napi_value buffer;
  if (napi_create_buffer_copy(env, field.size, field.data, nullptr, &buffer) != napi_ok) return false;
  return napi_set_named_property(env, object, (std::string(name) + "Bytes").c_str(), buffer) == napi_ok;
}

bool append(napi_env env, napi_value object, const char* name, napi_value value) {
  bool there = false;
  napi_value list;
  uint32_t length = 0;
  if (napi_has_named_property(env, object, name, &there) != napi_ok) return false;
  if (there) {
    if (napi_get_named_property(env, object, name, &list) != napi_ok) return false;
    if (napi_get_array_length(env, list, &length) != napi_ok) return false;
  } else {
    if (napi_create_array(env, &list) != napi_ok) return false;
    if (napi_set_named_property(env, object, name, list) != napi_ok) return false;
  }
  return napi_set_element(env, list, length, value) == napi_ok;
}

// Fields within fields lie no deeper than this.
constexpr int kDeepest = 4;

napi_value object_of(napi_env env, FieldReader reader, int depth);

bool set_field(napi_env env, napi_value object, const Field& field, int depth) {
  const int index = index_of(field.tag);
  if (index < 0) return false;
  const char* name = kNames[index].name;
  switch (type_of(field.tag)) {
    case Type::integer:
    case Type::integers: {
      if (field.size != 8) return false;
      const napi_value value = integer(env, field.number());
      if (value == nullptr) return false;
      if (type_of(field.tag) == Type::integers) return append(env, object, name, value);
      return napi_set_named_property(env, object, name, value) == napi_ok;
    }
    case Type::text:
    case Type::texts: {
      bool exact;
      const napi_value value = text(env, field, exact);
      if (value == nullptr) return false;
      if (type_of(field.tag) == Type::texts) return append(env, object, name, value);
      if (napi_set_named_property(env, object, name, value) != napi_ok) return false;
      return exact || set_bytes(env, object, name, field);
    }
    case Type::nested: {
      const napi_value value = depth < kDeepest ? object_of(env, FieldReader(field), depth + 1) : nullptr;
      return value != nullptr && append(env, object, name, value);
    }
    case Type::bytes: {
      napi_value value;
      return napi_create_buffer_copy(env, field.size, field.data, nullptr, &value) == napi_ok &&
             napi_set_named_property(env, object, name, value) == napi_ok;
    }
  }
  return false;
}

napi_value object_of(napi_env env, FieldReader reader, int depth) {
  napi_value object;
  if (napi_create_object(env, &object) != napi_ok) return nullptr;
  for (Field field; reader.next(field);) {
    if (!set_field(env, object, field, depth)) return nullptr;
  }
  return reader.bad() ? nullptr : object;
}

}  // namespace

const char* record_kind_name(RecordKind kind) {
  constexpr const char* kKinds[] = {
      "padding",
#define RECORD(name) #name,
#include "../protocol/records.def"
#undef RECORD
  };
  return kind < RecordKind::end ? kKinds[static_cast<size_t>(kind)] : "unknown";
}

napi_value record_to_js(napi_env env, RecordKind kind, const std::vector<uint8_t>& fields) {
  const napi_value object = object_of(env, FieldReader(fields.data(), fields.size()), 0);
  if (object == nullptr) return nullptr;
  // Last: a field of this name must not hide what the record is.
  napi_value name;
  if (napi_create_string_utf8(env, record_kind_name(kind), NAPI_AUTO_LENGTH, &name) != napi_ok) return nullptr;
  if (napi_set_named_property(env, object, "kind", name) != napi_ok) return nullptr;
  return object;
}

}  // namespace holdfast
