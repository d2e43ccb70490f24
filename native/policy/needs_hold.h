// What of a policy, of hooks and of options no kernel can decide by itself, so that the engine `kernel` has not all of
// it.
#pragma once

#include <string>
#include <vector>

#include "../call/sandbox.h"
#include "config.h"
#include "layers.h"

namespace holdfast {

struct Need {
  std::string what;  // a class of calls, or an option
  std::string why, change;
};

// `layers`: made for that engine. `stops_calls`: a rule on system calls stops some.
// Tells Node.
void report_needs(Sandbox& sandbox, const std::vector<Need>& needs);

// `stdio_count`: so many descriptors from 0 on are the command's.
std::vector<Need> needs_hold(const Config& config, const Layers& layers, bool stops_calls, int stdio_count);

}  // namespace holdfast
