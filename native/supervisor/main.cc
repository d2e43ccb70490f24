// Start-up, and nothing else: the order in which the parts come to life.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <new>

#include "../call/as_itself.h"
#include "../call/sandbox.h"
#include "../call/threads.h"
#include "../call/tree.h"
#include "../channel/channel.h"
#include "../channel/report.h"
#include "../engine/bounce.h"
#include "../engine/descendants.h"
#include "../engine/notify.h"
#include "../engine/reaper.h"
#include "../engine/tasks.h"
#include "../engine/tracer.h"
#include "../families/ipc.h"
#include "../launch/filter.h"
#include "../launch/landlock.h"
#include "../launch/launch.h"
#include "../launch/rule_filter.h"
#include "../policy/config.h"
#include "../policy/fork_hooks.h"
#include "../policy/layers.h"
#include "../policy/needs_hold.h"
#include "../policy/rule_use.h"
#include "../policy/second_wall.h"
#include "../policy/written.h"
#include "../syscalls/classes.h"
#include "../syscalls/guards.h"
#include "../view/resolve.h"
#include "control.h"
#include "explain.h"
#include "ready.h"

namespace holdfast {
namespace {

using protocol::MessageType;
using protocol::Stage;

// SIGCHLD and SIGUSR1 are fetched by the tracer; they are blocked before any thread exists, so in every thread.
void prepare_signals() {
  ignore_terminal_signals();
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGCHLD);
  sigaddset(&blocked, SIGUSR1);
  sigprocmask(SIG_BLOCK, &blocked, nullptr);
}

// Numbers that the command's stdio leaves free ('ignore' from place 3 on) must not become ours: close_inherited()
// closes them.
void fill_gaps(int count) {
  int fd;
  do fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  while (fd >= 0 && fd < count);
  if (fd >= 0) close(fd);
}

// Ours go out of the way of the numbers that the command inherits.
int move_up(int fd, int above) {
  int moved = fcntl(fd, F_DUPFD_CLOEXEC, above);
  if (moved < 0) moved = fcntl(fd, F_DUPFD_CLOEXEC, fd + 1);  // a small limit; the command gets it, we do not keep it
  if (moved >= 0) close(fd);
  return moved;
}

// A table of descriptors that several share grows slowly: the kernel waits until nobody reads the old one any more
// (expand_fdtable() in fs/file.c), ten milliseconds and more. What Landlock is to grant needs some hundred.
void make_room_for_descriptors(int fd) {
  constexpr int kLast = 1023;
  const int last = fcntl(fd, F_DUPFD_CLOEXEC, kLast);
  if (last >= 0) close(last);
}

// The command's limits are for the command, which has them by now. Every call in flight pins a few descriptors.
void raise_limits() {
  // What is shared with Node and with the tree is memory, and yet counts as a file.
  const rlimit endless = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_FSIZE, &endless);
  for (const auto which :
       {RLIMIT_NOFILE, RLIMIT_STACK, RLIMIT_DATA, RLIMIT_AS, RLIMIT_FSIZE, RLIMIT_CPU, RLIMIT_NPROC}) {
    rlimit limit;
    if (getrlimit(which, &limit) != 0) continue;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(which, &limit);
  }
}

// Watcher, control, reporter, and two each of workers and task threads.
constexpr size_t kReadyThreads = 7;

// Whether the numbers in /proc are those of our pid namespace.
bool proc_is_ours() {
  char text[16];
  const ssize_t size = readlink("/proc/self", text, sizeof text - 1);
  if (size <= 0) return false;
  text[size] = '\0';
  return atoi(text) == getpid();
}

// Engine `kernel`: all that writes is Landlock's to decide, so names are, too.
bool changes_names(const Layers& layers) {
  return is_nothing_held() && layers.left.has(Class::write) && layers.left.has(Class::make);
}

struct Failure {
  Stage stage;
  int error;  // 0: none
};

