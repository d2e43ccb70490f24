#include "exec_check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <string>

#include "decide.h"
#include "tree.h"
#include "unique_fd.h"

namespace holdfast {
namespace {

bool read_whole(const char* name, std::string& out) {
  UniqueFd file(open(name, O_RDONLY | O_CLOEXEC));
  if (!file) return false;
  char block[8192];
  ssize_t size;
  while ((size = read(file.get(), block, sizeof block)) > 0) out.append(block, static_cast<size_t>(size));
  return size == 0;
}

// The file that is mapped where an address points: proc_pid_maps(5). Newlines in names are written \012.
struct Mapping {
  uint64_t device = 0, inode = 0;
  std::string path;
};

bool find_mapping(pid_t tid, uint64_t address, Mapping& out) {
  char name[32];
  snprintf(name, sizeof name, "/proc/%d/maps", tid);
  std::string maps;
  if (!read_whole(name, maps)) return false;
  for (size_t at = 0; at < maps.size();) {
    size_t end = maps.find('\n', at);
    if (end == std::string::npos) end = maps.size();
    const std::string line = maps.substr(at, end - at);
    at = end + 1;
    uint64_t start, stop, inode;
    unsigned device_major, device_minor;
    int path = 0;
    if (sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %*s %*x %x:%x %" SCNu64 " %n", &start, &stop, &device_major,
               &device_minor, &inode, &path) < 5)
      return false;
    if (address < start || address >= stop) continue;
    out.device = makedev(device_major, device_minor);
    out.inode = inode;
    for (size_t i = static_cast<size_t>(path); path != 0 && i < line.size(); i++) {
      if (line.compare(i, 4, "\\012") == 0) {
        out.path += '\n';
        i += 3;
      } else {
        out.path += line[i];
      }
    }
    return true;
  }
  return false;
}

bool mismatch(Sandbox& sandbox, const Held& call, const ExecApproval& approved, const char* what) {
  report(sandbox, call, EACCES, what, approved.path);
  return false;
}

}  // namespace

bool exec_is_as_approved(Sandbox& sandbox, const Held& call, const ExecApproval& approved, uint64_t stack,
                         uint64_t start) {
  sandbox.tree.forget_program(call.tid);  // an exec leaves one thread, which leads its group
  char name[32];
  snprintf(name, sizeof name, "/proc/%d/exe", call.tid);
  UniqueFd image(open(name, O_PATH | O_CLOEXEC));
  struct stat status;
  if (!image || fstat(image.get(), &status) != 0)
    return mismatch(sandbox, call, approved, "the executed image cannot be seen");
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
