// What the caller has open already: the right to it was decided when it was opened.
#pragma once

#include "files.h"

namespace holdfast::families {

// What an open with these flags gives.
uint8_t access_of(int flags);

// Whether `at` was reached by a descriptor of the caller (Resolved::reached_by) that gives all of `wanted`.
bool caller_has_it_open(const Held& call, const Resolved& at, uint8_t wanted);

}  // namespace holdfast::families
