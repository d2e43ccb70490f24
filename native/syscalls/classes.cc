#include "classes.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <iterator>
#include <string_view>

namespace holdfast {
namespace {

constexpr uint64_t kInt = 0xffffffff;
constexpr uint32_t kZero[] = {0};
constexpr uint32_t kWriteOnly[] = {O_WRONLY};
constexpr uint32_t kBoth[] = {O_RDWR};

// The kernel's own bit; libc's O_TMPFILE has O_DIRECTORY in it, too, which has another place on each architecture.
constexpr uint32_t kUnnamed = 020000000;
constexpr uint32_t kMayChange = O_CREAT | O_TRUNC | kUnnamed;
// What the tree makes never gets these (families/files.h: kSetIds), so a call with them is looked at.
constexpr uint32_t kSetIdBits = S_ISUID | S_ISGID;

constexpr Condition bits(int index, Relation relation, std::span<const uint32_t> values, uint32_t mask) {
  return {static_cast<uint8_t>(index), relation, mask & kInt, values};
}

// Of an open whose flags are argument `At`, with the mode after them.
template <int At>
struct Opens {
  // With O_PATH the kernel looks at no other flag that matters here (open(2)).
  static constexpr Condition kPath[] = {bits(At, Relation::none_of, kZero, O_PATH)};
  static constexpr Condition kRead[] = {bits(At, Relation::one_of, kZero, O_ACCMODE | O_PATH | kMayChange)};
  static constexpr Condition kWrite[] = {bits(At, Relation::one_of, kWriteOnly, O_ACCMODE | O_PATH),
                                         bits(At + 1, Relation::one_of, kZero, kSetIdBits)};
  static constexpr Condition kReadWrite[] = {bits(At, Relation::one_of, kBoth, O_ACCMODE | O_PATH),
                                             bits(At + 1, Relation::one_of, kZero, kSetIdBits)};
  static constexpr Condition kReadAndChange[] = {bits(At, Relation::one_of, kZero, O_ACCMODE | O_PATH),
                                                 bits(At, Relation::none_of, kZero, kMayChange),
                                                 bits(At + 1, Relation::one_of, kZero, kSetIdBits)};
};

// With MSG_FASTOPEN sending connects, and a hook on that hears of it.
constexpr uint32_t kFastOpen = 0x20000000;
template <int At>
constexpr Condition kOnlySends[] = {bits(At, Relation::one_of, kZero, kFastOpen)};

template <int At>
constexpr Condition kPlainMode[] = {bits(At, Relation::one_of, kZero, kSetIdBits)};

Left left;

template <int At>
void add_opens(const Left& left, std::vector<Alternative>& out) {
  using Of = Opens<At>;
  // A hook on opens hears of those with O_PATH, too.
  if (left.has(Class::metadata) && !left.hears(Event::open)) out.push_back(Of::kPath);
  if (left.has(Class::read)) out.push_back(Of::kRead);
  if (left.has(Class::write)) out.push_back(Of::kWrite);
  if (left.has(Class::read_write)) out.push_back(Of::kReadWrite);
  // It may be about what is only read, too.
  if (left.has(Class::read) && left.has(Class::read_write)) out.push_back(Of::kReadAndChange);
}

std::vector<Alternative> alternatives_of(const Left& left, const Row& row);

std::atomic<uint8_t> back{0};

}  // namespace

void leave_to_kernel(const Left& what) { left = what; }

std::vector<Alternative> left_alternatives(const Row& row) {
  std::vector<Alternative> out = alternatives_of(left, row);
  // It is held for those who look by relative names (Tree::stay_of).
  if (left.has(Class::metadata) && row.name == std::string_view("fchdir")) out.emplace_back();
  // And this for those who make what is asked for (Tree::umask_of).
  if (left.umask && row.name == std::string_view("umask")) out.emplace_back();
  if (left.listings && (row.name == std::string_view("getdents64") || row.name == std::string_view("getdents")))
    out.emplace_back();
  return out;
}

void take_back(uint8_t classes) { back.fetch_or(classes & left.classes); }
uint8_t taken_back() { return back.load(); }

std::vector<Alternative> taken_back_alternatives(const Row& row, uint8_t classes) {
  Left only = left;
  only.classes &= classes;
  // Opens for reading that may make something are left by two classes together, and each takes them back.
  constexpr uint8_t kReads = 1 << static_cast<int>(Class::read) | 1 << static_cast<int>(Class::read_write);
  if ((left.classes & kReads) == kReads && (classes & kReads) != 0) only.classes |= kReads;
  return alternatives_of(only, row);
}

namespace {

std::vector<Alternative> alternatives_of(const Left& left, const Row& row) {
  std::vector<Alternative> out;
  if (left.classes == 0 || row.event == Event::none) return out;
  const bool heard = left.hears(row.event);
  const int mode = row.index(Arg::mode);
  switch (row.event) {
    case Event::stat:
    case Event::access:
    case Event::readlink:
    case Event::statfs:
    case Event::chdir:
      if (left.has(Class::metadata) && !heard) out.emplace_back();
      break;
    case Event::symlink:
      if (left.has(Class::make) && !heard) out.emplace_back();
      break;
    case Event::mkdir:
      if (left.has(Class::make) && !heard) out.push_back(mode == 1 ? Alternative(kPlainMode<1>) : kPlainMode<2>);
      break;
    case Event::open:
      if (row.index(Arg::how) >= 0) break;  // its flags lie in memory
      if (const int flags = row.index(Arg::open_flags); flags >= 0) {
        flags == 1 ? add_opens<1>(left, out) : add_opens<2>(left, out);
      } else if (left.has(Class::write)) {
        out.push_back(kPlainMode<1>);  // creat
      }
      break;
    case Event::connect:
      // Joins are connects to hooks, and options with many meanings: held.
      if (left.has(Class::connect) && !heard && row.index(Arg::address) >= 0) out.emplace_back();
      break;
    case Event::bind:
      if (left.has(Class::bind) && !heard) out.emplace_back();
      break;
    case Event::send:
      if (!left.has(Class::send) || heard) break;
      if (!left.hears(Event::connect))
        out.emplace_back();
      else
        out.push_back(row.index(Arg::flags) == 2 ? Alternative(kOnlySends<2>) : kOnlySends<3>);
      break;
    default:
      break;
  }
  return out;
}

}  // namespace

const char* to_string(Class which) {
  static constexpr const char* kNames[] = {"metadata", "read", "write", "readWrite", "make", "connect", "send", "bind"};
  static_assert(std::size(kNames) == kClassCount);
  return kNames[static_cast<int>(which)];
}

}  // namespace holdfast