// Makes the child, and ourselves its tracer. Before any thread: rights belong to threads.
Failure make_child(Launch& launch) {
  prepare_signals();
  if (must_look_by_ids()) stop_changes_of_rights();
  // What is made for a caller must not be made once more.
  const bool to_the_end = holds_to_the_end();
  if (!to_the_end || !can_connect_copies()) stop_connects();
  if (!to_the_end) decide_at_stops();
  const bool traces = launch.line.engine != protocol::Engine::kernel;
  if (const int error = traces ? 0 : enclose_descendants())
    return {error == EAGAIN || error == ENOMEM ? Stage::fork : Stage::landlock, error};
  if (const int error = launch.fork_child()) return {Stage::fork, error};
  if (const int error = traces ? Tracer::seize(launch.child) : 0) {
    if (launch.ahead) return {Stage::ptrace, error};
    // Perhaps the child could not do its part either; then that is the reason, whichever of us was first.
    std::vector<sock_filter> filter;
    launch.area->is_awaited = true;  // without a listener it would have gone on, had it been traced
    if (build_filter(FilterOptions{}, filter) && launch.give_filter(filter)) launch.wait_for_filter();
    const int stage = launch.area->stage.load();
    kill(launch.child, SIGKILL);
    return stage != 0 ? Failure{static_cast<Stage>(stage), launch.area->error.load()} : Failure{Stage::ptrace, error};
  }
  // A double-forked daemon becomes our child; and no terminal signal reaches us (prctl(2), setsid(2)).
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  setsid();
  raise_limits();
  if (!proc_is_ours()) return {Stage::proc, ENOENT};
  if (const int error = give_up_capabilities()) return {Stage::capabilities, error};
  return {};
}

Failure begin(Launch& launch) {
  if (const int error = launch.find_command()) return {error == EPERM ? Stage::access : Stage::command, error};
  if (!launch.ahead) return make_child(launch);
  launch.prepare_shell();
  return {};
}

// Has the child of a supervisor that waits.
const Launch* waits_with = nullptr;

// If somebody has ended it nobody waits here any more, and Node sees that.
void look_at_child(int) {
  const int before = errno;
  if (!waits_with->is_waiting()) _exit(0);
  errno = before;
}

// What needs no command, before there is one. False: an ordinary start is to say what is wrong.
bool go_ahead(Launch& launch) {
  launch.ahead = true;
  return make_child(launch).error == 0 && keep_threads_ready(kReadyThreads);
}

bool wait_for_command(const Control& control, Launch& launch, Surroundings& where) {
  if (!launch.ahead) return receive_command(control, launch.line, where);
  waits_with = &launch;
  struct sigaction look = {};
  look.sa_handler = look_at_child;
  look.sa_flags = SA_RESTART;
  sigaction(SIGCHLD, &look, nullptr);
  sigset_t of_child;
  sigemptyset(&of_child);
  sigaddset(&of_child, SIGCHLD);
  sigprocmask(SIG_UNBLOCK, &of_child, nullptr);
  const bool told = receive_command(control, launch.line, where);
  // It is never let in again. To ignore it would throw away one that waits for the tracer (signal(7)).
  sigprocmask(SIG_BLOCK, &of_child, nullptr);
  return told;
}

// What the command is given open it may also open by name, as /dev/stdin or in /proc/self/fd. Where such opens are held
// they are made for it.
void grant_inherited(int count, const Left& left, std::vector<Confinement::Grant>& grants) {
  const bool reads = left.has(Class::read), writes = left.has(Class::write), both = left.has(Class::read_write);
  const int to_kernel = (reads || both ? protocol::kRead : 0) | (writes || both ? protocol::kWrite : 0);
  for (int fd = 0; fd < count; fd++) {
    struct stat status;
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_PATH) != 0 || fstat(fd, &status) != 0) continue;
    if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode)) continue;
    Confinement::Grant grant;
    const int mode = flags & O_ACCMODE;
    const int access = mode == O_RDONLY   ? protocol::kRead
                       : mode == O_WRONLY ? protocol::kWrite
                       : mode == O_RDWR   ? protocol::kRead | protocol::kWrite
                                          : 0;
    grant.access = static_cast<uint8_t>(access & to_kernel);
    grant.place.fd.reset(fcntl(fd, F_DUPFD_CLOEXEC, 64));
    if (grant.access != 0 && grant.place.fd) grants.push_back(std::move(grant));
  }
}

