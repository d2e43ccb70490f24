#include "channel.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <climits>
#include <cstring>

#include "../paths/known_places.h"
#include "../paths/mounts.h"
#include "../protocol/tlv.h"
#include "callback.h"
#include "child.h"
#include "errors.h"
#include "launch.h"
#include "record_to_js.h"

namespace holdfast {
namespace {

// Larger policies are looked up by a thread of their own: it would keep Node for longer than the start itself.
constexpr size_t kAtOnce = 24 << 10;
constexpr size_t kFieldHead = 16;          // with its padding
constexpr unsigned kRecordsPerWake = 512;  // then the rest of the event loop has its turn

uint32_t uint32_of(const Napi::CallbackInfo& info, size_t index) {
  uint32_t value = 0;
  return napi_get_value_uint32(info.Env(), info[index], &value) == napi_ok ? value : UINT32_MAX;
}

int32_t int32_of(const Napi::CallbackInfo& info, size_t index) {
  int32_t value = 0;
  return napi_get_value_int32(info.Env(), info[index], &value) == napi_ok ? value : 0;
}

// Any view of bytes; false if the value is something else.
bool bytes_of(napi_env env, napi_value value, const uint8_t*& data, size_t& size) {
  bool is_typed = false;
  if (napi_is_typedarray(env, value, &is_typed) != napi_ok || !is_typed) return false;
  napi_typedarray_type type;
  void* from = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &size, &from, nullptr, nullptr) != napi_ok) return false;
  data = static_cast<const uint8_t*>(from);
  return type == napi_uint8_array;
}

// The first argument of command(), configure(), start() and request(). False, and a TypeError, if it is something else.
bool take_bytes(const Napi::CallbackInfo& info, const uint8_t*& data, size_t& size) {
  if (bytes_of(info.Env(), info[0], data, size)) return true;
  Napi::TypeError::New(info.Env(), "command(), configure(), start() and request() take a Uint8Array")
      .ThrowAsJavaScriptException();
  return false;
}

}  // namespace

// The loop's handles outlive the JS object: libuv gives them back only after uv_close's callback.
struct Channel::Watch {
  uv_poll_t wake;
  uv_poll_t socket;
  Channel* owner;
  int open;
  // A worker's loop must be empty before it is destroyed, so its environment waits for this hook to be removed.
  napi_async_cleanup_hook_handle hook;

  void close() {
    owner = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&wake), closed);
    uv_close(reinterpret_cast<uv_handle_t*>(&socket), closed);
  }

  static void closed(uv_handle_t* handle) {
    auto* watch = static_cast<Watch*>(handle->data);
    if (--watch->open > 0) return;
    if (watch->hook != nullptr) napi_remove_async_cleanup_hook(watch->hook);
    delete watch;
  }

  static void clean_up(napi_async_cleanup_hook_handle, void* data) {
    auto* watch = static_cast<Watch*>(data);
    // Without an owner it is being closed already, and `closed` ends the wait.
    if (watch->owner != nullptr) watch->owner->shut();
  }
};

Napi::Function Channel::define(Napi::Env env) {
  return DefineClass(env, "Channel",
                     {
                         InstanceAccessor<&Channel::remote_fd>("remoteFd"),
                         InstanceMethod<&Channel::close_remote>("closeRemote"),
                         InstanceMethod<&Channel::wait_spawned>("waitSpawned"),
                         InstanceMethod<&Channel::share_memory>("shareMemory"),
                         InstanceMethod<&Channel::command>("command"),
                         InstanceMethod<&Channel::configure>("configure"),
                         InstanceMethod<&Channel::start>("start"),
                         InstanceMethod<&Channel::kill>("kill"),
                         InstanceMethod<&Channel::kill_all>("killAll"),
                         InstanceMethod<&Channel::spare>("spare"),
                         InstanceMethod<&Channel::plan>("plan"),
                         InstanceMethod<&Channel::request>("request"),
                         InstanceMethod<&Channel::listen>("listen"),
                         InstanceMethod<&Channel::drain>("drain"),
                         InstanceMethod<&Channel::last_word>("lastWord"),
                         InstanceMethod<&Channel::last_stage>("lastStage"),
                         InstanceMethod<&Channel::answer>("answer"),
                         InstanceMethod<&Channel::ref>("ref"),
                         InstanceMethod<&Channel::unref>("unref"),
                         InstanceMethod<&Channel::close>("close"),
                     });
}

