// Which classes of calls the kernel can be left to decide as the rules would, and what Landlock must grant for that.
// docs/performance.md tells users of the layers, docs/internals.md of their soundness.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "../call/held.h"
#include "../call/sandbox.h"
#include "../launch/landlock.h"
#include "../syscalls/classes.h"
#include "config.h"

namespace holdfast {

// From the cheapest.
enum class Layer : uint8_t {
  filter = 1,    // not held: nothing of this class can be refused
  landlock = 2,  // not held: Landlock refuses what the rules would
  go_on = 3,     // held and judged; in folders that Landlock grants as a whole it goes on as the caller's own
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

// Folders that Landlock grants as a whole: a held call on something below them may go on as the caller's own, since
// whatever the tree puts into its arguments' memory meanwhile reaches nothing that the policy refuses.
class GrantedFolders {
 public:
  void add(std::string_view path, dev_t device, ino_t inode);
  // Whether that path lies below one of them, which is still the folder that was granted: somebody outside may have put
  // another in its place.
  bool hold(std::string_view canonical) const;
  bool empty() const { return folders_.empty(); }

 private:
  struct Folder {
    std::string path;
    dev_t device;
    ino_t inode;
  };
  const Folder* hold_by_name(std::string_view path) const;
  std::vector<Folder> folders_;  // none below another; sorted as if / came before every other byte
};

struct Layers {
  Left left;
  std::vector<Confinement::Grant> grants;
  GrantedFolders readable, writable;  // of those, for what is held; no hook hears of opens in them
  uint32_t asked = 0;                 // bits of events: hooks hear of such calls in folders that Landlock grants
  uint8_t every_address = 0;          // operation bits for which no rule can refuse any
  // Those of syscalls/classes.h by their numbers, then those that are held in any case.
  std::vector<ClassPlan> plan;
  long abi = 0;  // of Landlock, by which it was made

  bool asks(protocol::Event event) const { return (asked >> static_cast<int>(event) & 1) != 0; }
  void ask(protocol::Event event) { asked |= uint32_t{1} << static_cast<int>(event); }
  ClassPlan& of(Class which) { return plan[static_cast<size_t>(which)]; }
};

// For what `config` knows by now. `wall`: what may be executed, for which Landlock grants reading. Looks at files:
// before the tree runs.
Layers plan_layers(const Config& config, const Confinement& wall, long abi);

// Whether how it is held lets a call go on as its caller's own; not where a stop takes back what was left to the
// kernel.
bool goes_on_from(const Held& call);

// Whether a held call that the rules allow may go on: `access` to that path, as the caller's own, by registers that say
// so. Not if a hook hears of anything that it could become meanwhile.
bool may_go_on(const Config& config, const Held& call, std::string_view canonical, uint8_t access);

// Before a hook's leave, and no rule's, gives something another name: Landlock's grants go with what they were given
// for, so from then on no call goes on.
void stop_going_on();

// Whether neither a rule nor a hook that hears of `event` can refuse any address: what cannot be judged need not be
// then, and where the kernel is left to decide it would not be.
bool gives_every_address(const Config& config, uint8_t operation, protocol::Event event);

// Tells Node. May have to wait for room.
void report_plan(Sandbox& sandbox);

}  // namespace holdfast
