// Path patterns of hooks' filters: `*` and `?` within one component, `**` across components, `[a-z]`, `\` before a
// character that is meant as itself; `{a,b}` is not there on purpose. A pattern without `/` is matched against the last
// component. Time is linear in the path, whatever the pattern.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace holdfast {

class Glob {
 public:
  static constexpr size_t kMaxPattern = 4096;

  Glob() = default;
  // False if the pattern is not valid: empty, too long, an unclosed bracket, a range from high to low, a `/` in
  // brackets or at the end (no canonical name ends so), `\` at the end, a NUL.
  bool compile(std::string_view pattern);
  bool matches(std::string_view path) const;

 private:
  struct Token;

  // One bit per token; bit `tokens` is the end. All tables have `words_` words a row.
  std::vector<uint64_t> accepts_;  // [byte]: tokens that this byte fits
  std::vector<uint64_t> repeats_;  // tokens that may stand for any number of bytes, none too
  std::vector<uint64_t> folders_;  // `**` of `**/`, which may stand, with its `/`, for nothing
  size_t words_ = 0;
  size_t end_ = 0;
  bool last_component_ = false;
};

}  // namespace holdfast
