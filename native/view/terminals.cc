#include "terminals.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

#include "../protocol/unique_fd.h"

namespace holdfast {
namespace {

constexpr size_t kMost = 1024;  // the machine has 4096 (pts(4), kernel.pty.max); each takes a descriptor of ours

struct Terminal {
  UniqueFd pin;
  dev_t device;
  ino_t inode;
  dev_t number;
};

struct {
  std::mutex guard;
  std::vector<Terminal> known;
} terminals;

// Its name goes with its master (devpts_pty_kill in fs/devpts/inode.c), while the pinned inode stays.
bool is_over(const Terminal& terminal) {
  struct stat status;
  return fstat(terminal.pin.get(), &status) != 0 || status.st_nlink == 0;
}

}  // namespace

void remember_terminal(int master, std::string_view name) {
  struct stat status;
  int number;
  if (fstat(master, &status) != 0 || !S_ISCHR(status.st_mode) || status.st_rdev != makedev(5, 2) ||
      ioctl(master, TIOCGPTN, &number) != 0)
    return;
  // Beside a master in a devpts, in pts/ beside any other (devpts_mntget in fs/devpts/inode.c).
  struct statfs system;
  const bool inside = fstatfs(master, &system) == 0 && system.f_type == DEVPTS_SUPER_MAGIC;
  const std::string path(name.substr(0, name.rfind('/') + 1));
  UniqueFd pin(open((path + (inside ? "" : "pts/") + std::to_string(number)).c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!pin || fstatfs(pin.get(), &system) != 0 || system.f_type != DEVPTS_SUPER_MAGIC || fstat(pin.get(), &status) != 0)
    return;
  const std::lock_guard<std::mutex> lock(terminals.guard);
  auto& known = terminals.known;
  known.erase(std::remove_if(known.begin(), known.end(), is_over), known.end());
  if (known.size() < kMost) known.push_back({std::move(pin), status.st_dev, status.st_ino, status.st_rdev});
}

bool is_number_of_tree(unsigned tty) {
  const dev_t number = makedev((tty >> 8) & 0xfff, (tty & 0xff) | ((tty >> 12) & 0xfff00));
  const std::lock_guard<std::mutex> lock(terminals.guard);
  for (const Terminal& terminal : terminals.known)
    if (terminal.number == number && !is_over(terminal)) return true;
  return false;
}

bool is_terminal_of_tree(int object) {
  struct stat status;
  if (fstat(object, &status) != 0) return false;
  const std::lock_guard<std::mutex> lock(terminals.guard);
  for (const Terminal& terminal : terminals.known)
    if (terminal.device == status.st_dev && terminal.inode == status.st_ino && !is_over(terminal)) return true;
  return false;
}

}  // namespace holdfast
