// What a tree has asked for, as records tell it.
#pragma once

#include <functional>

#include "../call/accesses.h"
#include "../protocol/tlv.h"

namespace holdfast {

// Lines one after the other into `fields()`; `make_room` is called before each with the bytes that it needs, after
// which fields() may be of another record. What is too long for any is left out, and counted as left out.
void write_accesses(const Accesses& accesses, const std::function<protocol::FieldWriter&()>& fields,
                    const std::function<void(size_t needed)>& make_room);

}  // namespace holdfast
