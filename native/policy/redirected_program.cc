#include "redirected_program.h"

#include <limits.h>

#include <cstdint>
#include <cstring>

namespace holdfast {

bool RedirectedProgram::parse(std::string_view data) {
  constexpr uint32_t kArguments = 1, kEnvironment = 2;
  uint32_t head[3];
  if (data.size() < sizeof head) return false;
  memcpy(head, data.data(), sizeof head);
  data.remove_prefix(sizeof head);
  const auto next = [&](std::string& to) {
    const size_t end = data.find('\0');
    if (end == data.npos) return false;
    to.assign(data.substr(0, end));
    data.remove_prefix(end + 1);
    return true;
  };
  const auto list = [&](std::vector<std::string>& to, uint32_t count) {
    if (count > data.size()) return false;
    to.resize(count);
    for (std::string& text : to)
      if (!next(text)) return false;
    return true;
  };
  if ((head[0] & ~(kArguments | kEnvironment)) != 0) return false;
  has_arguments = (head[0] & kArguments) != 0;
  has_environment = (head[0] & kEnvironment) != 0;
  if (!next(path) || path.empty() || path[0] != '/' || path.size() >= PATH_MAX) return false;
  if (!list(arguments, head[1]) || !list(environment, head[2]) || !data.empty()) return false;
  return (has_arguments ? !arguments.empty() : arguments.empty()) && (has_environment || environment.empty());
}

}  // namespace holdfast
