// The addon: Node's end of the channel, and the names and numbers of the protocol. It decides nothing.
#include <fcntl.h>
#include <napi.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <string>
#include <vector>

#include "../paths/known_places.h"
#include "../paths/mounts.h"
#include "../protocol/protocol.h"
#include "../protocol/unique_fd.h"
#include "channel.h"
#include "child.h"
#include "errors.h"
#include "record_to_js.h"
#include "support.h"

namespace holdfast {
namespace {

using protocol::RecordKind;
using protocol::Stage;

// Per environment: a worker thread has its own classes.
struct State {
  Napi::FunctionReference channel;
};

Napi::Value create_channel(const Napi::CallbackInfo& info) {
  return info.Env().GetInstanceData<State>()->channel.New({});
}

// openSupervisor(path, least): a descriptor for execution through /proc/self/fd, where the new user of `uid` and `gid`
// could not reach the path. `least` keeps it above the descriptors that the child will find its stdio at.
Napi::Value open_supervisor(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = info[0].As<Napi::String>();
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const int fd = file ? fcntl(file.get(), F_DUPFD_CLOEXEC, info[1].As<Napi::Number>().Int32Value()) : -1;
  if (fd < 0) {
    system_error(env, errno, "open").ThrowAsJavaScriptException();
    return {};
  }
  return Napi::Number::New(env, fd);
}

// closeSupervisor(fd): not by Node, which warns in a worker thread of what it has not opened itself.
void close_supervisor(const Napi::CallbackInfo& info) { close(info[0].As<Napi::Number>().Int32Value()); }

// A memfd_create() that a kernel since 6.3 may want to be told (vm.memfd_noexec), and older ones do not know.
int memory_for_execution() {
  constexpr unsigned kExec = 0x10;  // MFD_EXEC
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  const int fd = memfd_create("holdfast-supervisor", kFlags | kExec);
  return fd < 0 && errno == EINVAL ? memfd_create("holdfast-supervisor", kFlags) : fd;
}

// A copy that nobody can change. -1 with errno, and what has failed.
int copy_in_memory(const char* path, const char*& failed) {
  const UniqueFd from(open(failed = path, O_RDONLY | O_CLOEXEC));
  if (!from) return -1;
  const UniqueFd copy(memory_for_execution());
  failed = "memfd_create";
  if (!copy) return -1;
  failed = "copy";
  ssize_t sent = 0;
  do sent = sendfile(copy.get(), from.get(), nullptr, size_t{1} << 20);
  while (sent > 0);
  constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  if (sent < 0 || fchmod(copy.get(), 0555) < 0 || fcntl(copy.get(), F_ADD_SEALS, kSeals) < 0) return -1;
  // What somebody has open for writing is not executed (ETXTBSY).
  const std::string name = "/proc/self/fd/" + std::to_string(copy.get());
  return open(name.c_str(), O_RDONLY | O_CLOEXEC);
}

// copySupervisor(path): for where it has lost its mode. One for the process, whose worker threads share the addon.
Napi::Value copy_supervisor(const Napi::CallbackInfo& info) {
  static std::mutex guard;
  static int copy = -1;
  const std::string path = info[0].As<Napi::String>();
  const std::lock_guard<std::mutex> hold(guard);
  const char* failed = "";
  if (copy < 0) copy = copy_in_memory(path.c_str(), failed);
  if (copy < 0) {
    system_error(info.Env(), errno, failed).ThrowAsJavaScriptException();
    return {};
  }
  return Napi::Number::New(info.Env(), copy);
}

Napi::Object field_tags(Napi::Env env) {
  Napi::Object result = Napi::Object::New(env);
#define FIELD(name, tag) result.Set(#name, tag);
#include "../protocol/fields.def"
#undef FIELD
  return result;
}

Napi::Array event_names(Napi::Env env) {
  Napi::Array result = Napi::Array::New(env);
  uint32_t next = 0;
#define EVENT(name) result.Set(next++, #name);
#include "../protocol/events.def"
#undef EVENT
  return result;
}

Napi::Object request_kinds(Napi::Env env) {
  Napi::Object result = Napi::Object::New(env);
  uint32_t next = 0;
#define REQUEST(name) result.Set(#name, next++);
#include "../protocol/requests.def"
#undef REQUEST
  return result;
}

Napi::Object record_kinds(Napi::Env env) {
  Napi::Object result = Napi::Object::New(env);
  for (uint32_t i = 1; i < static_cast<uint32_t>(RecordKind::end); i++) {
    result.Set(record_kind_name(static_cast<RecordKind>(i)), i);
  }
  return result;
}

Napi::Object stages(Napi::Env env) {
  Napi::Object result = Napi::Object::New(env);
  const auto set = [&](const char* name, Stage stage) { result.Set(name, static_cast<int32_t>(stage)); };
  set("command", Stage::command);
  set("arguments", Stage::arguments);
  set("channel", Stage::channel);
  set("ptrace", Stage::ptrace);
  set("noNewPrivs", Stage::no_new_privs);
  set("seccomp", Stage::seccomp);
  set("listener", Stage::listener);
  set("landlock", Stage::landlock);
  set("fork", Stage::fork);
  set("session", Stage::session);
  set("capabilities", Stage::capabilities);
  set("policy", Stage::policy);
  set("internal", Stage::internal);
  set("threads", Stage::threads);
  set("proc", Stage::proc);
  set("access", Stage::access);
  set("memory", Stage::memory);
  set("limits", Stage::limits);
  set("needsHold", Stage::needs_hold);
  return result;
}

Napi::Object limits(Napi::Env env) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("ringBytes", protocol::kRingBytes);
  result.Set("slots", protocol::kSlotCount);
  result.Set("verdictBytes", protocol::kSlotData);
  result.Set("recordBytes", protocol::kMaxRecord);
  return result;
}

// A policy with what the supervisor has to be told of the file system, for `holdfast-supervisor --explain`; and the
// fields of an answer as an object.
Napi::Value complete_policy(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsTypedArray()) {
    Napi::TypeError::New(env, "completePolicy() takes a Uint8Array").ThrowAsJavaScriptException();
    return {};
  }
  const auto rules = info[0].As<Napi::Uint8Array>();
  std::vector<std::string> mounts;
  if (const int error = proc_mounts(mounts)) {
    system_error(env, error, "mountinfo").ThrowAsJavaScriptException();
    return {};
  }
  std::vector<uint8_t> policy;
  const std::atomic<bool> never = false;
  with_known_places(mounts, rules.Data(), rules.ByteLength(), policy, never);
  return Napi::Buffer<uint8_t>::Copy(env, policy.data(), policy.size());
}

