// Which classes of calls the kernel can be left to decide as the rules would, and what Landlock must grant for that.
// docs/performance.md tells users of the layers, docs/internals.md of their soundness.
#pragma once

#include <string>
#include <vector>

#include "../call/sandbox.h"
#include "../launch/landlock.h"
#include "../syscalls/classes.h"
#include "config.h"

namespace holdfast {

// From the cheapest.
enum class Layer : uint8_t {
  filter = 1,    // not held: nothing of this class can be refused
  landlock = 2,  // not held: Landlock refuses what the rules would
  perform = 4,   // held, judged, and done by the supervisor
  ask = 5,       // held, and hooks hear of it
};

// Why a class is not on a cheaper layer, and what would change that. Both in words.
struct Obstacle {
  std::string why, change;
  bool operator==(const Obstacle&) const = default;
};

struct ClassPlan {
  const char* name = "";
  Layer layer = Layer::perform;
  std::vector<Obstacle> obstacles;  // none: there is no cheaper one
};

struct Layers {
  Left left;
  std::vector<Confinement::Grant> grants;
  // Those of syscalls/classes.h by their numbers, then those that are held in any case.
  std::vector<ClassPlan> plan;
  long abi = 0;  // of Landlock, by which it was made

  ClassPlan& of(Class which) { return plan[static_cast<size_t>(which)]; }
};

// For what `config` knows by now. `wall`: what may be executed, for which Landlock grants reading. Looks at files:
// before the tree runs.
Layers plan_layers(const Config& config, const Confinement& wall, long abi);

// Tells Node. May have to wait for room.
void report_plan(Sandbox& sandbox);

}  // namespace holdfast
