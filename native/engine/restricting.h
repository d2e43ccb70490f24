// A policy that is put on top of the others while the tree runs (restrict()).
#pragma once

#include <memory>
#include <vector>

#include "../call/sandbox.h"
#include "../channel/reply.h"
#include "../protocol/tlv.h"
#include "tracer.h"

namespace holdfast {

// Refuses what is wider than the policies that are there (EINVAL, with words). What it says holds for every held call
// from then on; what was left to the kernel is held by stops again when each thread has put on a further seccomp
// program, before its next call. Then it is answered.
void restrict_tree(Sandbox& sandbox, Tracer& tracer, protocol::FieldReader asked, const std::shared_ptr<Reply>& reply);

// What leaves a thread nothing but what seccomp's strict mode does. False: it is too long.
bool build_strict_programs(std::vector<FurtherProgram>& out);

}  // namespace holdfast
