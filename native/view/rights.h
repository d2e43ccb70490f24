// What each thread of the tree may do by itself: its ids, groups and capabilities. A thread changes them only by its
// own calls, each of which is held, and by an exec, so what was read once stays true until then.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../call/held.h"

namespace holdfast {

struct Ids {
  uid_t real_uid = 0, effective_uid = 0, saved_uid = 0, file_uid = 0;
  gid_t real_gid = 0, effective_gid = 0, saved_gid = 0, file_gid = 0;
  std::vector<gid_t> groups;
  uint64_t effective = 0, permitted = 0;  // capabilities

  bool operator==(const Ids&) const = default;
};

// This supervisor's own, as they are when no thread wears anybody else's. The first to ask is the tracer, before any
// other thread is there. `known`: false if they could not be read; then nobody's can be worn.
struct OwnIds {
  Ids ids;
  bool known = false;
};
const OwnIds& own_ids();

// The caller's, or null if they are the supervisor's own (but for the right to look into the tree, which only the
// supervisor has). 0 or a positive errno.
int ids_of(const Held& call, std::shared_ptr<const Ids>& out);

// The caller is about to make a call that may change what it may do, now or at its next exec.
void note_rights_may_change(pid_t tid);
// For the tracer. A newborn has what its parent has; with `parent` 0 (not known) it will be looked at.
void inherit_rights(pid_t tid, pid_t parent);
// An exec takes capabilities away, or gives back what was given up for the time being (capabilities(7)). `former`: the
// thread that made it, which has the leader's number now.
void note_exec(pid_t tid, pid_t former);
void forget_rights(pid_t tid);

// /proc/<tid>/status, and in it the value of "Name:\tvalue\n". 0 or a positive errno.
int read_status(pid_t tid, std::string& out);
std::string_view status_field(std::string_view status, std::string_view name);
bool next_number(std::string_view& text, unsigned base, uint64_t& out);

}  // namespace holdfast
