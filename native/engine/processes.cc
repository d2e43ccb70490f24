#include "processes.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <utility>

#include "../call/as_itself.h"
#include "../call/memory.h"
#include "../call/proc_stat.h"
#include "../call/threads.h"
#include "../call/tree.h"
#include "../call/work_for.h"
#include "../channel/access_fields.h"
#include "../channel/channel.h"
#include "../channel/usage_fields.h"
#include "process_facts.h"
#include "tracer.h"

namespace holdfast {

using protocol::Field;
using protocol::FieldReader;
using protocol::LifeMode;
using protocol::Slot;
using protocol::SlotState;
using protocol::Tag;

namespace {

int64_t number_in(FieldReader asked, Tag tag, int64_t otherwise) {
  for (Field field; asked.next(field);)
    if (field.tag == tag) return field.number(otherwise);
  return otherwise;
}

int64_t microseconds(clockid_t clock) {
  timespec at;
  clock_gettime(clock, &at);
  return at.tv_sec * 1'000'000 + at.tv_nsec / 1000;
}

size_t room_for(const Arguments& arguments, const std::string& program) {
  constexpr size_t kRest = 1024;
  return arguments.bytes + program.size() + kRest;
}

constexpr size_t kMostAtOnce = 32 << 10;  // of memory

}  // namespace

void tell_processes(Sandbox& sandbox, Tracer& tracer, FieldReader, const std::shared_ptr<Reply>& reply) {
  const WaitInCrew may_wait;
  const int64_t began = microseconds(CLOCK_REALTIME) - microseconds(CLOCK_BOOTTIME);
  const int64_t ticks = sysconf(_SC_CLK_TCK);
  for (const pid_t pid : sandbox.tree.groups()) {
    const WorkFor it(sandbox.tree, pid);
    const Stat stat = stat_of(pid);
    if (!it.is_there || stat.state == 0) continue;
    const Arguments arguments = arguments_of(pid);
    const std::string program = program_of(sandbox, pid);
    const Figures figures = sandbox.tree.usage().of(sandbox.tree, pid);
    reply->make_room(room_for(arguments, program));
    protocol::FieldWriter& fields = reply->fields();
    const size_t mark = fields.begin(Tag::process_);
    fields.number(Tag::pid_, pid);
    if (sandbox.tree.contains(stat.parent)) fields.number(Tag::parent_, stat.parent);
    if (!program.empty()) fields.text(Tag::executable_, program);
    write_arguments(fields, arguments);
    fields.number(Tag::state_, stat.state);
    if (tracer.is_frozen()) fields.number(Tag::frozen_, 1);
    fields.number(Tag::threads_, stat.threads);
    fields.number(Tag::startTime_, began + static_cast<int64_t>(stat.started) * 1'000'000 / ticks);
    write_figures(fields, figures);
    fields.end(mark);
  }
}

void tell_usage(Sandbox& sandbox, Tracer&, FieldReader, const std::shared_ptr<Reply>& reply) {
  const WaitInCrew may_wait;
  const Usage& usage = sandbox.tree.usage();
  write_usage(reply->fields(), usage, usage.all(sandbox.tree));
  write_by_program(reply->fields(), usage);
}

void tell_accesses(Sandbox& sandbox, Tracer&, FieldReader, const std::shared_ptr<Reply>& reply) {
  const WaitInCrew may_wait;
  write_accesses(
      sandbox.tree.accesses(), [&]() -> protocol::FieldWriter& { return reply->fields(); },
      [&](size_t needed) { reply->make_room(needed); });
}

void tell_ancestry(Sandbox& sandbox, Tracer&, FieldReader asked, const std::shared_ptr<Reply>& reply) {
  const WaitInCrew may_wait;
  pid_t pid = static_cast<pid_t>(number_in(asked, Tag::pid_, 0));
  if (sandbox.tree.life_of(pid) == 0) {
    reply->fail(ESRCH, "the process is not there any more");
    return;
  }
  // Each is older than the one that it has made, so this ends.
  while ((pid = sandbox.tree.maker_of(pid)) != 0) {
    const WorkFor it(sandbox.tree, pid);
    if (!it.is_there) break;
    const Arguments arguments = arguments_of(pid);
    const std::string program = program_of(sandbox, pid);
    reply->make_room(room_for(arguments, program));
    const size_t mark = reply->fields().begin(Tag::process_);
    reply->fields().number(Tag::pid_, pid);
    if (!program.empty()) reply->fields().text(Tag::executable_, program);
    write_arguments(reply->fields(), arguments);
    reply->fields().end(mark);
  }
}

void tell_directory(Sandbox& sandbox, Tracer&, FieldReader asked, const std::shared_ptr<Reply>& reply) {
  const pid_t tid = static_cast<pid_t>(number_in(asked, Tag::tid_, 0));
  const WorkFor it(sandbox.tree, tid);
  char link[40], target[PATH_MAX];
  snprintf(link, sizeof link, "/proc/%d/cwd", tid);
  ssize_t length = -1;
  errno = ESRCH;
  if (it.is_there) length = look_by_ids(tid, [&] { return readlink(link, target, sizeof target); });
  if (length < 0)
    reply->fail(errno == ENOENT ? ESRCH : errno, "where the process is cannot be read");
  else
    reply->fields().text(Tag::path_, {target, static_cast<size_t>(length)});
}

void tell_memory(Sandbox& sandbox, Tracer&, FieldReader asked, const std::shared_ptr<Reply>& reply) {
  const WaitInCrew may_wait;
  const int64_t slot = number_in(asked, Tag::slot_, -1), generation = number_in(asked, Tag::generation_, -1);
  const pid_t tid = static_cast<pid_t>(number_in(asked, Tag::tid_, 0));
  const uint64_t place = static_cast<uint64_t>(number_in(asked, Tag::place_, 0));
  const int64_t length = number_in(asked, Tag::length_, 0);
  if (slot < 0 || slot >= static_cast<int64_t>(protocol::kSlotCount) || length <= 0 ||
      length > static_cast<int64_t>(kMostAtOnce)) {
    reply->fail(EINVAL, "what is to be read is not valid");
    return;
  }
  const Slot& of_call = sandbox.channel.shared()->slots[slot];
  const auto is_held = [&] {
    const auto state = static_cast<SlotState>(of_call.state.load());
    return of_call.generation.load() == static_cast<uint32_t>(generation) &&
           (state == SlotState::asked || state == SlotState::waited);
  };
  const WorkFor it(sandbox.tree, tid);
  std::string bytes(static_cast<size_t>(length), '\0');
  errno = 0;
  const ssize_t got = it.is_there && is_held() ? read_memory(tid, sandbox.tree, place, bytes.data(), bytes.size()) : 0;
  const int error = errno;
  // Asked last: what was read was the held caller's.
  if (!it.is_there || !is_held())
    reply->fail(ESRCH, "the call is not held any more");
  else if (got != length)
    reply->fail(got < 0 && error != 0 ? error : EFAULT, "the memory cannot be read");
  else
    reply->fields().bytes(Tag::memory_, bytes.data(), bytes.size());
}

void switch_life(Sandbox& sandbox, Tracer& tracer, FieldReader asked, const std::shared_ptr<Reply>& reply) {
  const int64_t mode = number_in(asked, Tag::life_, -1);
  if (mode < 0 || mode > static_cast<int64_t>(LifeMode::held_back)) {
    reply->fail(EINVAL, "it is told or not");
    return;
  }
  // Of those that are there already the program is known when they end.
  if (mode != static_cast<int64_t>(LifeMode::quiet)) {
    for (const pid_t pid : sandbox.tree.groups()) {
      const WorkFor it(sandbox.tree, pid);
      if (it.is_there) program_of(sandbox, pid);
    }
  }
  tracer.run_there([&tracer, mode, reply] { tracer.tell_life(static_cast<LifeMode>(mode)); });
}

}  // namespace holdfast