Channel::Channel(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Channel>(info) {
  if (const int error = link_.open()) system_error(info.Env(), error, "socketpair").ThrowAsJavaScriptException();
}

Channel::~Channel() {
  // No JS object is left to call back into, and at the end of an environment no reference may be touched.
  if (watch_ != nullptr) watch_->close();
}

Napi::Value Channel::remote_fd(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), link_.remote()); }

Napi::Value Channel::close_remote(const Napi::CallbackInfo& info) {
  link_.close_remote();
  return info.Env().Undefined();
}

Napi::Value Channel::wait_spawned(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Link::Report report = link_.wait(int32_of(info, 0));
  Napi::Object result = Napi::Object::New(env);
  switch (report.kind) {
    case Link::Report::Kind::spawned:
      result.Set("pid", report.value);
      break;
    case Link::Report::Kind::failed:
      result.Set("errno", report.value);
      result.Set("stage", report.detail);
      break;
    case Link::Report::Kind::lost:
    case Link::Report::Kind::corrupt:
      result.Set("lost", true);
      break;
    case Link::Report::Kind::nothing:
      result.Set("timedOut", true);
      break;
  }
  return result;
}

Napi::Value Channel::share_memory(const Napi::CallbackInfo& info) {
  const char* step = "";
  const int error = link_.is_open() ? EEXIST : link_.share_memory(&step);
  if (error != 0) system_error(info.Env(), error, step).ThrowAsJavaScriptException();
  return info.Env().Undefined();
}

// command(fields, directory, descriptors): what a waiting supervisor is to start, with our ends of its streams for an
// answer. What is in `descriptors` is as in launch.h. Throws a system error, and then the supervisor waits on.
Napi::Value Channel::command(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const uint8_t* data = nullptr;
  size_t size = 0;
  if (!take_bytes(info, data, size)) return {};
  const std::string directory = info[1].As<Napi::String>();
  const auto descriptors = info[2].As<Napi::Int32Array>();
  const auto failed = [&](int error) {
    system_error(env, error, "spawn").ThrowAsJavaScriptException();
    return Napi::Value();
  };
  if (size > protocol::kMaxInline) return failed(E2BIG);
  const UniqueFd place(open(directory.empty() ? "." : directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!place) return failed(errno);
  std::vector<int> fds = {place.get()};
  std::vector<UniqueFd> remote, ends;
  for (size_t i = 0; i < descriptors.ElementLength(); i++) {
    const int from = descriptors[i];
    if (from == Program::kIgnored) continue;
    fds.push_back(from);
    if (from != Program::kStream) continue;
    if (const int error = stream_pair(ends, remote)) return failed(error);
    fds.back() = remote.back().get();
  }
  if (const int error =
          link_.send(protocol::MessageType::command, static_cast<int32_t>(size), fds.data(), fds.size(), data, size))
    return failed(error);
  return numbers_of(env, ends);
}

Napi::Value Channel::configure(const Napi::CallbackInfo& info) {
  const uint8_t* data = nullptr;
  size_t size = 0;
  if (!take_bytes(info, data, size)) return {};
  std::vector<std::string> mounts;
  if (const int error = proc_mounts(mounts)) {
    system_error(info.Env(), error, "mountinfo").ThrowAsJavaScriptException();
    return {};
  }
  if (size > kAtOnce) {
    auto send = [this, mounts, fields = std::vector<uint8_t>(data, data + size)](const std::atomic<bool>& stopped) {
      std::vector<uint8_t> policy;
      with_known_places(mounts, fields.data(), fields.size(), policy, stopped);
      // Without its configuration the supervisor must not wait for ever. That it ends is seen as any other end.
      if (!stopped && link_.configure(policy.data(), policy.size()) != 0) ::shutdown(link_.socket(), SHUT_RDWR);
    };
    if (later_.begin(std::move(send))) return Napi::Number::New(info.Env(), 0);
  }
  std::vector<uint8_t> policy;
  const std::atomic<bool> never = false;
  with_known_places(mounts, data, size, policy, never);
  return Napi::Number::New(info.Env(), link_.configure(policy.data(), policy.size()));
}

Napi::Value Channel::start(const Napi::CallbackInfo& info) {
  const uint8_t* data = nullptr;
  size_t size = 0;
  if (!take_bytes(info, data, size)) return {};
  std::vector<uint8_t> hooks;
  with_known_links(data, size, hooks);
  if (later_.follow([this, hooks] {
        if (link_.start(hooks.data(), hooks.size()) != 0) ::shutdown(link_.socket(), SHUT_RDWR);
      }))
    return Napi::Number::New(info.Env(), 0);
  return Napi::Number::New(info.Env(), link_.start(hooks.data(), hooks.size()));
}

Napi::Value Channel::kill(const Napi::CallbackInfo& info) {
  const int error = link_.send(protocol::MessageType::kill, int32_of(info, 0));
  return Napi::Boolean::New(info.Env(), error == 0);
}

Napi::Value Channel::kill_all(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), link_.send(protocol::MessageType::kill_all, int32_of(info, 0)) == 0);
}

