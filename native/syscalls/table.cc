#include "table.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <string>

#include "../arch/arch.h"
#include "rule.h"

namespace holdfast {
namespace {

struct Args {
  Arg kinds[6];
};

// A scope of its own for the kinds' names, which collide with those of other columns and of libc.
#define ARGS(...)           \
  ([]() constexpr->Args {   \
    using enum Arg;         \
    return {{__VA_ARGS__}}; \
  }())

constexpr Row row(const char* name, int x86_64, int aarch64, Family family, Event event, Way way, int error,
                  Guard guard, int place, Args args, const char* reason) {
  Row made{name,
           static_cast<int16_t>(x86_64),
           static_cast<int16_t>(aarch64),
           family,
           event,
           way,
           static_cast<int16_t>(error),
           guard,
           static_cast<uint16_t>(place),
           {},
           reason};
  for (int i = 0; i < 6; i++) made.args[i] = args.kinds[i];
  return made;
}

constexpr int kFirst = __COUNTER__ + 1;
constexpr Row kRows[] = {
#define SYSCALL(name, x86_64, aarch64, family, event, way, error, guard, handler, args, reason)                        \
  row(#name, x86_64, aarch64, Family::family, Event::event, Way::way, error, Guard::guard, __COUNTER__ - kFirst, args, \
      reason),
#include "table.def"
#undef SYSCALL
};
#undef ARGS

constexpr bool sorted_and_unique() {
  for (size_t i = 1; i < std::size(kRows); i++)
    if (std::string_view(kRows[i - 1].name) >= kRows[i].name) return false;
  return true;
}
static_assert(sorted_and_unique(), "table.def: sorted by name, each once");

constexpr bool answers_are_complete() {
  for (const Row& row : kRows) {
    const bool answered = row.way == Way::refuse || row.way == Way::absent;
    if (answered != (row.error > 0)) return false;
    if (answered && row.reason[0] == '\0') return false;
  }
  return true;
}
static_assert(answers_are_complete(), "table.def: refuse and absent have an errno and a reason, the others no errno");

constexpr int largest_number() {
  int largest = 0;
  for (const Row& row : kRows) {
    if (row.x86_64 > largest) largest = row.x86_64;
    if (row.aarch64 > largest) largest = row.aarch64;
  }
  return largest;
}

// Places of rows by number, on the architecture that this was linked for.
using Index = std::array<int16_t, largest_number() + 1>;

Index make_index() {
  Index index;
  index.fill(-1);
  for (const Row& row : kRows)
    if (row.number() >= 0) index[static_cast<size_t>(row.number())] = static_cast<int16_t>(row.handler);
  return index;
}

bool has_x86_64_numbers() {
  static const bool has = std::strcmp(arch::kName, "x86_64") == 0;
  return has;
}

constexpr const char* kEventNames[] = {
#define EVENT(name) #name,
#include "../protocol/events.def"
#undef EVENT
    "none",
};

constexpr const char* kGuardNames[] = {
#define GUARD(name) #name,
#include "guards.def"
#undef GUARD
};

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

// Our own names and sentences: nothing in them needs more escaping than this.
void add_string(std::string& line, const char* key, const char* value) {
  if (line.size() > 1) line += ',';
  line.append("\"").append(key).append("\":\"");
  for (; *value; value++) {
    if (*value == '"' || *value == '\\') line += '\\';
    line += *value;
  }
  line += '"';
}

void add_number(std::string& line, const char* key, int value) {
  line.append(",\"").append(key).append("\":");
  line.append(value < 0 ? "null" : std::to_string(value));
}

}  // namespace

int16_t Row::number() const { return has_x86_64_numbers() ? x86_64 : aarch64; }

const Row* rows_begin() { return std::begin(kRows); }
const Row* rows_end() { return std::end(kRows); }

int number_end() { return largest_number() + 1; }

const Row* find_row(int number) {
  static const Index index = make_index();
  if (number < 0 || static_cast<size_t>(number) >= index.size()) return nullptr;
  const int16_t place = index[static_cast<size_t>(number)];
  return place < 0 ? nullptr : &kRows[place];
}

const Row* find_row(std::string_view name) {
  size_t low = 0, high = std::size(kRows);
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (kRows[middle].name < name) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < std::size(kRows) && kRows[low].name == name ? &kRows[low] : nullptr;
}

const char* to_string(Way way) {
  switch (way) {
    case Way::let_by:
      return "let_by";
    case Way::perform:
      return "perform";
    case Way::bounce:
      return "bounce";
    case Way::verify:
      return "verify";
    case Way::observe:
      return "observe";
    case Way::refuse:
      return "refuse";
    case Way::absent:
      return "absent";
  }
  return "";
}

const char* to_string(Arg kind) {
  switch (kind) {
    case Arg::none:
      return "none";
    case Arg::value:
      return "value";
    case Arg::dirfd:
      return "dirfd";
    case Arg::path:
      return "path";
    case Arg::dirfd2:
      return "dirfd2";
    case Arg::path2:
      return "path2";
    case Arg::fd:
      return "fd";
    case Arg::open_flags:
      return "open_flags";
    case Arg::mode:
      return "mode";
    case Arg::at_flags:
      return "at_flags";
    case Arg::how:
      return "how";
    case Arg::size:
      return "size";
    case Arg::buffer:
      return "buffer";
    case Arg::text:
      return "text";
    case Arg::flags:
      return "flags";
    case Arg::mask:
      return "mask";
    case Arg::command:
      return "command";
    case Arg::device:
      return "device";
    case Arg::uid:
      return "uid";
    case Arg::gid:
      return "gid";
    case Arg::length:
      return "length";
    case Arg::times:
      return "times";
    case Arg::pid:
      return "pid";
    case Arg::tid:
      return "tid";
    case Arg::pidfd:
      return "pidfd";
    case Arg::signal:
      return "signal";
    case Arg::info:
      return "info";
    case Arg::socket:
      return "socket";
    case Arg::address:
      return "address";
    case Arg::address_size:
      return "address_size";
    case Arg::message:
      return "message";
    case Arg::count:
      return "count";
    case Arg::argv:
      return "argv";
    case Arg::envp:
      return "envp";
    case Arg::pointer:
      return "pointer";
  }
  return "";
}

const char* to_string(Family family) {
  switch (family) {
    case Family::files:
      return "files";
    case Family::network:
      return "network";
    case Family::exec:
      return "exec";
    case Family::process:
      return "process";
    case Family::signals:
      return "signals";
    case Family::memory:
      return "memory";
    case Family::ipc:
      return "ipc";
    case Family::time:
      return "time";
    case Family::system:
      return "system";
  }
  return "";
}

const char* to_string(Guard guard) { return kGuardNames[static_cast<size_t>(guard)]; }
const char* to_string(Event event) { return kEventNames[static_cast<size_t>(event)]; }

void print_table(int fd) {
  // As the table spells them: an errno can have two names.
  static constexpr const char* kHandlersAndErrors[][2] = {
#define SYSCALL(name, x86_64, aarch64, family, event, way, error, guard, handler, args, reason) {#handler, #error},
#include "table.def"
#undef SYSCALL
  };
  for (const Row& row : kRows) {
    std::string line = "{";
    add_string(line, "name", row.name);
    add_number(line, "x86_64", row.x86_64);
    add_number(line, "aarch64", row.aarch64);
    add_string(line, "family", to_string(row.family));
    add_string(line, "event", to_string(row.event));
    add_string(line, "way", to_string(row.way));
    add_string(line, "error", row.error ? kHandlersAndErrors[row.handler][1] : "");
    add_string(line, "guard", to_string(row.guard));
    add_string(line, "handler", kHandlersAndErrors[row.handler][0]);
    line += ",\"args\":[";
    for (int i = 0; i < 6 && row.args[i] != Arg::none; i++) {
      if (i > 0) line += ',';
      line.append("\"").append(to_string(row.args[i])).append("\"");
    }
    line += "],\"bits\":[";
    for (int i = 0; i < 6 && row.args[i] != Arg::none; i++) {
      if (i > 0) line += ',';
      line += bits_read(row, i) == 0xffffffff ? "32" : "64";
    }
    line += ']';
    add_string(line, "reason", row.reason);
    const char* const opened = what_opening_means(row);
    add_string(line, "opened", opened == nullptr ? "" : opened);
    line += "}\n";
    if (!write_all(fd, line)) return;
  }
}

}  // namespace holdfast
