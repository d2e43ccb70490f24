// System V IPC and POSIX message queues, private to the tree. The kernel keeps both in name spaces of the whole
// machine, where a key, a name or a guessed id reaches the objects of others. So each tree has keys and names of its
// own: what it makes by a key is made without one (IPC_PRIVATE) and remembered here, a queue's name gets a prefix that
// nobody guesses, and an id passes only if the tree has made it. Everything else about a call stays the caller's own:
// the id is in a register, so a checked call goes on as it is, and waits, is interrupted and fails as ever.
#include "ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/random.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "../policy/decide.h"
#include "../syscalls/sealed_range.h"
#include "../view/creds.h"
#include "../view/fs_context.h"
#include "caller.h"
#include "handlers.h"

namespace holdfast {
namespace {

// The machine has room for 4096 segments, 32000 of the others and 256 queues (proc_sys_kernel(5)); a tree must not fill
// it.
constexpr size_t kMostObjects = 256;
constexpr size_t kMostQueues = 64;

enum Kind : uint8_t { memory, semaphores, messages, kinds };

struct Object {
  key_t key = IPC_PRIVATE;
  bool removed = false;  // a segment that somebody still has; it lives on under its id
};

struct Objects {
  std::mutex guard;
  std::map<int, Object> by_id[kinds];
  std::map<key_t, int> by_key[kinds];
  std::string prefix;  // of queues' names; made with the first
  std::set<std::string> queues;
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

// What the kernel knows of an object: its owner and mode stand first in each of the three. 0 or a positive errno. As
// the supervisor: the caller need not be able to read it.
int look(Kind kind, int id, Status& status) { return control(kind, id, IPC_STAT, &status) == 0 ? 0 : errno; }

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
        if (error != 0 || !may_use(status.memory.shm_perm, flags)) return Finish::error(EACCES);
        return fits(status) ? Finish::answer(id) : Finish::error(EINVAL);
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

// *ctl(2). `last` is the last command that is about one object by its id.
Finish on_command(Sandbox& sandbox, Held& call, Kind kind, int command, int first, int last) {
  if (command == IPC_INFO) return Finish::proceed();  // the machine's limits
  if (command != IPC_RMID && command != IPC_SET && command != IPC_STAT && (command < first || command > last)) {
    report(sandbox, call, EINVAL,
           "only commands on one object by its id: places in the machine's tables are not the tree's");
    return Finish::error(EINVAL);
  }
  Finish finish = on_id(sandbox, call, kind);
  if (finish.kind != Finish::Kind::proceed || command != IPC_RMID) return finish;
  // Done here, so that what is remembered and what is there stay the same.
  const AsPeer caller(call);
  if (caller.error != 0) return caller.error == ESRCH ? Finish::gone() : Finish::error(caller.error);
  const std::lock_guard<std::mutex> lock(objects.guard);
  const int id = static_cast<int>(call.args[0]);
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

// A queue's name as the kernel shall know it: the caller's behind the tree's prefix. 0 or a positive errno.
int private_name(const Held& call, std::string& out) {
  char name[NAME_MAX + 2];
  const ssize_t length = call.read_string(call.arg(Arg::text), name, sizeof name);
  if (length < 0) return static_cast<int>(-length);
  const std::string_view text(name, static_cast<size_t>(length));
  if (text.empty()) return EINVAL;
  // lookup_one_len() in fs/namei.c.
  if (text.find('/') != text.npos || text == "." || text == "..") return EACCES;
  const std::lock_guard<std::mutex> lock(objects.guard);
  if (objects.prefix.empty()) {
    uint64_t random[2];
    if (getrandom(random, sizeof random, 0) != sizeof random) return EAGAIN;
    char prefix[48];
    snprintf(prefix, sizeof prefix, "holdfast-%016llx%016llx-", static_cast<unsigned long long>(random[0]),
             static_cast<unsigned long long>(random[1]));
    objects.prefix = prefix;
  }
  out = objects.prefix;
  out += text;
  return out.size() > NAME_MAX ? ENAMETOOLONG : 0;
}

}  // namespace

void remove_ipc_objects() {
  const std::lock_guard<std::mutex> lock(objects.guard);
  for (const Kind kind : {memory, semaphores, messages}) {
    for (const auto& [id, object] : objects.by_id[kind])
      if (!object.removed) control(kind, id, IPC_RMID, nullptr);
    objects.by_id[kind].clear();
    objects.by_key[kind].clear();
  }
  for (const std::string& name : objects.queues) syscall(SYS_mq_unlink, name.c_str());
  objects.queues.clear();
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
  if (count < 0) return Finish::error(EINVAL);
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
  return on_command(sandbox, call, memory, static_cast<int>(call.args[1]), SHM_LOCK, SHM_UNLOCK);
}

Finish control_semaphores(Sandbox& sandbox, Held& call) {
  return on_command(sandbox, call, semaphores, static_cast<int>(call.args[2]), GETPID, SETALL);
}

Finish control_messages(Sandbox& sandbox, Held& call) {
  return on_command(sandbox, call, messages, static_cast<int>(call.args[1]), IPC_RMID, IPC_RMID);
}

Finish open_queue(Sandbox& sandbox, Held& call) {
  std::string name;
  if (const int error = private_name(call, name)) return memory_failed(-error);
  const int flags = static_cast<int>(call.arg(Arg::flags));
  mq_attr attributes = {};
  const uint64_t at = call.arg(Arg::pointer);
  if (at != 0 && (flags & O_CREAT) != 0)
    if (const int error = call.read(at, &attributes, sizeof attributes)) return memory_failed(error);
  const AsCaller caller(call);
  if (caller.error != 0) return caller.error == ESRCH ? Finish::gone() : Finish::error(caller.error);
  std::optional<WithUmask> with_umask;
  if ((flags & O_CREAT) != 0) with_umask.emplace(call);
  if (with_umask && with_umask->error != 0) return Finish::error(with_umask->error);
  const std::lock_guard<std::mutex> lock(objects.guard);
  if ((flags & O_CREAT) != 0 && objects.queues.count(name) == 0 && objects.queues.size() >= kMostQueues) {
    report(sandbox, call, ENOSPC, "a tree may have 64 message queues");
    return Finish::error(ENOSPC);
  }
  const mode_t mode = static_cast<mode_t>(call.arg(Arg::mode));
  UniqueFd queue(
      static_cast<int>(syscall(SYS_mq_open, name.c_str(), flags | O_CLOEXEC, mode, at != 0 ? &attributes : nullptr)));
  if (!queue) return Finish::error(errno);
  if ((flags & O_CREAT) != 0) objects.queues.insert(name);
  return Finish::hand_over(std::move(queue), (flags & O_CLOEXEC) != 0);
}

Finish unlink_queue(Sandbox&, Held& call) {
  std::string name;
  if (const int error = private_name(call, name)) return memory_failed(-error);
  const AsCaller caller(call);
  if (caller.error != 0) return caller.error == ESRCH ? Finish::gone() : Finish::error(caller.error);
  const std::lock_guard<std::mutex> lock(objects.guard);
  if (syscall(SYS_mq_unlink, name.c_str()) != 0) return Finish::error(errno);
  objects.queues.erase(name);
  return Finish::answer(0);
}

}  // namespace families
}  // namespace holdfast