Napi::Value Channel::plan(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), link_.send(protocol::MessageType::plan, 0) == 0);
}

Napi::Value Channel::request(const Napi::CallbackInfo& info) {
  const uint8_t* data = nullptr;
  size_t size = 0;
  if (!take_bytes(info, data, size)) return {};
  if (info[1].IsUndefined()) return Napi::Boolean::New(info.Env(), link_.request(data, size) == 0);
  const uint8_t* rules = nullptr;
  size_t rules_size = 0;
  std::vector<std::string> mounts;
  if (!bytes_of(info.Env(), info[1], rules, rules_size)) return Napi::Boolean::New(info.Env(), false);
  if (const int error = proc_mounts(mounts)) {
    system_error(info.Env(), error, "mountinfo").ThrowAsJavaScriptException();
    return {};
  }
  std::vector<uint8_t> policy;
  const std::atomic<bool> never = false;
  with_known_places(mounts, rules, rules_size, policy, never);
  std::vector<uint8_t> asked(size + kFieldHead + policy.size());
  std::memcpy(asked.data(), data, size);
  protocol::FieldWriter writer(asked.data() + size, kFieldHead + policy.size());
  writer.bytes(protocol::Tag::policy_, policy.data(), policy.size());
  return Napi::Boolean::New(info.Env(), link_.request(asked.data(), size + writer.size()) == 0);
}

Napi::Value Channel::spare(const Napi::CallbackInfo& info) {
  const int error = link_.send(protocol::MessageType::spare, int32_of(info, 0));
  return Napi::Boolean::New(info.Env(), error == 0);
}

