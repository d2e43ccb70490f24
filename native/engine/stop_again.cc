#include "stop_again.h"

#include <mutex>
#include <utility>

#include "../call/workers.h"

namespace holdfast {
namespace {

std::mutex guard;
std::vector<StopAgain> asked;

}  // namespace

void stop_again(StopAgain call) {
  {
    std::lock_guard<std::mutex> lock(guard);
    asked.push_back(std::move(call));
  }
  wake_tracer();
}

std::vector<StopAgain> take_stops_again() {
  std::lock_guard<std::mutex> lock(guard);
  return std::exchange(asked, {});
}

}  // namespace holdfast
