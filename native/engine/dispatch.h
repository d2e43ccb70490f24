// From a held call to its family's handler.
#pragma once

#include "../call/finish.h"
#include "../call/held.h"
#include "../call/sandbox.h"

namespace holdfast {

Finish dispatch(Sandbox& sandbox, Held& call);

// A number that the table does not have, or an entry by another ABI (i386, x32): ENOSYS, and a violation.
Finish refuse_unknown(Sandbox& sandbox, Held& call, int number, uint32_t audit_arch);

}  // namespace holdfast
