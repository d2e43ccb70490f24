// Where the paths of a policy lead.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace holdfast {

// Mount points of procfs in the text of /proc/<pid>/mountinfo.
std::vector<std::string> proc_mounts_in(std::string_view mountinfo);

// Where a path leads, and which symbolic links stand on the way.
struct CanonicalPath {
  struct Link {
    std::string place;  // its own canonical name
    std::string rest;   // what follows it, with a slash in front; empty for the last component
  };
  std::string path;
  std::vector<Link> links;
};

// Follows absolute paths as realpath(3) does, but to where a missing name would be, and asks about each name once only.
// `self` and `thread-self` of procfs stay as they are: each process has its own (decide.cc knows).
class Canonicaliser {
 public:
  enum class Links {
    in_file_system,  // whatever readlink(2) says
    as_told,         // those of tell(), and no others
  };
  Canonicaliser(const std::vector<std::string>& proc_mounts, Links links) : proc_mounts_(proc_mounts), links_(links) {}

  void tell(std::string_view place, std::string_view target);
  // False if the path is not absolute.
  bool follow(std::string_view path, CanonicalPath& out);
  // What has been asked about, and told, by canonical names. An empty target: it is no link, or cannot be looked at.
  const std::unordered_map<std::string, std::string>& targets() const { return targets_; }

 private:
  bool may_be_link(const std::string& parent, std::string_view name) const;
  // The target of a symbolic link; empty if the name is none.
  const std::string& target_of(const std::string& name);

  const std::vector<std::string>& proc_mounts_;
  const Links links_;
  std::unordered_map<std::string, std::string> targets_;
};

}  // namespace holdfast
