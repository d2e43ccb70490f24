// The order of decision: explicit deny, hooks, allow, deny; what hooks are asked and told; which refusals are told to
// Node.
#include "../../native/policy/decide.h"

#include <netinet/in.h>
#include <signal.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "../../native/call/tree.h"
#include "../../native/engine/bounce.h"
#include "../../native/policy/config.h"
#include "fake_node.h"

// What rules allow must cost nothing but the look-up.
static thread_local int allocations = 0;
void* operator new(size_t size) {
  allocations++;
  if (void* at = std::malloc(size != 0 ? size : 1)) return at;
  std::abort();
}
void operator delete(void* at) noexcept { std::free(at); }
void operator delete(void* at, size_t) noexcept { std::free(at); }

static std::atomic<bool> caller_died{false};
bool Held::still_held() const { return !caller_died; }
bool Held::must_end() const { return false; }
pid_t Held::tgid() const { return 4000; }

// A record as Node sees it: the last text or number of each field, and how often it stood there.
struct Record {
  RecordKind kind;
  std::map<Tag, std::string> texts;
  std::map<Tag, int64_t> numbers;
  std::map<Tag, int> counts;
  std::vector<int64_t> hooks;

  bool has(Tag tag) const { return counts.count(tag) != 0; }
  std::string text(Tag tag) const { return texts.count(tag) != 0 ? texts.at(tag) : "-"; }
  int64_t number(Tag tag) const { return numbers.count(tag) != 0 ? numbers.at(tag) : -1000; }
};

struct World {
  Config config;
  Pair pair;
  Tree tree;
  BouncePage page;
  Sandbox sandbox{config, pair.channel, tree, page};
  Row row = {};
  Held call;

  // What Node answers, and what it was told.
  VerdictKind verdict = VerdictKind::none;
  int error = 0;
  std::string data;
  bool answers = true;
  std::mutex guard;
  std::vector<Record> records;
  Node node;

  World()
      : node(pair, [this](Node& node, RecordKind kind, FieldReader reader) {
          Record record = {kind, {}, {}, {}, {}};
          Field field;
          while (reader.next(field)) {
            record.counts[field.tag]++;
            if ((static_cast<unsigned>(field.tag) >> 12 & 3) == 0)
              record.numbers[field.tag] = field.number();
            else
              record.texts[field.tag] = field.text();
            if (field.tag == Tag::hooks_) record.hooks.push_back(field.number());
          }
          CHECK(!reader.bad());
          const std::lock_guard<std::mutex> hold(guard);
          records.push_back(record);
          if (kind == RecordKind::ask && answers)
            CHECK(node.answer(static_cast<uint32_t>(record.number(Tag::slot_)),
                              static_cast<uint32_t>(record.number(Tag::generation_)), verdict, error, data));
        }) {
    row.name = "openat";
    call.row = &row;
    call.tid = getpid();
    const auto add = [&](const char* path, uint8_t access, Effect effect, const char* label) {
      CHECK(config.rules.add_path(path, access, effect, label));
    };
    add("/usr", kRead, Effect::allow, "read[0]");
    add("/work", kRead | kWrite, Effect::allow, "write[0]");
    add("/work/secret", 7, Effect::deny, "deny[0]");
    add("/usr/bin/no-exec", kExecute, Effect::deny, "deny[1]");
    add("/opt/tool", kExecute, Effect::allow, "exec[0]");
    add("/proc/self", kRead, Effect::allow, "read[1]");
    add("/proc/self/environ", kRead, Effect::deny, "deny[2]");
    add("/proc/thread-self/comm", kWrite, Effect::allow, "write[1]");
    const uint8_t loopback[4] = {127, 0, 0, 1};
    CHECK(config.rules.add_address(AF_INET, loopback, 32, 80, 80, kConnect, Effect::allow, "connect[0]"));
    CHECK(config.rules.add_address(AF_INET, loopback, 32, 22, 22, kConnect, Effect::deny, "deny[3]"));
    CHECK(config.rules.finish());
    tree.add(4000, 4000);
    call.tree = &tree;
    CHECK(config.rules.add_command("/home/u/command"));
    node.start();
  }

  void hook(uint32_t number, Event event, uint8_t access = 7, const char* pattern = nullptr, int port = -1) {
    HookFilter filter;
    filter.hook = number;
    filter.event = event;
    filter.access = access;
    if (pattern != nullptr) CHECK(filter.names.set("", pattern));
    filter.has_port = port >= 0;
    if (port >= 0) filter.port_low = filter.port_high = static_cast<uint16_t>(port);
    config.hooks_of[static_cast<unsigned>(event)].push_back(static_cast<uint32_t>(config.hooks.size()));
    config.hooks.push_back(filter);
  }

