// Calls that a worker has received and that only their caller can make: they are given back, and held again by a stop.
// Workers ask for it, the tracer does it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "../call/finish.h"

namespace holdfast {

struct StopAgain {
  pid_t tid;
  int listener;
  uint64_t id;                             // of the notification, which stays unanswered until then
  std::unique_ptr<Bounce> with = nullptr;  // an exec that was decided: what it then goes on as
  bool marks = true;                       // else it is only made once more, and received as any other
};

void stop_again(StopAgain call);
// For the tracer: those that were asked for since.
std::vector<StopAgain> take_stops_again();

}  // namespace holdfast
