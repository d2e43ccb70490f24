// Which worker receives the next held call. Since Linux 6.6 a held call wakes every thread that waits for one
// (recv_wait_event in kernel/seccomp.c does not wait exclusively), and each of them costs as much as a small call, so
// only one waits: it has the turn. It keeps it while it works, for most calls take no longer than to wake another
// thread. The turn passes on when a call takes longer than that, when it is known beforehand, or when more calls wait
// already and another processor may be free for them.
#pragma once

namespace holdfast {

// Starts the first worker. `add_worker(context)` starts another one when nobody else is there to take the turn from a
// worker that takes long (the watcher sees that); it may fail then, and is called again.
bool start_turns(bool (*add_worker)(void*), void* context);

// For a worker without the turn: waits for it. False if enough others wait already: end.
bool take_turn();

// The calling worker has received a call.
void begin_turn_work();
// Its call is done. True: it still has the turn (or has it again).
bool keep_turn();
// Its call will take time, or others wait: somebody else may receive. Does nothing on other threads.
void pass_turn();

}  // namespace holdfast