  // The records since the last time.
  std::vector<Record> told() {
    while (pair.channel.shared()->written != pair.channel.shared()->taken) std::this_thread::yield();
    const std::lock_guard<std::mutex> hold(guard);
    return std::exchange(records, {});
  }

  Decision path(std::string_view name, uint8_t access, bool missing = false, Event event = Event::open) {
    Facts facts;
    facts.event = event;
    facts.paths[0] = {name, access, missing};
    facts.path_count = 1;
    return decide(sandbox, call, facts);
  }
  Decision connect(const char* from, uint16_t port) {
    Address address;
    address.family = AF_INET;
    address.port = port;
    for (int i = 0; i < 4; i++) address.bytes[i] = static_cast<uint8_t>(from[i]);
    Facts facts;
    facts.event = Event::connect;
    facts.address = &address;
    facts.operation = kConnect;
    return decide(sandbox, call, facts);
  }
};

using Kind = Decision::Kind;

static void rules_alone() {
  World world;
  const auto allowed = [&](std::string_view name, uint8_t access, bool missing = false) {
    const Decision decision = world.path(name, access, missing);
    const auto told = world.told();
    if (decision.allowed() && told.empty()) return;
    std::printf("%.*s, access %d: not allowed, or not silently\n", static_cast<int>(name.size()), name.data(), access);
    failures++;
  };
  const auto refused = [&](std::string_view name, uint8_t access, int error, const char* rule, bool missing = false) {
    const Decision decision = world.path(name, access, missing);
    const auto told = world.told();
    const bool silent = rule == nullptr;
    if (decision.kind == Kind::error && decision.error == error && told.size() == (silent ? 0 : 1) &&
        (silent || (told[0].kind == RecordKind::violation && told[0].text(Tag::rule_) == rule &&
                    told[0].text(Tag::path_) == name && told[0].number(Tag::errno_) == error)))
      return;
    std::printf("%.*s, access %d: kind %d, error %d, %zu records, rule %s\n", static_cast<int>(name.size()),
                name.data(), access, static_cast<int>(decision.kind), decision.error, told.size(),
                told.empty() ? "" : told[0].text(Tag::rule_).c_str());
    failures++;
  };
  allowed("/usr/bin/cc", kRead);
  allowed("/usr/bin/cc", 0);
  allowed("/usr/bin/cc", kRead | kExecute);
  allowed("/work/new", kRead | kWrite, true);
  allowed("/", 0);
  allowed("/home/u", 0);
  allowed("/home/u/command", kRead | kExecute);
  allowed("/home/u/command", 0);
  refused("/home/u/command/x", kRead, EACCES, "-");
  refused("/usr/bin/cc", kWrite, EACCES, "-");
  refused("/usr/bin/cc", kRead | kWrite, EACCES, "-");
  refused("/home/u/command", kWrite, EACCES, "-");
  refused("/home/v", 0, EACCES, "-");
  refused("/work/secret/x", kRead, EACCES, "deny[0]");
  refused("/work/secret/x", 0, EACCES, "deny[0]");
  refused("/work/secret/x", kRead, EACCES, "deny[0]", true);
  refused("/usr/bin/no-exec", kExecute, EACCES, "deny[1]");
  allowed("/usr/bin/no-exec", kRead);
  allowed("/opt/tool", kExecute);
  refused("/opt/tool", kRead, EACCES, "-");
  // What is not there and nobody makes is just not there.
  refused("/etc/missing", kRead, ENOENT, nullptr, true);
  refused("/etc/missing", 0, ENOENT, nullptr, true);
  refused("/etc/missing", kWrite, ENOENT, nullptr, true);
  refused("/etc/missing", kRead | kWrite, ENOENT, nullptr, true);
  // What is about to be made is refused for all to hear.
  refused("/etc/missing", kWrite, EACCES, "-");
  refused("pipe:[1]", kRead, EACCES, "-");
  // The caller's own /proc, by its number; nobody else's.
  allowed("/proc/4000/status", kRead);
  allowed("/proc/4000", kRead);
  world.tree.add(4002, 4002);
  allowed("/proc/4002/status", kRead);
  refused("/proc/4002/environ", kRead, EACCES, "deny[2]");
  allowed("/proc", kRead);
  refused("/proc/uptime", kRead, EACCES, "-");
  refused("/proc/4000/environ", kRead, EACCES, "deny[2]");
  refused("/proc/4001/status", kRead, EACCES, "-");
  refused("/proc/4000x/status", kRead, EACCES, "-");
  refused("/proc/4000/status", kWrite, EACCES, "-");
  const std::string thread = "/proc/4000/task/" + std::to_string(getpid());
  allowed(thread + "/comm", kWrite);
  allowed(thread + "/status", kRead);
  refused("/proc/4000/task/1/comm", kWrite, EACCES, "-");
  world.config.any_exec = false;
  refused("/usr/bin/cc", kExecute, EACCES, "-");
  allowed("/opt/tool", kExecute);
  allowed("/home/u/command", kExecute);
  world.config.any_exec = true;

  CHECK(world.connect("\x7f\0\0\1", 80).allowed());
  CHECK(world.told().empty());
  CHECK(world.connect("\x7f\0\0\1", 22).error == EACCES);
  auto told = world.told();
  CHECK(told.size() == 1 && told[0].text(Tag::rule_) == "deny[3]" && told[0].text(Tag::address_) == "127.0.0.1" &&
        told[0].number(Tag::port_) == 22 && told[0].number(Tag::family_) == AF_INET);
  CHECK(world.connect("\x7f\0\0\2", 80).error == EACCES);
  CHECK(world.told().size() == 1);

  // Of two paths both must be allowed, and one that is denied denies.
  Facts facts;
  facts.event = Event::rename;
  facts.path_count = 2;
  facts.paths[0] = {"/work/a", kWrite, false};
  facts.paths[1] = {"/work/b", kWrite, false};
  CHECK(decide(world.sandbox, world.call, facts).allowed());
  facts.paths[1].name = "/usr/b";
  CHECK(decide(world.sandbox, world.call, facts).error == EACCES);
  facts.paths[1].name = "/work/secret/b";
  CHECK(decide(world.sandbox, world.call, facts).error == EACCES);
  told = world.told();
  CHECK(told.size() == 2 && told[0].text(Tag::to_) == "/usr/b" && !told[0].has(Tag::rule_) &&
        told[1].text(Tag::rule_) == "deny[0]");

  report(world.sandbox, world.call, EPERM, "mounting is never allowed", "/mnt");
  told = world.told();
  CHECK(told.size() == 1 && told[0].text(Tag::reason_) == "mounting is never allowed" &&
        told[0].text(Tag::path_) == "/mnt");
  CHECK(told[0].text(Tag::syscall_) == "openat" && told[0].number(Tag::pid_) == 4000 &&
        told[0].number(Tag::tid_) == getpid());
  CHECK(told[0].text(Tag::executable_).find("decide") != std::string::npos && told[0].number(Tag::errno_) == EPERM);
  // A name longer than any record: the event comes without it.
  const std::string deep(kMaxRecord, 'x');
  report(world.sandbox, world.call, EPERM, "too deep", deep);
  told = world.told();
  CHECK(told.size() == 1 && !told[0].has(Tag::path_) && told[0].text(Tag::reason_) == "too deep");

  // A call that is about neither path nor address (a signal within the tree) is the hooks' alone.
  Facts nothing;
  nothing.event = Event::signal;
  CHECK(decide(world.sandbox, world.call, nothing).allowed());
}

