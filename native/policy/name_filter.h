// Which names a hook's filter speaks of: a path and everything below it, as a rule does, or a pattern, which may be for
// the names in one folder.
#pragma once

#include <string>
#include <string_view>

#include "glob.h"

namespace holdfast {

class NameFilter {
 public:
  // Until one of these was called, it speaks of every name. `path` is canonical; `pattern` may be empty, or `path`.
  // False: the pattern is not valid.
  bool set(std::string_view path, std::string_view pattern);

  bool any() const { return any_; }
  bool matches(std::string_view name) const;
  // Whether it may speak of that folder, or of anything below it. May be true where it is false, never the other way
  // round.
  bool may_match_within(std::string_view folder) const;
  // Whether something that it speaks of would have a name that it does not speak of, if `from` became `to`: the object
  // itself, or, of a directory, what lies in it. May be true where it is false, never the other way round.
  bool would_lose(std::string_view from, std::string_view to, bool is_directory) const;

 private:
  bool any_ = true;
  bool has_pattern_ = false;
  std::string folder_;  // empty: everywhere
  Glob pattern_;
};

// Whether `name` lies below the directory `folder`, and is not it.
bool lies_below(std::string_view name, std::string_view folder);

}  // namespace holdfast
