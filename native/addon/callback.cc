#include "callback.h"

namespace holdfast {

void call_back(napi_env env, napi_async_context context, napi_value receiver, napi_value callback, size_t count,
               const napi_value* arguments) {
  napi_value result;
  // node-addon-api's own MakeCallback would turn a thrown null into an abort of the process.
  if (napi_make_callback(env, context, receiver, callback, count, arguments, &result) == napi_ok) return;
  bool pending = false;
  napi_value error;
  if (napi_is_exception_pending(env, &pending) != napi_ok || !pending) return;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

}  // namespace holdfast
