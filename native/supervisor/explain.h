// What the rules would say of a call that nobody makes.
#pragma once

namespace holdfast {

// Reads a policy from standard input, and questions behind it; writes an answer to each to standard output. All of them
// are fields, with their size in front (32 bits). An exit code: 0, or one of sysexits.h where there was nothing that
// can be answered.
int explain();

}  // namespace holdfast
