// The channel as lib/ uses it: one JS object around a Link, woken by the event loop.
#pragma once

#include <napi.h>
#include <uv.h>

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "asks.h"
#include "later.h"
#include "link.h"

namespace holdfast {

class Channel : public Napi::ObjectWrap<Channel> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit Channel(const Napi::CallbackInfo& info);
  ~Channel() override;

 private:
  struct Watch;

  // What JS can call. Arguments are lib/'s own: they are checked only where a wrong one would be undefined behaviour.
  Napi::Value remote_fd(const Napi::CallbackInfo& info);
  Napi::Value close_remote(const Napi::CallbackInfo& info);
  Napi::Value wait_spawned(const Napi::CallbackInfo& info);
  Napi::Value share_memory(const Napi::CallbackInfo& info);
  Napi::Value command(const Napi::CallbackInfo& info);
  Napi::Value configure(const Napi::CallbackInfo& info);
  Napi::Value start(const Napi::CallbackInfo& info);
  Napi::Value kill(const Napi::CallbackInfo& info);
  Napi::Value kill_all(const Napi::CallbackInfo& info);
  Napi::Value plan(const Napi::CallbackInfo& info);
  Napi::Value request(const Napi::CallbackInfo& info);
  Napi::Value spare(const Napi::CallbackInfo& info);
  Napi::Value listen(const Napi::CallbackInfo& info);
  Napi::Value last_stage(const Napi::CallbackInfo& info);
  Napi::Value last_word(const Napi::CallbackInfo& info);
  Napi::Value drain(const Napi::CallbackInfo& info);
  Napi::Value answer(const Napi::CallbackInfo& info);
  Napi::Value ref(const Napi::CallbackInfo& info);
  Napi::Value unref(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  static void on_wake(uv_poll_t* handle, int status, int events);
  static void on_socket(uv_poll_t* handle, int status, int events);

  // Hands over at most `most` records, or a few more held calls. False if more are left.
  bool hand_over(unsigned most);
  // The held call whose head was seen, and those right behind it. False if one of them is no record.
  bool hand_over_asks(protocol::RecordHeader header, unsigned& handed);
  void hand_over_failure(const Link::Report& report);
  void lose(const char* reason);
  void call(Napi::FunctionReference& callback, std::initializer_list<napi_value> arguments);
  void shut();

  Link link_;
  Later later_;  // below the link: it ends first
  std::vector<uint8_t> fields_;
  Asks asks_;
  bool handing_over_ = false;
  Watch* watch_ = nullptr;
  Napi::FunctionReference on_record_, on_lost_, on_asks_;
  napi_async_context context_ = nullptr;
};

}  // namespace holdfast