static void cheap() {
  World world;
  world.hook(1, Event::open, kWrite);
  world.hook(2, Event::open, 7, "*.key");
  const int before = allocations;
  bool allowed = true;
  for (const char* name : {"/usr/lib/x", "/work/a/b/c/d/e/f", "/proc/4000/status", "/home/u/command"})
    allowed &= world.path(name, kRead).allowed() && world.path(name, 0, false, Event::stat).allowed();
  allowed &= world.connect("\x7f\0\0\1", 80).allowed();
  CHECK(allowed && allocations == before);
  CHECK(world.told().empty());
}

static void filters() {
  World world;
  world.hook(1, Event::open);
  world.hook(2, Event::open, kWrite);
  world.hook(3, Event::open, kRead, "*.key");
  world.hook(3, Event::open, kRead, "/usr/*.pem");
  world.hook(4, Event::connect, 7, nullptr, 443);
  world.hook(5, Event::connect, 7, "/run/**");
  world.hook(6, Event::rename, kWrite, "/work/a");
  world.hook(7, Event::stat, kWrite);
  world.hook(8, Event::stat, kRead, "/usr/**");
  const auto asked = [&](std::vector<int64_t> hooks) {
    const auto told = world.told();
    const bool right =
        hooks.empty() ? told.empty() : told.size() == 1 && told[0].kind == RecordKind::ask && told[0].hooks == hooks;
    if (!right)
      std::printf("%zu records, %zu hooks instead of %zu\n", told.size(), told.empty() ? 0 : told[0].hooks.size(),
                  hooks.size());
    CHECK(right);
  };
  world.path("/usr/x", kRead);
  asked({1});
  world.path("/work/x", kRead | kWrite);
  asked({1, 2});
  world.path("/usr/x.key", kRead);
  asked({1, 3});
  world.path("/usr/x.key.pem", kRead);
  asked({1, 3});
  world.path("/usr/x.key", 0);  // O_PATH
  asked({1, 3});
  world.path("/usr/x", 0, false, Event::stat);
  asked({8});
  world.path("/work/x", 0, false, Event::stat);
  asked({});
  world.path("/usr/x", kRead, false, Event::none);
  asked({});
  world.connect("\x7f\0\0\1", 80);
  asked({});
  world.verdict = VerdictKind::allow;
  world.connect("\x7f\0\0\1", 443);
  asked({4});
  Address socket;
  socket.family = AF_UNIX;
  socket.unix_name = "/run/a/b.sock";
  Facts facts;
  facts.event = Event::connect;
  facts.address = &socket;
  facts.operation = kConnect;
  decide(world.sandbox, world.call, facts);
  asked({5});
  Facts rename;
  rename.event = Event::rename;
  rename.path_count = 2;
  rename.paths[0] = {"/work/b", kWrite, false};
  rename.paths[1] = {"/work/a", kWrite, true};
  decide(world.sandbox, world.call, rename);
  asked({6});
  rename.paths[1].name = "/work/c";
  decide(world.sandbox, world.call, rename);
  asked({});
}

