#include "inspecting.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "../arch/arch.h"
#include "../call/as_itself.h"
#include "../call/memory.h"
#include "../call/threads.h"
#include "../call/tree.h"
#include "../call/work_for.h"
#include "../protocol/unique_fd.h"
#include "request.h"
#include "tasks.h"
#include "tracer.h"

namespace holdfast {
namespace {

using protocol::Field;
using protocol::FieldReader;
using protocol::Tag;

struct Asked {
  int64_t stop = 0;
  pid_t tid = 0;
  uint64_t address = 0;
  int64_t size = 0;
  std::string general, floating, memory;
};

Asked read(FieldReader fields) {
  Asked asked;
  for (Field field; fields.next(field);) {
    if (field.tag == Tag::inspection_) asked.stop = field.number();
    if (field.tag == Tag::tid_) asked.tid = static_cast<pid_t>(field.number());
    if (field.tag == Tag::memoryAddress_) asked.address = static_cast<uint64_t>(field.number());
    if (field.tag == Tag::size_) asked.size = field.number();
    if (field.tag == Tag::general_) asked.general = field.text();
    if (field.tag == Tag::floating_) asked.floating = field.text();
    if (field.tag == Tag::memory_) asked.memory = field.text();
  }
  return asked;
}

constexpr char kGone[] = "the thread has ended";
constexpr char kNotStopped[] = "the thread is not stopped by this inspection";
constexpr size_t kRegisterBytes = 4096;   // more than any of the two sets has
constexpr int64_t kMostMemory = 1 << 20;  // bytes of one request

void not_written(Reply& reply, uint64_t at) {
  char place[64];
  snprintf(place, sizeof place, "no memory that can be written at 0x%llx", static_cast<unsigned long long>(at));
  reply.fail(EFAULT, place);
}

// Some kernels let nobody but the thread that traces write to what the process itself may not
// (CONFIG_PROC_MEM_FORCE_PTRACE, Linux 6.12; Debian's from 7.3 on). That thread must not wait, so nothing that somebody
// is asked about who could let it (userfaultfd(2)), and only what is there: it is read here first.
bool may_be_poked(const Sandbox& sandbox, pid_t tid, uint64_t address, size_t size) {
  std::vector<char> bytes(size);
  for (size_t done = 0; done < size;) {
    const ssize_t got = read_memory(tid, sandbox.tree, address + done, bytes.data() + done, size - done);
    if (got <= 0) return false;
    done += static_cast<size_t>(got);
  }
  char path[48];
  snprintf(path, sizeof path, "/proc/%d/smaps", tid);
  const UniqueFd smaps(look_by_ids(tid, [&] { return open(path, O_RDONLY | O_CLOEXEC); }));
  if (!smaps) return false;
  std::string text;
  for (char part[4096];;) {
    const ssize_t got = ::read(smaps.get(), part, sizeof part);
    if (got < 0) return false;
    if (got == 0) break;
    text.append(part, static_cast<size_t>(got));
  }
  const uint64_t from = arch::without_tag(address), to = from + size;
  bool meant = false;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    unsigned long long start, stop;
    if (sscanf(line.c_str(), "%llx-%llx ", &start, &stop) == 2) meant = start < to && from < stop;
    // Of userfaultfd: missing pages, write protection, minor faults (proc_pid_smaps(5)).
    if (!meant || line.rfind("VmFlags:", 0) != 0) continue;
    for (const char* flag : {" um", " uw", " ui"})
      if (line.find(flag) != std::string::npos) return false;
  }
  return true;
}

// From the byte `done` on; some at a time, as others wait for that thread.
void poke_memory(Tracer& tracer, const Asked& asked, size_t done, const std::shared_ptr<Reply>& reply) {
  tracer.run_there([&tracer, asked, done, reply] {
    constexpr size_t kTurn = 32 << 10;
    const size_t size = std::min(kTurn, asked.memory.size() - done);
    const uint64_t at = asked.address + done;
    const int error =
        tracer.set_protected(static_cast<uint64_t>(asked.stop), asked.tid, at, asked.memory.data() + done, size);
    if (error == ESRCH || error == EPERM) return reply->fail(error, error == ESRCH ? kGone : kNotStopped);
    if (error != 0) return not_written(*reply, at);
    if (done + size < asked.memory.size()) poke_memory(tracer, asked, done + size, reply);
  });
}

// What an inspected thread's memory is read and written by: a task thread, for that may wait as long as the tree likes.
void with_memory_of(Sandbox& sandbox, Tracer& tracer, const Asked& asked, const std::shared_ptr<Reply>& reply,
                    std::function<void(const std::shared_ptr<Reply>&)> work) {
  tracer.run_there([&sandbox, &tracer, asked, reply, work = std::move(work)] {
    if (const int error = tracer.inspected(static_cast<uint64_t>(asked.stop), asked.tid)) {
      reply->fail(error, error == ESRCH ? kGone : kNotStopped);
      return;
    }
    run_task([&sandbox, asked, reply, work] {
      // A page of its memory may wait for as long as the tree likes (userfaultfd(2)).
      const WaitInCrew may_wait;
      const WorkFor it(sandbox.tree, asked.tid);
      if (may_wait.refused)
        reply->fail(EAGAIN, "no thread would be left for others: there are too many processes");
      else if (it.is_there)
        work(reply);
      else
        reply->fail(ESRCH, kGone);
    });
  });
}

}  // namespace

