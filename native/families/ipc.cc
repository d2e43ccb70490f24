// System V IPC, private to the tree. The kernel keeps it in name spaces of the whole machine, where a key, a place in
// its tables or a guessed id reaches the objects of others. So each tree has keys and places of its own: what it makes
// by a key is made without one (IPC_PRIVATE) and remembered here, and an id passes only if the tree has made it.
// Everything else about a call stays the caller's own: the id is in a register, so a checked call goes on as it is, and
// waits, is interrupted and fails as ever.
#include "ipc.h"

#include <errno.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <iterator>
#include <map>
#include <mutex>
#include <vector>

#include "../policy/decide.h"
#include "../syscalls/sealed_range.h"
#include "../view/creds.h"
#include "caller.h"
#include "handlers.h"

namespace holdfast {
namespace {

// The machine has room for 4096 segments and 32000 of the others (proc_sys_kernel(5)); a tree must not fill it.
constexpr size_t kMostObjects = 256;

enum Kind : uint8_t { memory, semaphores, messages, kinds };

struct Object {
  key_t key = IPC_PRIVATE;
  bool removed = false;  // a segment that somebody still has; it lives on under its id
};

struct Objects {
  std::mutex guard;
  std::map<int, Object> by_id[kinds];
  std::map<key_t, int> by_key[kinds];
} objects;

long control(Kind kind, int id, int command, void* argument) {
  switch (kind) {
    case memory:
      return syscall(SYS_shmctl, id, command, argument);
    case semaphores:
      return syscall(SYS_semctl, id, 0, command, argument);
    default:
      return syscall(SYS_msgctl, id, command, argument);
  }
}

union Status {
  shmid_ds memory;
  semid_ds semaphores;
  msqid_ds messages;
};

// What each kind has beside the three commands that all have: *ctl(2).
struct Commands {
  int first, last;            // about one object by its id
  int stat, stat_any, usage;  // about a place, and about all
};
constexpr int kAny[] = {15, 20, 13};  // SHM_STAT_ANY, SEM_STAT_ANY, MSG_STAT_ANY: since Linux 4.17
constexpr Commands kCommands[kinds] = {{SHM_LOCK, SHM_UNLOCK, SHM_STAT, kAny[memory], SHM_INFO},
                                       {GETPID, SETALL, SEM_STAT, kAny[semaphores], SEM_INFO},
                                       {IPC_RMID, IPC_RMID, MSG_STAT, kAny[messages], MSG_INFO}};

// What the kernel knows of an object: its owner and mode stand first in each of the three. 0 or a positive errno.
int look_as_worn(Kind kind, int id, Status& status) { return control(kind, id, IPC_STAT, &status) == 0 ? 0 : errno; }

// The same whoever may read it. By its place in the machine's table, which is the lower part of its id: 15 bits, or 24
// with ipcmni_extend (ipc/util.h).
int look(Kind kind, int id, Status& status) {
  const int error = look_as_worn(kind, id, status);
  if (error != EACCES) return error;
  for (const int mask : {0x7fff, 0xffffff})
    if (control(kind, id & mask, kCommands[kind].stat_any, &status) == id) return 0;
  return EACCES;
}

void forget(Kind kind, int id) {
  const auto at = objects.by_id[kind].find(id);
  if (at == objects.by_id[kind].end()) return;
  if (const auto by_key = objects.by_key[kind].find(at->second.key);
      by_key != objects.by_key[kind].end() && by_key->second == id)
    objects.by_key[kind].erase(by_key);
  objects.by_id[kind].erase(at);
}

// ipcperms() in ipc/util.c, for a thread that wears the caller's ids.
bool may_use(const ipc_perm& of, int flags) {
  const unsigned wanted =
      static_cast<unsigned>(flags) >> 6 | static_cast<unsigned>(flags) >> 3 | static_cast<unsigned>(flags);
  unsigned granted = of.mode;
  const uid_t uid = static_cast<uid_t>(syscall(SYS_geteuid));
  const auto in_group = [](gid_t gid) {
    if (static_cast<gid_t>(syscall(SYS_getegid)) == gid) return true;
    const int count = getgroups(0, nullptr);
    std::vector<gid_t> groups(count > 0 ? static_cast<size_t>(count) : 0);
    if (count <= 0 || getgroups(count, groups.data()) != count) return false;
    for (const gid_t each : groups)
      if (each == gid) return true;
    return false;
  };
  if (uid == of.cuid || uid == of.uid)
    granted >>= 6;
  else if (in_group(of.cgid) || in_group(of.gid))
    granted >>= 3;
  // CAP_IPC_OWNER would give the rest; no tree has it.
  return (wanted & ~granted & 7) == 0;
}

// *get(2). `make` makes an object without a key; `size` and `size_of` are for what exists already.
template <class Make, class Fits>
Finish obtain(Sandbox& sandbox, Held& call, Kind kind, key_t key, int flags, Make make, Fits fits) {
  const AsPeer caller(call);
  if (caller.error != 0) return caller.error == ESRCH ? Finish::gone() : Finish::error(caller.error);
  const std::lock_guard<std::mutex> lock(objects.guard);
  if (key != IPC_PRIVATE) {
    const auto known = objects.by_key[kind].find(key);
    Status status;
    if (known != objects.by_key[kind].end()) {
      const int id = known->second;
      const int error = look(kind, id, status);
      if (error == 0 || error == EACCES) {
        if ((flags & IPC_CREAT) != 0 && (flags & IPC_EXCL) != 0) return Finish::error(EEXIST);
        // In this order: ipcget_public() in ipc/util.c.
        if (error == 0 && !fits(status)) return Finish::error(EINVAL);
        if (error != 0 || !may_use(status.memory.shm_perm, flags)) return Finish::error(EACCES);
        return Finish::answer(id);
      }
      forget(kind, id);  // somebody outside has removed it
    }
    if ((flags & IPC_CREAT) == 0) return Finish::error(ENOENT);
  }
  if (objects.by_id[kind].size() >= kMostObjects) {
    // Those that were removed from outside are none any more.
    std::vector<int> gone;
    Status status;
    for (const auto& [id, object] : objects.by_id[kind]) {
      const int error = look(kind, id, status);
      if (error == EINVAL || error == EIDRM) gone.push_back(id);
    }
    for (const int id : gone) forget(kind, id);
    if (objects.by_id[kind].size() >= kMostObjects) {
      report(sandbox, call, ENOSPC, "a tree may have 256 objects of System V IPC of each kind");
      return Finish::error(ENOSPC);
    }
  }
  const long id = make();
  if (id < 0) return Finish::error(errno);
  objects.by_id[kind][static_cast<int>(id)] = {key, false};
  if (key != IPC_PRIVATE) objects.by_key[kind][key] = static_cast<int>(id);
  return Finish::answer(id);
}

// Whether the tree has made what this id names now. A removed segment is known by its mark: the id could in time be
// somebody else's.
bool is_own(Kind kind, int id) {
  const std::lock_guard<std::mutex> lock(objects.guard);
  const auto at = objects.by_id[kind].find(id);
  if (at == objects.by_id[kind].end()) return false;
  if (!at->second.removed) return true;
  Status status;
  if (look(kind, id, status) == 0 && (status.memory.shm_perm.mode & SHM_DEST) != 0) return true;
  forget(kind, id);
  return false;
}

constexpr char kForeign[] = "an id that nobody in the tree has made: the machine's ids are shared and can be guessed";

// A call on an id in its first register.
Finish on_id(Sandbox& sandbox, Held& call, Kind kind) {
  const int id = static_cast<int>(call.args[0]);
  if (is_own(kind, id)) return Finish::proceed();
  // What the kernel says of an id that is not there; a program cannot tell, and its user is told.
  Status status;
  if (id >= 0 && look(kind, id, status) != EINVAL) report(sandbox, call, EINVAL, kForeign);
  return Finish::error(EINVAL);
}

Finish written(const Held& call, uint64_t to, const void* from, size_t size, long answer) {
  const int error = call.write(to, from, size);
  return error != 0 ? families::memory_failed(error) : Finish::answer(answer);
}

size_t size_of_status(Kind kind) {
  return kind == memory ? sizeof(shmid_ds) : kind == semaphores ? sizeof(semid_ds) : sizeof(msqid_ds);
}

// Places are in the order of the ids.
Finish on_place(const Held& call, Kind kind, int place, bool any, uint64_t to) {
  int id;
  {
    const std::lock_guard<std::mutex> lock(objects.guard);
    const auto& all = objects.by_id[kind];
    if (place < 0 || static_cast<size_t>(place) >= all.size()) return Finish::error(EINVAL);
    id = std::next(all.begin(), place)->first;
  }
  if (!is_own(kind, id)) return Finish::error(EINVAL);
  Status status = {};
  if (any) {
    if (const int error = look(kind, id, status)) return Finish::error(error);
  } else {
    const AsPeer caller(call);
    if (caller.error != 0) return caller.error == ESRCH ? Finish::gone() : Finish::error(caller.error);
    if (const int error = look_as_worn(kind, id, status)) return Finish::error(error);
  }
  return written(call, to, &status, size_of_status(kind), id);
}

// The machine's limits, which are the tree's too, and how much the tree has. What of it is in memory or swapped out the
// kernel tells for all segments together only, so it is not said.
Finish on_info(const Held& call, Kind kind, bool usage, uint64_t to) {
  union {
    shminfo memory;
    seminfo semaphores;
    msginfo messages;
  } limits = {};
  if (control(kind, 0, IPC_INFO, &limits) < 0) return Finish::error(errno);
  shm_info segments = {};
  int used = 0;
  unsigned long pages = 0, members = 0, messages_there = 0, bytes = 0;
  {
    const std::lock_guard<std::mutex> lock(objects.guard);
    Status status;
    for (const auto& [id, object] : objects.by_id[kind]) {
      if (look(kind, id, status) != 0 || (object.removed && (status.memory.shm_perm.mode & SHM_DEST) == 0)) continue;
      used++;
      if (kind == memory) pages += (status.memory.shm_segsz + 4095) / 4096;
      if (kind == semaphores) members += status.semaphores.sem_nsems;
      if (kind == messages) messages_there += status.messages.msg_qnum, bytes += status.messages.__msg_cbytes;
    }
  }
  const long highest = used == 0 ? 0 : used - 1;
  if (!usage || kind != memory) {
    if (usage && kind == semaphores) {
      limits.semaphores.semusz = used;
      limits.semaphores.semaem = static_cast<int>(members);
    }
    if (usage && kind == messages) {
      limits.messages.msgpool = used;
      limits.messages.msgmap = static_cast<int>(messages_there);
      limits.messages.msgtql = static_cast<int>(bytes);
    }
    const size_t size = kind == memory ? sizeof(shminfo) : kind == semaphores ? sizeof(seminfo) : sizeof(msginfo);
    return written(call, to, &limits, size, highest);
  }
  segments.used_ids = used;
  segments.shm_tot = pages;
  return written(call, to, &segments, sizeof segments, highest);
}

// *ctl(2), its argument at `to`.
Finish on_command(Sandbox& sandbox, Held& call, Kind kind, int command, uint64_t to) {
  const Commands& known = kCommands[kind];
  const int id = static_cast<int>(call.args[0]);
  if (command == IPC_INFO || command == known.usage) return on_info(call, kind, command == known.usage, to);
  if (command == known.stat || command == known.stat_any)
    return on_place(call, kind, id, command == known.stat_any, to);
  if (command != IPC_RMID && command != IPC_SET && command != IPC_STAT &&
      (command < known.first || command > known.last))
    return Finish::error(EINVAL);
  Finish finish = on_id(sandbox, call, kind);
  if (finish.kind != Finish::Kind::proceed || command != IPC_RMID) return finish;
  // Done here, so that what is remembered and what is there stay the same.
  const AsPeer caller(call);
  if (caller.error != 0) return caller.error == ESRCH ? Finish::gone() : Finish::error(caller.error);
  const std::lock_guard<std::mutex> lock(objects.guard);
  if (control(kind, id, IPC_RMID, nullptr) != 0) return Finish::error(errno);
  const auto at = objects.by_id[kind].find(id);
  if (kind == memory && at != objects.by_id[kind].end()) {
    objects.by_key[kind].erase(at->second.key);
    at->second = {IPC_PRIVATE, true};
  } else {
    forget(kind, id);
  }
  return Finish::answer(0);
}

// At the end. What was made by somebody that the tree became is that one's to remove (ipcctl_obtain_check() in
// ipc/util.c); of this thread alone, as raw calls are.
void remove(Kind kind, int id) {
  Status status;
  if (control(kind, id, IPC_RMID, nullptr) == 0 || errno != EPERM || look(kind, id, status) != 0) return;
  const auto own = syscall(SYS_geteuid);
  if (syscall(SYS_setresuid, -1, status.memory.shm_perm.cuid, -1) != 0) return;
  control(kind, id, IPC_RMID, nullptr);
  syscall(SYS_setresuid, -1, own, -1);
}

}  // namespace

void remove_ipc_objects() {
  const std::lock_guard<std::mutex> lock(objects.guard);
  for (const Kind kind : {memory, semaphores, messages}) {
    for (const auto& [id, object] : objects.by_id[kind])
      if (!object.removed) remove(kind, id);
    objects.by_id[kind].clear();
    objects.by_key[kind].clear();
  }
  remove_message_queues();
}

namespace families {

Finish obtain_memory(Sandbox& sandbox, Held& call) {
  const auto size = static_cast<size_t>(call.args[1]);
  const int flags = static_cast<int>(call.args[2]);
  return obtain(
      sandbox, call, memory, static_cast<key_t>(call.args[0]), flags,
      [&] { return syscall(SYS_shmget, IPC_PRIVATE, size, flags & ~IPC_EXCL); },
      [&](const Status& status) { return size <= status.memory.shm_segsz; });
}

Finish obtain_semaphores(Sandbox& sandbox, Held& call) {
  const int count = static_cast<int>(call.args[1]), flags = static_cast<int>(call.args[2]);
  // Before the key is looked for: ksys_semget() in ipc/sem.c.
  seminfo limits = {};
  if (count < 0 || (control(semaphores, 0, IPC_INFO, &limits) >= 0 && count > limits.semmsl))
    return Finish::error(EINVAL);
  return obtain(
      sandbox, call, semaphores, static_cast<key_t>(call.args[0]), flags,
      [&] { return syscall(SYS_semget, IPC_PRIVATE, count, flags & ~IPC_EXCL); },
      [&](const Status& status) { return static_cast<unsigned long>(count) <= status.semaphores.sem_nsems; });
}

Finish obtain_messages(Sandbox& sandbox, Held& call) {
  const int flags = static_cast<int>(call.args[1]);
  return obtain(
      sandbox, call, messages, static_cast<key_t>(call.args[0]), flags,
      [&] { return syscall(SYS_msgget, IPC_PRIVATE, flags & ~IPC_EXCL); }, [](const Status&) { return true; });
}

Finish attach_memory(Sandbox& sandbox, Held& call) {
  // An address is taken as it is, and SHM_REMAP replaces what is there (shmat(2)): not the sealed page. Both
  // architectures can be told to ignore the highest byte.
  const uint64_t address = call.args[1] & 0x00ffffffffffffff;
  if (address != 0 && address < kBouncePageEnd) {
    report(sandbox, call, EINVAL, "the lowest addresses are kept for what the supervisor hands over");
    return Finish::error(EINVAL);
  }
  return on_id(sandbox, call, memory);
}

Finish use_semaphores(Sandbox& sandbox, Held& call) { return on_id(sandbox, call, semaphores); }

Finish use_messages(Sandbox& sandbox, Held& call) { return on_id(sandbox, call, messages); }

Finish control_memory(Sandbox& sandbox, Held& call) {
  return on_command(sandbox, call, memory, static_cast<int>(call.args[1]), call.args[2]);
}

Finish control_semaphores(Sandbox& sandbox, Held& call) {
  return on_command(sandbox, call, semaphores, static_cast<int>(call.args[2]), call.args[3]);
}

Finish control_messages(Sandbox& sandbox, Held& call) {
  return on_command(sandbox, call, messages, static_cast<int>(call.args[1]), call.args[2]);
}

}  // namespace families
}  // namespace holdfast
