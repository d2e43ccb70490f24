// Work that must not be done by the tracer thread because it may wait: decisions on stopped calls, verifications,
// records to Node. As many threads as there are tasks under way.
#pragma once

#include <functional>

namespace holdfast {

void run_task(std::function<void()> task);

}  // namespace holdfast
