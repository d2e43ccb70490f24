#include "processes.h"

#include "../call/threads.h"
#include "../call/tree.h"
#include "../channel/usage_fields.h"

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

void tell_usage(Sandbox& sandbox, Tracer&, FieldReader, std::shared_ptr<Reply> reply) {
  const WaitInCrew may_wait;
  const Usage& usage = sandbox.tree.usage();
  write_usage(reply->fields(), usage, usage.all(sandbox.tree));
}

}  // namespace holdfast
