// The ptrace side: follows every thread of the tree from its first instruction, holds what only a stop can hold,
// verifies execs, bounces arguments, reaps. One thread per sandbox, the one that launched the command.
// The loop and the stops are in tracer.cc, newcomers, ends and execs in lifecycle.cc, ends that hooks hear of in
// ending.cc, bounced calls in bouncing.cc, the calls that a thread is made to make in injection.cc, programs that are
// put on later in restricting.cc, descriptors that it fetches where there is no listener in fetching.cc, a program that
// is strict from its main on in strict_start.cc, signals that arrive in a call that waits in waiting.cc, threads that
// are stopped from outside in stopping.cc.
#pragma once

#include <linux/filter.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/types.h>

#include <atomic>
#include <bitset>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "../arch/arch.h"
#include "../call/finish.h"
#include "../call/held.h"
#include "../call/sandbox.h"
#include "../call/usage.h"
#include "../launch/launch.h"
#include "../limits/forks.h"
#include "../limits/meter.h"
#include "../protocol/protocol.h"
#include "bounce.h"
#include "stop_again.h"
#include "waits.h"

namespace holdfast {

// A seccomp program that is put on while the tree runs. An empty one stands for PR_SET_MDWE, after which no memory of
// the process becomes writable and executable, or executable later.
using FurtherProgram = std::vector<sock_filter>;

class Tracer {
 public:
  Tracer(Sandbox& sandbox, Launch& launch);

  // Options of PTRACE_SEIZE for the tree's first process; its descendants inherit them (ptrace(2)).
  static constexpr uint64_t kOptions = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                                       PTRACE_O_TRACEEXEC | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD |
                                       PTRACE_O_EXITKILL;
  static int seize(pid_t tid);

  // Runs until nothing of the tree is left. Blocks SIGCHLD and SIGUSR1 (they must be blocked in every thread).
  void run();
  Meter meter;  // what the tree uses
  // Runs `work` on the tracer's thread, which alone may use ptrace and knows the tracees; it must not wait. After the
  // end of the tree it is not run any more.
  void run_there(std::function<void()> work);
  // Each thread puts these on before its next call. `done` is called when all are sure to. On the tracer's thread.
  // `strict`: after these no others can be put on, and are not needed.
  void put_on(const std::vector<FurtherProgram>& programs, bool strict, std::function<void()> done);
  // Starts the other threads. True: all of them, the listener's workers too. Before the listener is there (-1), and so
  // with false as the answer, it is called again.
  std::function<bool(int listener)> start_others;

  enum class Task : uint8_t { decide, verify_exec, store_result, time_limit, tell_end };

  // ---- Stopping from outside (stopping.cc). On the tracer's thread only.

  // Whom a stop is for: one thread, all threads of a process, or (both 0) the whole tree. Who is made later and is
  // meant, too, stays at its first stop.
  struct Threads {
    pid_t tid = 0, group = 0;
  };
  enum class Until : uint8_t {
    stopped,  // each is in a stop that ptrace(2) can work on, or has ended
    held,     // or sleeps in the kernel so that only an answer wakes it, and stops before its next instruction
  };
  // None of them runs an instruction of its own from then on, until the stop's number is let go. `on_all_stopped` is
  // called once, on this thread: when all are there, when it is let go before, or when nothing of the tree is left. A
  // thread that has ended meanwhile is not waited for. SIGKILL ends who is stopped; other signals wait, and a
  // process that was stopped by SIGSTOP is so afterwards.
  //
  // Between the two each of them is in one of these: `parked` (it would have gone on), with a worker that decides, or,
  // for Until::held, still in the kernel. What it does next, it does by resume() or listen(), which keep it.
  uint64_t stop(Threads which, Until until, std::function<void()> on_all_stopped);
  void let_go(uint64_t stop);

  // The same as stop() until each is stopped, for whoever looks at registers and memory then (inspecting.h).
  void inspect(Threads which, std::function<void(uint64_t stop)> on_stopped);
  void end_inspection(uint64_t stop);
  // 0, or why a thread cannot be looked at under that stop: ESRCH, EPERM. The others' errors besides: EBUSY, the
  // kernel's.
  int inspected(uint64_t stop, pid_t tid);
  int get_registers(uint64_t stop, pid_t tid, std::string& general, std::string& floating, int64_t& number);
  int set_registers(uint64_t stop, pid_t tid, const std::string& general, const std::string& floating);
  int set_protected(uint64_t stop, pid_t tid, uint64_t address, const char* from, size_t size);
  // Whether Node is told what processes live through (telling.cc).
  void tell_life(protocol::LifeMode mode);

