// The engine `kernel`: nobody holds a call, and nobody follows the tree. What is left is to see the command begin and
// end, and that nothing outlives it.
#pragma once

#include "../call/sandbox.h"
#include "../launch/launch.h"

namespace holdfast {

class Reaper {
 public:
  Reaper(Sandbox& sandbox, Launch& launch) : sandbox_(sandbox), launch_(launch) {}

  // Waits until the command's program runs. False: it could not be started, which is reported.
  bool see_begin();
  // Runs until nothing of the tree is left. Blocks SIGCHLD (it must be blocked in every thread).
  void run();

 private:
  void command_ended(int status);
  void look_at_command();

  Sandbox& sandbox_;
  Launch& launch_;
  bool command_has_ended_ = false;
  bool kills_ = false;
};

}  // namespace holdfast