Napi::Value Channel::listen(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (watch_ != nullptr || !link_.is_open() || !info[0].IsFunction() || !info[1].IsFunction() ||
      !info[2].IsFunction()) {
    Napi::Error::New(env, "listen() takes three functions, once, on an open channel").ThrowAsJavaScriptException();
    return {};
  }
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  auto* watch = new Watch{};
  watch->wake.data = watch->socket.data = watch;
  // Both can only fail for descriptors that epoll does not know, or with no memory for its entry.
  int error = uv_poll_init(loop, &watch->wake, link_.wake());
  if (error != 0) {
    delete watch;
    system_error(env, -error, "uv_poll_init").ThrowAsJavaScriptException();
    return {};
  }
  error = uv_poll_init(loop, &watch->socket, link_.socket());
  if (error != 0) {
    watch->open = 1;
    uv_close(reinterpret_cast<uv_handle_t*>(&watch->wake), Watch::closed);
    system_error(env, -error, "uv_poll_init").ThrowAsJavaScriptException();
    return {};
  }
  watch->open = 2;
  watch->owner = this;
  watch_ = watch;
  on_record_ = Napi::Persistent(info[0].As<Napi::Function>());
  on_lost_ = Napi::Persistent(info[1].As<Napi::Function>());
  on_asks_ = Napi::Persistent(info[2].As<Napi::Function>());
  Ref();
  napi_add_async_cleanup_hook(env, Watch::clean_up, watch, &watch->hook);
  napi_async_init(env, Value(), Napi::String::New(env, "HOLDFAST"), &context_);
  uv_poll_start(&watch->wake, UV_READABLE, on_wake);
  uv_poll_start(&watch->socket, UV_READABLE | UV_DISCONNECT, on_socket);
  return env.Undefined();
}

Napi::Value Channel::last_stage(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), link_.last_stage());
}

Napi::Value Channel::last_word(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), link_.last_word());
}

// All that a supervisor which has ended has said before, why it could not start the command too.
Napi::Value Channel::drain(const Napi::CallbackInfo& info) {
  if (watch_ != nullptr) hand_over(UINT_MAX);
  const Link::Report report = watch_ != nullptr ? link_.read() : Link::Report{Link::Report::Kind::nothing};
  if (report.kind == Link::Report::Kind::failed) hand_over_failure(report);
  return info.Env().Undefined();
}

Napi::Value Channel::answer(const Napi::CallbackInfo& info) {
  const uint8_t* data = nullptr;
  size_t size = 0;
  bool ok = info.Length() < 5 || info[4].IsUndefined() || bytes_of(info.Env(), info[4], data, size);
  ok = ok && link_.answer(uint32_of(info, 0), uint32_of(info, 1),
                          static_cast<protocol::VerdictKind>(uint32_of(info, 2)), int32_of(info, 3), data, size);
  return Napi::Boolean::New(info.Env(), ok);
}

Napi::Value Channel::ref(const Napi::CallbackInfo& info) {
  if (watch_ != nullptr) {
    uv_ref(reinterpret_cast<uv_handle_t*>(&watch_->wake));
    uv_ref(reinterpret_cast<uv_handle_t*>(&watch_->socket));
  }
  return info.Env().Undefined();
}

Napi::Value Channel::unref(const Napi::CallbackInfo& info) {
  if (watch_ != nullptr) {
    uv_unref(reinterpret_cast<uv_handle_t*>(&watch_->wake));
    uv_unref(reinterpret_cast<uv_handle_t*>(&watch_->socket));
  }
  return info.Env().Undefined();
}

Napi::Value Channel::close(const Napi::CallbackInfo& info) {
  shut();
  return info.Env().Undefined();
}

void Channel::shut() {
  if (watch_ != nullptr) {
    // The descriptors must be out of the loop before they are closed.
    watch_->close();
    watch_ = nullptr;
    on_record_.Reset();
    on_lost_.Reset();
    on_asks_.Reset();
    asks_.close(Env());
    if (context_ != nullptr) napi_async_destroy(Env(), context_);
    context_ = nullptr;
    Unref();
  }
  later_.stop();  // it uses the link
  link_.close();
}

void Channel::on_wake(uv_poll_t* handle, int status, int) {
  Channel* self = static_cast<Watch*>(handle->data)->owner;
  if (self == nullptr) return;
  const Napi::HandleScope scope(self->Env());
  if (status < 0) return self->lose("closed");
  self->link_.awake();
  if (self->hand_over(kRecordsPerWake)) return;
  if (self->watch_ != nullptr) self->link_.wake_self();
}

