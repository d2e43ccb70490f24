#include "waits.h"

#include <asm/unistd.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "../families/caller.h"
#include "../protocol/unique_fd.h"

namespace holdfast {
namespace {

using Limit = WaitCall::Limit;

constexpr WaitCall kWaits[] = {
#ifdef __NR_epoll_wait
    {__NR_epoll_wait, Limit::milliseconds, 3, 0},
#endif
    {__NR_epoll_pwait, Limit::milliseconds, 3, 0},
    {__NR_epoll_pwait2, Limit::timespec, 3, 0},
    {__NR_io_getevents, Limit::timespec, 4, 0},
    {__NR_io_pgetevents, Limit::timespec, 4, 0},
    {__NR_rt_sigtimedwait, Limit::timespec, 2, -EAGAIN},
    {__NR_semop, Limit::none, 0, -EAGAIN},
    {__NR_semtimedop, Limit::timespec, 3, -EAGAIN},
    // SO_RCVTIMEO and SO_SNDTIMEO, socket(7).
    {__NR_accept, Limit::receiving, 0, -EAGAIN},
    {__NR_accept4, Limit::receiving, 0, -EAGAIN},
    {__NR_preadv2, Limit::receiving, 0, -EAGAIN},
    {__NR_read, Limit::receiving, 0, -EAGAIN},
    {__NR_readv, Limit::receiving, 0, -EAGAIN},
    {__NR_recvfrom, Limit::receiving, 0, -EAGAIN},
    {__NR_recvmmsg, Limit::receiving, 0, -EAGAIN},
    {__NR_recvmsg, Limit::receiving, 0, -EAGAIN},
    {__NR_splice, Limit::receiving, 0, -EAGAIN},
    {__NR_connect, Limit::sending, 0, -EINPROGRESS},
    {__NR_pwritev2, Limit::sending, 0, -EAGAIN},
    {__NR_sendfile, Limit::sending, 0, -EAGAIN},
    {__NR_sendmmsg, Limit::sending, 0, -EAGAIN},
    {__NR_sendmsg, Limit::sending, 0, -EAGAIN},
    {__NR_sendto, Limit::sending, 0, -EAGAIN},
    {__NR_write, Limit::sending, 0, -EAGAIN},
    {__NR_writev, Limit::sending, 0, -EAGAIN},
};

constexpr int64_t kSecond = 1'000'000'000;

}  // namespace

bool waits_by_itself(int64_t number) {
  switch (number) {
    case __NR_clock_nanosleep:
    case __NR_msgrcv:
    case __NR_msgsnd:
    case __NR_semop:
    case __NR_semtimedop:
      return true;
    default:
      return false;
  }
}

const WaitCall* find_wait(int64_t number) {
  for (const WaitCall& wait : kWaits)
    if (wait.number == number) return &wait;
  return nullptr;
}

int64_t WaitCall::result_made_again(int64_t result) const {
  return number == __NR_connect && result == -EALREADY ? -EINPROGRESS : result;
}

bool WaitCall::is_endless(const uint64_t (&args)[6]) const {
  switch (limit) {
    case Limit::none:
      return true;
    case Limit::milliseconds:
      return static_cast<int>(args[argument]) < 0;
    case Limit::timespec:
      return args[argument] == 0;
    case Limit::receiving:
    case Limit::sending:
      break;
  }
  return false;
}

bool read_time_limit(const Held& call, const WaitCall& wait, int64_t& nanoseconds) {
  nanoseconds = -1;
  const uint64_t value = call.args[wait.argument];
  if (wait.is_endless(call.args)) return true;
  if (wait.limit == Limit::milliseconds) {
    nanoseconds = static_cast<int64_t>(static_cast<int>(value)) * 1'000'000;
    return true;
  }
  if (wait.limit == Limit::timespec) {
    timespec limit;
    if (call.read(value, &limit, sizeof limit) != 0 || limit.tv_sec < 0) return false;
    nanoseconds = limit.tv_sec > INT64_MAX / kSecond - 1 ? INT64_MAX : limit.tv_sec * kSecond + limit.tv_nsec;
    return true;
  }
  UniqueFd socket;
  if (families::copy_descriptor(call, static_cast<int>(value), socket) != 0) return false;
  timeval limit = {};
  socklen_t size = sizeof limit;
  const int option = wait.limit == Limit::receiving ? SO_RCVTIMEO : SO_SNDTIMEO;
  if (getsockopt(socket.get(), SOL_SOCKET, option, &limit, &size) != 0) return errno == ENOTSOCK;
  if (limit.tv_sec != 0 || limit.tv_usec != 0) nanoseconds = limit.tv_sec * kSecond + limit.tv_usec * 1000;
  return true;
}

}  // namespace holdfast
