// The walk of a path step by step, as the caller's kernel would go: where our own /proc/self is not the caller's, where
// links lead to objects, and where the kernel cannot say a name (longer than PATH_MAX).
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>

#include "proc_view.h"
#include "resolve.h"

namespace holdfast {

class Walk {
 public:
  Walk(Sandbox& sandbox, const Held& call, unsigned flags, uint64_t how, Resolved& out)
      : sandbox_(sandbox), call_(call), flags_(flags), how_(how), out_(out) {}

  // `base` is where a relative path starts. 0 or a positive errno.
  int run(UniqueFd base, std::string_view text);
  // Whether anything on the way was in a procfs: then the kernel's answer to us is not the caller's.
  bool met_proc() const { return met_proc_; }

 private:
  // What the next component is, taken off `rest_`.
  struct Component {
    std::string name;
    bool last = false;
    bool slash_after = false;
  };

  bool take(Component& out);
  int go_to(UniqueFd next, const Component* by_name = nullptr);  // `next` becomes `here_`
  int go_to_root();
  int be_led();  // where `here_` leads elsewhere
  int step(const Component& component);
  int go_through();
  int follow(const Component& component, UniqueFd link);
  int follow_text(std::string_view text);
  int jump(const Component& component, const ProcPlace& link);
  int end_at_parent(const Component& component);
  int end_missing(const Component& component);
  int end_here();
  int fail_at(const Component& component, int error);
  int not_a_directory();
  std::string name_of(const Component& component) const;

  Sandbox& sandbox_;
  const Held& call_;
  const unsigned flags_;
  const uint64_t how_;
  Resolved& out_;
  std::string rest_;
  UniqueFd here_;
  std::string here_name_;
  ProcPlace place_;  // of here_, if it is in a procfs; its entry points into here_name_
  bool in_proc_ = false;
  bool met_proc_ = false;
  bool slash_after_ = false;
  bool done_ = false;
  int links_ = 0;
  struct stat base_ = {};  // where a walk that must stay beneath it began
};

// The errno for a path that fails at `place`. What a rule denies by name is not told from what is not there, and that
// something is there but of another kind (ENOTDIR, ELOOP) is told of nothing that may not be looked at.
int error_at(Sandbox& sandbox, const Held& call, const std::string& place, int error);

// The name of a pinned object that is too long for the kernel to say: found by climbing. 0 or a positive errno.
int long_name(int fd, std::string& out);

}  // namespace holdfast
