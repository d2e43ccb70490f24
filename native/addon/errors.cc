#include "errors.h"

#include <uv.h>

#include <string>

namespace holdfast {

Napi::Error system_error(Napi::Env env, int error, const char* syscall) {
  const char* code = uv_err_name(-error);
  Napi::Error result = Napi::Error::New(env, std::string(syscall) + " " + code);
  result.Set("errno", Napi::Number::New(env, -error));
  result.Set("code", Napi::String::New(env, code));
  result.Set("syscall", Napi::String::New(env, syscall));
  return result;
}

}  // namespace holdfast
