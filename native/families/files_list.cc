// Listings where a policy hides something. They are read from a copy of the caller's descriptor, which shares its
// place in the folder, so that whatever the tree does to its own number meanwhile, what was looked at is what is
// listed. Entries keep the places that the file system gave them, and a place between two of them stays good.
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "../policy/config.h"
#include "../view/resolve.h"
#include "../view/walk.h"
#include "caller.h"
#include "handlers.h"

namespace holdfast::families {
namespace {

constexpr size_t kMostBytes = 64 << 10;  // a listing may be shorter than what there is room for

// struct linux_dirent64 and struct linux_dirent (getdents(2)): both begin with two numbers of 8 bytes and the record's
// length; the newer one has the type before the name.
constexpr size_t kLengthAt = 16;

// Takes out what is hidden. What is left, or 0.
size_t without_hidden(const Config& config, const std::string& folder, size_t name_at, std::vector<char>& list,
                      size_t size) {
  size_t kept = 0;
  std::string name;
  for (size_t at = 0; at + name_at < size;) {
    uint16_t length;
    std::memcpy(&length, &list[at + kLengthAt], sizeof length);
    if (length <= name_at || length > size - at) break;
    const std::string_view entry(&list[at + name_at], strnlen(&list[at + name_at], length - name_at));
    name = folder == "/" ? folder : folder + "/";
    name += entry;
    const bool dots = entry == "." || entry == "..";
    const bool hidden = !dots && config.any_says([&](const Config& by) { return by.rules.hides(name); });
    if (!hidden) {
      std::memmove(&list[kept], &list[at], length);
      kept += length;
    }
    at += length;
  }
  return kept;
}

}  // namespace

Finish list_folder(Sandbox& sandbox, Held& call) {
  UniqueFd folder;
  const int copied = copy_descriptor(call, call.fd(Arg::fd), folder);
  if (can_borrow(call, copied)) return borrow(call.fd(Arg::fd));
  if (copied == EPERM && call.engine == Held::Engine::notify) return Finish::by_stop();
  if (copied == ESRCH) return Finish::gone();
  if (copied != 0) return Finish::error(copied);

  const bool is_new = std::string_view(call.row->name) == "getdents64";
  std::vector<char> list(std::min<size_t>(static_cast<uint32_t>(call.arg(Arg::size)), kMostBytes));
  for (;;) {
    const off_t before = ::lseek(folder.get(), 0, SEEK_CUR);
    const long size = ::syscall(is_new ? SYS_getdents64 : call.row->number(), folder.get(), list.data(), list.size());
    if (size < 0) return Finish::error(errno);
    if (size == 0) return Finish::answer(0);
    // Only now: what has entries has a name, unless it is reached by no mount of ours.
    std::string name;
    int error = shown_name(folder.get(), name);
    if (error == ENAMETOOLONG) error = long_name(folder.get(), name);
    if (error != 0) {
      report(sandbox, call, EACCES, "the folder has no name, so nobody knows what in it is hidden");
      return Finish::error(EACCES);
    }
    const size_t kept =
        without_hidden(sandbox.config, name, is_new ? kLengthAt + 3 : kLengthAt + 2, list, static_cast<size_t>(size));
    if (!call.still_held()) return Finish::gone();
    if (kept == 0) continue;
    const int written = call.write(call.arg(Arg::buffer), list.data(), kept);
    if (written == 0) return Finish::answer(static_cast<int64_t>(kept));
    if (before >= 0) ::lseek(folder.get(), before, SEEK_SET);
    return memory_failed(written);
  }
}

}  // namespace holdfast::families
