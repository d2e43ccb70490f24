// Who is in the tree, told to Node.
#pragma once

#include <memory>

#include "../call/sandbox.h"
#include "../channel/reply.h"
#include "../protocol/tlv.h"

namespace holdfast {

class Tracer;

// What all of it has used, the dead and the living.
void tell_usage(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked, std::shared_ptr<Reply> reply);

void tell_processes(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked, std::shared_ptr<Reply> reply);

}  // namespace holdfast
