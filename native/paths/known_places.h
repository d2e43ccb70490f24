// What a configuration has to tell the supervisor about the file system: where procfs is mounted, and the symbolic
// links in the paths of rules and filters. It is found out in Node while the supervisor starts, because it means about
// a hundred look-ups.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace holdfast {

// Gives the same fields with `procMount`s and `knownLink`s in front. Fields that cannot be read are left to the
// supervisor, which says what is wrong with them. Any thread; when it is stopped what it gives is of no use.
void with_known_places(const std::vector<std::string>& mounts, const uint8_t* fields, size_t size,
                       std::vector<uint8_t>& out, const std::atomic<bool>& stopped);
// The same for hooks' filters: links alone.
void with_known_links(const uint8_t* fields, size_t size, std::vector<uint8_t>& out);

}  // namespace holdfast
