// POSIX message queues, private to the tree: the kernel keeps their names for the whole machine, so a queue's name gets
// a prefix that nobody guesses.
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "../policy/decide.h"
#include "../view/creds.h"
#include "../view/domains.h"
#include "../view/fs_context.h"
#include "caller.h"
#include "handlers.h"
#include "ipc.h"

namespace holdfast {
namespace {

constexpr size_t kMostQueues = 64;  // the machine has room for 256 (mq_overview(7), queues_max)

struct Queues {
  std::mutex guard;
  std::string prefix;  // made with the first
  std::set<std::string> names;
} queues;

// A queue's name as the kernel shall know it: the caller's behind the tree's prefix. 0 or a positive errno.
int private_name(const Held& call, std::string& out) {
  char name[NAME_MAX + 2];
  const ssize_t length = call.read_string(call.arg(Arg::text), name, sizeof name);
  if (length < 0) return static_cast<int>(-length);
  const std::string_view text(name, static_cast<size_t>(length));
  if (text.empty()) return ENOENT;  // as for any name: getname() in fs/namei.c
  // lookup_one_len() in fs/namei.c.
  if (text.find('/') != text.npos || text == "." || text == "..") return EACCES;
  const std::lock_guard<std::mutex> lock(queues.guard);
  if (queues.prefix.empty()) {
    uint64_t random[2];
    if (getrandom(random, sizeof random, 0) != sizeof random) return EAGAIN;
    char prefix[48];
    snprintf(prefix, sizeof prefix, "holdfast-%016llx%016llx-", static_cast<unsigned long long>(random[0]),
             static_cast<unsigned long long>(random[1]));
    queues.prefix = prefix;
  }
  out = queues.prefix;
  out += text;
  return out.size() > NAME_MAX ? ENAMETOOLONG : 0;
}

}  // namespace

void remove_message_queues() {
  const std::lock_guard<std::mutex> lock(queues.guard);
  for (const std::string& name : queues.names) syscall(SYS_mq_unlink, name.c_str());
  queues.names.clear();
}

namespace families {

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
  const std::lock_guard<std::mutex> lock(queues.guard);
  if ((flags & O_CREAT) != 0 && queues.names.count(name) == 0 && queues.names.size() >= kMostQueues) {
    report(sandbox, call, ENOSPC, "a tree may have 64 message queues");
    return Finish::error(ENOSPC);
  }
  const mode_t mode = static_cast<mode_t>(call.arg(Arg::mode));
  UniqueFd queue(static_cast<int>(within_domain(call, [&] {
    return syscall(SYS_mq_open, name.c_str(), flags | O_CLOEXEC, mode, at != 0 ? &attributes : nullptr);
  })));
  if (!queue) return Finish::error(errno);
  if ((flags & O_CREAT) != 0) queues.names.insert(name);
  return Finish::hand_over(std::move(queue), (flags & O_CLOEXEC) != 0);
}

Finish unlink_queue(Sandbox&, Held& call) {
  std::string name;
  if (const int error = private_name(call, name)) return memory_failed(-error);
  const AsCaller caller(call);
  if (caller.error != 0) return caller.error == ESRCH ? Finish::gone() : Finish::error(caller.error);
  const std::lock_guard<std::mutex> lock(queues.guard);
  if (syscall(SYS_mq_unlink, name.c_str()) != 0) return Finish::error(errno);
  queues.names.erase(name);
  return Finish::answer(0);
}

}  // namespace families
}  // namespace holdfast
