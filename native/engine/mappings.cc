#include "mappings.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../call/as_itself.h"
#include "../protocol/unique_fd.h"

namespace holdfast {
namespace {

// struct procmap_query of linux/fs.h, since Linux 6.11.
struct Query {
  uint64_t size;
  uint64_t query_flags;  // 0: exactly the mapping of this address
  uint64_t query_address;
  uint64_t start, end, flags, page_size, offset;
  uint64_t inode;
  uint32_t device_major, device_minor;
  uint32_t name_size;  // in: room; out: what was written, with its NUL
  uint32_t build_id_size;
  uint64_t name_address;
  uint64_t build_id_address;
};
static_assert(sizeof(Query) == 104);
constexpr unsigned long kQuery = _IOWR('f', 17, Query);

}  // namespace

int query_mapping(int maps, uint64_t address, Mapping& out) {
  char name[PATH_MAX + 16];  // " (deleted)"
  Query query = {};
  query.size = sizeof query;
  query.query_address = address;
  query.name_size = sizeof name;
  query.name_address = reinterpret_cast<uint64_t>(name);
  if (ioctl(maps, kQuery, &query) != 0) return errno;
  constexpr uint64_t kWritable = 2, kShared = 8;  // PROCMAP_QUERY_VMA_WRITABLE, …_SHARED
  out.start = query.start;
  out.end = query.end;
  out.is_writable = (query.flags & kWritable) != 0;
  out.is_private = (query.flags & kShared) == 0;
  out.device = makedev(query.device_major, query.device_minor);
  out.inode = query.inode;
  out.path.assign(name, query.name_size > 0 ? query.name_size - 1 : 0);
  return 0;
}

bool read_mapping(int maps, uint64_t address, Mapping& out) {
  std::string text;
  char block[8192];
  ssize_t got;
  while ((got = read(maps, block, sizeof block)) > 0) text.append(block, static_cast<size_t>(got));
  if (got < 0) return false;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\n', at);
    if (end == std::string::npos) end = text.size();
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    uint64_t start, stop, inode;
    unsigned device_major, device_minor;
    int path = 0;
    char rights[5];
    if (sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s %*x %x:%x %" SCNu64 " %n", &start, &stop, rights,
               &device_major, &device_minor, &inode, &path) < 6)
      return false;
    if (address < start || address >= stop) continue;
    out.start = start;
    out.end = stop;
    out.is_writable = rights[1] == 'w';
    out.is_private = rights[3] == 'p';
    out.device = makedev(device_major, device_minor);
    out.inode = inode;
    out.path.clear();
    for (size_t i = static_cast<size_t>(path); path != 0 && i < line.size(); i++) {
      if (line.compare(i, 4, "\\012") == 0) {  // a newline in the name
        out.path += '\n';
        i += 3;
      } else {
        out.path += line[i];
      }
    }
    return true;
  }
  return false;
}

bool find_mapping(pid_t tid, uint64_t address, Mapping& out) {
  char name[32];
  snprintf(name, sizeof name, "/proc/%d/maps", tid);
  const UniqueFd maps(look_by_ids(tid, [&] { return open(name, O_RDONLY | O_CLOEXEC); }));
  if (!maps) return false;
  const int error = query_mapping(maps.get(), address, out);
  return error == 0 || (error == ENOTTY && read_mapping(maps.get(), address, out));
}

}  // namespace holdfast
