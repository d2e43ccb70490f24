#include "judge.h"

#include <algorithm>
#include <string>

#include "own_names.h"

namespace holdfast {

using protocol::kExecute;
using protocol::kRead;
using protocol::kWrite;

namespace {

Match merge(const Match& a, const Match& b) {
  if (a.effect == Effect::deny || b.effect == Effect::none) return a;
  return b.effect == Effect::deny || a.effect == Effect::none ? b : a;
}

// False if the name is none of a process of the tree in procfs.
bool look_as_process_of_tree(const Config& config, const Held& call, std::string_view name, PathMatch& out) {
  const OwnNames names(config, call, name);
  if (names.count == 0) return false;
  out = config.rules.look(names[0]);
  if (names.count == 1) return true;
  const PathMatch thread = config.rules.look(names[1]);
  out = {merge(out.read, thread.read), merge(out.write, thread.write), merge(out.execute, thread.execute),
         merge(out.metadata, thread.metadata)};
  return true;
}

bool is_proc_mount(const Config& config, std::string_view name) {
  return std::find(config.proc_mounts.begin(), config.proc_mounts.end(), name) != config.proc_mounts.end();
}

bool is_ancestor(std::string_view ancestor, std::string_view path) {
  return ancestor == "/" || (path.size() > ancestor.size() && path.compare(0, ancestor.size(), ancestor) == 0 &&
                             path[ancestor.size()] == '/');
}

// For one path; `out` collects.
void judge_path(const Config& config, const Held& call, const Facts& facts, const Facts::Path& path, Judgement& out) {
  PathMatch match;
  if (!look_as_process_of_tree(config, call, path.name, match)) match = config.rules.look(path.name);
  // Where the processes are: who may read their entries may list their numbers.
  if (path.access == kRead && match.read.effect == Effect::none && is_proc_mount(config, path.name))
    match.read = config.rules.look(std::string(path.name) + "/self").read;
  const bool is_command = !config.command.empty() && path.name == config.command;
  const auto take = [&](const Match& bit, bool command_may, const char* right, const char* field) {
    const Missing missing = {right, field, &path != facts.paths};
    if (bit.effect == Effect::deny) {
      if (!out.denied) {
        out.rule = bit.label;
        out.missing = missing;
      }
      out.denied = true;
    } else if (bit.effect == Effect::none && !command_may) {
      if (!out.denied && out.allowed) out.missing = missing;
      out.allowed = false;
      if (!path.missing) out.only_missing = false;
    }
  };
  if (path.access == 0) {
    take(match.metadata, is_command || is_ancestor(path.name, config.command), "metadata", "files.read");
    return;
  }
  if ((path.access & kRead) != 0) take(match.read, is_command, "read", "files.read");
  if ((path.access & kWrite) != 0) take(match.write, false, "write", "files.write");
  if ((path.access & kExecute) != 0)
    take(config.any_exec && match.execute.effect == Effect::none ? match.read : match.execute, is_command, "exec",
         config.any_exec ? "files.read" : "exec");
}

}  // namespace

Judgement judge(const Config& config, const Held& call, const Facts& facts) {
  Judgement out;
  for (int i = 0; i < facts.path_count; i++) judge_path(config, call, facts, facts.paths[i], out);
  if (facts.address != nullptr) {
    const Match match = config.rules.address(*facts.address, facts.operation);
    const bool binds = facts.operation == protocol::kBind;
    const Missing missing = {binds ? "bind" : "connect", binds ? "network.bind" : "network.connect", false};
    if (match.effect == Effect::deny) {
      if (!out.denied) {
        out.rule = match.label;
        out.missing = missing;
      }
      out.denied = true;
    } else if (match.effect == Effect::none) {
      if (!out.denied && out.allowed) out.missing = missing;
      out.allowed = out.only_missing = false;
    }
  }
  return out;
}

}  // namespace holdfast
