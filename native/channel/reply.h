// The answer to a request of Node's. Any thread may make it, none waits by it, and none can be forgotten: what nobody
// has finished is finished when it is destroyed.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "../protocol/protocol.h"
#include "../protocol/tlv.h"

namespace holdfast {

struct Sandbox;

class Reply {
 public:
  Reply(Sandbox& sandbox, int64_t request);
  ~Reply();
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;

  // Of the part at hand.
  protocol::FieldWriter& fields() { return fields_; }
  // Ends it, so that Node hears of it; another one follows, be it empty.
  void end_part();
  // Ends it where there is less room than `needed`, so that what comes next is in another part.
  void make_room(size_t needed);
  // Nothing but this: a positive errno, and what was not possible.
  void fail(int error, std::string_view reason);

 private:
  void begin();
  void send(bool more);

  Sandbox& sandbox_;
  const int64_t request_;
  std::unique_ptr<uint8_t[]> buffer_;
  protocol::FieldWriter fields_;
};

}  // namespace holdfast
