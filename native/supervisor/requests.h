// What Node asks of us while the command runs.
#pragma once

#include <cstdint>
#include <vector>

#include "../call/sandbox.h"
#include "../engine/tracer.h"

namespace holdfast {

// Never waits: whoever answers does so on a thread of its own, and may take its time.
void take_request(Sandbox& sandbox, Tracer* tracer, std::vector<uint8_t> bytes);

}  // namespace holdfast
