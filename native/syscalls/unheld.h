// What calls are answered where nobody holds any (engine `kernel`): seccomp decides by number and registers, and what
// it lets by Landlock decides by path. Whatever neither can decide is refused, for all alike.
#pragma once

#include "table.h"

namespace holdfast {

// Of a row that is held by the other engines, or let by. The calls of a class that a policy leaves to the kernel
// (classes.h), and what a guard lets by, are let by besides.
struct Unheld {
  bool is_let_by = false;
  int error = 0;                     // positive
  Guard guard = Guard::always_held;  // what is let by all the same
};

// `changes_names`: what is made, removed and moved Landlock decides, since the policy leaves all writing to it.
Unheld unheld(const Row& row, bool changes_names);

}  // namespace holdfast
