// The handlers that table.def names, each declared here by the table itself, and the dispatcher's list of them.
// A handler decodes one held call, asks decide() (policy/decide.h), does it, and says how it ends.
#pragma once

#include "../call/finish.h"
#include "../call/held.h"
#include "../call/sandbox.h"

namespace holdfast::families {

// A row that is let by or refused names no handler of its own.
Finish refuse(Sandbox& sandbox, Held& call);

#define SYSCALL(name, x86_64, aarch64, family, event, way, error, guard, handler, args, reason) \
  Finish handler(Sandbox& sandbox, Held& call);
#include "../syscalls/table.def"
#undef SYSCALL

}  // namespace holdfast::families
