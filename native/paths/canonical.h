// Where the paths of a policy lead.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "../protocol/unique_fd.h"

namespace holdfast {

// Where a path leads, and which symbolic links stand on the way.
struct CanonicalPath {
  struct Link {
    std::string place;  // its own canonical name
    std::string rest;   // what follows it, with a slash in front; empty for the last component
  };
  std::string path;
  std::vector<Link> links;
  std::vector<Link> planted;  // links that were not followed, because they are not trusted: `rest` is their text
};

// Follows absolute paths as realpath(3) does, but to where a missing name would be, and asks about each name once only.
// `self` and `thread-self` of procfs stay as they are: each process has its own (decide.cc knows).
class Canonicaliser {
 public:
  enum class Links {
    in_file_system,  // whatever readlink(2) says
    as_told,         // those of tell(), and no others
  };
  explicit Canonicaliser(Links links) : links_(links) {}

  void tell(std::string_view place, std::string_view target);
  // False if the path is not absolute. A link that is not trusted stands for itself.
  using Trusts = std::function<bool(const std::string& place)>;
  bool follow(std::string_view path, CanonicalPath& out, const Trusts& trusts = nullptr);
  // What has been asked about, and told, by canonical names. An empty target: not a link.
  const std::unordered_map<std::string, std::string>& targets() const { return targets_; }

 private:
  // Whether it is plain to see that the path leads to itself.
  bool is_canonical(std::string_view path) const;
  // The target of the symbolic link `place` in `parent`; empty if it is none.
  const std::string& target_of(const std::string& parent, const std::string& place);
  ssize_t read_link(const std::string& parent, const std::string& place, char* target, size_t size);
  // Whether the path is a name in the folder that the last one was in, and no link.
  bool is_neighbour(std::string_view path);

  // A folder on whose way there is no link, by its canonical name.
  struct Folder {
    std::string path;
    size_t asked = 0;
    UniqueFd fd;  // once enough has been asked about
  };

  const Links links_;
  Folder last_;
  std::unordered_map<std::string, std::string> targets_;
  std::unordered_set<std::string> missing_;
};

}  // namespace holdfast