void begin_inspection(Sandbox& sandbox, Tracer& tracer, FieldReader fields, const std::shared_ptr<Reply>& reply) {
  const Asked asked = read(fields);
  tracer.run_there([&sandbox, &tracer, asked, reply] {
    const pid_t group = sandbox.tree.group_of(asked.tid);
    if (asked.tid <= 0 || group == 0) {
      reply->fail(ESRCH, "there is no such process or thread in the tree");
      return;
    }
    Tracer::Threads which;
    (group == asked.tid ? which.group : which.tid) = asked.tid;
    tracer.inspect(which, [&sandbox, &tracer, asked, group, reply](uint64_t stop) {
      if (tracer.inspected(stop, asked.tid) != 0) {
        tracer.let_go(stop);
        reply->fail(ESRCH, kGone);
        return;
      }
      reply->fields().number(Tag::inspection_, static_cast<int64_t>(stop));
      reply->fields().number(Tag::pid_, group);
      for (const pid_t thread : sandbox.tree.threads())
        if (group == asked.tid ? sandbox.tree.group_of(thread) == group : thread == asked.tid)
          reply->fields().number(Tag::threadIds_, thread);
    });
    // Whatever it is doing: it is stopped before its next instruction.
    reply->end_part();
  });
}

void end_inspection(Sandbox&, Tracer& tracer, FieldReader fields, const std::shared_ptr<Reply>& reply) {
  const Asked asked = read(fields);
  tracer.run_there([&tracer, asked, reply] { tracer.end_inspection(static_cast<uint64_t>(asked.stop)); });
}

void tell_registers(Sandbox&, Tracer& tracer, FieldReader fields, const std::shared_ptr<Reply>& reply) {
  const Asked asked = read(fields);
  tracer.run_there([&tracer, asked, reply] {
    std::string general, floating;
    int64_t number = -1;
    if (const int error =
            tracer.get_registers(static_cast<uint64_t>(asked.stop), asked.tid, general, floating, number)) {
      reply->fail(error, error == ESRCH ? kGone : kNotStopped);
      return;
    }
    reply->fields().bytes(Tag::general_, general.data(), general.size());
    reply->fields().bytes(Tag::floating_, floating.data(), floating.size());
    const Row* const row = find_row(static_cast<int>(number));
    if (number >= 0 && row != nullptr) reply->fields().text(Tag::syscall_, row->name);
  });
}

