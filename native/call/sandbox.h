// What every handler may use: the policy, the channel to Node, the tree. One per supervisor.
#pragma once

#include <sys/types.h>

namespace holdfast {

struct Config;
class Channel;
class Tree;
class BouncePage;

struct Sandbox {
  Config& config;    // options, rules, hooks: as sent at the start, never changed
  Channel& channel;  // records to Node, verdicts back
  Tree& tree;        // who belongs to it
  BouncePage& page;  // arguments that the tree cannot change
  pid_t group = 0;   // the application's process group, if the command began in that
};

}  // namespace holdfast