void Channel::on_socket(uv_poll_t* handle, int status, int) {
  Channel* self = static_cast<Watch*>(handle->data)->owner;
  if (self == nullptr) return;
  const Napi::HandleScope scope(self->Env());
  while (self->watch_ != nullptr) {
    const Link::Report report = status < 0 ? Link::Report{Link::Report::Kind::lost} : self->link_.read();
    switch (report.kind) {
      case Link::Report::Kind::nothing:
        return;
      case Link::Report::Kind::spawned:
        break;  // `waitSpawned` gave up on it
      case Link::Report::Kind::failed:
        self->hand_over_failure(report);
        break;
      case Link::Report::Kind::lost:
        // What it said before its end still counts: an exit is in the ring before the socket closes.
        self->hand_over(UINT_MAX);
        self->lose("closed");
        return;
      case Link::Report::Kind::corrupt:
        self->link_.send(protocol::MessageType::kill_all, SIGKILL);
        self->lose("corrupt");
        return;
    }
  }
}

bool Channel::hand_over(unsigned most) {
  const Napi::Env env = Env();
  // From within a callback: whoever called that goes on with the rest.
  if (handing_over_) return true;
  handing_over_ = true;
  // A callback may close the channel, and the object may be collected after that.
  Ref();
  bool drained = false;
  for (unsigned handed = 0; watch_ != nullptr && handed < most;) {
    protocol::RecordHeader header;
    const Link::Next next = link_.peek(header);
    if (next == Link::Next::empty) {
      drained = link_.sleep();
      if (drained) break;
      continue;
    }
    const Napi::HandleScope scope(env);
    bool good = next == Link::Next::record;
    if (good && static_cast<protocol::RecordKind>(header.kind) == protocol::RecordKind::ask) {
      good = hand_over_asks(header, handed);
    } else if (good) {
      fields_.resize(header.size);
      link_.take(header, fields_.data());
      handed++;
      const napi_value record = record_to_js(env, static_cast<protocol::RecordKind>(header.kind), fields_);
      good = record != nullptr;
      if (good) call(on_record_, {record});
    }
    if (!good && watch_ != nullptr) {
      link_.send(protocol::MessageType::kill_all, SIGKILL);
      lose("corrupt");
      break;
    }
  }
  const bool done = drained || watch_ == nullptr;
  handing_over_ = false;
  Unref();
  return done;
}

bool Channel::hand_over_asks(protocol::RecordHeader header, unsigned& handed) {
  const Napi::Env env = Env();
  bool good = true;
  do {
    uint8_t* const to = asks_.next(env);
    if (to == nullptr) return false;
    std::memcpy(to, &header, sizeof header);
    link_.take(header, to + sizeof header);
    handed++;
    good = asks_.add();
  } while (good && asks_.has_room() && link_.peek(header) == Link::Next::record &&
           static_cast<protocol::RecordKind>(header.kind) == protocol::RecordKind::ask);
  const uint32_t end = asks_.end();
  asks_.clear();
  napi_value size;
  if (end != 0 && napi_create_uint32(env, end, &size) == napi_ok) call(on_asks_, {asks_.buffer(env), size});
  return good;
}

void Channel::hand_over_failure(const Link::Report& report) {
  const Napi::Env env = Env();
  const Napi::HandleScope scope(env);
  Napi::Object record = Napi::Object::New(env);
  record.Set("errno", report.value);
  record.Set("stage", report.detail);
  record.Set("kind", record_kind_name(protocol::RecordKind::failed));
  call(on_record_, {record});
}

// Says it once: the channel is shut before JS hears of it.
void Channel::lose(const char* reason) {
  if (watch_ == nullptr) return;
  Ref();
  uv_poll_stop(&watch_->wake);
  uv_poll_stop(&watch_->socket);
  call(on_lost_, {Napi::String::New(Env(), reason)});
  shut();
  Unref();
}

void Channel::call(Napi::FunctionReference& callback, std::initializer_list<napi_value> arguments) {
  call_back(Env(), context_, Value(), callback.Value(), arguments.size(), arguments.begin());
}

}  // namespace holdfast