static void verdicts() {
  World world;
  world.hook(1, Event::open);
  world.hook(1, Event::connect);
  world.hook(1, Event::stat);
  const auto answer = [&](VerdictKind verdict, int error = 0, std::string data = {}) {
    world.told();
    const std::lock_guard<std::mutex> hold(world.guard);
    world.verdict = verdict;
    world.error = error;
    world.data = std::move(data);
  };
  const auto violations = [&](const char* rule, int error) {
    int found = 0;
    for (const Record& record : world.told())
      if (record.kind == RecordKind::violation)
        found += record.text(Tag::rule_) == rule && record.number(Tag::errno_) == error ? 1 : 100;
    return found;
  };
  CHECK(world.path("/usr/x", kRead).allowed());  // no opinion
  CHECK(world.path("/etc/x", kRead).error == EACCES);
  CHECK(violations("-", EACCES) == 1);
  CHECK(world.path("/etc/x", kRead, true).error == ENOENT);

  answer(VerdictKind::allow);
  CHECK(world.path("/etc/x", kRead | kWrite).allowed());  // no allow rule is needed
  CHECK(world.path("/etc/x", kWrite, true).allowed());
  CHECK(violations("", 0) == 0);
  CHECK(world.path("/work/secret", kRead).error == EACCES);  // but over an explicit deny nobody has a say
  const auto told = world.told();
  CHECK(told.size() == 1 && told[0].kind == RecordKind::violation);

  answer(VerdictKind::deny, ENOENT);
  Decision decision = world.path("/usr/x", kRead);
  CHECK(decision.kind == Kind::error && decision.error == ENOENT && violations("hook", ENOENT) == 1);
  for (const int wrong : {0, -1, 4096, 1 << 30}) {
    answer(VerdictKind::deny, wrong);
    decision = world.path("/usr/x", kRead);
    CHECK(decision.kind == Kind::error && decision.error == EACCES && violations("hook", EACCES) == 1);
  }

  answer(VerdictKind::kill, SIGTERM);
  decision = world.path("/usr/x", kRead);
  CHECK(decision.kind == Kind::kill && decision.error == SIGTERM && violations("hook", EINTR) == 1);
  for (const int wrong : {0, -9, 65}) {
    answer(VerdictKind::kill, wrong);
    decision = world.path("/usr/x", kRead);
    CHECK(decision.kind == Kind::kill && decision.error == SIGKILL);
  }

  answer(VerdictKind::redirect, 0, "/work/other");
  decision = world.path("/usr/x", kRead);
  CHECK(decision.kind == Kind::redirect && decision.data == "/work/other" && violations("", 0) == 0);
  decision = world.path("/usr/x", 0, false, Event::stat);
  CHECK(decision.kind == Kind::error && decision.error == EACCES && violations("hook", EACCES) == 1);
  CHECK(world.connect("\x7f\0\0\1", 80).error == EACCES);
  for (const std::string& wrong : {std::string(), std::string(4096, 'x'), std::string("/a\0b\0c", 6),
                                   std::string("/a\0", 3), std::string("\0b", 2)}) {
    answer(VerdictKind::redirect, 0, wrong);
    CHECK(world.path("/usr/x", kRead).error == EACCES);
  }
  RedirectAddress to = {AF_INET, 8080, {127, 0, 0, 1}};
  answer(VerdictKind::redirect, 0, std::string(reinterpret_cast<char*>(&to), sizeof to));
  decision = world.connect("\x7f\0\0\1", 80);
  CHECK(decision.kind == Kind::redirect && decision.data.size() == sizeof to);
  to.port = 65536;
  answer(VerdictKind::redirect, 0, std::string(reinterpret_cast<char*>(&to), sizeof to));
  CHECK(world.connect("\x7f\0\0\1", 80).error == EACCES);

  answer(VerdictKind::respond, 0, std::string("text\0text", 9));
  decision = world.path("/usr/x", kRead);
  CHECK(decision.kind == Kind::respond && decision.data.size() == 9);
  CHECK(world.path("/usr/x", 0, false, Event::stat).error == EACCES);

  for (const int unknown : {6, 77, -1}) {
    answer(static_cast<VerdictKind>(unknown));
    decision = world.path("/usr/x", kRead);
    CHECK(decision.kind == Kind::error && decision.error == EACCES && violations("hook", EACCES) == 1);
  }
}