void set_registers(Sandbox&, Tracer& tracer, FieldReader fields, const std::shared_ptr<Reply>& reply) {
  const Asked asked = read(fields);
  tracer.run_there([&tracer, asked, reply] {
    const int error = tracer.set_registers(static_cast<uint64_t>(asked.stop), asked.tid, asked.general, asked.floating);
    if (error == 0) return;
    reply->fail(error, error == ESRCH   ? kGone
                       : error == EBUSY ? "a call of the thread is being decided, and ends with its own registers"
                       : error == EPERM ? kNotStopped
                                        : "the kernel takes no such registers");
  });
}

void tell_inspected_memory(Sandbox& sandbox, Tracer& tracer, FieldReader fields, const std::shared_ptr<Reply>& reply) {
  const Asked asked = read(fields);
  if (asked.size <= 0 || asked.size > kMostMemory) return reply->fail(EINVAL, "so much memory is not told at once");
  with_memory_of(sandbox, tracer, asked, reply, [&sandbox, asked](const std::shared_ptr<Reply>& told) {
    Reply& reply = *told;
    constexpr size_t kPart = 32 << 10;
    std::vector<uint8_t> bytes(kPart);
    for (uint64_t done = 0; done < static_cast<uint64_t>(asked.size);) {
      const size_t size = std::min<uint64_t>(kPart, static_cast<uint64_t>(asked.size) - done);
      const ssize_t got = read_memory(asked.tid, sandbox.tree, asked.address + done, bytes.data(), size);
      if (got <= 0) {
        char place[64];
        snprintf(place, sizeof place, "no memory that can be read at 0x%llx",
                 static_cast<unsigned long long>(asked.address) + done);
        return reply.fail(got < 0 ? errno : EFAULT, place);
      }
      reply.make_room(kPart + 64);
      reply.fields().bytes(Tag::memory_, bytes.data(), static_cast<size_t>(got));
      reply.end_part();
      done += static_cast<uint64_t>(got);
    }
  });
}

void set_memory(Sandbox& sandbox, Tracer& tracer, FieldReader fields, const std::shared_ptr<Reply>& reply) {
  const Asked asked = read(fields);
  if (asked.memory.empty() || asked.memory.size() > kMostMemory)
    return reply->fail(EINVAL, "so much memory is not written at once");
  with_memory_of(sandbox, tracer, asked, reply, [&sandbox, &tracer, asked](const std::shared_ptr<Reply>& reply) {
    const char* from = asked.memory.data();
    for (size_t done = 0; done < asked.memory.size();) {
      const uint64_t at = asked.address + done;
      const size_t size = asked.memory.size() - done;
      ssize_t wrote = write_memory(asked.tid, sandbox.tree, at, from + done, size);
      if (wrote <= 0) wrote = write_protected(asked.tid, sandbox.tree, at, from + done, size);
      if (wrote <= 0 && may_be_poked(sandbox, asked.tid, at, size)) return poke_memory(tracer, asked, done, reply);
      if (wrote <= 0) return not_written(*reply, at);
      done += static_cast<size_t>(wrote);
    }
  });
}

void tell_mappings(Sandbox& sandbox, Tracer& tracer, FieldReader fields, const std::shared_ptr<Reply>& reply) {
  const Asked asked = read(fields);
  with_memory_of(sandbox, tracer, asked, reply, [asked](const std::shared_ptr<Reply>& told) {
    Reply& reply = *told;
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/maps", asked.tid);
    const int opened = look_by_ids(asked.tid, [&] { return open(path, O_RDONLY | O_CLOEXEC); });
    if (opened < 0) return reply.fail(errno, "its mappings cannot be read");
    const UniqueFd maps(opened);
    constexpr size_t kPart = 32 << 10;
    std::vector<uint8_t> bytes(kPart);
    for (ssize_t got; (got = ::read(maps.get(), bytes.data(), kPart)) > 0;) {
      reply.make_room(kPart + 64);
      reply.fields().bytes(Tag::memory_, bytes.data(), static_cast<size_t>(got));
      reply.end_part();
    }
  });
}

