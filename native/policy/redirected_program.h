// What a hook has an exec redirected to, as a verdict carries it: flags, how many arguments and variables, then the
// path and all of those, with a NUL behind each (lib/hooks/verdict.ts).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

struct RedirectedProgram {
  std::string path;  // absolute
  bool has_arguments = false, has_environment = false;
  std::vector<std::string> arguments, environment;

  // False: it is no such thing.
  bool parse(std::string_view data);
};

}  // namespace holdfast
