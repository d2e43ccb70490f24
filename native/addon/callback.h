// From the event loop into JS.
#pragma once

#include <napi.h>

namespace holdfast {

// User code runs below this call and may throw anything, null too. That becomes an uncaughtException, as for any other
// event, and the loop goes on if the process survives it.
void call_back(napi_env env, napi_async_context context, napi_value receiver, napi_value callback, size_t count,
               const napi_value* arguments);

}  // namespace holdfast
