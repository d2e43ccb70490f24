#include "memory.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "../arch/arch.h"
#include "../protocol/unique_fd.h"
#include "as_itself.h"
#include "tree.h"

namespace holdfast {
namespace {

std::mutex guard;
// By thread group. Never destroyed: workers may still be there at the end.
std::unordered_map<pid_t, std::shared_ptr<UniqueFd>>& opened() {
  static auto& it = *new std::unordered_map<pid_t, std::shared_ptr<UniqueFd>>;
  return it;
}
std::atomic<bool> any{false};

int open_by_number(pid_t tid) {
  char name[32];
  std::snprintf(name, sizeof name, "/proc/%d/mem", tid);
  return ::open(name, O_RDWR | O_CLOEXEC);
}

std::shared_ptr<UniqueFd> memory_of(pid_t tid, pid_t group) {
  {
    std::lock_guard<std::mutex> lock(guard);
    const auto at = opened().find(group);
    if (at != opened().end()) return at->second;
  }
  UniqueFd fd(open_by_number(tid));
  if (!fd && (errno == EACCES || errno == EPERM)) {
    // With CAP_SYS_PTRACE too: this thread may wear a caller's ids, and the file of a process that has changed its own
    // belongs to root until an exec (proc(5), "/proc/pid").
    const AsItself itself(tid);
    fd.reset(open_by_number(tid));
  }
  if (!fd || group == 0) return nullptr;
  auto found = std::make_shared<UniqueFd>(std::move(fd));
  std::lock_guard<std::mutex> lock(guard);
  any.store(true);
  return opened().emplace(group, found).first->second;
}

bool is_refusal() { return errno == EPERM || errno == ENOSYS; }

}  // namespace

ssize_t read_memory(pid_t tid, const Tree& tree, uint64_t address, void* to, size_t size) {
  const iovec here = {to, size}, there = {reinterpret_cast<void*>(address), size};
  const ssize_t got = process_vm_readv(tid, &here, 1, &there, 1, 0);
  if (got >= 0 || !is_refusal()) return got;
  const auto memory = memory_of(tid, tree.group_of(tid));
  if (memory == nullptr) {
    errno = EFAULT;
    return -1;
  }
  return ::pread(memory->get(), to, size, static_cast<off_t>(arch::without_tag(address)));
}

ssize_t write_memory(pid_t tid, const Tree& tree, uint64_t address, const void* from, size_t size) {
  const iovec here = {const_cast<void*>(from), size}, there = {reinterpret_cast<void*>(address), size};
  const ssize_t got = process_vm_writev(tid, &here, 1, &there, 1, 0);
  return got >= 0 || !is_refusal() ? got : write_protected(tid, tree, address, from, size);
}

ssize_t write_protected(pid_t tid, const Tree& tree, uint64_t address, const void* from, size_t size) {
  const auto memory = memory_of(tid, tree.group_of(tid));
  if (memory != nullptr) return ::pwrite(memory->get(), from, size, static_cast<off_t>(arch::without_tag(address)));
  errno = EFAULT;
  return -1;
}

bool can_look_into_all() {
  static const bool can = [] {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    if (::syscall(SYS_capget, &header, data) != 0 || (data[0].permitted >> CAP_SYS_PTRACE & 1) == 0) return false;
    char byte = 0;
    const iovec here = {&byte, 1}, there = {&byte, 1};
    return process_vm_readv(::getpid(), &here, 1, &there, 1, 0) == 1;
  }();
  return can;
}

void keep_memory(pid_t tid, pid_t group) {
  if (!can_look_into_all()) memory_of(tid, group);  // else nothing closes
}

void forget_memory(pid_t group) {
  if (!any.load()) return;
  std::lock_guard<std::mutex> lock(guard);
  opened().erase(group);
}

}  // namespace holdfast
