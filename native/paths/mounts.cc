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

namespace {

// The text of mountinfo is read again only when something was mounted or unmounted since, which poll(2) tells (proc(5),
// /proc/[pid]/mounts). Another mount namespace has another table.
class Table {
 public:
  int look(std::vector<std::string>& mounts) {
    std::lock_guard<std::mutex> hold(guard_);
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
    pollfd entry = {file_, POLLPRI, 0};
    if (poll(&entry, 1, 0) != 0) known_ = false;
    if (!known_) {
      if (const int error = read_again()) return error;
      known_ = true;
    }
    mounts = mounts_;
    return 0;
  }

 private:
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
    mounts_ = proc_mounts_in(text);
    return 0;
  }

  std::mutex guard_;
  int file_ = -1;
  uint64_t own_namespace_ = 0;
  bool known_ = false;
  std::vector<std::string> mounts_;
};

}  // namespace

int proc_mounts(std::vector<std::string>& mounts) {
  static Table table;
  return table.look(mounts);
}

}  // namespace holdfast
