// What the three files of path calls share.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string_view>

#include "../call/blocking.h"
#include "../call/finish.h"
#include "../call/held.h"
#include "../call/sandbox.h"
#include "../policy/decide.h"
#include "../policy/record.h"
#include "../view/creds.h"
#include "../view/resolve.h"
#include "../view/terminals.h"
#include "caller.h"
#include "handlers.h"

namespace holdfast::families {

using protocol::kExecute;
using protocol::kRead;
using protocol::kWrite;

inline bool is_call(const Held& call, std::string_view name) { return name == call.row->name; }

// The flags of an *at call; of the calls that have none, what their name says.
inline int at_flags(const Held& call) { return static_cast<int>(call.arg(Arg::at_flags)); }

// The end of a call that failed before it was decided on. A caller that is gone gets no answer.
inline Finish failed(const Held& call, int error) {
  return error == ESRCH && !call.still_held() ? Finish::gone() : Finish::error(error);
}

// The result of a system call of ours (0 or more, or -1 with errno) as the caller's.
inline Finish result_of(const Held& call, long result) {
  return result < 0 ? failed(call, errno) : Finish::answer(result);
}

// A call that may have been interrupted for the caller's sake.
inline Finish result_of(const Held& call, long result, const MayBlock& wait) {
  if (result < 0 && errno == EINTR && wait.interrupted()) return Finish::error(wait.error());
  return result_of(call, result);
}

inline Facts facts_of(const Held& call, const Resolved& at, uint8_t access) {
  Facts facts;
  facts.event = call.row->event;
  facts.paths[0] = {at.path, access, at.missing};
  if (at.object && at.path.starts_with("/dev/pts/")) facts.paths[0].own_terminal = is_terminal_of_tree(at.object.get());
  facts.path_count = 1;
  return facts;
}

// A character device that is none: an overlay marks by it what is removed, and renameat2(RENAME_WHITEOUT) leaves one.
// The kernel asks for no capability to make it (vfs_mknod() in fs/namei.c, since Linux 5.8).
constexpr dev_t kWhiteout = 0;

inline Thing thing_of(const Resolved& at) {
  const struct stat* const st = at.look();
  if (st == nullptr) return Thing::ordinary;
  if (S_ISBLK(st->st_mode) || (S_ISCHR(st->st_mode) && st->st_rdev != kWhiteout)) return Thing::device;
  return S_ISFIFO(st->st_mode) || S_ISSOCK(st->st_mode) ? Thing::pipe : Thing::ordinary;
}

// A change of something else than the contents.
inline Facts facts_of_part(const Held& call, const Resolved& at, Part part) {
  Facts facts = facts_of(call, at, kWrite);
  facts.paths[0].part = part;
  facts.paths[0].thing = thing_of(at);
  return facts;
}

// decide(), which looks at the caller's own /proc entry, without the caller's credentials.
inline Decision ask(Sandbox& sandbox, const Held& call, const Facts& facts) {
  AsSupervisor own(call);
  return decide(sandbox, call, facts);
}

// Asks. True: go on. False: `end` is the answer. `by_hook`: whether a hook has allowed it, and not the rules.
inline bool allowed(Sandbox& sandbox, const Held& call, const Facts& facts, Finish& end, bool* by_hook = nullptr) {
  const Decision decision = ask(sandbox, call, facts);
  if (by_hook != nullptr) *by_hook = decision.by_hook;
  if (decision.allowed()) return true;
  end = refusal(decision);
  return false;
}

// For names that come and go while we look; then the call is refused.
inline constexpr int kMostTurns = 40;

// Never allowed, whatever the rules say.
inline Finish forbidden(Sandbox& sandbox, const Held& call, int error, std::string_view reason, std::string_view path) {
  AsSupervisor own(call);
  note_refused_anyway(sandbox, error);
  report(sandbox, call, error, reason, path);
  return Finish::error(error);
}

inline Finish too_many_turns(Sandbox& sandbox, const Held& call, std::string_view path) {
  return forbidden(sandbox, call, EAGAIN, "its names changed each time they were looked at", path);
}

// A file that runs with its owner's rights is a way out for whoever starts it outside of the tree.
inline constexpr mode_t kSetIds = S_ISUID | S_ISGID;
inline constexpr std::string_view kSetIdReason = "set-user-ID and set-group-ID files cannot be made by the tree";

// Of the folder that a name stands in: for ChangesNames (view/names.h).
dev_t device_of(const Resolved& at);

// Whether the name is what it was when it was judged: its folder is called so, and this is what stands in it. Under
// ChangesNames it stays so.
bool is_as_judged(const Resolved& at);

// The last component as the kernel wants it in calls that make, remove or move a name: it alone knows what a trailing
// slash means for each.
inline std::string last_component(const Resolved& at) {
  return at.must_be_directory && at.last != Last::root ? at.name + "/" : at.name;
}

}  // namespace holdfast::families
