#include "limits.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#include "../arch/raw_syscall.h"

namespace holdfast {

using arch::raw;
using arch::raw_syscall;

namespace {

__attribute__((no_sanitize("address"))) int put_on(int resource, int64_t limit) {
  if (limit == Limits::kNone) return 0;
  const rlimit wanted = {static_cast<rlim_t>(limit), static_cast<rlim_t>(limit)};
  return static_cast<int>(-raw_syscall(SYS_prlimit64, 0, static_cast<uint64_t>(resource), raw(&wanted)));
}

// What ends a process if nobody can look at the sum any more. It counts in seconds.
__attribute__((no_sanitize("address"))) int put_on_seconds(int64_t milliseconds) {
  if (milliseconds == Limits::kNone) return 0;
  rlimit had = {RLIM_INFINITY, RLIM_INFINITY};
  if (const long error = raw_syscall(SYS_prlimit64, 0, RLIMIT_CPU, 0, raw(&had))) return static_cast<int>(-error);
  const rlim_t seconds = static_cast<rlim_t>((milliseconds + 999) / 1000 + 1);
  return had.rlim_max <= seconds ? 0 : put_on(RLIMIT_CPU, static_cast<int64_t>(seconds));
}

}  // namespace

__attribute__((no_sanitize("address"))) int put_on_limits(const Limits& limits) {
  if (const int error = put_on(RLIMIT_NOFILE, limits.open_files)) return error;
  if (const int error = put_on(RLIMIT_FSIZE, limits.file_size)) return error;
  if (const int error = put_on(RLIMIT_CORE, limits.core_size)) return error;
  if (const int error = put_on(RLIMIT_AS, limits.address_space)) return error;
  return put_on_seconds(limits.cpu_time);
}

}  // namespace holdfast
