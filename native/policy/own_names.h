// A process of the caller's own in procfs, by the names under which rules and filters know it: /proc/self is in them
// what it is to each process, while the canonical name of its files has its number.
#pragma once

#include <limits.h>

#include <cstddef>
#include <string_view>

#include "../call/held.h"
#include "config.h"

namespace holdfast {

class OwnNames {
 public:
  OwnNames(const Config& config, const Held& call, std::string_view name);

  int count = 0;  // 0: the name is none of that kind; 1: /proc/self/...; 2: /proc/thread-self/..., too
  std::string_view operator[](int i) const { return {text_[i], size_[i]}; }

 private:
  bool add(std::string_view mount, std::string_view alias, std::string_view rest);

  size_t size_[2];
  char text_[2][PATH_MAX];
};

}  // namespace holdfast
