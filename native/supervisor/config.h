// What Node sent at the start: options, policy, the hooks' filters. Read once, checked, never changed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../protocol/protocol.h"
#include "glob.h"
#include "rules.h"

namespace holdfast {

// One registered hook's filter. A hook without a filter has no pattern and all access bits.
struct HookFilter {
  uint32_t hook;
  protocol::Event event;
  uint8_t access;          // asked if any of these bits is wanted; all bits: always
  bool has_pattern;
  Glob pattern;            // on the canonical path (either path of rename and link)
  uint16_t port_low = 0;
  uint16_t port_high = 65535;
  bool has_port = false;
};

struct Config {
  bool wait_for_tree = false;  // descendants may outlive the command
  bool any_exec = true;        // whatever may be read may be executed
  std::string command;         // as resolved by the supervisor, canonical; may be executed and read in any case
  Rules rules;
  std::vector<HookFilter> hooks;                        // in order of registration
  std::vector<uint32_t> hooks_of[protocol::kEventCount];  // indices into `hooks`
  std::vector<std::string> proc_mounts;                 // mount points of procfs, from /proc/self/mountinfo

  bool hooked(protocol::Event event) const {
    return event != protocol::Event::none && !hooks_of[static_cast<unsigned>(event)].empty();
  }

  // Reads a configuration blob. On failure false and the reason in `error` ("fileRule: no path").
  // Paths of rules are canonicalised here, with the supervisor's (= the tree's) root and cwd: a rule on a path that does
  // not exist is kept as its canonical parent + the rest; symbolic links on the way become visible names.
  bool parse(const uint8_t* data, size_t size, std::string& error);
};

}  // namespace holdfast
