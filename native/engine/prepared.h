// Bounced calls whose slot of the sealed page is in their registers before it is known what it is to hold. A worker
// receives them, decides on what the caller gave, and fills the slot; then the call goes on, and the kernel reads that.
// So no thread hands the decision over to the tracer, which does not wait for it either.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "../call/finish.h"
#include "../call/held.h"
#include "bounce.h"

namespace holdfast {

// Of all large slots: those of calls that were decided before are not to be wanting while others still wait.
inline constexpr size_t kMostPrepared = kLargeSlots / 2;

// For the tracer, at the call's entry: its argument is now the address of `slot`, and was `own`. False: too many are.
bool prepare_call(pid_t tid, int slot, int argument, uint64_t own);
// The call is over, or its thread: the slot is not filled any more after this.
void forget_prepared(pid_t tid);

// Whether a received call is one of these; then it has its own argument again.
bool is_prepared(Held& call);
// Fills its slot. False: it has none, or must be given more than that.
bool fill_prepared(const Held& call, BouncePage& page, const Bounce& with);

}  // namespace holdfast
