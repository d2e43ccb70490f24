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

// Pages that are mapped and those that are resident, of who stands in this folder of /proc; 0 and false without a
// memory.
bool read_pages(pid_t owner, const char* folder, long& resident) {
  char name[64], text[128];
  snprintf(name, sizeof name, "%s/statm", folder);
  long mapped = 0;
  resident = 0;
  if (read_small(owner, name, text, sizeof text) <= 0 || sscanf(text, "%ld %ld", &mapped, &resident) != 2) return false;
  return mapped > 0;
}

// The folder of /proc of somebody who has the process's memory and descriptors: where its first thread has ended, that
// one shows none any more, and the others have them still.
std::string folder_of(pid_t process, long& resident) {
  std::string found = "/proc/" + std::to_string(process);
  if (read_pages(process, found.c_str(), resident)) return found;
  const std::string tasks = found + "/task";
  DIR* const all = opendir(tasks.c_str());
  if (all == nullptr) return found;
  while (const dirent* const entry = readdir(all)) {
    if (entry->d_name[0] == '.') continue;
    const std::string one = tasks + "/" + entry->d_name;
    if (!read_pages(static_cast<pid_t>(strtol(entry->d_name, nullptr, 10)), one.c_str(), resident)) continue;
    found = one;
    break;
  }
  closedir(all);
  return found;
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
  folder_of(process, pages);
  static const long page = sysconf(_SC_PAGESIZE);
  return int64_t{pages} * page;
}

bool weigh_memory(pid_t process, int64_t& shared, int64_t& others) {
  char text[4096];
  long pages = 0;
  const std::string name = folder_of(process, pages) + "/smaps_rollup";
  if (read_small(process, name.c_str(), text, sizeof text) <= 0) return false;
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

void add_open_in(pid_t owner, const std::string& name, std::unordered_map<uint64_t, int64_t>& files) {
  const int folder = look_by_ids(owner, [&] { return open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  DIR* const all = folder < 0 ? nullptr : fdopendir(folder);
  if (all == nullptr) return;
  const dev_t device = device_of_memory_files();
  while (const dirent* const entry = readdir(all)) {
    if (entry->d_name[0] == '.') continue;
    struct statx status;
    // What is known already is enough: of a file of FUSE or NFS nobody is asked (statx(2)).
    constexpr int kFlags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT;
    if (look_by_ids(owner, [&] { return statx(folder, entry->d_name, kFlags, STATX_INO | STATX_BLOCKS, &status); }) !=
        0)
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
  const std::string first = folder_of(process, pages);
  add_open_in(process, first + "/fd", files);
  // A thread may have descriptors of its own: by clone without CLONE_FILES, or CLOSE_RANGE_UNSHARE.
  const std::string tasks = "/proc/" + std::to_string(process) + "/task";
  const auto last = first.rfind('/');
  const pid_t known = static_cast<pid_t>(strtol(first.c_str() + last + 1, nullptr, 10));
  DIR* const all = opendir(tasks.c_str());
  if (all == nullptr) return;
  while (const dirent* const entry = readdir(all)) {
    const pid_t tid = static_cast<pid_t>(strtol(entry->d_name, nullptr, 10));
    if (tid <= 0 || tid == known || share_descriptors(known, tid)) continue;
    add_open_in(tid, tasks + '/' + entry->d_name + "/fd", files);
  }
  closedir(all);
}

}  // namespace holdfast
