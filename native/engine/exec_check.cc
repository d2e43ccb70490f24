#include "exec_check.h"

#include <errno.h>
#include <linux/auxvec.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "../call/pages.h"
#include "../call/tree.h"
#include "../policy/config.h"
#include "../policy/violation.h"
#include "../policy/written.h"
#include "../view/creds.h"
#include "mappings.h"

namespace holdfast {
namespace {

bool mismatch(Sandbox& sandbox, const Held& call, const ExecApproval& approved, const char* what) {
  report(sandbox, call, EACCES, what, approved.path);
  return false;
}

// Reads `size` bytes. False: they cannot be read.
bool lies_at(Pages& pages, uint64_t address, char* to, size_t size) {
  for (size_t done = 0; done < size;) {
    int error = 0;
    const std::string_view here = pages.from(address + done, error).substr(0, size - done);
    if (here.empty()) return false;
    memcpy(to + done, here.data(), here.size());
    done += here.size();
  }
  return true;
}

bool is_text_at(Pages& pages, uint64_t address, std::string_view wanted) {
  for (size_t done = 0; done < wanted.size();) {
    int error = 0;
    const std::string_view here = pages.from(address + done, error).substr(0, wanted.size() - done);
    if (here.empty() || here != wanted.substr(done, here.size())) return false;
    done += here.size();
  }
  return true;
}

}  // namespace

namespace {

std::mutex approvals_guard;
std::unordered_map<pid_t, std::unique_ptr<ExecApproval>> approvals;  // by thread

}  // namespace

void approve_exec(pid_t tid, std::unique_ptr<ExecApproval> approved) {
  std::lock_guard<std::mutex> lock(approvals_guard);
  approvals.insert_or_assign(tid, std::move(approved));
}

bool may_be_in_exec(pid_t tid) {
  std::lock_guard<std::mutex> lock(approvals_guard);
  return approvals.count(tid) != 0;
}

std::unique_ptr<ExecApproval> take_exec_approval(pid_t tid) {
  std::lock_guard<std::mutex> lock(approvals_guard);
  const auto at = approvals.find(tid);
  if (at == approvals.end()) return nullptr;
  std::unique_ptr<ExecApproval> taken = std::move(at->second);
  approvals.erase(at);
  return taken;
}

namespace {

bool is_as_approved(Sandbox& sandbox, const Held& call, const ExecApproval& approved, uint64_t stack, uint64_t start) {
  sandbox.tree.forget_program(call.tid);  // an exec leaves one thread, which leads its group
  // Without the right to look into any process it is open only to who has its ids, which may have changed.
  const AsCaller caller(call);
  if (caller.error != 0) return mismatch(sandbox, call, approved, "the rights of the new image cannot be seen");
  char name[32];
  snprintf(name, sizeof name, "/proc/%d/exe", call.tid);
  struct stat status;
  if (stat(name, &status) != 0) return mismatch(sandbox, call, approved, "the executed image cannot be seen");
  if (status.st_dev != approved.device || status.st_ino != approved.inode)
    return mismatch(sandbox, call, approved, "another image was executed than the one approved");

  // The first instruction is the ELF interpreter's, or the image's own if it has none. Some file systems show another
  // device in maps than stat(2) does, so an equal name is as good: it is the kernel's own, of what is mapped.
  Mapping first;
  if (!find_mapping(call.tid, start, first))
    return mismatch(sandbox, call, approved, "the executed mappings cannot be seen");
  const bool is_static = approved.interpreter.empty();
  const bool same_name = first.path == (is_static ? approved.path : approved.interpreter);
  const bool same_file = is_static
                             ? first.inode == approved.inode && first.device == approved.device
                             : first.inode == approved.interpreter_inode && first.device == approved.interpreter_device;
  if (!same_name && !same_file)
    return mismatch(sandbox, call, approved, "another ELF interpreter was loaded than the one approved");

  for (const FileNumber& file : approved.unwritten)
    if (is_written(file)) return mismatch(sandbox, call, approved, "exec.written: this tree has written it meanwhile");

  // It counts as executed from its first instruction on.
  const auto verified = [&] {
    if (approved.executed.any()) sandbox.tree.executed(call.tid, approved.executed);
    return true;
  };

  // What the new image sees as its arguments: argc, then the pointers (System V ABI, "Initial Stack and Register
  // State").
  if (approved.arguments.empty() && !approved.check_arguments && !approved.check_environment) return verified();
  uint64_t count;
  if (call.read(stack, &count, sizeof count) != 0)
    return mismatch(sandbox, call, approved, "the new stack cannot be read");
  if (count < approved.arguments.size() || (approved.check_arguments && count != approved.arguments.size()))
    return mismatch(sandbox, call, approved, "the argument list changed after it was approved");
  Pages pointers(call), texts(call);
  for (size_t i = 0; i < approved.arguments.size(); i++) {
    const std::string& wanted = approved.arguments[i];
    uint64_t at;
    if (!lies_at(pointers, stack + 8 + 8 * i, reinterpret_cast<char*>(&at), sizeof at) ||
        !is_text_at(texts, at, {wanted.c_str(), wanted.size() + 1}))
      return mismatch(sandbox, call, approved, "the argument list changed after it was approved");
  }
  if (!approved.check_environment) return verified();
  const uint64_t environment = stack + 8 + 8 * (count + 1);
  for (size_t i = 0; i <= approved.environment.size(); i++) {
    uint64_t at;
    const bool is_end = i == approved.environment.size();
    if (!lies_at(pointers, environment + 8 * i, reinterpret_cast<char*>(&at), sizeof at) ||
        (is_end ? at != 0
                : !is_text_at(texts, at, {approved.environment[i].c_str(), approved.environment[i].size() + 1})))
      return mismatch(sandbox, call, approved, "the environment changed after it was given");
  }
  return verified();
}

// Takes the vDSO's address from what the kernel tells the new image (getauxval(3), AT_SYSINFO_EHDR): libraries then ask
// for the time by system calls. There is one thread, and none of its instructions has run.
bool hide_vdso(const Held& call, uint64_t stack) {
  uint64_t count;
  Pages words(call);
  const auto read = [&](uint64_t address, uint64_t& word) {
    return lies_at(words, address, reinterpret_cast<char*>(&word), sizeof word);
  };
  if (!read(stack, count)) return false;
  // Behind the arguments and their null the environment and its own: System V ABI, "Initial Process Stack".
  uint64_t at = stack + 8 * (count + 2);
  uint64_t word;
  do {
    if (!read(at, word)) return false;
    at += 8;
  } while (word != 0);
  for (;; at += 16) {
    if (!read(at, word)) return false;
    if (word == AT_NULL) return true;
    constexpr uint64_t kIgnored = AT_IGNORE;
    if (word == AT_SYSINFO_EHDR && call.write(at, &kIgnored, sizeof kIgnored) != 0) return false;
  }
}

}  // namespace

bool exec_is_as_approved(Sandbox& sandbox, const Held& call, const ExecApproval& approved, uint64_t stack,
                         uint64_t start) {
  if (!is_as_approved(sandbox, call, approved, stack, start)) return false;
  if (!sandbox.config.speaks_of_time()) return true;
  const AsCaller caller(call);
  return (caller.error == 0 && hide_vdso(call, stack)) ||
         mismatch(sandbox, call, approved, "the vDSO could not be taken from the new image, and time is asked for");
}

}  // namespace holdfast
