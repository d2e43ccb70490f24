// A supervisor as lib/ sees it: a child process of ours that libuv does not know.
#pragma once

#include <napi.h>
#include <uv.h>

#include "launch.h"

namespace holdfast {

// Their numbers, for the caller to keep.
Napi::Array numbers_of(Napi::Env env, std::vector<UniqueFd>& descriptors);

class Child : public Napi::ObjectWrap<Child> {
 public:
  static Napi::Function define(Napi::Env env);

  // new Child(path, arguments, environment, directory, descriptors, detached, onExit). Lists of texts are one text,
  // with a NUL behind each. Throws a system error.
  explicit Child(const Napi::CallbackInfo& info);
  ~Child() override;

 private:
  struct Watch;

  Napi::Value pid(const Napi::CallbackInfo& info);
  // The descriptors of our ends of the streams, for the caller to keep. Once.
  Napi::Value take_ends(const Napi::CallbackInfo& info);
  Napi::Value kill(const Napi::CallbackInfo& info);
  Napi::Value ref(const Napi::CallbackInfo& info);
  Napi::Value unref(const Napi::CallbackInfo& info);

  int watch(uv_loop_t* loop);
  void ended();
  void forget();
  static void on_end(uv_poll_t* handle, int status, int events);

  Launched launched_;
  bool reaped_ = false;
  Watch* watch_ = nullptr;
  Napi::FunctionReference on_exit_;
  napi_async_context context_ = nullptr;
};

}  // namespace holdfast
