#include "judge.h"

#include <limits.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string>

#include "../call/proc_stat.h"

namespace holdfast {

using protocol::kExecute;
using protocol::kRead;
using protocol::kWrite;

namespace {

Match merge(const Match& a, const Match& b) {
  if (a.effect == Effect::deny || b.effect == Effect::none) return a;
  return b.effect == Effect::deny || a.effect == Effect::none ? b : a;
}

// A process of the tree in procfs, by the names under which rules know it: /proc/self is in rules what it is to each
// process, while the canonical name of its files has its number; and what each may read of itself, the others may, as
// far as the kernel lets them (view/proc_view.h). False if the name is none of that kind.
bool look_as_process_of_tree(const Config& config, const Held& call, std::string_view name, PathMatch& out) {
  for (const std::string& mount : config.proc_mounts) {
    if (name.size() < mount.size() + 2 || name.compare(0, mount.size(), mount) != 0 || name[mount.size()] != '/')
      continue;
    const auto number = [&](size_t at, size_t& end) {
      pid_t value = 0;
      const auto read = std::from_chars(name.data() + at, name.data() + name.size(), value);
      end = static_cast<size_t>(read.ptr - name.data());
      return read.ec == std::errc() && (end == name.size() || name[end] == '/') ? value : 0;
    };
    size_t end;
    const pid_t process = number(mount.size() + 1, end);
    if (process == 0 || process_of_tree(*call.tree, process) == 0) return false;
    const auto look_as = [&](std::string_view alias, size_t rest, PathMatch& match) {
      char text[PATH_MAX];
      const size_t begin = mount.size() + alias.size();
      if (begin + name.size() - rest > sizeof text) return false;
      std::memcpy(text, mount.data(), mount.size());
      std::memcpy(text + mount.size(), alias.data(), alias.size());
      std::memcpy(text + begin, name.data() + rest, name.size() - rest);
      match = config.rules.look({text, begin + name.size() - rest});
      return true;
    };
    if (!look_as("/self", end, out)) return false;
    constexpr std::string_view kTask = "/task/";
    if (name.compare(end, kTask.size(), kTask) != 0) return true;
    size_t thread_end;
    PathMatch thread;
    if (number(end + kTask.size(), thread_end) == call.tid && look_as("/thread-self", thread_end, thread))
      out = {merge(out.read, thread.read), merge(out.write, thread.write), merge(out.execute, thread.execute),
             merge(out.metadata, thread.metadata)};
    return true;
  }
  return false;
}

bool is_proc_mount(const Config& config, std::string_view name) {
  return std::find(config.proc_mounts.begin(), config.proc_mounts.end(), name) != config.proc_mounts.end();
}

bool is_ancestor(std::string_view ancestor, std::string_view path) {
  return ancestor == "/" || (path.size() > ancestor.size() && path.compare(0, ancestor.size(), ancestor) == 0 &&
                             path[ancestor.size()] == '/');
}

// For one path; `out` collects.
void judge_path(const Config& config, const Held& call, const Facts::Path& path, Judgement& out) {
  PathMatch match;
  if (!look_as_process_of_tree(config, call, path.name, match)) match = config.rules.look(path.name);
  // Where the processes are: who may read their entries may list their numbers.
  if (path.access == kRead && match.read.effect == Effect::none && is_proc_mount(config, path.name))
    match.read = config.rules.look(std::string(path.name) + "/self").read;
  const bool is_command = !config.command.empty() && path.name == config.command;
  const auto take = [&](const Match& bit, bool command_may) {
    if (bit.effect == Effect::deny) {
      if (!out.denied) out.rule = bit.label;
      out.denied = true;
    } else if (bit.effect == Effect::none && !command_may) {
      out.allowed = false;
      if (!path.missing) out.only_missing = false;
    }
  };
  if (path.access == 0) {
    take(match.metadata, is_command || is_ancestor(path.name, config.command));
    return;
  }
  if ((path.access & kRead) != 0) take(match.read, is_command);
  if ((path.access & kWrite) != 0) take(match.write, false);
  if ((path.access & kExecute) != 0)
    take(config.any_exec && match.execute.effect == Effect::none ? match.read : match.execute, is_command);
}

}  // namespace

Judgement judge(const Config& config, const Held& call, const Facts& facts) {
  Judgement out;
  for (int i = 0; i < facts.path_count; i++) judge_path(config, call, facts.paths[i], out);
  if (facts.address != nullptr) {
    const Match match = config.rules.address(*facts.address, facts.operation);
    if (match.effect == Effect::deny) {
      if (!out.denied) out.rule = match.label;
      out.denied = true;
    } else if (match.effect == Effect::none) {
      out.allowed = out.only_missing = false;
    }
  }
  return out;
}

}  // namespace holdfast
