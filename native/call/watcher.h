// One thread that looks once in a while for what nobody else can see: a worker that takes long, a caller that has a
// signal to handle while a worker blocks for it. It sleeps when there has been nothing to see for a while.
#pragma once

namespace holdfast {

enum class Pace {
  tick,  // 1 ms
  slow,  // 20 ms
};

// Calls `look` from now on. It says whether there was anything to see. At most one for each pace; started by the first.
void watch(Pace pace, bool (*look)());

// There is something to see again. Costs one load while the watcher is awake.
void wake_watcher();

}  // namespace holdfast
