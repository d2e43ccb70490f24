// From a path in the caller's memory to a pinned object and its canonical name, as the caller's own kernel walk would
// go: its root, cwd and dirfd, its /proc/self and /proc/thread-self, magic links, `..`, trailing slashes, forty links.
// The walk uses the credentials that the thread wears: put AsCaller around it where the caller's may differ.
#pragma once

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include <string>
#include <string_view>

#include "../call/held.h"
#include "../call/sandbox.h"
#include "../paths/plain.h"
#include "../protocol/unique_fd.h"

namespace holdfast {

enum ResolveFlags : unsigned {
  kFollow = 1,     // follow a symbolic link in last place
  kEmptyPath = 2,  // AT_EMPTY_PATH: an empty path is the dirfd itself
  kParent = 4,     // a name is about to be made, removed or moved: `parent` and `name` are always filled, and the last
                   // component is never followed
  kMayMiss = 8,    // the last component may be missing: not an error, `missing` is set and `parent`, `name` are filled
                   // (with kFollow a dangling link leads to the place where its target would be)
  kContents = 32,  // what is read of it depends on its name: where the tree may move a folder on the way, the text is
                   // not taken for the name, since something else may have come under it during the walk
  kOwnLinks = 16,  // a path that is not the tree's: no link is followed whose name the tree may change
  kAttributes = 128,  // only its attributes are asked for: where they are known, `object` may stay empty
  kOnlyLook = 64,  // nothing will be made of what is missing: where rules let its name be looked at, and no hook hears
                   // of it, `parent` and `name` stay empty
};

// What a path ends with. The kernel makes, removes and moves only names, and answers the others with an error.
enum class Last : uint8_t { name, dots, root };

struct Resolved {
  Resolved() = default;
  Resolved(Resolved&&) = default;
  Resolved& operator=(Resolved&&) = default;
  ~Resolved() { close_together(object, parent, base); }

  int error = 0;     // positive errno as the kernel would give it; everything below is filled only if 0
  UniqueFd object;   // O_PATH descriptor of what is there; empty if missing
  UniqueFd base;     // where a relative path began, if it has not become one of the others
  UniqueFd parent;   // O_PATH descriptor of the canonical directory; filled if kParent, or missing
  std::string name;  // last component, if parent is filled
  std::string path;  // canonical name (of the object, or parent + name)
  bool missing = false;
  bool must_be_directory = false;  // the caller wrote a trailing slash
  bool led = false;              // a folder that leads elsewhere was on the way (Config::leads): `path` is where it is
  bool by_descriptor = false;    // reached without a name (AT_EMPTY_PATH, /proc/self/fd/N of a nameless object): `path`
                                 // is what the kernel shows (pipe:[1], /memfd:x (deleted)); no rule on names can apply
  Last last = Last::name;        // kParent: for anything but a name, `name` is ".", ".." or "/" and there is no object
  int reached_by = -1;           // N, if the last step was the caller's own /proc/self/fd/N: a descriptor that it has
  std::string link_text;         // the text of a link that reads differently for each reader (/proc/self)
  bool own_descriptors = false;  // the caller's own /proc/self/fd, which it may list whatever its mode says
  bool guarded = false;          // another process's in a procfs: opened and read as AsOnlooker
  std::string magic_link;        // the caller's own magic link that was the last step (/proc/7/fd/3)
  // Of the object, as it was when somebody looked for the first time: what it is does not change. Null: there is none,
  // or it cannot be looked at.
  const struct stat* look() const;
  mutable bool has_status = false;
  mutable struct stat status = {};
};

// Reads the path (argument `path_kind`) relative to `dirfd_kind` (AT_FDCWD if the row has none) and walks it.
// Returns 0 or the same positive errno as out.error. -ESRCH-like loss of the caller is ESRCH.
int resolve(Sandbox& sandbox, const Held& call, Arg dirfd_kind, Arg path_kind, unsigned flags, Resolved& out);

// The same for a path that is not in the caller's memory (exec's interpreter, a socket's name). `how`: RESOLVE_* flags
// as in openat2(2).
int resolve_text(Sandbox& sandbox, const Held& call, int dirfd, std::string_view text, unsigned flags, Resolved& out,
                 uint64_t how = 0);

// The same, from a directory of ours.
int resolve_below(Sandbox& sandbox, const Held& call, int base, std::string_view text, unsigned flags, Resolved& out,
                  uint64_t how);

// Pins a descriptor of the caller (not a path): O_PATH descriptor and what the kernel calls it.
int resolve_fd(Sandbox& sandbox, const Held& call, int fd, Resolved& out);

// The name that the kernel shows for one of our own descriptors; of a deleted object the name that it had. 0, a
// positive errno, or kUnreachable: it is on no mount of ours, and its name is that of something else.
inline constexpr int kUnreachable = ENOLINK;  // no call on files gives that
int canonical_name(int fd, std::string& out);
// The same, whether it is on one or not: to be compared with a name that was judged.
int shown_name(int fd, std::string& out);

// Opens /proc/self/fd once; `openat(self_fd_directory(), "N", ...)` reopens a pinned object, and works without /proc
// being what the tree sees. Must be called before the first resolve. 0 or a positive errno.
int open_self_fd_directory();
int self_fd_directory();
// Opens a pinned O_PATH object anew with real flags. Descriptor or -errno.
int reopen(int pinned, int flags);

// Whether it is the name of an entry: not empty, not longer than one, no dots.
bool is_one_name(std::string_view path);
// Whether every part of it is a name: no dots, and no slash too many.
bool is_clean(std::string_view path);
// Absolute, outside of every procfs, and clean: the canonical name, if no link is on its way.
bool is_plain(const Sandbox& sandbox, std::string_view text);

// A folder of the caller (AT_FDCWD: its working directory), in which this thread stands, or which it reaches through
// /proc where it cannot. Nothing below it is followed. That the caller was held is still to be asked.
class Folder {
 public:
  enum class For : uint8_t { looking, naming };  // its name alone is had for less

