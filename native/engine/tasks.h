// Work that must not be done by the tracer thread because it may wait: decisions on stopped calls, verifications,
// records to Node. As many threads as there are tasks under way.
#pragma once

#include <functional>

namespace holdfast {

void run_task(std::function<void()> task);

// The same on threads whose connections Landlock judges as it does the tree's. Where it does not look at those, the
// calling thread does the task. False: no such thread can be had, and the task is left.
bool run_behind_wall(std::function<void()>& task);
// Before the first of them. `put_on` confines the calling thread, which has no_new_privs; 0 or a positive errno.
void build_wall(std::function<int()> put_on);

}  // namespace holdfast