  // The whole tree, until it is thawed; `on_frozen` as above.
  void freeze(std::function<void()> on_frozen);
  void thaw();
  bool is_frozen() const { return is_frozen_.load(); }  // any thread

 private:
  enum class Phase : uint8_t {
    running,
    deciding,      // stopped at entry; a worker has the call
    in_call,       // a bounced call runs; its exit is awaited
    interrupting,  // a call that waited was cut short; its exit is awaited
    forking,       // a newcomer is reserved for the call (limits/forks.h); its exit is awaited
    storing,       // stopped at exit; a worker writes the result
    fetch_page,    // injected calls: the page's descriptor is handed over,
    map_page,      // mapped,
    close_page,    // and closed
    ask_open,      // or the process, whose ids have changed, is asked whether it has become undumpable,
    reopen,        // and is made dumpable again
    fetch_socket,  // or a socket of ours is handed over,
    lend,          // the thread sends one of its descriptors to us,
    close_socket,  // and closes the socket
    fetch_result,  // or what its call was to open is handed over, by a call in its place
    put_on,        // or it puts a further program on itself,
    put_on_all,    // that is done; its own call is about to be made again
    again,         // that is done; the held call is about to be made again
    verifying,     // stopped after an exec; a worker compares
  };

  // What is to become of a stopped thread that would have been let go, had nobody wanted it to stay.
  enum class Parked : uint8_t { no, goes_on, in_group_stop };

  // A wait that a signal cut short which means nothing to the program, and that is made again.
  struct Wait {
    const WaitCall* call = nullptr;
    int64_t since = 0;      // the first time, CLOCK_MONOTONIC in nanoseconds
    int signal = 0;         // while a worker looks for its limit
    bool begins = false;    // its entry is still to come
    bool replaced = false;  // the register with its limit; its own value is this:
    uint64_t limit = 0;
  };

  // How far a thread is that fetches a descriptor of ours without a listener.
  struct Fetch {
    enum class Step : uint8_t {
      map,
      map_names,
      make,  // a pair of sockets, or one
      move,
      close_both,
      close,
      close_second,
      connect,  // that one, to `listens`
      receive,
      close_moved
    };
    Step step = Step::map;
    UniqueFd what, listens;
    bool close_on_exec = true;
    bool by_name = false;  // no pair, but a socket that connects to one of ours
    bool turns_to_name = false;
    bool was_stopped = false;  // meanwhile, by a stop signal, which is heard behind it
    int place = -1;            // in the scratch memory
    int64_t error = 0;         // negative
    int pair[2] = {-1, -1};    // the thread's numbers of the sockets, the second one only of a pair,
    int moved = -1;            // of the first of them, when it is out of the way,
    int64_t received = -1;     // and of what came by it
    bool is_under_way = false;
  };

  struct Tracee {
    pid_t tid = 0;
    pid_t group = 0;
    Phase phase = Phase::running;
    Fetch fetch;
    uint64_t task = 0;          // number of the worker's task, so that a late answer finds nobody
    arch::Registers registers;  // at the held call's entry
    int64_t number = 0;
    std::unique_ptr<Bounce> pending;  // to be applied, or being verified
    int slot = -1;
    bool has_reserved = false, makes_thread = false;  // while it is forking
    bool is_received = false;                         // the bounced call is held by a notification, too
    int handed_over = -1;                             // the tracee's number of the page's descriptor, or of the socket
    UniqueFd lending;                                 // our end of that socket
    std::shared_ptr<Lent> lent;
    uint64_t signal_mask = 0;  // its own, while an injection blocks all
    Wait wait;
    bool has_handled = false;  // a signal, by a handler (arch::kForgetsCalls)
    bool was_stopped = false;  // by a stop signal, and has made no call since
    bool stops_again = false;  // at its next stop it is inside a call that is to be marked
    bool marked = false;       // it has been, and is yet to come: `unmarked` is the argument as it was
    bool came_marked = false;  // the held call has
    bool tried = false;        // its next held call is one that it has tried to make itself
    bool unclaimed = false;    // a newborn that waits until its maker tells of it
    bool was_unclaimed = false;
    uint64_t unmarked = 0;
    std::unique_ptr<Bounce> marked_with;  // the marked call is an exec, and what it is to be was decided before
    bool interrupted = false;             // by PTRACE_INTERRUPT, and has not come to a stop since
    bool stops_once_more = false;         // is to be, when it goes on
    int64_t answered = -1;                // the call that was answered in its place, and where that was
    uint64_t answered_at = 0;
    bool at_stop = false;          // in a ptrace stop, and nobody has let it go yet
    bool ends = false;             // is at its last stop (ending.cc), or behind it
    bool in_fence = false;         // is in an exec, or about to be, behind a fence (exec_fence.h)
    bool told_to_give_up = false;  // the worker that works for it was, for the sake of such an exec
    Task undone = Task::decide;    // what is to be done when the fence around it is gone, and how
    std::function<Finish()> undone_work;
    int delivered = 0;            // the signal that it was let go with last
    bool waits_for_room = false;  // what it did is told, but too much of that waits
    Parked parked = Parked::no;
    int parked_signal = 0;
    size_t further = 0;    // programs of `further_` that it has put on, the first ones
    bool puts_on = false;  // what it is made to do is for that
    bool wants_exit_stops() const { return phase >= Phase::in_call && phase <= Phase::put_on_all; }
  };

