#include "ask.h"

#include <limits.h>
#include <netinet/in.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "../call/tree.h"
#include "../call/turn.h"
#include "../channel/channel.h"
#include "own_names.h"
#include "redirected_program.h"
#include "violation.h"

namespace holdfast {

using protocol::Event;
using protocol::FieldWriter;
using protocol::kExecute;
using protocol::kRead;
using protocol::kWrite;
using protocol::Tag;
using protocol::VerdictKind;

namespace {

constexpr uint8_t kAllAccess = kRead | kWrite | kExecute;
constexpr int kMaxErrno = 4095;  // MAX_ERRNO, linux/err.h: above it a result is no error to the caller

bool wants(const Config& config, const Held& call, const HookFilter& filter, const Facts& facts) {
  if (filter.under != ExecRules::kAnybody && !is_under(call, filter.under, true)) return false;
  // Whose program is not known may be anybody.
  if (facts.program != nullptr)
    return (filter.kinds & facts.kind) != 0 &&
           (filter.names.any() || facts.program->empty() || filter.names.matches(*facts.program));
  if (filter.has_port) {
    const Address* address = facts.address;
    if (address == nullptr || address->family == AF_UNIX) return false;
    if (address->port < filter.port_low || address->port > filter.port_high) return false;
  }
  const auto speaks_of = [&](std::string_view name) {
    if (filter.names.matches(name)) return true;
    const OwnNames own(config, call, name);
    for (int i = 0; i < own.count; i++)
      if (filter.names.matches(own[i])) return true;
    return false;
  };
  for (int i = 0; i < facts.path_count; i++) {
    // Who only looks at metadata reads, if anything.
    const uint8_t access = facts.paths[i].access != 0 ? facts.paths[i].access : kRead;
    if ((filter.access == kAllAccess || (filter.access & access) != 0) && speaks_of(facts.paths[i].name)) return true;
  }
  if (facts.path_count != 0) return false;
  return filter.names.any() || (facts.address != nullptr && facts.address->family == AF_UNIX &&
                                filter.names.matches(facts.address->unix_name));
}

bool surely_under(const Held& call, const HookFilter& filter) {
  return filter.under == ExecRules::kAnybody || is_under(call, filter.under, false);
}

// One hook may have several filters, and is asked once.
void write_hooks(FieldWriter& writer, const Config& config, const Held& call, const Facts& facts) {
  int64_t last = -1;
  for (const uint32_t index : config.hooks_of[static_cast<unsigned>(facts.event)]) {
    const HookFilter& filter = config.hooks[index];
    if (filter.hook == last || !wants(config, call, filter, facts)) continue;
    writer.number(Tag::hooks_, filter.hook);
    last = filter.hook;
  }
}

// Whether a hook is asked only because of where a planted link led, or because nobody knows whom the caller descends
// from: what is allowed then is not what its author meant.
// Which of several hooks has allowed it is not known, so one is enough.
bool is_doubtful(const Config& config, const Held& call, const Facts& facts) {
  const auto& indices = config.hooks_of[static_cast<unsigned>(facts.event)];
  for (size_t i = 0; i < indices.size();) {
    const uint32_t hook = config.hooks[indices[i]].hook;
    bool planted = false, named = false;
    for (; i < indices.size() && config.hooks[indices[i]].hook == hook; i++)
      if (const HookFilter& filter = config.hooks[indices[i]]; wants(config, call, filter, facts))
        (filter.planted || !surely_under(call, filter) ? planted : named) = true;
    if (planted && !named) return true;
  }
  return false;
}

// Whether the data is what the call can be redirected to.
bool valid_redirect(const Facts& facts, const std::string& data) {
  const Event event = facts.event;
  if (event == Event::open) {
    // A path, or a folder that must not be left and a path below it.
    const size_t folder = data.find('\0');
    const std::string_view path = std::string_view(data).substr(folder == data.npos ? 0 : folder + 1);
    return !path.empty() && path.size() < PATH_MAX && path.find('\0') == path.npos &&
           (folder == data.npos || (folder != 0 && folder < PATH_MAX));
  }
  if (event == Event::exec) return RedirectedProgram().parse(data);
  if (event == Event::signal) {
    protocol::RedirectSignal to;
    if (data.size() != sizeof to) return false;
    std::memcpy(&to, data.data(), sizeof to);
    return to.signal >= -1 && to.signal <= SIGRTMAX && to.pid >= 0;
  }
  const bool has_address = event == Event::connect || event == Event::bind || event == Event::send;
  if (!has_address) return false;
  // A socket that has a path goes to one, others to an address of the internet; abstract names go nowhere else.
  const bool has_path = facts.path_count != 0 || (facts.address->family == AF_UNIX && !facts.address->abstract);
  if (has_path) return data.starts_with('/') && data.size() < PATH_MAX && data.find('\0') == data.npos;
  if (facts.address->family == AF_UNIX || data.size() != sizeof(protocol::RedirectAddress)) return false;
  protocol::RedirectAddress to;
  std::memcpy(&to, data.data(), sizeof to);
  return (to.family == AF_INET || to.family == AF_INET6) && to.port <= 65535;
}

// Not where a success is more than a number: a descriptor, a new program, a buffer that is filled. And most calls have
// no other number than 0.
bool may_fake(Event event, int result) {
  switch (event) {
    case Event::open:
    case Event::exec:
    case Event::stat:
    case Event::statfs:
    case Event::readlink:
    case Event::getxattr:
    case Event::exit:
    case Event::none:
      return false;
    case Event::send:
    case Event::watch:
      return result >= -1;
    case Event::fork:  // 0 would say that the caller is the child
      return result > 0;
    default:
      return result == 0 || result == -1;
  }
}

}  // namespace

Decision Decision::refused(int number) {
  Decision out;
  out.kind = Decision::Kind::error;
  out.error = number;
  return out;
}

Decision refuse(Sandbox& sandbox, const Held& call, const Facts& facts, int number, std::string_view rule,
                std::string_view reason, const Missing& missing) {
  report_refused(sandbox, call, facts, number, rule, reason, missing);
  return Decision::refused(number);
}

bool anybody_wants(const Config& config, const Held& call, const Facts& facts) {
  if (!config.hooked(facts.event)) return false;
  for (const uint32_t index : config.hooks_of[static_cast<unsigned>(facts.event)])
    if (wants(config, call, config.hooks[index], facts)) return true;
  return false;
}

bool would_escape_hooks(const Config& config, std::string_view from, std::string_view to, bool is_directory) {
  return std::any_of(config.hooks.begin(), config.hooks.end(),
                     [&](const HookFilter& filter) { return filter.names.would_lose(from, to, is_directory); });
}

bool ask(Sandbox& sandbox, const Held& call, const Facts& facts, Decision& out) {
  const std::string executable = executable_of(sandbox, call);
  const auto build = [&](FieldWriter& writer) {
    write_hooks(writer, sandbox.config, call, facts);
    writer.number(Tag::event_, static_cast<int64_t>(facts.event));
    write_caller(writer, call, syscall_of(call, facts), executable);
    write_names(writer, facts);
    // Arguments come last: as many as have room.
    if (facts.event == Event::exec && !sandbox.tree.has_begun()) writer.number(Tag::initial_, 1);
    write_details(writer, facts);
  };
  // A single thread makes one call at a time.
  Channel::Answer answer = sandbox.channel.ask(call, build, [&] {
    if (sandbox.tree.size() > 1) pass_turn();
  });
  // Nothing can be refused.
  if (facts.event == Event::exit) return false;
  if (answer.gone) {
    out.kind = Decision::Kind::gone;
    return true;
  }
  if (answer.lost) {
    out = Decision::refused(EPERM);
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
      if (is_doubtful(sandbox.config, call, facts)) return false;
      out.kind = Decision::Kind::allow;
      out.by_hook = true;
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
      if (!valid_redirect(facts, answer.data)) break;
      out.kind = Decision::Kind::redirect;
      out.data = std::move(answer.data);
      return true;
    case VerdictKind::fake:
      if (!may_fake(facts.event, answer.error)) break;
      out.kind = Decision::Kind::fake;
      out.error = answer.error;
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

}  // namespace holdfast
