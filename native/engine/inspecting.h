// Looking into threads that are stopped for it (inspect()). Nothing of it works on what is not in the tree, or not
// stopped by the very request that asks.
#pragma once

#include <memory>

#include "../call/sandbox.h"
#include "../channel/reply.h"
#include "../protocol/tlv.h"

namespace holdfast {

class Tracer;

// A process by its number, with all its threads, or one thread that is not its first. Answered in two parts: when it is
// sure to stop before its next instruction, and when it has; ESRCH if it is not in the tree, or ended before that.
void begin_inspection(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked,
                      const std::shared_ptr<Reply>& reply);
void end_inspection(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked, const std::shared_ptr<Reply>& reply);

// General and floating-point registers, as the kernel has them (ptrace(2), PTRACE_GETREGSET).
void tell_registers(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked, const std::shared_ptr<Reply>& reply);
void set_registers(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked, const std::shared_ptr<Reply>& reply);
void tell_inspected_memory(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked,
                           const std::shared_ptr<Reply>& reply);
void set_memory(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked, const std::shared_ptr<Reply>& reply);
// As /proc/<pid>/maps has them.
void tell_mappings(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked, const std::shared_ptr<Reply>& reply);

}  // namespace holdfast
