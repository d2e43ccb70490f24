#include "process_facts.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <string_view>

#include "../call/as_itself.h"
#include "../call/tree.h"

namespace holdfast {

using protocol::FieldWriter;
using protocol::Tag;

Arguments arguments_of(pid_t group) {
  Arguments out;
  char name[32];
  snprintf(name, sizeof name, "/proc/%d/cmdline", group);
  UniqueFd file(look_by_ids(group, [&] { return open(name, O_RDONLY | O_CLOEXEC); }));
  if (!file) return out;
  std::string text(Arguments::kMost, '\0');
  size_t have = 0;
  for (ssize_t got; have < text.size(); have += static_cast<size_t>(got))
    if ((got = read(file.get(), text.data() + have, text.size() - have)) <= 0) break;
  out.cut = have == text.size();
  std::string_view left(text.data(), have);
  while (!left.empty()) {
    const size_t end = left.find('\0');
    const std::string_view one = left.substr(0, end);
    const size_t bytes = 16 + one.size();  // a head, and padding
    if (out.bytes + bytes > Arguments::kMost) {
      out.cut = true;
      break;
    }
    out.bytes += bytes;
    out.texts.emplace_back(one);
    if (end == left.npos) break;
    left.remove_prefix(end + 1);
  }
  return out;
}

void write_arguments(FieldWriter& writer, const Arguments& arguments) {
  for (const std::string& text : arguments.texts) writer.text(Tag::argv_, text);
  if (arguments.cut) writer.number(Tag::more_, 1);
}

std::string program_of(Sandbox& sandbox, pid_t group) {
  std::string program;
  uint64_t look;
  if (sandbox.tree.program_of(group, program, look)) return program;
  char link[40], target[PATH_MAX];
  snprintf(link, sizeof link, "/proc/%d/exe", group);
  const ssize_t length = look_by_ids(group, [&] { return readlink(link, target, sizeof target); });
  if (length <= 0) return {};
  program.assign(target, static_cast<size_t>(length));
  sandbox.tree.remember_program(group, program, look);
  return program;
}

}  // namespace holdfast
