#include "access_fields.h"

namespace holdfast {

using protocol::FieldWriter;
using protocol::Tag;

void write_accesses(const Accesses& accesses, const std::function<FieldWriter&()>& fields,
                    const std::function<void(size_t needed)>& make_room) {
  constexpr size_t kNumbers = 256;  // of one line, with the heads of its texts
  uint64_t left_out = accesses.left_out();
  accesses.for_all([&](const Accesses::Access& access, const Accesses::Count& count) {
    const size_t needed = kNumbers + access.target.size() + access.program.size() + access.rule.size();
    if (needed > protocol::kMaxRecord / 2) {
      left_out += count.calls;
      return;
    }
    make_room(needed);
    FieldWriter& writer = fields();
    const size_t mark = writer.begin(Tag::accessed_);
    writer.text(Tag::right_, access.kind);
    writer.number(Tag::outcome_, static_cast<int64_t>(access.outcome));
    writer.number(Tag::count_, static_cast<int64_t>(count.calls));
    writer.number(Tag::firstTime_, static_cast<int64_t>(count.first));
    writer.number(Tag::lastTime_, static_cast<int64_t>(count.last));
    if (access.probe) writer.number(Tag::probe_, 1);
    if (access.of_folder) writer.number(Tag::ofFolder_, 1);
    if (access.error != 0) writer.number(Tag::errno_, access.error);
    if (access.family != 0) writer.number(Tag::family_, access.family);
    if (access.port >= 0) writer.number(Tag::port_, access.port);
    if (access.signal >= 0) writer.number(Tag::signal_, access.signal);
    if (!access.target.empty())
      writer.text(access.is_path ? Tag::path_ : access.family != 0 ? Tag::address_ : Tag::syscall_, access.target);
    if (!access.program.empty()) writer.text(Tag::executable_, access.program);
    if (!access.rule.empty()) writer.text(Tag::rule_, access.rule);
    writer.end(mark);
  });
  if (left_out == 0) return;
  make_room(kNumbers);
  fields().number(Tag::leftOut_, static_cast<int64_t>(left_out));
}

}  // namespace holdfast
