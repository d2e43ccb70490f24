#include "processes.h"

#include "../call/tree.h"

namespace holdfast {

using protocol::FieldReader;
using protocol::Tag;

void tell_processes(Sandbox& sandbox, Tracer&, FieldReader, std::shared_ptr<Reply> reply) {
  constexpr size_t kRoom = 256;
  for (const pid_t pid : sandbox.tree.groups()) {
    reply->make_room(kRoom);
    const size_t mark = reply->fields().begin(Tag::process_);
    reply->fields().number(Tag::pid_, pid);
    reply->fields().end(mark);
  }
}

}  // namespace holdfast
