#include "mounts.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

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

std::vector<std::string> proc_mounts() {
  const int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string text;
  char buffer[4096];
  ssize_t got;
  while ((got = read(fd, buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<size_t>(got));
  close(fd);
  return proc_mounts_in(text);
}

}  // namespace holdfast
