#include "exec_check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <string>

#include "../call/tree.h"
#include "../policy/violation.h"
#include "../view/creds.h"
#include "mappings.h"

namespace holdfast {
namespace {

bool mismatch(Sandbox& sandbox, const Held& call, const ExecApproval& approved, const char* what) {
  report(sandbox, call, EACCES, what, approved.path);
  return false;
}

}  // namespace

bool exec_is_as_approved(Sandbox& sandbox, const Held& call, const ExecApproval& approved, uint64_t stack,
                         uint64_t start) {
  sandbox.tree.forget_program(call.tid);  // an exec leaves one thread, which leads its group
  // Without the right to look into any process it is open only to who has its ids, which may have changed.
  const AsCaller caller(call);
  if (caller.error != 0) return mismatch(sandbox, call, approved, "the rights of the new image cannot be seen");
  char name[32];
  snprintf(name, sizeof name, "/proc/%d/exe", call.tid);
  struct stat status;
  if (stat(name, &status) != 0) return mismatch(sandbox, call, approved, "the executed image cannot be seen");
  if (status.st_dev != approved.device || status.st_ino != approved.inode)
    return mismatch(sandbox, call, approved, "another image was executed than the one approved");

  // The first instruction is the ELF interpreter's, or the image's own if it has none. Some file systems show another
  // device in maps than stat(2) does, so an equal name is as good: it is the kernel's own, of what is mapped.
  Mapping first;
  if (!find_mapping(call.tid, start, first))
    return mismatch(sandbox, call, approved, "the executed mappings cannot be seen");
  const bool is_static = approved.interpreter.empty();
  const bool same_name = first.path == (is_static ? approved.path : approved.interpreter);
  const bool same_file = is_static
                             ? first.inode == approved.inode && first.device == approved.device
                             : first.inode == approved.interpreter_inode && first.device == approved.interpreter_device;
  if (!same_name && !same_file)
    return mismatch(sandbox, call, approved, "another ELF interpreter was loaded than the one approved");

  // What the new image sees as its arguments: argc, then the pointers (System V ABI, "Initial Stack and Register
  // State").
  if (approved.arguments.empty() && !approved.check_arguments) return true;
  uint64_t count;
  if (call.read(stack, &count, sizeof count) != 0)
    return mismatch(sandbox, call, approved, "the new stack cannot be read");
  if (count < approved.arguments.size() || (approved.check_arguments && count != approved.arguments.size()))
    return mismatch(sandbox, call, approved, "the argument list changed after it was approved");
  std::string text;
  for (size_t i = 0; i < approved.arguments.size(); i++) {
    const std::string& wanted = approved.arguments[i];
    uint64_t at;
    text.resize(wanted.size() + 1);
    if (call.read(stack + 8 + 8 * i, &at, sizeof at) != 0 || call.read(at, text.data(), text.size()) != 0 ||
        memcmp(text.data(), wanted.c_str(), wanted.size() + 1) != 0)
      return mismatch(sandbox, call, approved, "the argument list changed after it was approved");
  }
  return true;
}

}  // namespace holdfast