// What the command is given open for writing it may write to.
void note_inherited(int count) {
  follow_writes();
  for (int fd = 0; fd < count; fd++) {
    const int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_PATH) == 0 && (flags & O_ACCMODE) != O_RDONLY) note_written(fd);
  }
}

int run(int argc, char** argv) {
  // Threads come and go with the calls, and small allocations have a cache in each: an arena for each would cost more
  // than it saves (mallopt(3)).
  mallopt(M_ARENA_MAX, 1);
  std::set_new_handler([] { fatal("there is no memory left for it", Stage::memory); });
  Launch launch;
  const bool waits = waits_for_command(argc, argv, launch.line);
  if (!waits && !launch.line.parse(argc, argv)) {
    static const char kUsage[] = "holdfast-supervisor is started by the holdfast library, not by hand.\n";
    if (write(STDERR_FILENO, kUsage, sizeof kUsage - 1) < 0) return 64;
    return 64;  // EX_USAGE, sysexits.h
  }
  separate_threads();
  fill_gaps(launch.line.stdio_count);
  launch.count_inherited();
  const int channel_fd = move_up(launch.line.channel, std::max(64, launch.line.stdio_count + 16));
  if (channel_fd < 0) return 64;
  make_room_for_descriptors(channel_fd);
  Control control(channel_fd);
  UniqueFd memory, wake;
  Surroundings where;
  if (waits) {
    prepare_signals();
    if (!control.receive_hello(memory, wake)) return 0;
    for (UniqueFd* const ours : {&memory, &wake}) *ours = UniqueFd(move_up(ours->release(), 64));
    if ((Launch::can_go_ahead() && !go_ahead(launch)) || !wait_for_command(control, launch, where)) {
      launch.give_up();
      return 0;
    }
    fill_gaps(launch.line.stdio_count);
  }
  // The child comes first: what it has to do takes longest, and needs nobody.
  if (launch.ahead) launch.tell_child(where.directory.release(), where.mask);
  where.directory.reset();
  const auto [stage, error] = begin(launch);
  if (launch.ahead && error != 0) launch.give_up();
  // Nothing of the command has run: Node starts it anew.
  if (launch.ahead && error == 0 && !launch.wait_for_beginning()) return 0;
  if (!waits && !control.receive_hello(memory, wake)) return 71;  // EX_OSERR
  Channel channel;
  const auto failed = [&](Stage at, int errno_value) {
    control.failed(at, errno_value);
    launch.give_up();
    end_watchdog();
    return at == Stage::channel || at == Stage::internal ? 71 : 0;
  };
  if (const int problem = channel.open(std::move(memory), std::move(wake), channel_fd))
    return failed(Stage::channel, problem);
  if (error != 0) return failed(stage, error);
  channel.keep_last_word();
  if (!control.send(MessageType::spawned, launch.child)) return 0;

  // The policy is on its way already; the hooks follow when Node's tick has ended.
  std::vector<uint8_t> bytes;
  if (!control.receive_bytes(MessageType::configure, bytes, launch.child)) return 0;
  if (const int problem = open_self_fd_directory()) return failed(Stage::internal, problem);

  Config config;
  std::string problem;
  const bool valid = config.parse(bytes.data(), bytes.size(), problem);
  if (valid) config.set_command(launch.file);
  if (config.limits.counts_forks()) count_forks();
  umask(0);
  if (chdir("/") != 0) return 71;
  if (config.unwritten) note_inherited(launch.line.stdio_count);
  launch.area->no_writable_code = config.no_writable_code;
  Tree tree;
  tree.add(launch.child, launch.child);  // from here on it can be killed by its number
  BouncePage page;
  const bool shares_group = launch.line.group == protocol::JobGroup::shared;
  Sandbox sandbox{config, channel, tree, page, shares_group ? launch.area->group : 0};
  const protocol::Engine engine = launch.line.engine;
  const bool by_name = !can_connect_copies() || must_look_by_ids();
  if (engine == protocol::Engine::ptrace) hold_by_stops(by_name);
  if (engine == protocol::Engine::kernel) hold_nothing();
  launch.area->by_stops = engine == protocol::Engine::ptrace || engine == protocol::Engine::kernel;
  launch.area->dies_with_us = engine == protocol::Engine::kernel;
  launch.area->is_awaited = may_lack_listener();
  // While Node's tick goes on: as if no hook came, and nobody listened.
  UniqueFd ruleset;
  long abi = 0;
  const auto build_second_wall = [&] {
    abi = landlock_abi();
    config.second_wall = second_wall(config);
    // By such a socket threads fetch descriptors then (engine/fetching.cc).
    if (are_fetched_by_name()) config.second_wall.abstract_sockets = true;
    const int error = config.second_wall.error;
    Layers layers = plan_layers(config, config.second_wall, abi);
    if (!layers.grants.empty()) grant_inherited(launch.line.stdio_count, layers.left, layers.grants);
    config.second_wall.grants = std::move(layers.grants);
    config.second_wall.make_sockets = layers.left.has(Class::bind);
    config.second_wall.changes_names = changes_names(layers);
    config.layers = std::make_shared<Layers>(std::move(layers));
    const int problem = make_ruleset(abi, config.second_wall, ruleset);
    if (!ruleset) config.second_wall = {};
    return error != 0 ? error : problem;
  };
  bool filtered = false, has_threads = launch.ahead;
  // The kernel takes its time to translate it, in the child: the threads can be made meanwhile.
  const auto build = [&] {
    std::vector<sock_filter> filter;
    const FilterOptions options = {.trace_everything = are_held_by_stops(),
                                   .hold_nothing = is_nothing_held(),
                                   .changes_names = changes_names(*config.layers)};
    return build_filter(options, filter) && launch.give_filter(filter);
  };
  const auto give_filter = [&] {
    leave_to_kernel(config.layers->left);
    if (!config.layers->left.has(Class::metadata)) tree.follow_stays();
    if (!config.layers->left.umask) tree.follow_umasks();
    filtered = build();
    if (!has_threads) has_threads = filtered && keep_threads_ready(kReadyThreads);
    return filtered;
  };
  // Where Node's tick has ended already, hooks and listeners are known at once.
  const bool known = control.has_message();
  int wall_problem = valid && !known ? build_second_wall() : 0;
  // What is sure already comes first.
  if (valid && !known && config.layers->left.classes == 0 && !give_filter()) return failed(Stage::seccomp, E2BIG);
  if (!control.receive_bytes(MessageType::start, bytes, launch.child)) return 0;
  if (!valid || !config.parse_hooks(bytes.data(), bytes.size(), problem)) return failed(Stage::channel, EPROTO);
  if (known || config.reports || !config.hooks.empty()) wall_problem = build_second_wall();
  if (!filtered && !give_filter()) return failed(Stage::seccomp, E2BIG);
  if (!has_threads) return failed(Stage::threads, EAGAIN);
  if (wall_problem != 0) return failed(Stage::landlock, wall_problem);
  if (launch.area->is_awaited && !launch.wait_for_filter()) {
    if (engine == protocol::Engine::notify) return failed(Stage::listener, EBUSY);
    hold_by_stops(by_name);
    launch.area->by_stops = true;
    if (by_name) wall_problem = build_second_wall();
    if (wall_problem != 0) return failed(Stage::landlock, wall_problem);
    if (!build()) return failed(Stage::seccomp, E2BIG);
  }
  if (config.hooked(protocol::Event::fork)) stop_forks(config);
  bool stops_calls = false;
  if (!config.calls.empty()) {
    const std::vector<SyscallRule> rules = config.calls.build(config.reports || config.records, config.hears_logged);
    stops_calls = std::any_of(rules.begin(), rules.end(),
                              [](const SyscallRule& rule) { return rule.action == RuleAction::stop; });
    if (!rules.empty() && !launch.give_rules(build_rule_filter(rules))) return failed(Stage::seccomp, E2BIG);
  }
  for (const Warning& warning : config.warnings)
    report_warning(sandbox, warning.rule, warning.path, warning.target, warning.reason);
  if (is_nothing_held()) {
    const std::vector<Need> needs = needs_hold(config, *config.layers, stops_calls, launch.line.stdio_count);
    if (!needs.empty()) {
      report_needs(sandbox, needs);
      return failed(Stage::needs_hold, 0);
    }
  }
  if (config.plan_wanted) report_plan(sandbox);
  if (ruleset && config.second_wall.connect_ports && abi >= 4)
    build_wall([&] { return confine_connecting(*config.second_wall.connect_ports); });
  if (is_nothing_held()) {
    launch.let_go(ruleset.get(), config.limits);
    Reaper reaper(sandbox, launch);
    if (!control.serve(sandbox, nullptr, launch.child)) fatal("the control thread cannot be started", Stage::threads);
    if (reaper.see_begin()) reaper.run();
    end_watchdog();
    report_rule_use(sandbox);
    report_end(sandbox);
    _exit(0);
  }
  // The child shares our descriptor table until its exec, so its listener is ours under the same number.
  Tracer tracer(sandbox, launch);
  if (const int problem = tracer.meter.begin())
    return failed(problem == EAGAIN ? Stage::threads : Stage::limits, problem);
  launch.let_go(ruleset.get(), config.limits);
  std::unique_ptr<Notifier> notifier;
  bool controlled = false;
  tracer.start_others = [&](int listener) {
    if (listener >= 0 && !notifier) {
      notifier = std::make_unique<Notifier>(sandbox, listener);
      if (!notifier->start()) fatal("no worker can be started", Stage::threads);
    }
    if (!controlled && !control.serve(sandbox, &tracer, launch.child))
      fatal("the control thread cannot be started", Stage::threads);
    controlled = true;
    return notifier != nullptr || are_held_by_stops();
  };
  tracer.run();
  tracer.meter.end();
  remove_ipc_objects();
  if (config.records) report_accesses(sandbox);
  report_rule_use(sandbox);
  report_end(sandbox);
  // Other threads may still be at work: no destructors behind their backs.
  _exit(0);
}

