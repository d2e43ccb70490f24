#include "name_filter.h"

namespace holdfast {
namespace {

// `name` lies below `folder`.
std::string_view inside(std::string_view name, std::string_view folder) {
  return name.substr(folder == "/" ? 1 : folder.size() + 1);
}

}  // namespace

bool lies_below(std::string_view name, std::string_view folder) {
  if (folder == "/") return name.size() > 1;
  return name.size() > folder.size() && name.starts_with(folder) && name[folder.size()] == '/';
}

bool NameFilter::set(std::string_view path, std::string_view pattern) {
  any_ = false;
  folder_ = path;
  has_pattern_ = !pattern.empty();
  return !has_pattern_ ||
         pattern_.compile(pattern, path.empty() ? Glob::For::whole_paths : Glob::For::names_in_a_folder);
}

bool NameFilter::matches(std::string_view name) const {
  if (any_) return true;
  if (folder_.empty()) return pattern_.matches(name);
  if (!has_pattern_) return name == folder_ || lies_below(name, folder_);
  return lies_below(name, folder_) && pattern_.matches(inside(name, folder_));
}

bool NameFilter::may_match_within(std::string_view folder) const {
  if (matches(folder)) return true;
  if (folder_.empty()) return pattern_.may_match_below(folder);
  if (folder_ == folder || lies_below(folder_, folder)) return true;
  return has_pattern_ && lies_below(folder, folder_) && pattern_.may_match_below(inside(folder, folder_));
}

bool NameFilter::would_lose(std::string_view from, std::string_view to, bool is_directory) const {
  if (any_) return false;
  if (matches(from) && !matches(to)) return true;
  if (!is_directory) return false;
  if (folder_.empty()) return !pattern_.matches_below_alike(from, to);
  if (!has_pattern_) return lies_below(folder_, from);  // at or below the folder, all below `from` is where `from` is
  if (from == folder_ || lies_below(folder_, from)) return true;
  if (!lies_below(from, folder_)) return false;
  const std::string_view here = inside(from, folder_);
  if (to == folder_) return false;  // of a folder that is above it, whose place nothing takes: the kernel refuses that
  if (!lies_below(to, folder_)) return pattern_.may_match_below(here);
  return !pattern_.matches_below_alike(here, inside(to, folder_));
}

}  // namespace holdfast