  // Of a program that is to be strict from its main on (strict_start.cc).
  struct StrictStart {
    bool is_pending = false;
    std::vector<std::pair<uint64_t, uint64_t>> code;         // of the program itself: from, up to
    std::vector<std::pair<uint64_t, uint64_t>> breakpoints;  // where, and what was there: its entry, then main
    pid_t stepping = 0;                                      // goes on by single instructions
    int steps = 0;
    uint64_t mask = 0;  // its signal mask, while they wait
    bool is_own_code(uint64_t address) const;
  };

  struct Stop {
    Threads which;
    Until until = Until::stopped;
    std::function<void()> on_all_stopped;
    bool pending = false;  // not all are there yet
    bool covers(const Tracee&) const;
  };

  struct Post {
    pid_t tid;
    uint64_t task;
    Task what;
    Finish finish;
    std::function<Finish()> undone = nullptr;  // in place of `finish`: nothing was done (exec_fence.h)
    bool gave_up = false;                      // as it was told, and not as it did not even begin
  };

  void begin_to_serve();
  void reap_and_handle();
  bool take_stop(pid_t tid);
  bool is_all(const siginfo_t& told);
  void handle_posts();
  void finish_task(Post);
  bool waits_for_maker(Tracee&);
  void claim(pid_t newborn, const Tracee& maker);
  void release_unclaimed();
  void on_death(pid_t tid, int status);
  void on_stop(pid_t tid, int status);
  void on_seccomp_stop(Tracee&);
  void stop_again(StopAgain&);
  void mark_call(Tracee&);
  static void set_mark(Tracee&, arch::Registers&, bool is_exec);
  bool unmark_call(Tracee&, int64_t number);
  void on_syscall_stop(Tracee&);
  void on_exec(pid_t tid);
  bool may_execute(Tracee&);
  void leave_fence(Tracee&);
  void go_on_executing();
  static uint64_t shared_by_newborn(const Tracee&);
  void hold_fork(Tracee&, const Row& row);
  void tell_newborn(Tracee&, pid_t child);
  void on_forked(Tracee&);
  void leave_fork(Tracee&);
  bool is_at_unseen_stop(pid_t tid) const;
  void tell_stopped(pid_t tid, int signal);
  void hear_of_ends();
  void on_end(Tracee&);
  bool ends_process(const Tracee&, unsigned long status);
  void let_end(Tracee&);
  void let_all_end();
  void adopt(pid_t tid, pid_t parent_group, pid_t parent);  // parent 0: not known
  Held held_call(const Tracee&, int64_t number) const;
  std::function<Finish()> refusing(const Tracee&, int error, const char* reason);
  void refuse(Tracee&, int error, const char* reason);
  bool is_foreign(Tracee&);
  void refuse_foreign(Tracee&, int number, uint32_t audit_arch);
  void apply(Tracee&, Finish);
  void apply_bounce(Tracee&);
  bool prepare(Tracee&, const Row& row);
  void free_slot(Tracee&);
  void begin_injection(Tracee&, Phase phase, UniqueFd hand_over, bool close_on_exec = true);
  void begin_fetch(Tracee&, UniqueFd what, bool close_on_exec);
  void take_place(Tracee&, int place);
  bool go_on_fetching(Tracee&, int64_t& result);
  void map_scratch(Tracee&, bool at_entry);
  void make_socket(Tracee&, bool at_entry);
  void on_socket(Tracee&, int64_t result);
  void close_pair(Tracee&);
  void after_pair(Tracee&);
  void connect_moved(Tracee&);
  void receive_by_moved(Tracee&);
  void close_moved(Tracee&);
  void end_fetch(Tracee&);
  void lend(Tracee&);
  void take_lent(Tracee&);
  void stop_lending(Tracee&);
  void call_held_again(Tracee&);
  void begin_reopening(Tracee&);
  void on_reopening(Tracee&, int64_t result);
  void leave_call(Tracee&);
  void on_injected_exit(Tracee&, int64_t result);
  void inject(Tracee&, Phase phase, int64_t number, const uint64_t (&args)[6], bool at_entry = false);
  bool lacks_programs(const Tracee& tracee) const;
  bool begin_to_put_on(Tracee&);
  void on_put_on(Tracee&, int64_t result);
  void put_on_next(Tracee&, bool at_entry);
  void fail_to_put_on(Tracee&);
  void begin_strict_start(Tracee&);
  bool set_breakpoint(pid_t tid, uint64_t address);
  bool on_trap(Tracee&);
  void begin_steps(Tracee&);
  void end_steps(Tracee&);
  void become_strict();
  void abandon_injection(Tracee&, int error, const char* reason);
  void on_signal(Tracee&, int signal);
  void wait_again(Tracee&, const WaitCall&, arch::Registers&, int signal);
  void on_time_limit(Tracee&, const Finish& limit);
  void wait_on(Tracee&, arch::Registers&);
  void cut_short(Tracee&);
  void on_entry(Tracee&);
  void on_exit(Tracee&, arch::Registers& now);
  void interrupt(Tracee&);
  void resume(Tracee&, int signal = 0);
  // What is known of a process when it is reaped.
  struct Ended {
    int status = 0;
    pid_t parent = 0;
    Figures figures;
    std::string program;
  };
  void inherit_program(pid_t newborn, pid_t maker);
  void tell_fork(pid_t group, pid_t parent);
  void tell_exec(pid_t group, const std::string& program);
  void tell_exit(pid_t group, const Ended& ended);
  void wait_for_room(Tracee&);
  void let_go_backed_up();
  bool must_stay(const Tracee&) const;
  void listen(Tracee&);
  bool wait_on_after_interrupt(Tracee&);
  static void ask_for_stop_again(Tracee&);
  static bool is_there(const Tracee&, Until until);
  bool look_at_stops();
  void release_parked();
  void end_stops();
  void reap_former(pid_t leader, int status);
  void forget_number(pid_t former, pid_t leader);
  void forget_address_space(pid_t group);
  void kill_group(pid_t group);
  void post(Post);
  void submit(Tracee&, Task, std::function<Finish()>);
  Tracee* find(pid_t tid);

