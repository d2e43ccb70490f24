#include "record.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../call/blocking.h"
#include "../call/tree.h"
#include "../channel/report.h"
#include "config.h"

namespace holdfast {
namespace {

using protocol::kExecute;
using protocol::kRead;
using protocol::kWrite;
using Outcome = Accesses::Outcome;

struct Noted {
  explicit Noted(const char* of) : kind(of) {}

  std::string_view kind;  // a literal
  std::string target;
  std::string rule;
  bool is_path = false, probe = false, of_folder = false;
  int family = 0, port = -1, signal = -1;
  // Empty: as the call ends.
  std::optional<Outcome> outcome;
  int error = 0;

  bool operator==(const Noted&) const = default;
};

// One thread decides on one call at a time.
thread_local std::vector<Noted> noted;

void add(Noted one) {
  for (const Noted& other : noted)
    if (other == one) return;
  noted.push_back(std::move(one));
}

// A right that is needed only to be told something.
bool is_look(Event event) {
  switch (event) {
    case Event::stat:
    case Event::access:
    case Event::readlink:
    case Event::statfs:
    case Event::getxattr:
      return true;
    default:
      return false;
  }
}

// The rights that a call is about, each once. `act` hears of each, and whether it is about the second of two paths.
template <typename Act>
void for_rights(const Facts& facts, Act act) {
  if (facts.event == Event::fork || facts.event == Event::exit) return;
  if (facts.signal >= 0) {
    Noted one("signal");
    one.signal = static_cast<int>(facts.signal);
    act(std::move(one), false);
    return;
  }
  if (facts.operation != 0 && (facts.address != nullptr || facts.path_count != 0)) {
    // To bind to no address and no port of one's own needs no right.
    if (facts.granted) return;
    Noted one(facts.operation == protocol::kBind ? "bind" : "connect");
    one.family = facts.address != nullptr ? facts.address->family : AF_UNIX;
    one.target = facts.address != nullptr ? facts.address->text() : std::string(facts.paths[0].name);
    if (facts.address != nullptr && one.family != AF_UNIX) one.port = facts.address->port;
    one.probe = facts.path_count != 0 && facts.paths[0].missing;
    act(std::move(one), false);
    return;
  }
  for (int i = 0; i < facts.path_count; i++) {
    const Facts::Path& path = facts.paths[i];
    const auto of = [&](const char* kind) {
      Noted one(kind);
      one.target = path.name;
      one.is_path = true;
      one.probe = is_look(facts.event) || path.missing;
      return one;
    };
    if (path.access == 0) act(of("metadata"), i != 0);
    if ((path.access & kRead) != 0) act(of("read"), i != 0);
    if ((path.access & kExecute) != 0) act(of("exec"), i != 0);
    if ((path.access & kWrite) == 0) continue;
    Noted one = of("write");
    one.of_folder = path.part == Part::name || (path.part != Part::contents && path.thing == Thing::pipe);
    act(std::move(one), i != 0);
  }
}

const char* rule_of(const Given& given, const Noted& one, bool second) {
  if (given.address != nullptr) return given.address;
  const Given::Rights& rights = given.paths[second];
  if (!one.is_path || one.kind == "write") return rights.write;  // a socket by its path, too
  return one.kind == "read" ? rights.read : one.kind == "exec" ? rights.execute : rights.metadata;
}

void keep(Sandbox& sandbox, const Held& call, std::vector<Noted>& all, Outcome ended, int error) {
  if (all.empty()) return;
  // Nobody of the tree asks for the command itself.
  const std::string program = call.initial ? std::string() : executable_of(sandbox, call);
  const uint64_t now = sandbox.tree.usage().wall_time();
  for (const Noted& one : all) {
    Accesses::Access access;
    access.kind = one.kind.data();
    access.outcome = one.outcome.value_or(ended);
    access.error = one.outcome ? one.error : error;
    access.probe = one.probe;
    access.of_folder = one.of_folder;
    access.is_path = one.is_path;
    access.family = one.family;
    access.port = one.port;
    access.signal = one.signal;
    access.target = one.target;
    access.program = program;
    access.rule = one.rule;
    if (sandbox.tree.accesses().add(access, now)) continue;
    report_warning(sandbox, "record", program, "",
                   "record: more different accesses than there is room for; what is not there already is left out "
                   "from now on, and counted (truncated)");
  }
}

void keep(Sandbox& sandbox, const Held& call, std::vector<Noted> all, const Finish& finish) {
  switch (finish.kind) {
    case Finish::Kind::answer:
    case Finish::Kind::refused_foreign:
      if (finish.value == -kRestart) return;  // it comes again
      if (finish.value < 0 && finish.value != -EINPROGRESS)
        return keep(sandbox, call, all, Outcome::failed, static_cast<int>(-finish.value));
      return keep(sandbox, call, all, Outcome::allowed, 0);
    case Finish::Kind::bounce:
      if (finish.arguments->lends || finish.arguments->tries) return;  // likewise
      return keep(sandbox, call, all, Outcome::allowed, 0);
    case Finish::Kind::hand_over:
    case Finish::Kind::proceed:
      return keep(sandbox, call, all, Outcome::allowed, 0);
    case Finish::Kind::kill:
      return keep(sandbox, call, all, Outcome::refused, EINTR);
    case Finish::Kind::gone:
    case Finish::Kind::by_stop:
    case Finish::Kind::behind_wall:
      return;
  }
}

}  // namespace

void note(const Sandbox& sandbox, const Held&, const Facts& facts, const Given& given) {
  if (!sandbox.config.records) return;
  for_rights(facts, [&](Noted one, bool second) {
    if (const char* const rule = rule_of(given, one, second)) one.rule = rule;
    add(std::move(one));
  });
}

void note_look(const Sandbox& sandbox, const Held&, std::string_view path) {
  if (!sandbox.config.records) return;
  Noted one("metadata");
  one.target = path;
  one.is_path = one.probe = true;
  add(std::move(one));
}

void note_refused_anyway(const Sandbox& sandbox, int error, std::string_view rule) {
  if (!sandbox.config.records) return;
  for (Noted one : std::exchange(noted, {})) {
    if (!one.outcome) {
      one.outcome = Outcome::refused;
      one.error = error;
      one.rule = rule;
    }
    add(std::move(one));
  }
}

void note_refused(const Sandbox& sandbox, const Held& call, const Facts* facts, std::string_view rule, int error,
                  const Missing& missing) {
  if (!sandbox.config.records) return;
  const auto refused = [&](Noted one) {
    one.outcome = Outcome::refused;
    one.error = error;
    one.rule = rule;
    add(std::move(one));
  };
  if (facts == nullptr || (facts->path_count == 0 && facts->address == nullptr && facts->signal < 0)) {
    // What it was about is told already.
    if (std::any_of(noted.begin(), noted.end(), [&](const Noted& one) { return one.outcome == Outcome::refused; }))
      return;
    Noted one("syscall");
    one.target = call.row->name;
    return refused(std::move(one));
  }
  for_rights(*facts, [&](Noted one, bool second) {
    const bool is_missing =
        missing.right == nullptr || (second == missing.second && missing.right == one.kind) || !one.is_path;
    if (is_missing) refused(std::move(one));
  });
}

Recording::Recording(Sandbox& sandbox, const Held& call) : sandbox_(sandbox), call_(call) { noted.clear(); }

Recording::~Recording() { noted.clear(); }

Finish Recording::end(Finish finish) {
  if (noted.empty()) return finish;
  std::vector<Noted> all = std::exchange(noted, {});
  if (finish.kind != Finish::Kind::behind_wall) {
    keep(sandbox_, call_, std::move(all), finish);
    return finish;
  }
  return Finish::behind_wall(
      [&sandbox = sandbox_, call = call_, all = std::move(all), work = std::move(finish.work)]() mutable {
        Finish end = work();
        work = nullptr;  // and what it holds of the caller's
        keep(sandbox, call, std::move(all), end);
        return end;
      });
}

}  // namespace holdfast
