// What a configuration has to tell the supervisor about the symbolic links in its paths. It is found out in Node, while
// the supervisor starts, because about a hundred names must be looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace holdfast {

// The same fields with `knownLink`s in front. Fields that cannot be read are left to the supervisor,
// which says what is wrong with them.
std::vector<uint8_t> with_known_links(const uint8_t* fields, size_t size);

}  // namespace holdfast
