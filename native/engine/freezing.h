// The whole tree is stopped, or goes on, because Node says so.
#pragma once

#include <memory>

#include "../call/sandbox.h"
#include "../channel/reply.h"
#include "../protocol/tlv.h"

namespace holdfast {

class Tracer;

// Answers when nothing of it runs.
void freeze_tree(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked, const std::shared_ptr<Reply>& reply);
void thaw_tree(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked, const std::shared_ptr<Reply>& reply);

}  // namespace holdfast
