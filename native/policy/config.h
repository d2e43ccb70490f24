// What Node sent at the start: options, policy, the hooks' filters. Read once, checked, and never changed but by
// further policies on top of it, which only refuse.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../launch/landlock.h"
#include "../launch/limits.h"
#include "../protocol/protocol.h"
#include "call_rules.h"
#include "exec_rules.h"
#include "name_filter.h"
#include "rules.h"

namespace holdfast {

struct Layers;

// One line of a registered hook's filter. A hook without a filter has one for every name and all access bits.
struct HookFilter {
  uint32_t hook = 0;
  protocol::Event event = protocol::Event::none;
  uint8_t access = 0;  // asked if any of these bits is wanted; all bits: always
  NameFilter names;    // for the canonical path (either path of rename and link), or a unix socket's; of forks the
                       // caller's program
  uint16_t port_low = 0;
  uint16_t port_high = 65535;
  bool has_port = false;
  // Its name was found by a link that the tree may have planted: it is asked, but gives no more there than rules do.
  bool planted = false;
  int under = ExecRules::kAnybody;     // only calls of who is under that number
  uint8_t kinds = protocol::kAnyKind;  // of forks: asked if one of these is made
};

// A rule, or the command, that stands for less than whoever wrote it may think.
struct Warning {
  std::string rule;    // the policy's field; `command`
  std::string path;    // what it was found at
  std::string target;  // of a symbolic link
  std::string reason;
};

// A folder in place of which the tree finds another: what is asked for below `from`, and no rule names there, is in
// `to`. Both are canonical.
struct Lead {
  std::string from, to;
};

struct Config {
  static constexpr size_t kMaxBytes = 64u << 20;  // of a configuration

  bool wait_for_tree = false;  // descendants may outlive the command
  Limits limits;
  std::string control_group;  // the folder of the tree's own; empty: it has none
  bool any_exec = true;       // whatever may be read may be executed
  std::string command;        // as resolved by the supervisor; may be executed and read in any case
  Rules rules;
  bool unwritten = false;         // what the tree has written is not executed
  bool strict = false;            // from the command's own main on nothing but what seccomp's strict mode lets by
  bool no_writable_code = false;  // memory is not writable and executable
  ExecRules exec;                 // rules on what is executed by arguments and descent, and on files by descent
  bool own_terminals = false;     // the pseudoterminals that the tree makes may be opened by their names
  std::vector<Lead> leads;
  int ungranted = EACCES;                                 // what is answered for what is there but not given
  std::vector<Warning> warnings;                          // about rules that do not mean what they say
  std::vector<HookFilter> hooks;                          // in order of registration
  std::vector<uint32_t> hooks_of[protocol::kEventCount];  // indices into `hooks`
  std::vector<std::string> proc_mounts{"/proc"};          // mount points of procfs, as Node has found them

  bool reports = false;  // somebody listens to what is refused, so nothing that can be refused is left to the kernel
  CallRules calls;       // rules and hooks on raw system calls
  bool hears_logged = false;  // somebody listens to what is only logged
  bool tells_life = false;    // somebody listens to what processes are made, execute and end
  bool usage_by_program = false;
  // What no rule allows is let by, and told as if it had been refused; what a rule denies is refused all the same.
  bool lets_by = false;
  // All of it with the rules that are only tried: what these deny beyond the others is told, and let by. Or null.
  std::unique_ptr<Config> dry;
  bool tells_let_by() const { return lets_by || dry != nullptr; }
  bool records = false;      // what is asked for is counted (policy/record.h), so all of it is held
  bool plan_wanted = false;  // somebody wants to be told of the layers before the command runs

  std::shared_ptr<const Layers> layers;  // which of it the kernel decides by itself (policy/layers.h)
  Confinement second_wall;               // what of all this the kernel knows by itself (policy/second_wall.h)

  // Policies that were put on top of this one while the tree runs, the newest first; what any of them does not give is
  // refused, whatever hooks say. They only ever become more.
  std::atomic<const Config*> narrowed{nullptr};
  // Of such a one: the one that was put on before it, and what it can refuse at all.
  const Config* before = nullptr;
  bool limits_files = false;
  uint8_t limited_operations = 0;

  // Whether all of it, these too, say so of what the rules say.
  template <typename Says>
  bool all_say(Says says) const {
    if (!says(rules)) return false;
    for (const Config* other = narrowed.load(); other != nullptr; other = other->before)
      if (!says(other->rules)) return false;
    return true;
  }
  // A name that may be looked at.
  bool shows(std::string_view canonical) const {
    return all_say([&](const Rules& by) { return by.metadata(canonical).effect == Effect::allow; });
  }
  // A folder on the way to it may be moved by who has the right to do so.
  bool is_movable(std::string_view canonical) const {
    return lets_by || !all_say([&](const Rules& by) { return !by.look(canonical).movable; });
  }
  bool has_rule_below(std::string_view canonical) const {
    return !all_say([&](const Rules& by) { return !by.has_rule_below(canonical); });
  }

  // The same of the rules on raw system calls, and of those on what is executed.
  template <typename Says>
  bool any_says(Says says) const {
    if (says(*this)) return true;
    for (const Config* other = narrowed.load(); other != nullptr; other = other->before)
      if (says(*other)) return true;
    return false;
  }
  bool speaks_of(const Row& row) const {
    return any_says([&](const Config& by) { return by.calls.speaks_of(row); });
  }
  bool speaks_of_time() const {
    return any_says([](const Config& by) { return by.calls.speaks_of_time(); });
  }
  // Whether a program made of them stops such a call where no other program holds it.
  bool stops(const Row& row, const uint64_t (&args)[6]) const {
    return any_says([&](const Config& by) { return by.calls.stops(row, args); });
  }

  // By which that name is another one; null: it is what it says.
  const Lead* lead_of(std::string_view canonical) const;

  bool hooked(protocol::Event event) const {
    return event != protocol::Event::none && !hooks_of[static_cast<unsigned>(event)].empty();
  }

  // The command as the supervisor has found it, to be read and executed in any case: by its canonical name, but no link
  // is followed that lies where the tree may write. After parse().
  void set_command(const std::string& file);

  // Reads a configuration blob. On failure false and the reason in `error` ("fileRule 3: no path").
  // Paths of rules are canonicalised here, by the symbolic links that the blob tells of (paths/known_places.h): a rule
  // on a path that does not exist is kept as its canonical parent + the rest; links on the way become visible names. A
  // link that lies where this policy lets the tree write may have been planted there: what it allows is not followed.
  // `below`: what it is to be put on top of; then that says where the tree may write.
  bool parse(const uint8_t* data, size_t size, std::string& error, const Config* below = nullptr);
  // The same for a blob that has hooks' filters only. Their paths are followed as rules' are; what is named by way of a
  // link is also meant by the link's name, in case somebody who may write there puts something else in its place.
  bool parse_hooks(const uint8_t* data, size_t size, std::string& error);
};

}  // namespace holdfast
