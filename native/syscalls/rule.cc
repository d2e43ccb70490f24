#include "rule.h"

#include <sys/syscall.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "guards.h"

namespace holdfast {
namespace {

constexpr uint64_t kWhole = ~uint64_t{0};
constexpr uint64_t kLowHalf = 0xffffffff;

struct Width {
  std::string_view call;
  int argument;
  uint64_t bits;
};

constexpr Width kWidths[] = {
#define WIDE(call, argument) {#call, argument, kWhole},
#define NARROW(call, argument) {#call, argument, kLowHalf},
#include "widths.def"
#undef WIDE
#undef NARROW
};

constexpr uint64_t bits_of(Arg kind) {
  switch (kind) {
    case Arg::dirfd:
    case Arg::dirfd2:
    case Arg::fd:
    case Arg::open_flags:
    case Arg::mode:
    case Arg::at_flags:
    case Arg::flags:
    case Arg::command:
    case Arg::device:
    case Arg::uid:
    case Arg::gid:
    case Arg::pid:
    case Arg::tid:
    case Arg::pidfd:
    case Arg::signal:
    case Arg::socket:
    case Arg::address_size:
    case Arg::count:
    case Arg::value:
      return kLowHalf;
    case Arg::none:
    case Arg::path:
    case Arg::path2:
    case Arg::how:
    case Arg::size:
    case Arg::buffer:
    case Arg::text:
    case Arg::mask:
    case Arg::length:
    case Arg::times:
    case Arg::info:
    case Arg::address:
    case Arg::message:
    case Arg::argv:
    case Arg::envp:
    case Arg::pointer:
      return kWhole;
  }
  return kWhole;
}

}  // namespace

uint64_t bits_read(const Row& row, int argument) {
  for (const Width& width : kWidths)
    if (width.argument == argument && width.call == row.name) return width.bits;
  return bits_of(row.args[argument]);
}

bool ArgumentTest::holds(const uint64_t (&args)[6]) const {
  const uint64_t value = args[argument] & mask;
  const bool inside = std::any_of(ranges.begin(), ranges.end(),
                                  [&](const Range& range) { return value >= range.low && value <= range.high; });
  return inside != negated;
}

bool SyscallRule::matches(const uint64_t (&args)[6]) const {
  return std::all_of(tests.begin(), tests.end(), [&](const ArgumentTest& test) { return test.holds(args); });
}

const char* what_opening_means(const Row& row) {
  static constexpr std::pair<std::string_view, const char*> kOpened[] = {
#define OPENED(name, meaning) {#name, meaning},
#include "opened.def"
#undef OPENED
  };
  for (const auto& [name, meaning] : kOpened)
    if (name == row.name) return meaning;
  return nullptr;
}

bool is_made_for_the_tree(const Row& row) {
  static constexpr int kNumbers[] = {SYS_openat, SYS_openat2, SYS_mmap, SYS_close, SYS_sendmsg, SYS_prctl, SYS_seccomp};
  static constexpr int kToFetch[] = {SYS_socketpair, SYS_fcntl, SYS_close_range, SYS_recvmsg};
  const auto is_one_of = [&](const auto& numbers) {
    return std::find(std::begin(numbers), std::end(numbers), row.number()) != std::end(numbers);
  };
  static constexpr int kToFind[] = {SYS_socket, SYS_connect};
  return is_one_of(kNumbers) || (are_held_by_stops() && is_one_of(kToFetch)) ||
         (are_fetched_by_name() && is_one_of(kToFind));
}

}  // namespace holdfast