// ---- The tracer's part ----------------------------------------------------------------------------------------------

void Tracer::inspect(Threads which, std::function<void(uint64_t)> on_stopped) {
  auto number = std::make_shared<uint64_t>(0);
  *number = stop(which, Until::stopped, [number, on_stopped = std::move(on_stopped)] { on_stopped(*number); });
  inspections_.insert(*number);
}

void Tracer::end_inspection(uint64_t stop) {
  if (inspections_.erase(stop) != 0) let_go(stop);
}

int Tracer::inspected(uint64_t stop, pid_t tid) {
  const Tracee* const tracee = find(tid);
  if (tracee == nullptr || (tracee->ends && !tracee->at_stop)) return ESRCH;
  const auto at = stops_.find(stop);
  const bool covered = inspections_.count(stop) != 0 && at != stops_.end() && at->second.covers(*tracee);
  return covered && tracee->at_stop ? 0 : EPERM;
}

int Tracer::get_registers(uint64_t stop, pid_t tid, std::string& general, std::string& floating, int64_t& number) {
  if (const int error = inspected(stop, tid)) return error;
  for (const auto& [type, to] : {std::pair<int, std::string*>{NT_PRSTATUS, &general}, {NT_FPREGSET, &floating}}) {
    to->resize(kRegisterBytes);
    iovec part = {to->data(), to->size()};
    if (request(PTRACE_GETREGSET, tid, as_pointer(static_cast<uint64_t>(type)), &part) != 0) return errno;
    to->resize(part.iov_len);
  }
  arch::Registers registers;
  if (const int error = arch::get(tid, registers)) return error;
  // One that was answered at its entry did not run.
  const int64_t entered = arch::call_beside(tid, registers);
  const Tracee& tracee = *find(tid);
  const bool is_behind = tracee.answered >= 0 && arch::instruction_pointer(registers) == tracee.answered_at;
  number = entered < 0 && is_behind ? tracee.answered : entered;
  return 0;
}

// ESRCH, EPERM: as inspected() says; EIO or EFAULT: not there.
int Tracer::set_protected(uint64_t stop, pid_t tid, uint64_t address, const char* from, size_t size) {
  if (const int error = inspected(stop, tid)) return error;
  constexpr size_t kWord = sizeof(long), kSmallestPage = 4096;
  for (size_t done = 0; done < size;) {
    const size_t length = std::min(size - done, kWord);
    const uint64_t at = address + done;
    // Less than a word is written with what lies before it, or behind it at the start of its page: nothing of another
    // page, which need not be there, or be somebody else's, too.
    const size_t before = std::min<size_t>(kWord - length, at % kSmallestPage);
    long word = 0;
    if (length < kWord) {
      errno = 0;
      word = ptrace(PTRACE_PEEKDATA, tid, at - before, nullptr);
      if (errno != 0) return errno == ESRCH ? ESRCH : EFAULT;
    }
    memcpy(reinterpret_cast<char*>(&word) + before, from + done, length);
    if (request(PTRACE_POKEDATA, tid, as_pointer(at - before), as_pointer(static_cast<uint64_t>(word))) != 0)
      return errno == ESRCH ? ESRCH : EFAULT;
    done += length;
  }
  return 0;
}

int Tracer::set_registers(uint64_t stop, pid_t tid, const std::string& general, const std::string& floating) {
  if (const int error = inspected(stop, tid)) return error;
  // What a call's end puts back would undo it.
  if (find(tid)->phase != Phase::running || find(tid)->task != 0) return EBUSY;
  for (const auto& [type, from] :
       {std::pair<int, const std::string*>{NT_PRSTATUS, &general}, {NT_FPREGSET, &floating}}) {
    if (from->empty()) continue;
    iovec part = {const_cast<char*>(from->data()), from->size()};
    if (request(PTRACE_SETREGSET, tid, as_pointer(static_cast<uint64_t>(type)), &part) != 0) return errno;
  }
  return 0;
}

}  // namespace holdfast