  Folder(const Held& call, int dirfd, For what = For::looking);
  // The canonical name of what is below it by a clean path, as the folder is called by now: whether it is there, or a
  // link, is still to be seen. False: the folder has no name outside of every procfs.
  bool name(const Sandbox& sandbox, std::string_view path, std::string& out) const;
  // One name in it. 0 or -1 with errno.
  int look(const char* name, struct stat& out) const;
  // What stands by a clean path: a descriptor that only names it, and its canonical name. Or -errno, ELOOP if a link is
  // on the way or the name is in a procfs.
  int pin_below(const Sandbox& sandbox, std::string_view path, int flags, std::string& out) const;
  // Where calls of ours begin: a descriptor, or AT_FDCWD. -errno if it cannot be had.
  int base();
  bool is_stood_in() const { return stood_in_; }
  UniqueFd release() { return static_cast<UniqueFd&&>(pinned_); }

 private:
  const Held& call_;
  const int dirfd_;
  const bool stood_in_;
  UniqueFd pinned_;
};

// Names for the calls that take no descriptor, or for which an empty path with O_PATH descriptors does not do.
struct FdName {
  explicit FdName(int fd);
  char text[12];  // "N", in self_fd_directory()
};
struct FdPath {
  explicit FdPath(int fd);
  char text[32];  // "/proc/self/fd/N"
};

// Where the caller's own descriptor (or AT_FDCWD: working directory) is found below proc_directory(): "<tid>/fd/N".
// After using it ask call.still_held().
struct CallerEntry {
  CallerEntry(const Held& call, int fd);
  char text[40];
};
int proc_directory();
// The same of one name in it: "<tid>/fd/N/name". No name is longer than NAME_MAX.
struct CallerName {
  CallerName(const Held& call, int fd, std::string_view name);
  char text[sizeof CallerEntry::text + 1 + NAME_MAX + 1];
};

}  // namespace holdfast
