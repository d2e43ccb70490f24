// Failures of system calls as JS errors with Node's own shape: code, errno (negative), syscall.
#pragma once

#include <napi.h>

namespace holdfast {

// `error` is a positive errno.
Napi::Error system_error(Napi::Env env, int error, const char* syscall);

}  // namespace holdfast
