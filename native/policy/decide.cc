#include "decide.h"

#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "../call/tree.h"
#include "../call/turn.h"
#include "../channel/channel.h"
#include "../protocol/tlv.h"
#include "config.h"

namespace holdfast {

using protocol::FieldWriter;
using protocol::kExecute;
using protocol::kRead;
using protocol::kWrite;
using protocol::RecordKind;
using protocol::Tag;
using protocol::VerdictKind;

namespace {

constexpr uint8_t kAllAccess = kRead | kWrite | kExecute;
constexpr int kMaxErrno = 4095;  // MAX_ERRNO, linux/err.h: above it a result is no error to the caller

// ---- What the rules say ------------------------------------------------------------------------------------------

Match merge(const Match& a, const Match& b) {
  if (a.effect == Effect::deny || b.effect == Effect::none) return a;
  return b.effect == Effect::deny || a.effect == Effect::none ? b : a;
}

// A process of the caller's own in procfs, by the names under which rules know it: /proc/self is in rules what it is to
// each process, while the canonical name of its files has its number. False if the name is none of that kind.
bool look_as_own_process(const Config& config, const Held& call, std::string_view name, PathMatch& out) {
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
    if (process == 0 || process != call.tgid()) return false;
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

struct Judgement {
  bool denied = false;       // by a deny rule
  bool allowed = true;       // all of it, by allow rules
  bool only_missing = true;  // what is not allowed is not there
  const char* rule = "";     // that denied
};

bool is_ancestor(std::string_view ancestor, std::string_view path) {
  return ancestor == "/" || (path.size() > ancestor.size() && path.compare(0, ancestor.size(), ancestor) == 0 &&
                             path[ancestor.size()] == '/');
}

// For one path; `out` collects.
void judge_path(const Config& config, const Held& call, const Facts::Path& path, Judgement& out) {
  PathMatch match;
  if (!look_as_own_process(config, call, path.name, match)) match = config.rules.look(path.name);
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

Judgement judge(const Sandbox& sandbox, const Held& call, const Facts& facts) {
  Judgement out;
  for (int i = 0; i < facts.path_count; i++) judge_path(sandbox.config, call, facts.paths[i], out);
  if (facts.address != nullptr) {
    const Match match = sandbox.config.rules.address(*facts.address, facts.operation);
    if (match.effect == Effect::deny) {
      if (!out.denied) out.rule = match.label;
      out.denied = true;
    } else if (match.effect == Effect::none) {
      out.allowed = out.only_missing = false;
    }
  }
  return out;
}

// ---- Which hooks are asked ---------------------------------------------------------------------------------------

bool wants(const HookFilter& filter, const Facts& facts) {
  if (filter.has_port) {
    const Address* address = facts.address;
    if (address == nullptr || address->family == AF_UNIX) return false;
    if (address->port < filter.port_low || address->port > filter.port_high) return false;
  }
  const auto fits = [&](std::string_view name, uint8_t access) {
    // Who only looks at metadata reads, if anything.
    const bool wanted = filter.access == kAllAccess || (filter.access & (access != 0 ? access : kRead)) != 0;
    return wanted && (!filter.has_pattern || filter.pattern.matches(name));
  };
  for (int i = 0; i < facts.path_count; i++)
    if (fits(facts.paths[i].name, facts.paths[i].access)) return true;
  if (facts.path_count != 0) return false;
  return !filter.has_pattern || (facts.address != nullptr && facts.address->family == AF_UNIX &&
                                 filter.pattern.matches(facts.address->unix_name));
}

bool anybody_wants(const Config& config, const Facts& facts) {
  if (!config.hooked(facts.event)) return false;
  for (const uint32_t index : config.hooks_of[static_cast<unsigned>(facts.event)])
    if (wants(config.hooks[index], facts)) return true;
  return false;
}

// One hook may have several filters, and is asked once.
void write_hooks(FieldWriter& writer, const Config& config, const Facts& facts) {
  int64_t last = -1;
  for (const uint32_t index : config.hooks_of[static_cast<unsigned>(facts.event)]) {
    const HookFilter& filter = config.hooks[index];
    if (filter.hook == last || !wants(filter, facts)) continue;
    writer.number(Tag::hooks_, filter.hook);
    last = filter.hook;
  }
}

// ---- What hooks and violations say -------------------------------------------------------------------------------

// What the caller runs. Empty if it cannot be read, or if the number may be another's by now.
std::string executable_of(Sandbox& sandbox, const Held& call) {
  const pid_t group = call.tgid();
  std::string program;
  uint64_t look;
  if (sandbox.tree.program_of(group, program, look)) return program;
  char link[40], target[PATH_MAX];
  snprintf(link, sizeof link, "/proc/%d/exe", static_cast<int>(call.tid));
  const ssize_t length = readlink(link, target, sizeof target);
  if (length <= 0 || !call.still_held()) return {};
  program.assign(target, static_cast<size_t>(length));
  sandbox.tree.remember_program(group, program, look);
  return program;
}

void write_caller(FieldWriter& writer, const Held& call, const char* syscall, std::string_view executable) {
  writer.number(Tag::pid_, call.tgid());
  writer.number(Tag::tid_, call.tid);
  writer.text(Tag::syscall_, syscall);
  if (!executable.empty()) writer.text(Tag::executable_, executable);
}

void write_names(FieldWriter& writer, const Facts& facts) {
  if (facts.path_count > 0) {
    writer.text(Tag::path_, facts.paths[0].name);
    writer.number(Tag::access_, facts.paths[0].access);
  }
  if (facts.path_count > 1) writer.text(Tag::to_, facts.paths[1].name);
  if (facts.address != nullptr) {
    writer.number(Tag::family_, facts.address->family);
    writer.text(Tag::address_, facts.address->text());
    if (facts.address->family != AF_UNIX) writer.number(Tag::port_, facts.address->port);
  } else if (facts.operation != 0 && facts.path_count > 0) {
    // A unix socket that no rule on sockets speaks of is judged as a file; for hooks it is a socket all the same.
    writer.number(Tag::family_, AF_UNIX);
    writer.text(Tag::address_, facts.paths[0].name);
  }
}

void write_details(FieldWriter& writer, const Facts& facts) {
  const auto number = [&](Tag tag, int64_t value, int64_t absent) {
    if (value != absent) writer.number(tag, value);
  };
  number(Tag::flags_, facts.flags, -1);
  number(Tag::mode_, facts.mode, -1);
  number(Tag::size_, facts.size, -1);
  number(Tag::uid_, facts.uid, -2);
  number(Tag::gid_, facts.gid, -2);
  number(Tag::signal_, facts.signal, -1);
  number(Tag::targetPid_, facts.target_pid, -1);
  number(Tag::directory_, facts.directory, -1);
  number(Tag::device_, facts.device, -1);
  if (facts.times != nullptr) {
    writer.number(Tag::atimeSec_, facts.times[0]);
    writer.number(Tag::atimeNsec_, facts.times[1]);
    writer.number(Tag::mtimeSec_, facts.times[2]);
    writer.number(Tag::mtimeNsec_, facts.times[3]);
  }
  // An empty text is as good as an absent one.
  if (!facts.target.empty()) writer.text(Tag::target_, facts.target);
  if (!facts.name.empty()) writer.text(Tag::name_, facts.name);
  if (!facts.interpreter.empty()) writer.text(Tag::interpreter_, facts.interpreter);
  if (facts.argv != nullptr) {
    writer.number(Tag::count_, static_cast<int64_t>(facts.argv_count));
    for (size_t i = 0; i < facts.argv_count && facts.argv[i].size() + 16 <= writer.room(); i++)
      writer.text(Tag::argv_, facts.argv[i]);
  }
}

struct Refusal {
  const Facts* facts = nullptr;
  const char* syscall;
  std::string_view path;  // instead of facts
  std::string_view rule;
  std::string_view reason;
  int error = 0;
};

void send_violation(Sandbox& sandbox, const Held& call, const Refusal& refusal) {
  const std::string executable = executable_of(sandbox, call);
  const std::unique_ptr<uint8_t[]> buffer(new uint8_t[protocol::kMaxRecord]);
  // Names may be longer than any record: then the event comes without them.
  for (const bool with_names : {true, false}) {
    FieldWriter writer(buffer.get(), protocol::kMaxRecord);
    write_caller(writer, call, refusal.syscall, executable);
    writer.number(Tag::errno_, refusal.error);
    if (!refusal.rule.empty()) writer.text(Tag::rule_, refusal.rule);
    if (!refusal.reason.empty()) writer.text(Tag::reason_, refusal.reason);
    if (refusal.facts != nullptr && refusal.facts->event != Event::none)
      writer.number(Tag::event_, static_cast<int64_t>(refusal.facts->event));
    if (with_names) {
      if (!refusal.path.empty()) writer.text(Tag::path_, refusal.path);
      if (refusal.facts != nullptr) write_names(writer, *refusal.facts);
    }
    if (refusal.facts != nullptr && refusal.facts->signal >= 0) {
      writer.number(Tag::signal_, refusal.facts->signal);
      writer.number(Tag::targetPid_, refusal.facts->target_pid);
    }
    if (writer.full()) continue;
    sandbox.channel.send(RecordKind::violation, buffer.get(), writer.size());
    return;
  }
}

const char* syscall_of(const Held& call, const Facts& facts) {
  return facts.event_syscall != nullptr ? facts.event_syscall : call.row->name;
}

// ---- Hooks' answers ----------------------------------------------------------------------------------------------

Decision error(int number) {
  Decision out;
  out.kind = Decision::Kind::error;
  out.error = number;
  return out;
}

Decision refuse(Sandbox& sandbox, const Held& call, const Facts& facts, int number, std::string_view rule,
                std::string_view reason) {
  Refusal refusal;
  refusal.facts = &facts;
  refusal.syscall = syscall_of(call, facts);
  refusal.rule = rule;
  refusal.reason = reason;
  refusal.error = number;
  send_violation(sandbox, call, refusal);
  return error(number);
}

// Whether the data is what the call can be redirected to.
bool valid_redirect(Event event, const std::string& data) {
  if (event == Event::open) return !data.empty() && data.size() < PATH_MAX && data.find('\0') == data.npos;
  if (event != Event::connect || data.size() != sizeof(protocol::RedirectAddress)) return false;
  protocol::RedirectAddress to;
  std::memcpy(&to, data.data(), sizeof to);
  return (to.family == AF_INET || to.family == AF_INET6) && to.port <= 65535;
}

// Asks. False: no opinion, the allow rules decide.
bool ask(Sandbox& sandbox, const Held& call, const Facts& facts, Decision& out) {
  const std::string executable = executable_of(sandbox, call);
  if (sandbox.tree.size() > 1) pass_turn();  // a hook takes its time
  Channel::Answer answer = sandbox.channel.ask(call, [&](FieldWriter& writer) {
    write_hooks(writer, sandbox.config, facts);
    writer.number(Tag::event_, static_cast<int64_t>(facts.event));
    write_caller(writer, call, syscall_of(call, facts), executable);
    write_names(writer, facts);
    write_details(writer, facts);
  });
  if (answer.gone) {
    out.kind = Decision::Kind::gone;
    return true;
  }
  if (answer.lost) {
    out = error(EPERM);
    return true;
  }
  if (answer.too_long) {
    out = refuse(sandbox, call, facts, ENAMETOOLONG, "", "too long to ask a hook about");
    return true;
  }
  switch (answer.verdict) {
    case VerdictKind::none:
      return false;
    case VerdictKind::allow:
      out.kind = Decision::Kind::allow;
      return true;
    case VerdictKind::deny: {
      const bool valid = answer.error > 0 && answer.error <= kMaxErrno;
      out = refuse(sandbox, call, facts, valid ? answer.error : EACCES, "hook", "a hook refused it");
      return true;
    }
    case VerdictKind::kill:
      refuse(sandbox, call, facts, EINTR, "hook", "a hook ended the process");
      out.kind = Decision::Kind::kill;
      out.error = answer.error > 0 && answer.error <= SIGRTMAX ? answer.error : SIGKILL;
      return true;
    case VerdictKind::redirect:
      if (!valid_redirect(facts.event, answer.data)) break;
      out.kind = Decision::Kind::redirect;
      out.data = std::move(answer.data);
      return true;
    case VerdictKind::respond:
      if (facts.event != Event::open) break;
      out.kind = Decision::Kind::respond;
      out.data = std::move(answer.data);
      return true;
  }
  out = refuse(sandbox, call, facts, EACCES, "hook", "a hook's verdict makes no sense for this call");
  return true;
}

}  // namespace

Decision decide(Sandbox& sandbox, const Held& call, const Facts& facts) {
  const Judgement judgement = judge(sandbox, call, facts);
  if (judgement.denied) return refuse(sandbox, call, facts, EACCES, judgement.rule, "");
  Decision decision;
  if (anybody_wants(sandbox.config, facts) && ask(sandbox, call, facts, decision)) return decision;
  if (judgement.allowed) {
    decision.kind = Decision::Kind::allow;
    return decision;
  }
  if (judgement.only_missing) return error(ENOENT);
  return refuse(sandbox, call, facts, EACCES, "", "nothing allows it");
}

bool allowed_unheard(const Sandbox& sandbox, const Held& call, const Facts& facts) {
  if (anybody_wants(sandbox.config, facts)) return false;
  const Judgement judgement = judge(sandbox, call, facts);
  return !judgement.denied && judgement.allowed;
}

void report(Sandbox& sandbox, const Held& call, int error, std::string_view reason, std::string_view path) {
  Refusal refusal;
  refusal.syscall = call.row->name;
  refusal.path = path;
  refusal.reason = reason;
  refusal.error = error;
  send_violation(sandbox, call, refusal);
}

}  // namespace holdfast
