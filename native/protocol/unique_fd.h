// A descriptor with an owner.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

namespace holdfast {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

// Closes all of them, by one call where they are neighbours, as those are that were opened one after the other. The
// thread sanitizer knows descriptors by close(2) alone, so under it they are closed one by one.
template <typename... Fds>
void close_together(Fds&... fds) {
  int first = -1, last = -1, count = 0;
  for (const int fd : {fds.get()...}) {
    if (fd < 0) continue;
    if (count == 0 || fd < first) first = fd;
    if (fd > last) last = fd;
    count++;
  }
#if defined(__NR_close_range) && \
    !defined(__SANITIZE_THREAD__)  // since Linux 5.9; a container's profile may not know it
  if (count > 1 && last - first == count - 1 && ::syscall(__NR_close_range, first, last, 0) == 0) {
    (fds.release(), ...);
    return;
  }
#endif
  (fds.reset(), ...);
}

}  // namespace holdfast
