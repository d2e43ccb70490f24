#include "freezing.h"

#include <utility>

#include "tracer.h"

namespace holdfast {

using protocol::FieldReader;

void freeze_tree(Sandbox&, Tracer& tracer, FieldReader, const std::shared_ptr<Reply>& reply) {
  tracer.run_there([&tracer, reply] { tracer.freeze([reply] {}); });
}

void thaw_tree(Sandbox&, Tracer& tracer, FieldReader, const std::shared_ptr<Reply>& reply) {
  tracer.run_there([&tracer, reply] { tracer.thaw(); });
}

}  // namespace holdfast
