#include "canonical.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

namespace holdfast {
namespace {

constexpr int kMostLinks = 40;  // MAXSYMLINKS, path_resolution(7)

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

bool Canonicaliser::may_be_link(const std::string& parent, std::string_view name) const {
  for (const std::string& mount : proc_mounts_) {
    if (parent.size() < mount.size() || parent.compare(0, mount.size(), mount) != 0) continue;
    if (parent.size() == mount.size()) return name != "self" && name != "thread-self";
    // The links of a process lead to what it has open, which is nothing that a rule could mean by their names.
    if (parent[mount.size()] == '/') return false;
  }
  return true;
}

void Canonicaliser::tell(std::string_view place, std::string_view target) { targets_[std::string(place)] = target; }

const std::string& Canonicaliser::target_of(const std::string& name) {
  static const std::string none;
  if (links_ == Links::as_told) {
    const auto told = targets_.find(name);
    return told == targets_.end() ? none : told->second;
  }
  const auto [at, is_new] = targets_.try_emplace(name);
  if (is_new) {
    char target[PATH_MAX];
    const ssize_t length = readlink(name.c_str(), target, sizeof target);
    if (length > 0) at->second.assign(target, static_cast<size_t>(length));
  }
  return at->second;
}

bool Canonicaliser::follow(std::string_view path, CanonicalPath& out) {
  out = {};
  if (path.empty() || path[0] != '/') return false;
  std::string left(path);
  std::string at;  // canonical; empty: /
  int links = 0;
  for (size_t next = 0; next < left.size();) {
    const size_t begin = left.find_first_not_of('/', next);
    if (begin == left.npos) break;
    const size_t end = std::min(left.find('/', begin), left.size());
    const std::string_view name(left.data() + begin, end - begin);
    next = end;
    if (name == ".") continue;
    if (name == "..") {
      at.resize(at.empty() ? 0 : at.rfind('/'));
      continue;
    }
    const std::string place = at + "/" + std::string(name);
    const bool asked = links < kMostLinks && may_be_link(at, name);
    const std::string& target = asked ? target_of(place) : std::string();
    if (target.empty()) {
      at = place;
      continue;
    }
    links++;
    std::string rest;
    bool upwards = false;
    for (size_t from = end; from < left.size();) {
      const size_t start = left.find_first_not_of('/', from);
      if (start == left.npos) break;
      from = std::min(left.find('/', start), left.size());
      const std::string_view component(left.data() + start, from - start);
      upwards |= component == "..";
      if (component != ".") rest.append("/").append(component);
    }
    // With `..` in it what follows has no name that begins with the link's.
    out.links.push_back({place, upwards ? "" : rest});
    if (target[0] == '/') at.clear();
    left = target + rest;
    next = 0;
  }
  out.path = at.empty() ? "/" : at;
  return true;
}

}  // namespace holdfast
