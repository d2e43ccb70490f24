// What a tree has asked for, counted: which right, to what, by which program, and how it ended. One line for all calls
// that are alike, so what is kept grows with what is different and not with how often it is done, up to a bound.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace holdfast {

class Accesses {
 public:
  enum class Outcome : uint8_t { allowed = 0, refused = 1, failed = 2 };

  // All but the numbers are compared byte by byte.
  struct Access {
    const char* kind = "";  // the right: read, write, exec, metadata, connect, bind, signal, syscall
    Outcome outcome = Outcome::allowed;
    bool probe = false;      // it was only looked whether something is there, or may be used
    bool of_folder = false;  // the right is that of the folder that it stands in
    bool is_path = false;    // `target` is one; else an address or the name of a system call
    int error = 0;           // positive errno
    int family = 0;          // of an address
    int port = -1;
    int signal = -1;
    std::string_view target, program, rule;
  };
  struct Count {
    uint64_t calls = 0;
    uint64_t first = 0, last = 0;  // nanoseconds since the tree began
  };

  // Of different ones, and of their texts together.
  static constexpr size_t kMost = 20'000;
  static constexpr size_t kMostBytes = 16u << 20;

  // False if it is the first for which there is no room left.
  bool add(const Access& access, uint64_t now);
  // Calls that are in no line, for want of room.
  uint64_t left_out() const;
  // In no order. Not under any lock, so `act` may wait.
  void for_all(const std::function<void(const Access&, const Count&)>& act) const;

 private:
  struct Kept {
    Access access;  // its texts lie in the key
    Count count;
  };
  mutable std::mutex guard_;
  std::unordered_map<std::string, Kept> all_;
  size_t bytes_ = 0;
  uint64_t left_out_ = 0;
};

}  // namespace holdfast
