// The policy as far as Landlock can say it (launch/landlock.h): what the tree may do even if nobody decided.
#pragma once

#include "../launch/landlock.h"
#include "config.h"

namespace holdfast {

// Never tighter than the policy and the hooks' filters that `config` has by now; wider where Landlock has no words for
// it, where a hook may allow more, and where a name may come to stand for another file than now. Looks at files: before
// the tree runs.
Confinement second_wall(const Config& config);

}  // namespace holdfast
