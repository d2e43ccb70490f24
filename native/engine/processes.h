// Who is in the tree and what they have used, told to Node; and what a hook asks about a caller.
#pragma once

#include <memory>

#include "../call/sandbox.h"
#include "../channel/reply.h"
#include "../protocol/tlv.h"

namespace holdfast {

class Tracer;

void tell_processes(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked, const std::shared_ptr<Reply>& reply);
// What all of it has used, the dead and the living.
void tell_usage(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked, const std::shared_ptr<Reply>& reply);
// What it has asked for, where that is recorded.
void tell_accesses(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked, const std::shared_ptr<Reply>& reply);
// Who has made a process, and who that one, up to the command, as far as they are there.
void tell_ancestry(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked, const std::shared_ptr<Reply>& reply);
// Where a thread is.
void tell_directory(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked, const std::shared_ptr<Reply>& reply);
// What stands in the memory of a caller whose call a hook thinks about.
void tell_memory(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked, const std::shared_ptr<Reply>& reply);
// Whether Node is told from now on what processes live through.
void switch_life(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked, const std::shared_ptr<Reply>& reply);

}  // namespace holdfast