Napi::Value read_fields(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsTypedArray()) return env.Undefined();
  const auto bytes = info[0].As<Napi::Uint8Array>();
  const std::vector<uint8_t> fields(bytes.Data(), bytes.Data() + bytes.ByteLength());
  const napi_value record = record_to_js(env, RecordKind::reply, fields);
  return record == nullptr ? env.Undefined() : Napi::Value(env, record);
}

Napi::Value get_support(const Napi::CallbackInfo& info) { return support(info.Env()); }

Napi::Value get_is_delegated(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), is_delegated(info[0].ToString().Utf8Value()));
}

// Who is not in the foreground is stopped for that (SIGTTOU), unless the signal is blocked (tcsetpgrp(3)).
Napi::Value set_foreground(const Napi::CallbackInfo& info) {
  const UniqueFd terminal(open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  sigset_t stop, before;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTTOU);
  pthread_sigmask(SIG_BLOCK, &stop, &before);
  const bool done = terminal && tcsetpgrp(terminal.get(), info[0].ToNumber().Int32Value()) == 0;
  const int error = done ? 0 : errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return Napi::Number::New(info.Env(), error);
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* state = new State;
  env.SetInstanceData(state);
  state->channel = Napi::Persistent(Channel::define(env));
  exports.Set("Child", Child::define(env));
  exports.Set("createChannel", Napi::Function::New<create_channel>(env, "createChannel"));
  exports.Set("closeSupervisor", Napi::Function::New<close_supervisor>(env, "closeSupervisor"));
  exports.Set("copySupervisor", Napi::Function::New<copy_supervisor>(env, "copySupervisor"));
  exports.Set("openSupervisor", Napi::Function::New<open_supervisor>(env, "openSupervisor"));
  exports.Set("support", Napi::Function::New<get_support>(env, "support"));
  exports.Set("completePolicy", Napi::Function::New<complete_policy>(env, "completePolicy"));
  exports.Set("readFields", Napi::Function::New<read_fields>(env, "readFields"));
  exports.Set("setForeground", Napi::Function::New<set_foreground>(env, "setForeground"));
  exports.Set("isDelegated", Napi::Function::New<get_is_delegated>(env, "isDelegated"));
  exports.Set("version", protocol::kVersion);
  exports.Set("fields", field_tags(env));
  exports.Set("events", event_names(env));
  exports.Set("recordKinds", record_kinds(env));
  exports.Set("requestKinds", request_kinds(env));
  exports.Set("stages", stages(env));
  exports.Set("limits", limits(env));
  return exports;
}

}  // namespace
}  // namespace holdfast

static Napi::Object init(Napi::Env env, Napi::Object exports) { return holdfast::init(env, exports); }
NODE_API_MODULE(holdfast, init)