  Sandbox& sandbox_;
  Launch& launch_;
  std::unordered_map<pid_t, std::unique_ptr<Tracee>> tracees_;
  std::unordered_set<pid_t> page_mapped_;     // thread groups whose address space has the page
  std::unordered_set<pid_t> early_;           // newborns that were seen before their parents' events
  std::unordered_set<pid_t> scratch_mapped_;  // thread groups whose address space has the scratch memory,
  std::unordered_set<pid_t> names_mapped_;    // and the page of names
  std::bitset<kScratchPlaces> scratch_taken_;
  std::deque<pid_t> wait_for_places_;   // in that memory, at the entry of their calls
  std::vector<pid_t> wait_to_execute_;  // until nobody works for their leaders (exec_fence.h)
  Forks forks_;
  std::unordered_set<pid_t> told_ends_;  // processes whose ends hooks were asked about
  bool hears_of_ends_ = false;
  bool told_processes_ = false, told_threads_ = false;  // that one was refused
  std::unordered_set<uint64_t> inspections_;            // stops of that kind
  std::vector<FurtherProgram> further_;                 // that every thread is to have
  bool is_strict_ = false;                              // the last of them leaves no call to put on another
  StrictStart strict_;
  uint64_t tasks_ = 0;
  bool others_started_ = false;
  bool held_back_ = false;  // somebody has ended whom a worker still works for
  bool command_is_stopped_ = false;
  bool perhaps_unknown_ = false;  // there may be a tracee that nobody has told of: its maker was killed
  std::atomic<protocol::LifeMode> life_{protocol::LifeMode::quiet};
  bool backed_up_ = false;
  std::map<uint64_t, Stop> stops_;
  uint64_t stop_numbers_ = 0;
  std::atomic<bool> is_frozen_{false};
  uint64_t frozen_ = 0;  // the number of its stop
  std::vector<std::function<void()>> on_frozen_;
  bool look_again_ = false;  // at those that have not come to their stop
  int64_t looked_at_ = 0;    // CLOCK_MONOTONIC in nanoseconds
  std::mutex posts_guard_;
  std::vector<Post> posts_;
  std::vector<std::function<void()>> works_;
};

// SIGKILL is for those too that are just being made.
void signal_tree(Tree& tree, int signal);

}  // namespace holdfast
