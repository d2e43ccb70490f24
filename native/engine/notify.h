// The notification side: workers that receive held calls, have them handled, and reply.
#pragma once

#include <cstddef>
#include <functional>

#include "../call/finish.h"
#include "../call/held.h"
#include "../call/sandbox.h"
#include "../call/threads.h"

namespace holdfast {

class Notifier {
 public:
  Notifier(Sandbox& sandbox, int listener) : sandbox_(sandbox), listener_(listener) {}

  // Starts the first worker. Others follow as they are needed (turn.h), so a call that blocks stops nobody else.
  // False if no thread can be started or the kernel's structures are not what we were built for.
  bool start();

 private:
  static void* run(void* self);
  void work();
  void carry_out(const Held& call, Finish finish);
  void carry_out_behind_wall(const Held& call, std::function<Finish()> work);
  bool add_worker();

  static Crew crew_;
  Sandbox& sandbox_;
  const int listener_;
  size_t request_size_ = 0, response_size_ = 0;
};

}  // namespace holdfast
