// Path patterns of hooks' filters: `*` and `?` within one component, `**` across components, `[a-z]`, `{a,b}` is not
// there on purpose. Linear time in pattern x path.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

class Glob {
 public:
  Glob() = default;
  // False if the pattern is not valid (unclosed bracket, empty).
  bool compile(std::string_view pattern);
  bool matches(std::string_view path) const;

 private:
  std::string pattern_;
};

}  // namespace holdfast
