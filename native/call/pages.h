#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "held.h"

namespace holdfast {

// Memory of the caller that is read a page at a time: arguments mostly lie side by side.
class Pages {
 public:
  explicit Pages(const Held& call) : call_(call) {}

  // What lies from `address` to the end of its page. Empty: it cannot be read, and `error` says why.
  std::string_view from(uint64_t address, int& error) {
    const uint64_t page = address & ~uint64_t{kPage - 1};
    if (page != page_) {
      page_ = kNone;
      error = call_.read(page, bytes_, kPage);
      if (error != 0) return {};
      page_ = page;
    }
    return {bytes_ + (address - page), kPage - (address - page)};
  }

 private:
  static constexpr size_t kPage = 4096;
  static constexpr uint64_t kNone = 1;  // no page begins there
  const Held& call_;
  uint64_t page_ = kNone;
  char bytes_[kPage];
};

}  // namespace holdfast
