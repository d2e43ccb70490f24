#include "judge.h"

#include <sys/socket.h>

#include <algorithm>
#include <string>

#include "own_names.h"

namespace holdfast {

using protocol::kExecute;
using protocol::kRead;
using protocol::kWrite;

namespace {

Match merge(const Match& a, const Match& b) { return b.effect == Effect::deny || a.effect == Effect::none ? b : a; }

// False if the name is none of a process of the tree in procfs.
bool look_as_process_of_tree(const Config& config, const Held& call, std::string_view name, PathMatch& out) {
  const OwnNames names(config, call, name);
  if (names.count == 0) return false;
  out = config.rules.look(names[0]);
  if (names.count > 1) {
    const PathMatch thread = config.rules.look(names[1]);
    out = {merge(out.read, thread.read), merge(out.write, thread.write), merge(out.execute, thread.execute),
           merge(out.metadata, thread.metadata), merge(out.name, thread.name)};
  }
  config.rules.deny_by_patterns(name, out);
  return true;
}

bool is_proc_mount(const Config& config, std::string_view name) {
  return std::find(config.proc_mounts.begin(), config.proc_mounts.end(), name) != config.proc_mounts.end();
}

bool makes(const Facts& facts) {
  using protocol::Event;
  return facts.event == Event::mkdir || facts.event == Event::symlink || facts.event == Event::mknod;
}

// What is refused could not even be looked at; of what was to be made, the folder. So it does not matter whether it is
// there: who makes a path from its first missing part on would for ever be told that the next one is missing.
bool is_hidden(const Config& config, const Facts& facts, const Facts::Path& path, const PathMatch& match) {
  if (!path.made && !makes(facts)) return match.metadata.effect != Effect::allow;
  const size_t slash = path.name.rfind('/');
  return config.rules.metadata(path.name.substr(0, std::max<size_t>(slash, 1))).effect != Effect::allow;
}

// What a rule on the caller's descent leaves of a right.
Match denied_by_descent(const Config& config, const Held& call, std::string_view name, uint8_t access,
                        const Match& otherwise) {
  if (config.exec.files().empty()) return otherwise;
  const ExecRules::Rule* rule = config.exec.denial(call, name, access);
  const OwnNames own(config, call, name);
  for (int i = 0; rule == nullptr && i < own.count; i++) rule = config.exec.denial(call, own[i], access);
  return rule == nullptr ? otherwise : Match{Effect::deny, rule->name.get()};
}

// For one path; `out` collects.
void judge_path(const Config& config, const Held& call, const Facts& facts, const Facts::Path& path, Judgement& out) {
  PathMatch match;
  if (!look_as_process_of_tree(config, call, path.name, match)) match = config.rules.look(path.name);
  // Where the processes are: who may read their entries may list their numbers.
  if (path.access == kRead && match.read.effect == Effect::none && is_proc_mount(config, path.name))
    match.read = config.rules.look(std::string(path.name) + "/self").read;
  if (path.own_terminal && config.own_terminals)
    for (Match* right : {&match.read, &match.write, &match.metadata})
      if (right->effect == Effect::none) *right = Match(Effect::allow, "scratch");
  bool refused = false;
  Given::Rights& given = out.given.paths[&path != facts.paths];
  const auto take = [&](const Match& bit, const char*& by, const char* right, const char* field,
                        bool of_folder = false) {
    bit.note();
    if (bit.effect == Effect::allow) {
      by = out.allowed_by = bit.label;
      return;
    }
    refused = true;
    const Missing missing = {right, field, &path != facts.paths, of_folder};
    if (bit.effect == Effect::deny) {
      out.not_there = out.not_there || bit.hidden;
      if (!out.denied) {
        out.rule = bit.label;
        out.missing = missing;
      }
      out.denied = true;
    } else {
      if (!out.denied && out.allowed) out.missing = missing;
      out.allowed = false;
      out.never |= field == nullptr;
      if (!path.missing) out.only_missing = false;
    }
  };
  const auto of_caller = [&](const Match& bit, uint8_t access) {
    return bit.effect == Effect::deny ? bit : denied_by_descent(config, call, path.name, access, bit);
  };
  if (path.access == 0)
    take(of_caller(match.metadata, protocol::kMetadata), given.metadata, "metadata", "files.metadata");
  if ((path.access & kRead) != 0) take(of_caller(match.read, kRead), given.read, "read", "files.read");
  if ((path.access & kWrite) != 0) {
    const Match change = of_caller(match.change(path.part, path.thing), kWrite);
    const bool contents = path.part == Part::contents;
    const bool never = !contents && path.thing == Thing::device;
    take(change, given.write, "write", never ? nullptr : "files.write",
         !contents && (path.part == Part::name || path.thing == Thing::pipe));
    if (change.effect == Effect::none && match.write.effect == Effect::allow)
      out.reason = path.thing == Thing::device ? "rules on a device give its contents only"
                   : path.part == Part::name   ? "a rule on a path does not give its name: that belongs to its folder"
                                               : "a rule on a socket or FIFO gives its contents only";
  }
  if ((path.access & kExecute) != 0) {
    // What has no name is meant by no rule but one on everything.
    const bool nameless = is_nameless(path.name);
    Match execution = match.execution(config.any_exec);
    bool almost = false;
    if (!config.exec.all().empty()) config.exec.judge(call, facts, path.name, execution, almost);
    execution = of_caller(execution, kExecute);
    take(execution, given.execute, "exec", nameless ? nullptr : config.any_exec ? "files.read" : "exec");
    if (almost && execution.effect == Effect::none)
      out.reason = "exec allows this program with other arguments, or to other callers";
    if (nameless && execution.effect == Effect::none)
      out.reason =
          "a program that lies in memory has no name that a rule could give: only a rule on / or a hook allows it";
  }
  if (refused && out.hidden) out.hidden = is_hidden(config, facts, path, match);
}

// `granted`: an address needs no rule.
Judgement judge_by(const Config& config, const Held& call, const Facts& facts, const Address* socket, bool granted) {
  Judgement out;
  // Where a rule on sockets speaks of the path, no other does.
  if (socket == facts.address)
    for (int i = 0; i < facts.path_count; i++) judge_path(config, call, facts, facts.paths[i], out);
  if (socket != nullptr) {
    const Match match = config.rules.address(*socket, facts.operation);
    match.note();
    if (match.effect == Effect::allow) out.allowed_by = match.label;
    const bool binds = facts.operation == protocol::kBind;
    const Missing missing = {binds ? "bind" : "connect", binds ? "network.bind" : "network.connect", false};
    if (match.effect == Effect::allow) out.given.address = match.label;
    if (match.effect == Effect::deny) {
      if (!out.denied) {
        out.rule = match.label;
        out.missing = missing;
      }
      out.denied = true;
      out.hidden = false;
    } else if (match.effect == Effect::none && !granted) {
      if (!out.denied && out.allowed) out.missing = missing;
      out.allowed = out.only_missing = out.hidden = false;
    }
  }
  return out;
}

// By one that was put on top, which may speak of a socket's path where the others do not.
Judgement judge_narrower(const Config& config, const Held& call, const Facts& facts) {
  const bool granted = facts.granted && config.rules.any_internet(protocol::kConnect);
  if (facts.operation == 0 || facts.address != nullptr || facts.path_count != 1 ||
      !config.rules.decides_socket(facts.paths[0].name, facts.operation))
    return judge_by(config, call, facts, facts.address, granted);
  Address socket;
  socket.family = AF_UNIX;
  socket.unix_name = facts.paths[0].name;
  return judge_by(config, call, facts, &socket, granted);
}

}  // namespace

Judgement judge(const Config& config, const Held& call, const Facts& facts) {
  Judgement out = judge_by(config, call, facts, facts.address, facts.granted);
  for (const Config* other = config.narrowed.load(); other != nullptr; other = other->before) {
    const Judgement also = judge_narrower(*other, call, facts);
    if (out.denied || (also.allowed && !also.denied)) continue;
    out.allowed = false;
    out.hidden = also.hidden;
    out.missing = also.missing;
    if (also.denied) {
      out.denied = true;
      out.not_there = also.not_there;
      out.rule = also.rule;
      continue;
    }
    out.only_missing = (!out.narrowed || out.only_missing) && also.only_missing;
    out.narrowed = true;
    out.reason = "restrict() has left nothing that allows it";
  }
  return out;
}

}  // namespace holdfast
