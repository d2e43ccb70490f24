// Held calls on their way to their hooks, several at once. JS reads them where they lie, in a buffer of its own
// (lib/hooks/asks.ts), so no object is made for a question but the call that its hooks are given.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "../protocol/protocol.h"
#include "../protocol/tlv.h"

namespace holdfast {

// What the second half of a text's tag says in that buffer; in the ring it is zero.
inline constexpr uint16_t kUtf8 = 1;     // else ASCII
inline constexpr uint16_t kNoUtf8 = 2;   // some of it is neither, and the exact bytes are told as well
inline constexpr uint16_t kNewName = 4;  // JS is to keep this text for the number
inline constexpr int kNameShift = 3;     // above it: the number of a text that comes often; 0: none

class Asks {
 public:
  Asks() = default;
  Asks(const Asks&) = delete;
  Asks& operator=(const Asks&) = delete;

  // Whether another record of any size finds room.
  bool has_room() const { return end_ + sizeof(protocol::RecordHeader) + protocol::kMaxRecord <= kBytes; }
  // Where the next record goes, header first, before add(). Null if there is no memory, or JS can no longer run.
  uint8_t* next(napi_env env);
  // Checks what was put there. False if it is no record.
  bool add();

  uint32_t end() const { return end_; }
  napi_value buffer(napi_env env) const;
  void clear() { end_ = 0; }
  void close(napi_env env);

 private:
  // The longest record; and where a burst of short ones has room. malloc() maps so much, so it is paid as it is used.
  static constexpr uint32_t kBytes = 3 * protocol::kMaxRecord;
  static constexpr size_t kNames = 1024;

  uint16_t name(std::string_view text);
  void forget_names();

  napi_ref reference_ = nullptr;
  uint8_t* bytes_ = nullptr;
  uint32_t end_ = 0;
  // Looked up by views, of texts that stay where they are.
  std::deque<std::string> texts_;
  std::unordered_map<std::string_view, uint16_t> names_;
};

}  // namespace holdfast
