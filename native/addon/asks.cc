#include "asks.h"

#include <cstring>

#include "text.h"

namespace holdfast {

using protocol::Field;
using protocol::FieldReader;
using protocol::RecordHeader;
using protocol::Tag;

uint8_t* Asks::next(napi_env env) {
  if (reference_ == nullptr) {
    napi_value buffer;
    void* bytes = nullptr;
    if (napi_create_arraybuffer(env, kBytes, &bytes, &buffer) != napi_ok) return nullptr;
    if (napi_create_reference(env, buffer, 1, &reference_) != napi_ok) return nullptr;
    bytes_ = static_cast<uint8_t*>(bytes);
  }
  return bytes_ + end_;
}

uint16_t Asks::name(std::string_view text) {
  if (const auto found = names_.find(text); found != names_.end())
    return static_cast<uint16_t>(found->second << kNameShift);
  // Few programs make few kinds of calls. Where it is otherwise, all begin anew.
  if (names_.size() == kNames) forget_names();
  const auto number = static_cast<uint16_t>(names_.size() + 1);
  names_.emplace(texts_.emplace_back(text), number);
  return static_cast<uint16_t>(number << kNameShift | kNewName);
}

void Asks::forget_names() {
  names_.clear();
  texts_.clear();
}

bool Asks::add() {
  RecordHeader header;
  uint8_t* const record = bytes_ + end_;
  std::memcpy(&header, record, sizeof header);
  FieldReader reader(record + sizeof header, header.size);
  for (Field field; reader.next(field);) {
    if (!is_known(field.tag)) return false;
    uint16_t mark = 0;
    switch (type_of(field.tag)) {
      case Type::integer:
      case Type::integers:
        if (field.size != 8) return false;
        continue;
      case Type::text:
      case Type::texts:
        if (!is_ascii(field.data, field.size))
          mark = is_utf8(field.data, field.size) ? kUtf8 : kNoUtf8;
        else if (field.tag == Tag::syscall_ || field.tag == Tag::executable_)
          mark = name(field.text());
        break;
      case Type::nested:
      case Type::bytes:
        return false;  // a question has none
    }
    // The field's own head: its tag, and this.
    std::memcpy(record + (field.data - record) - 6, &mark, sizeof mark);
  }
  if (reader.bad()) return false;
  end_ += static_cast<uint32_t>(sizeof header + ((header.size + 7) & ~7u));
  return true;
}

napi_value Asks::buffer(napi_env env) const {
  napi_value buffer = nullptr;
  napi_get_reference_value(env, reference_, &buffer);
  return buffer;
}

void Asks::close(napi_env env) {
  if (reference_ != nullptr) napi_delete_reference(env, reference_);
  reference_ = nullptr;
  bytes_ = nullptr;
  end_ = 0;
  forget_names();
}

}  // namespace holdfast
