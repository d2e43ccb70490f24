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

// What an inspected thread's memory is read and written by: a task thread, for that may wait as long as the tree likes.
void with_memory_of(Sandbox& sandbox, Tracer& tracer, const Asked& asked, const std::shared_ptr<Reply>& reply,
                    std::function<void(Reply&)> work) {
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
        work(*reply);
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
  with_memory_of(sandbox, tracer, asked, reply, [&sandbox, asked](Reply& reply) {
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
  with_memory_of(sandbox, tracer, asked, reply, [&sandbox, asked](Reply& reply) {
    const char* from = asked.memory.data();
    for (size_t done = 0; done < asked.memory.size();) {
      const uint64_t at = asked.address + done;
      const size_t size = asked.memory.size() - done;
      ssize_t wrote = write_memory(asked.tid, sandbox.tree, at, from + done, size);
      if (wrote <= 0) wrote = write_protected(asked.tid, sandbox.tree, at, from + done, size);
      if (wrote <= 0) {
        char place[64];
        snprintf(place, sizeof place, "no memory that can be written at 0x%llx", static_cast<unsigned long long>(at));
        return reply.fail(EFAULT, place);
      }
      done += static_cast<size_t>(wrote);
    }
  });
}

void tell_mappings(Sandbox& sandbox, Tracer& tracer, FieldReader fields, const std::shared_ptr<Reply>& reply) {
  const Asked asked = read(fields);
  with_memory_of(sandbox, tracer, asked, reply, [asked](Reply& reply) {
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
  const int64_t entered = arch::call_beside(tid, registers), answered = find(tid)->answered;
  number = entered < 0 && answered >= 0 ? answered : entered;
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
