// A supervisor that is started before there is a command for it, and told of one by Node when there is.
#pragma once

#include <sys/types.h>

#include "../launch/launch.h"
#include "../protocol/unique_fd.h"
#include "control.h"

namespace holdfast {

// Started as: holdfast-supervisor <channel fd> ready
bool waits_for_command(int argc, char** argv, CommandLine& line);

// Where a command starts, and with which umask.
struct Surroundings {
  UniqueFd directory;
  mode_t mask = 022;
};

// Waits for the one command, and puts us where it is to start: descriptors, directory, environment, umask. What is in
// `argv` lives on. False if Node is gone or sent something else.
bool receive_command(const Control& control, CommandLine& line, Surroundings& where);

}  // namespace holdfast
