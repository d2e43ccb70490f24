// Path patterns of hooks' filters: `*` and `?` within one component, `**` across components, `[a-z]`, `\` before a
// character that is meant as itself; `{a,b}` is not there on purpose. A pattern without `/` is matched against the last
// component, except where it is for the names in one folder. Time is linear in the path, whatever the pattern.
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
  enum class For : uint8_t { whole_paths, names_in_a_folder };
  bool compile(std::string_view pattern, For what = For::whole_paths);
  bool matches(std::string_view path) const;
  // Whether every name below the directory `from` that matches would also match below the directory `to`. May be false
  // where it is true, never the other way round.
  bool matches_below_alike(std::string_view from, std::string_view to) const;
  // Whether a name below the directory could match.
  bool may_match_below(std::string_view directory) const;

 private:
  struct Token;

  void start(uint64_t* set) const;
  // Where the pattern may stand after these bytes. False: nowhere.
  bool step(std::string_view bytes, uint64_t* set) const;
  bool stand_in(std::string_view directory, uint64_t* set) const;

  // One bit per token; bit `tokens` is the end. All tables have `words_` words a row.
  std::vector<uint64_t> accepts_;  // [byte]: tokens that this byte fits
  std::vector<uint64_t> repeats_;  // tokens that may stand for any number of bytes, none too
  std::vector<uint64_t> folders_;  // `**` of `**/`, which may stand, with its `/`, for nothing
  size_t words_ = 0;
  size_t end_ = 0;
  bool last_component_ = false;
};

}  // namespace holdfast
