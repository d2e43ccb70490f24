#include "reply.h"

#include <errno.h>

#include "report.h"

namespace holdfast {

using protocol::FieldWriter;
using protocol::Tag;

namespace {

constexpr size_t kHead = 32;  // of the number and the mark, 16 bytes each

}  // namespace

Reply::Reply(Sandbox& sandbox, int64_t request)
    : sandbox_(sandbox), request_(request), buffer_(new uint8_t[protocol::kMaxRecord]), fields_(nullptr, 0) {
  begin();
}

Reply::~Reply() { send(false); }

void Reply::begin() {
  fields_ = FieldWriter(buffer_.get(), protocol::kMaxRecord - kHead);
  fields_.number(Tag::request_, request_);
}

void Reply::end_part() {
  send(true);
  begin();
}

void Reply::make_room(size_t needed) {
  if (fields_.room() >= needed) return;
  send(true);
  begin();
}

void Reply::fail(int error, std::string_view reason) {
  begin();
  fields_.number(Tag::errno_, error);
  fields_.text(Tag::reason_, reason);
}

void Reply::send(bool more) {
  if (fields_.full()) fail(EOVERFLOW, "the answer does not fit into a record");
  size_t size = fields_.size();
  if (more) {
    FieldWriter mark(buffer_.get() + size, kHead);
    mark.number(Tag::more_, 1);
    size += mark.size();
  }
  report_reply(sandbox_, buffer_.get(), size);
}

}  // namespace holdfast