static void what_hooks_are_told() {
  World world;
  world.hook(1, Event::exec);
  world.hook(1, Event::utimes);
  std::vector<std::string> arguments(20'000, "argument");
  arguments[1] = "";
  Facts facts;
  facts.event = Event::exec;
  facts.paths[0] = {"/usr/bin/cc", kExecute, false};
  facts.path_count = 1;
  facts.interpreter = "/usr/bin/sh";
  facts.argv = arguments.data();
  facts.argv_count = 3;
  CHECK(decide(world.sandbox, world.call, facts).allowed());
  facts.argv_count = arguments.size();
  CHECK(decide(world.sandbox, world.call, facts).allowed());
  auto told = world.told();
  CHECK(told.size() == 2);
  CHECK(told[0].counts[Tag::argv_] == 3 && told[0].number(Tag::count_) == 3 &&
        told[0].text(Tag::interpreter_) == "/usr/bin/sh");
  CHECK(told[0].text(Tag::path_) == "/usr/bin/cc" && told[0].number(Tag::access_) == kExecute);
  CHECK(told[0].number(Tag::event_) == static_cast<int64_t>(Event::exec) && told[0].text(Tag::executable_) != "-");
  CHECK(told[1].number(Tag::count_) == 20'000 && told[1].counts[Tag::argv_] > 3000 &&
        told[1].counts[Tag::argv_] < 20'000);

  const std::string deep = "/usr/" + std::string(kMaxRecord, 'x');
  facts.paths[0].name = deep;
  CHECK(decide(world.sandbox, world.call, facts).error == ENAMETOOLONG);
  told = world.told();
  CHECK(told.size() == 1 && told[0].kind == RecordKind::violation && told[0].number(Tag::errno_) == ENAMETOOLONG);

  const int64_t times[4] = {1, 2, -3, 4};
  Facts details;
  details.event = Event::utimes;
  details.event_syscall = "utimensat";
  details.paths[0] = {"/work/x", kWrite, false};
  details.path_count = 1;
  details.times = times;
  details.flags = 0;
  details.uid = -1;
  CHECK(decide(world.sandbox, world.call, details).allowed());
  told = world.told();
  CHECK(told.size() == 1 && told[0].number(Tag::mtimeSec_) == -3 && told[0].number(Tag::atimeNsec_) == 2);
  CHECK(told[0].number(Tag::flags_) == 0 && told[0].number(Tag::uid_) == -1 && !told[0].has(Tag::gid_) &&
        !told[0].has(Tag::mode_));
  CHECK(told[0].text(Tag::syscall_) == "utimensat");
}

static void endings() {
  World world;
  world.hook(1, Event::open);
  world.answers = false;
  caller_died = true;
  CHECK(world.path("/usr/x", kRead).kind == Kind::gone);
  caller_died = false;
  const auto told = world.told();
  CHECK(told.size() == 2 && told[0].kind == RecordKind::ask && told[1].kind == RecordKind::forgotten);
  world.pair.channel.lose();
  const Decision decision = world.path("/usr/x", kRead);
  CHECK(decision.kind == Kind::error && decision.error == EPERM);
  CHECK(world.path("/work/secret", kRead).error == EACCES);
}

int main() {
  rules_alone();
  cheap();
  filters();
  verdicts();
  what_hooks_are_told();
  endings();
  if (failures == 0) std::printf("decide: ok\n");
  return failures == 0 ? 0 : 1;
}
