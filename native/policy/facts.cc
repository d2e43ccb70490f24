#include "facts.h"

#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "../call/as_itself.h"
#include "../call/tree.h"

namespace holdfast {

using protocol::FieldWriter;
using protocol::Tag;

bool is_nameless(std::string_view shown) {
  return shown.empty() || shown[0] != '/' || (shown.starts_with("/memfd:") && shown.ends_with(" (deleted)"));
}

const char* syscall_of(const Held& call, const Facts& facts) {
  return facts.event_syscall != nullptr ? facts.event_syscall : call.row->name;
}

std::string executable_of(Sandbox& sandbox, const Held& call) {
  const pid_t group = call.tgid();
  std::string program;
  uint64_t look;
  if (sandbox.tree.program_of(group, program, look)) return program;
  char link[40], target[PATH_MAX];
  snprintf(link, sizeof link, "/proc/%d/exe", static_cast<int>(call.tid));
  const ssize_t length = look_by_ids(call.tid, [&] { return readlink(link, target, sizeof target); });
  if (length <= 0 || !call.still_held()) return {};
  program.assign(target, static_cast<size_t>(length));
  sandbox.tree.remember_program(group, program, look);
  return program;
}

void write_caller(FieldWriter& writer, const Held& call, const char* syscall, std::string_view executable) {
  writer.number(Tag::pid_, call.tgid());
  writer.number(Tag::tid_, call.tid);
  if (const pid_t parent = call.tree->maker_of(call.tgid())) writer.number(Tag::parent_, parent);
  writer.text(Tag::syscall_, syscall);
  if (!executable.empty()) writer.text(Tag::executable_, executable);
}

void write_names(FieldWriter& writer, const Facts& facts) {
  if (facts.path_count > 0) {
    writer.text(Tag::path_, facts.paths[0].name);
    writer.number(Tag::access_, facts.paths[0].access);
  }
  if (facts.path_count > 1) writer.text(Tag::to_, facts.paths[1].name);
  if (facts.address != nullptr) {
    writer.number(Tag::family_, facts.address->family);
    writer.text(Tag::address_, facts.address->text());
    if (facts.address->family != AF_UNIX) writer.number(Tag::port_, facts.address->port);
  } else if (facts.operation != 0 && facts.path_count > 0) {
    // A unix socket that no rule on sockets speaks of is judged as a file; for hooks it is a socket all the same.
    writer.number(Tag::family_, AF_UNIX);
    writer.text(Tag::address_, facts.paths[0].name);
  }
}

void write_details(FieldWriter& writer, const Facts& facts) {
  const auto number = [&](Tag tag, int64_t value, int64_t absent) {
    if (value != absent) writer.number(tag, value);
  };
  number(Tag::flags_, facts.flags, -1);
  number(Tag::mode_, facts.mode, -1);
  number(Tag::size_, facts.size, -1);
  number(Tag::uid_, facts.uid, -2);
  number(Tag::gid_, facts.gid, -2);
  number(Tag::signal_, facts.signal, -1);
  number(Tag::code_, facts.code, -1);
  number(Tag::targetPid_, facts.target_pid, kNoTarget);
  number(Tag::directory_, facts.directory, -1);
  number(Tag::device_, facts.device, -1);
  if (facts.times != nullptr) {
    writer.number(Tag::atimeSec_, facts.times[0]);
    writer.number(Tag::atimeNsec_, facts.times[1]);
    writer.number(Tag::mtimeSec_, facts.times[2]);
    writer.number(Tag::mtimeNsec_, facts.times[3]);
  }
  // An empty text is as good as an absent one.
  if (!facts.target.empty()) writer.text(Tag::target_, facts.target);
  if (!facts.name.empty()) writer.text(Tag::name_, facts.name);
  if (!facts.interpreter.empty()) writer.text(Tag::interpreter_, facts.interpreter);
  if (facts.environment != 0) writer.number(Tag::environmentAt_, static_cast<int64_t>(facts.environment));
  if (facts.argv != nullptr) {
    writer.number(Tag::count_, static_cast<int64_t>(facts.argv_count));
    for (size_t i = 0; i < facts.argv_count && facts.argv[i].size() + 16 <= writer.room(); i++)
      writer.text(Tag::argv_, facts.argv[i]);
  }
}

}  // namespace holdfast
