// From the supervisor's own start to the command's first instruction.
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "../protocol/protocol.h"
#include "limits.h"

namespace holdfast {

// What the supervisor is given on its command line (lib/process/start.ts writes it), or by a message
// (supervisor/ready):
//   holdfast-supervisor <channel fd> group=<number>,stdio=<count>,engine=<number> <argv0> <command> [arguments...]
struct CommandLine {
  int channel = -1;
  protocol::JobGroup group = protocol::JobGroup::shared;
  int stdio_count = 3;
  protocol::Engine engine = protocol::Engine::automatic;
  char* command = nullptr;
  char** arguments = nullptr;  // from argv0 on, NULL-terminated
  bool parse(int argc, char** argv);
};

// Read and written by the supervisor and by the child that becomes the command.
struct LaunchArea {
  std::atomic<uint32_t>
      told;  // futex word: what the command is to be is known; waited for by a child that was made ahead
  std::atomic<uint32_t> begun;     // futex word: that child is where its command begins, and hears its signals
  std::atomic<uint32_t> filtered;  // futex word: the filter is there, to be put on
  std::atomic<uint32_t> settled;   // futex word: it is on, or no listener can be had
  std::atomic<uint32_t> go;        // futex word: put on the ruleset and execute the command
  std::atomic<int32_t> stage;      // protocol::Stage where the child failed, or 0
  std::atomic<int32_t> error;      // its errno
  std::atomic<int32_t> listener;   // number of the notification listener in the table that both share until the exec
  int ruleset;                     // Landlock's, in the same table; -1: there is none. Set before `go`
  std::atomic<bool> no_listener;   // one is there already: a program that asks for none is to be put on
  bool by_stops;                   // the program asks for no listener. Set before `filtered`
  std::atomic<uint32_t> in_our_memory;  // futex word: the kernel clears it at the child's exec or end (engine `kernel`)
  bool dies_with_us;                    // engine `kernel`: nobody traces it. Set before `go`
  bool is_awaited;                      // who waits for `settled` can give another program. Set before `filtered`
  pid_t supervisor;
  pid_t group;            // process group of the application; 0: it has no number in this pid namespace
  bool no_writable_code;  // its memory is not writable and executable. Set before `go`
  int directory;  // of a command whose child was made ahead, in the same table; and its umask. Set before `told`
  mode_t mask;
  Limits limits;  // set before `go`
  unsigned short filter_length;
  sock_filter filter[4096];     // BPF_MAXINSNS
  unsigned short rules_length;  // of a further program, put on last; 0: there is none. Set before `go`
  sock_filter rules[4096];
};

struct Launch {
  CommandLine line;
  std::string file;  // what is executed: the command as found in PATH
  pid_t child = 0;
  LaunchArea* area = nullptr;
  std::vector<char*> by_shell;  // the arguments if it turns out to be a script without #!
  bool launched = false;        // its exec was verified
  bool ahead = false;           // the child is there before its command is known

  // execvp(3)'s search. 0, or the positive errno that child_process would report.
  int find_command();
  // Makes the child, with a shared descriptor table, so that its listener is ours without being passed. It gives up its
  // capabilities, and waits for the filter. 0 or errno.
  int fork_child();
  // Whether a child can be made before its command is known.
  static bool can_go_ahead();
  // Of a child that was made ahead, before it is told: whether it lives. What has stopped it is undone.
  bool is_waiting() const;
  // Where its command begins: the directory, which is the child's to close, and the umask; `line` says the rest.
  void tell_child(int directory, mode_t mask);
  // After that: until it is there. From then on each signal that it is sent is the command's. False: it has ended.
  bool wait_for_beginning() const;
  // Ends the child, if there is one: it becomes nothing. Left to init it would count in the limits of its user and
  // control group until that looks.
  void give_up();
  // After find_command(): what it becomes if it turns out to be a script without #!.
  void prepare_shell();
  // What the child puts on. False: it is too long.
  bool give_filter(const std::vector<sock_filter>& filter);
  // What it puts on besides, before its exec. False: it is too long.
  bool give_rules(const std::vector<sock_filter>& rules);
  // After that: until it has done so, or failed in its part (area->stage), for a while at most. False: no listener can
  // be had, and it waits for a program that asks for none.
  bool wait_for_filter() const;
  // Lets the child, now a tracee, confine itself and call execve, where it stops for the tracer.
  void let_go(int ruleset, const Limits& limits);
  // Before anything of ours is opened but the channel: whether there is more than the stdio.
  void count_inherited();
  // After the child's exec its copy of the table is its own: we keep none of what it inherited: its stdio,
  // and what Node's own parent left open.
  void close_inherited();

 private:
  bool only_stdio_ = false;
};

// For the supervisor; the child takes it back.
void ignore_terminal_signals();

// What the tree may not do the supervisor does not do for it, so it keeps no more than the tree does and the right to
// look into it. Before any thread is there: capabilities belong to threads.
// 0 or a positive errno.
int give_up_capabilities();

// Whether a connection can be made on a copy of the caller's socket: the kernel gives copies, and no signal has a call
// made twice that a worker has received.
bool can_connect_copies();
// Whether a child may find that it can have no listener: there is a seccomp program already, which may have one
// (prctl(2), PR_GET_SECCOMP), or the kernel knows none.
bool may_lack_listener();
bool holds_to_the_end();

}  // namespace holdfast