// A small RLIMIT_STACK is for the command, and bounds our first thread too until it is raised, if it may be.
constexpr rlim_t kLeastStack = 256 << 10;
constexpr size_t kOwnStack = 1 << 20;

struct {
  ucontext_t before, after;
  int argc = 0;
  char** argv = nullptr;
} on_own_stack;

int run_on_own_stack(int argc, char** argv) {
  void* const stack = mmap(nullptr, kOwnStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED || getcontext(&on_own_stack.after) != 0) return run(argc, argv);
  on_own_stack.argc = argc;
  on_own_stack.argv = argv;
  on_own_stack.after.uc_stack.ss_sp = stack;
  on_own_stack.after.uc_stack.ss_size = kOwnStack;
  on_own_stack.after.uc_link = nullptr;
  makecontext(
      &on_own_stack.after, [] { _exit(run(on_own_stack.argc, on_own_stack.argv)); }, 0);
  swapcontext(&on_own_stack.before, &on_own_stack.after);
  return run(argc, argv);  // it could not be changed
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "--table") == 0) {
    holdfast::print_table(STDOUT_FILENO);
    return 0;
  }
  if (argc == 2 && strcmp(argv[1], "--explain") == 0) return holdfast::explain();
  rlimit stack;
  const bool small = getrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur < holdfast::kLeastStack;
  _exit(small ? holdfast::run_on_own_stack(argc, argv) : holdfast::run(argc, argv));
}
