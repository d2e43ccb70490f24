#include "unheld.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <string_view>

namespace holdfast {
namespace {

// Each list says why.
constexpr std::string_view kLetBy[] = {
    // The sealed page that guards keep is not there.
    "mmap", "munmap", "madvise", "mbind", "mprotect", "mremap", "mseal", "pkey_mprotect", "remap_file_pages", "shmdt",
    // Acts on the caller, by its own rights; nothing is done for it by anybody else.
    "capset", "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid", "setgroups",
    "umask", "fchdir", "getdents", "getdents64",
    // On the caller or its own children (setpgid(2)).
    "setpgid",
    // Only takes away; and no listener can answer what this program refuses (seccomp(2), the order of actions).
    "seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
    // Landlock's scope keeps signals inside.
    "kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open", "pidfd_send_signal",
    // Landlock decides by the program's file; memory that has none is not executable (kMemory).
    "execve"};

// Landlock decides them by both folders: REMOVE_FILE, REMOVE_DIR, REFER, MAKE_*, TRUNCATE (landlock(7)).
constexpr std::string_view kNames[] = {"unlink",    "unlinkat", "rmdir",  "rename",  "renameat",
                                       "renameat2", "link",     "linkat", "truncate"};

// Let by elsewhere, since its execution is held.
constexpr std::string_view kMemory = "memfd_create";

// By which a sandbox around this one gives its processes what they need to make a call of theirs (engine/injected.h).
constexpr std::string_view kFetches = "openat";

// Programs that read attributes do well without any.
constexpr std::string_view kUnknownAttributes[] = {"getxattr",  "lgetxattr",  "fgetxattr",
                                                   "listxattr", "llistxattr", "flistxattr"};
// Programs that know these fall back to older ones.
constexpr std::string_view kNew[] = {"openat2", "fchmodat2", "execveat"};

template <size_t N>
bool is_one_of(std::string_view name, const std::string_view (&names)[N]) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

int error_of(const Row& row) {
  if (is_one_of(row.name, kUnknownAttributes)) return EOPNOTSUPP;
  if (is_one_of(row.name, kNew)) return ENOSYS;
  if (row.way == Way::refuse && row.error != 0) return row.error;
  return row.family == Family::files || row.family == Family::network ? EACCES : EPERM;
}

}  // namespace

Unheld unheld(const Row& row, bool changes_names) {
  if (row.name == kMemory) return {false, EACCES, Guard::memory_not_executed};
  if (row.name == kFetches) return {false, error_of(row), Guard::no_path};
  const bool is_let_by =
      is_one_of(row.name, kLetBy) || (changes_names && is_one_of(row.name, kNames)) || row.way == Way::let_by;
  return {is_let_by, is_let_by ? 0 : error_of(row), row.guard};
}

}  // namespace holdfast
