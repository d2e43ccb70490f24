#include "measure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <string>

#include "../call/as_itself.h"
#include "../protocol/unique_fd.h"

namespace holdfast {
namespace {

// All of a small file of /proc. Below 0 with errno: it cannot be read.
ssize_t read_small(pid_t owner, const char* name, char* to, size_t capacity) {
  const ssize_t size = look_by_ids(owner, [&]() -> ssize_t {
    const UniqueFd file(open(name, O_RDONLY | O_CLOEXEC));
    return file ? read(file.get(), to, capacity - 1) : -1;
  });
  to[size > 0 ? size : 0] = '\0';
  return size;
}

// Pages that are resident; false where the thread shows no memory.
bool read_pages(pid_t process, pid_t tid, long& resident) {
  char name[48], text[128];
  snprintf(name, sizeof name, "/proc/%d/task/%d/statm", process, tid);
  long mapped = 0;
  resident = 0;
  if (read_small(tid, name, text, sizeof text) <= 0 || sscanf(text, "%ld %ld", &mapped, &resident) != 2) return false;
  return mapped > 0;
}

// Until `at` answers that it is enough.
template <typename At>
void for_each_thread(pid_t process, At at) {
  const std::string tasks = "/proc/" + std::to_string(process) + "/task";
  DIR* const all = opendir(tasks.c_str());
  if (all == nullptr) return;
  while (const dirent* const entry = readdir(all)) {
    const pid_t tid = static_cast<pid_t>(strtol(entry->d_name, nullptr, 10));
    if (tid > 0 && at(tid)) break;
  }
  closedir(all);
}

// A thread that has the process's memory and descriptors: where the first one has ended, that shows none any more, and
// the others have them still. It is asked for below its process: its number alone may be another's by then.
pid_t holder_of(pid_t process, long& resident) {
  if (read_pages(process, process, resident)) return process;
  pid_t holder = process;
  for_each_thread(process, [&](pid_t tid) {
    if (!read_pages(process, tid, resident)) return false;
    holder = tid;
    return true;
  });
  return holder;
}

// The number after `key`, which stands at the start of a line; 0 without it.
int64_t number_after(const char* text, const char* key) {
  const size_t length = strlen(key);
  for (const char* at = text; at != nullptr; at = strchr(at, '\n')) {
    if (*at == '\n') at++;
    if (strncmp(at, key, length) == 0) return strtoll(at + length, nullptr, 10);
    if (*at == '\0') break;
  }
  return 0;
}

// Of the kernel's own mount, which has every memfd: a device number that nothing else has.
dev_t device_of_memory_files() {
  static const dev_t device = [] {
    const UniqueFd file(memfd_create("holdfast", MFD_CLOEXEC));
    struct stat status = {};
    return file && fstat(file.get(), &status) == 0 ? status.st_dev : dev_t{0};
  }();
  return device;
}

}  // namespace

int64_t resident_memory(pid_t process) {
  long pages = 0;
  holder_of(process, pages);
  static const long page = sysconf(_SC_PAGESIZE);
  return int64_t{pages} * page;
}

bool weigh_memory(pid_t process, int64_t& shared, int64_t& others) {
  char name[64], text[4096];
  long pages = 0;
  snprintf(name, sizeof name, "/proc/%d/task/%d/smaps_rollup", process, holder_of(process, pages));
  if (read_small(process, name, text, sizeof text) <= 0) return false;
  constexpr int64_t kUnit = 1024;
  shared = number_after(text, "Pss_Shmem:") * kUnit;
  others = number_after(text, "Pss:") * kUnit - shared;
  return true;
}

UniqueFd open_written_by(pid_t process, pid_t tid) {
  char name[48];
  snprintf(name, sizeof name, "/proc/%d/task/%d/io", process, tid);
  return UniqueFd(look_by_ids(tid, [&] { return open(name, O_RDONLY | O_CLOEXEC); }));
}

int written_by(const UniqueFd& thread, Written& out) {
  char text[512];
  const ssize_t size = pread(thread.get(), text, sizeof text - 1, 0);
  if (size <= 0) return errno;
  text[size] = '\0';
  out = {number_after(text, "wchar:"), number_after(text, "write_bytes:")};
  return 0;
}

int written_by_process(pid_t process, Written& out) {
  char name[48];
  snprintf(name, sizeof name, "/proc/%d/io", process);
  const UniqueFd file(look_by_ids(process, [&] { return open(name, O_RDONLY | O_CLOEXEC); }));
  return file ? written_by(file, out) : errno;
}

namespace {

void add_open_in(pid_t process, pid_t tid, std::unordered_map<uint64_t, int64_t>& files) {
  char name[48];
  snprintf(name, sizeof name, "/proc/%d/task/%d/fd", process, tid);
  const int folder = look_by_ids(tid, [&] { return open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  DIR* const all = folder < 0 ? nullptr : fdopendir(folder);
  if (all == nullptr) return;
  const dev_t device = device_of_memory_files();
  while (const dirent* const entry = readdir(all)) {
    if (entry->d_name[0] == '.') continue;
    struct statx status;
    // What is known already is enough: of a file of FUSE or NFS nobody is asked (statx(2)).
    constexpr int kFlags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT;
    if (look_by_ids(tid, [&] { return statx(folder, entry->d_name, kFlags, STATX_INO | STATX_BLOCKS, &status); }) != 0)
      continue;
    if (makedev(status.stx_dev_major, status.stx_dev_minor) != device) continue;
    files[status.stx_ino] = static_cast<int64_t>(status.stx_blocks) * 512;
  }
  closedir(all);
}

// Whether both have one table of descriptors. False where the kernel does not say (kcmp(2), CONFIG_KCMP).
bool share_descriptors(pid_t one, pid_t other) {
  return look_by_ids(one, [&] { return syscall(SYS_kcmp, one, other, KCMP_FILES, 0, 0); }) == 0;
}

}  // namespace

void add_memory_files(pid_t process, std::unordered_map<uint64_t, int64_t>& files) {
  long pages = 0;
  const pid_t holder = holder_of(process, pages);
  add_open_in(process, holder, files);
  // A thread may have descriptors of its own: by clone without CLONE_FILES, or CLOSE_RANGE_UNSHARE.
  for_each_thread(process, [&](pid_t tid) {
    if (tid != holder && !share_descriptors(holder, tid)) add_open_in(process, tid, files);
    return false;
  });
}

}  // namespace holdfast
