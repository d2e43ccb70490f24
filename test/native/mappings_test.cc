// The two ways of asking what is mapped where, compared on this process.
#include "../../native/engine/mappings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "../../native/protocol/unique_fd.h"
#include "check.h"

using namespace holdfast;

static int some_data = 1;

static void same_by_both(const void* address) {
  const auto at = reinterpret_cast<uint64_t>(address);
  const UniqueFd maps(open("/proc/self/maps", O_RDONLY));
  Mapping queried, read;
  CHECK(read_mapping(maps.get(), at, read));
  const int error = query_mapping(maps.get(), at, queried);
  if (error == ENOTTY) return;  // Linux before 6.11
  CHECK(error == 0);
  if (queried.device != read.device || queried.inode != read.inode || queried.path != read.path) {
    std::printf("by query %lu %lu '%s', by text %lu %lu '%s'\n", queried.device, queried.inode, queried.path.c_str(),
                read.device, read.inode, read.path.c_str());
    failures++;
  }
}

int main() {
  char exe[4096];
  const ssize_t length = readlink("/proc/self/exe", exe, sizeof exe);
  struct stat status;
  CHECK(length > 0 && stat("/proc/self/exe", &status) == 0);
  Mapping mapping;
  CHECK(find_mapping(getpid(), reinterpret_cast<uint64_t>(&some_data), mapping));
  CHECK(find_mapping(getpid(), reinterpret_cast<uint64_t>(reinterpret_cast<void*>(&same_by_both)), mapping));
  CHECK(mapping.path == std::string(exe, static_cast<size_t>(length)));
  CHECK(mapping.inode == status.st_ino);

  same_by_both(reinterpret_cast<void*>(&same_by_both));
  same_by_both(&some_data);
  same_by_both(&status);  // the stack
  same_by_both(reinterpret_cast<void*>(&puts));

  // A name with a newline, then without its file.
  char name[] = "/tmp/holdfast-maps\nXXXXXX";
  const UniqueFd file(mkstemp(name));
  CHECK(ftruncate(file.get(), 4096) == 0);
  void* mapped = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, file.get(), 0);
  CHECK(find_mapping(getpid(), reinterpret_cast<uint64_t>(mapped), mapping) && mapping.path == name);
  same_by_both(mapped);
  CHECK(unlink(name) == 0);
  CHECK(find_mapping(getpid(), reinterpret_cast<uint64_t>(mapped), mapping) &&
        mapping.path == std::string(name) + " (deleted)");
  same_by_both(mapped);
  CHECK(munmap(mapped, 4096) == 0);
  CHECK(!find_mapping(getpid(), reinterpret_cast<uint64_t>(mapped), mapping));
  CHECK(!find_mapping(getpid(), 1, mapping));
  return failures == 0 ? 0 : 1;
}
