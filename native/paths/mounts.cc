#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <mutex>

namespace holdfast {
namespace {

// Splits off the text before the next `separator`; all of it if there is none.
std::string_view split(std::string_view& text, char separator) {
  const size_t end = std::min(text.find(separator), text.size());
  const std::string_view head = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return head;
}

// Space, tab, newline and backslash are written as \ooo (proc_pid_mountinfo(5)).
std::string unescape(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); at++) {
    unsigned value = 0;
    const char* const digits = text.data() + at + 1;
    if (text[at] == '\\' && at + 3 < text.size() && std::from_chars(digits, digits + 3, value, 8).ptr == digits + 3 &&
        value < 256) {
      out += static_cast<char>(value);
      at += 3;
    } else {
      out += text[at];
    }
  }
  return out;
}

}  // namespace

std::vector<std::string> proc_mounts_in(std::string_view mountinfo) {
  std::vector<std::string> out;
  while (!mountinfo.empty()) {
    std::string_view line = split(mountinfo, '\n');
    // The mount point is the fifth field; the type follows a lone hyphen, with any number of fields before it.
    const size_t hyphen = line.find(" - ");
    if (hyphen == line.npos) continue;
    std::string_view type = line.substr(hyphen + 3);
    if (split(type, ' ') != "proc") continue;
    for (int i = 0; i < 4; i++) split(line, ' ');
    out.push_back(unescape(split(line, ' ')));
  }
  return out;
}

std::vector<uint64_t> mount_numbers_in(std::string_view mountinfo) {
  std::vector<uint64_t> out;
  while (!mountinfo.empty()) {
    std::string_view line = split(mountinfo, '\n');
    const std::string_view first = split(line, ' ');
    uint64_t number;
    if (std::from_chars(first.data(), first.data() + first.size(), number).ec == std::errc()) out.push_back(number);
  }
  return out;
}

namespace {

constexpr unsigned kMountNumber = 0x1000;  // STATX_MNT_ID, Linux 5.8

bool number_of(int fd, const char* path, uint64_t& out) {
  struct statx status;
  const int flags = AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW;
  if (statx(fd, path, flags, kMountNumber, &status) != 0 || (status.stx_mask & kMountNumber) == 0) return false;
  out = status.stx_mnt_id;
  return true;
}

// The text of mountinfo is read again only when something was mounted or unmounted since, which poll(2) tells (proc(5),
// /proc/[pid]/mounts). Another mount namespace has another table.
class Table {
 public:
  int look(std::vector<std::string>& mounts) {
    std::lock_guard<std::mutex> hold(guard_);
    if (const int error = open_anew(); error != 0) return error;
    if (const int error = look_again_if_changed(); error != 0) return error;
    mounts = proc_mounts_;
    return 0;
  }

  bool has(uint64_t number) {
    std::lock_guard<std::mutex> hold(guard_);
    return look_again_if_changed() == 0 && std::binary_search(numbers_.begin(), numbers_.end(), number);
  }

  int open_anew() {
    // statx(2), not stat(3): glibc gave that a symbol of its own in 2.33 only, and the addon is to be loaded by 2.28.
    struct statx own;
    if (statx(AT_FDCWD, "/proc/self/ns/mnt", 0, STATX_INO, &own) != 0) return errno;
    if (file_ < 0 || own.stx_ino != own_namespace_) {
      if (file_ >= 0) close(file_);
      file_ = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
      if (file_ < 0) return errno;
      own_namespace_ = own.stx_ino;
      known_ = false;
    }
    return 0;
  }

 private:
  int look_again_if_changed() {
    if (file_ < 0) return EBADF;
    pollfd entry = {file_, POLLPRI, 0};
    if (poll(&entry, 1, 0) != 0) known_ = false;
    if (!known_) {
      if (const int error = read_again()) return error;
      known_ = true;
    }
    return 0;
  }

  int read_again() {
    std::string text;
    char buffer[4096];
    for (off_t at = 0;;) {
      const ssize_t got = pread(file_, buffer, sizeof buffer, at);
      if (got < 0) return errno;
      if (got == 0) break;
      text.append(buffer, static_cast<size_t>(got));
      at += got;
    }
    proc_mounts_ = proc_mounts_in(text);
    numbers_ = mount_numbers_in(text);
    // The root's own is left out where that is a folder in it (chroot(2)).
    if (uint64_t root; number_of(AT_FDCWD, "/", root)) numbers_.push_back(root);
    std::sort(numbers_.begin(), numbers_.end());
    return 0;
  }

  std::mutex guard_;
  int file_ = -1;
  uint64_t own_namespace_ = 0;
  bool known_ = false;
  std::vector<std::string> proc_mounts_;
  std::vector<uint64_t> numbers_;
};

// Never destroyed: workers may still be there at the end.
Table& table() {
  static Table& it = *new Table;
  return it;
}

}  // namespace

int proc_mounts(std::vector<std::string>& mounts) { return table().look(mounts); }

bool is_on_a_mount(int fd) {
  uint64_t number;
  return number_of(fd, "", number) && table().has(number);
}

int watch_mounts() { return table().open_anew(); }

}  // namespace holdfast
