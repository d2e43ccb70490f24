// Starts a program as libuv's uv_spawn does, but without copying Node's page tables for it: a fork of a Node process
// takes the longer the more memory that has, tens of milliseconds at a gigabyte.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "../protocol/unique_fd.h"

namespace holdfast {

struct Program {
  static constexpr int kIgnored = -1;  // place 0 to 2: /dev/null; others are left alone
  static constexpr int kStream = -2;   // one end of a stream socket pair, whose other end we keep

  std::string path;
  std::vector<std::string> arguments, environment;
  std::string directory;         // empty: the one that we are in
  std::vector<int> descriptors;  // for the places from 0 on: one of ours, or one of the above
  bool detached = false;
};

struct Launched {
  pid_t pid = -1;
  UniqueFd process;            // a pidfd; readable when it has ended
  std::vector<UniqueFd> ends;  // ours of the streams, in their order
};

// Adds one end each. 0, or a positive errno.
int stream_pair(std::vector<UniqueFd>& ours, std::vector<UniqueFd>& theirs);

// 0, or a positive errno: then nothing is left of it.
int launch(const Program& program, Launched& launched);

}  // namespace holdfast
