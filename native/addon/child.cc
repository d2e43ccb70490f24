#include "child.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "callback.h"
#include "errors.h"

namespace holdfast {
namespace {

std::vector<std::string> texts_of(const std::string& joined) {
  std::vector<std::string> out;
  for (size_t at = 0; at < joined.size();) {
    const size_t end = std::min(joined.find('\0', at), joined.size());
    out.emplace_back(joined, at, end - at);
    at = end + 1;
  }
  return out;
}

// Children whose environment (a worker thread) ended before them. Each ends soon, as its channel has closed, and is
// reaped when the next one is launched.
class Orphans {
 public:
  void add(pid_t pid) {
    const std::lock_guard<std::mutex> hold(guard_);
    pids_.push_back(pid);
  }
  void reap() {
    const std::lock_guard<std::mutex> hold(guard_);
    std::erase_if(pids_, [](pid_t pid) { return waitpid(pid, nullptr, WNOHANG) != 0; });
  }

 private:
  std::mutex guard_;
  std::vector<pid_t> pids_;
};

Orphans orphans;

}  // namespace

// The loop's handle outlives the JS object: libuv gives it back only after uv_close's callback.
struct Child::Watch {
  uv_poll_t poll;
  UniqueFd process;
  Child* owner;
  // A worker's loop must be empty before it is destroyed, so its environment waits for this hook to be removed.
  napi_async_cleanup_hook_handle hook;

  void close() {
    owner = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&poll), closed);
  }

  static void closed(uv_handle_t* handle) {
    auto* watch = static_cast<Watch*>(handle->data);
    if (watch->hook != nullptr) napi_remove_async_cleanup_hook(watch->hook);
    delete watch;
  }

  static void clean_up(napi_async_cleanup_hook_handle, void* data) {
    auto* watch = static_cast<Watch*>(data);
    // Without an owner it is being closed already, and `closed` ends the wait.
    if (watch->owner != nullptr) watch->owner->forget();
  }
};

Napi::Function Child::define(Napi::Env env) {
  return DefineClass(env, "Child",
                     {
                         InstanceAccessor<&Child::pid>("pid"),
                         InstanceMethod<&Child::take_ends>("takeEnds"),
                         InstanceMethod<&Child::kill>("kill"),
                         InstanceMethod<&Child::ref>("ref"),
                         InstanceMethod<&Child::unref>("unref"),
                     });
}

Child::Child(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Child>(info) {
  const Napi::Env env = info.Env();
  orphans.reap();
  Program program;
  program.path = info[0].As<Napi::String>();
  program.arguments = texts_of(info[1].As<Napi::String>());
  program.environment = texts_of(info[2].As<Napi::String>());
  if (info[3].IsString()) program.directory = info[3].As<Napi::String>();
  const auto descriptors = info[4].As<Napi::Int32Array>();
  program.descriptors.assign(descriptors.Data(), descriptors.Data() + descriptors.ElementLength());
  program.detached = info[5].As<Napi::Boolean>();
  if (const int error = launch(program, launched_)) {
    system_error(env, error, "spawn").ThrowAsJavaScriptException();
    return;
  }
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  if (const int error = watch(loop)) {
    ::kill(launched_.pid, SIGKILL);
    while (waitpid(launched_.pid, nullptr, 0) < 0 && errno == EINTR) continue;
    reaped_ = true;
    system_error(env, error, "uv_poll_init").ThrowAsJavaScriptException();
    return;
  }
  on_exit_ = Napi::Persistent(info[6].As<Napi::Function>());
  Ref();
  napi_add_async_cleanup_hook(env, Watch::clean_up, watch_, &watch_->hook);
  napi_async_init(env, Value(), Napi::String::New(env, "HOLDFAST"), &context_);
  uv_poll_start(&watch_->poll, UV_READABLE, on_end);
}

Child::~Child() {
  // At the end of an environment no reference may be touched.
  if (watch_ == nullptr) return;
  watch_->close();
  if (!reaped_) orphans.add(launched_.pid);
}

// 0, or a positive errno.
int Child::watch(uv_loop_t* loop) {
  auto* watch = new Watch{};
  watch->process = std::move(launched_.process);
  watch->owner = this;
  watch->poll.data = watch;
  // It can only fail where epoll does not know pidfds, or with no memory for its entry.
  if (const int error = uv_poll_init(loop, &watch->poll, watch->process.get())) {
    delete watch;
    return -error;
  }
  watch_ = watch;
  return 0;
}

Napi::Value Child::pid(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), launched_.pid); }

Napi::Array numbers_of(Napi::Env env, std::vector<UniqueFd>& descriptors) {
  Napi::Array result = Napi::Array::New(env, descriptors.size());
  uint32_t next = 0;
  for (UniqueFd& descriptor : descriptors) result.Set(next++, descriptor.release());
  descriptors.clear();
  return result;
}

Napi::Value Child::take_ends(const Napi::CallbackInfo& info) { return numbers_of(info.Env(), launched_.ends); }

// Its number is its own until it has been reaped.
Napi::Value Child::kill(const Napi::CallbackInfo& info) {
  const bool sent = !reaped_ && ::kill(launched_.pid, info[0].As<Napi::Number>()) == 0;
  return Napi::Boolean::New(info.Env(), sent);
}

Napi::Value Child::ref(const Napi::CallbackInfo& info) {
  if (watch_ != nullptr) uv_ref(reinterpret_cast<uv_handle_t*>(&watch_->poll));
  return info.Env().Undefined();
}

Napi::Value Child::unref(const Napi::CallbackInfo& info) {
  if (watch_ != nullptr) uv_unref(reinterpret_cast<uv_handle_t*>(&watch_->poll));
  return info.Env().Undefined();
}

void Child::on_end(uv_poll_t* handle, int, int) {
  Child* self = static_cast<Watch*>(handle->data)->owner;
  if (self != nullptr) self->ended();
}

void Child::ended() {
  int status = 0;
  const pid_t got = waitpid(launched_.pid, &status, WNOHANG);
  if (got == 0 || (got < 0 && errno == EINTR)) return;  // the loop asks again as long as the pidfd is readable
  // Somebody else in this process has reaped it (ECHILD): then how it ended is not known.
  reaped_ = true;
  const Napi::Env env = Env();
  const Napi::HandleScope scope(env);
  const int signal = got > 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  const int code = got > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  napi_value arguments[] = {Napi::Number::New(env, code), Napi::Number::New(env, signal)};
  Ref();  // the callback's end may leave nobody else who holds it
  uv_poll_stop(&watch_->poll);
  call_back(env, context_, Value(), on_exit_.Value(), 2, arguments);
  if (watch_ != nullptr) forget();
  Unref();
}

void Child::forget() {
  watch_->close();
  watch_ = nullptr;
  if (!reaped_) orphans.add(launched_.pid);
  on_exit_.Reset();
  if (context_ != nullptr) napi_async_destroy(Env(), context_);
  context_ = nullptr;
  Unref();
}

}  // namespace holdfast
