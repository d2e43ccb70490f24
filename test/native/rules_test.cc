// Policy rules against a naive reading of what they mean; the addresses that programs can give; and the time of a
// look-up with few and with many rules (printed, not asserted).
#include "../../native/policy/rules.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "check.h"

using namespace holdfast;
using protocol::kBind;
using protocol::kConnect;
using protocol::kExecute;
using protocol::kMetadata;
using protocol::kRead;
using protocol::kWrite;

static const char* text(Effect effect) {
  return effect == Effect::allow ? "allow" : effect == Effect::deny ? "deny" : "none";
}

static void expect(const Match& match, Effect effect, const char* label, const std::string& what) {
  if (match.effect == effect && (effect == Effect::none || std::strcmp(match.label, label) == 0)) return;
  std::printf("%s: %s by '%s', expected %s by '%s'\n", what.c_str(), text(match.effect), match.label, text(effect),
              label);
  failures++;
}

constexpr uint8_t kAll = kRead | kWrite | kExecute;

static void paths() {
  Rules rules;
  CHECK(rules.add_path("/usr", kRead, Effect::allow, "read[0]"));
  CHECK(rules.add_path("/home/u/p", kRead, Effect::allow, "read[1]"));
  CHECK(rules.add_path("/home/u/p", kWrite, Effect::allow, "write[0]"));
  CHECK(rules.add_path("/home/u/p/secret", kAll, Effect::deny, "deny[0]"));
  CHECK(rules.add_path("/home/u/p/secret/public", kRead, Effect::allow, "read[2]"));
  CHECK(rules.add_path("/etc/both", kRead, Effect::deny, "deny[1]"));
  CHECK(rules.add_path("/etc/both", kRead, Effect::allow, "read[3]"));
  CHECK(rules.add_path("/drop", kWrite, Effect::allow, "write[1]"));
  CHECK(rules.add_path("/drop", kRead, Effect::deny, "deny[2]"));
  CHECK(rules.add_path("/drop/in", kRead, Effect::deny, "deny[3]"));
  CHECK(rules.add_visible("/lib"));
  CHECK(rules.add_visible("/var/run/link"));
  CHECK(rules.exec_by_rule);  // a deny rule speaks of it too
  CHECK(rules.finish());
  CHECK(!rules.finish());
  CHECK(!rules.add_path("/late", kRead, Effect::allow, ""));

  const auto read = [&](const char* path, Effect effect, const char* label = "") {
    expect(rules.path(path, kRead), effect, label, std::string("read ") + path);
  };
  const auto write = [&](const char* path, Effect effect, const char* label = "") {
    expect(rules.path(path, kWrite), effect, label, std::string("write ") + path);
  };
  const auto metadata = [&](const char* path, Effect effect) {
    if (rules.metadata(path).effect == effect) return;
    std::printf("metadata of %s: %s\n", path, text(rules.metadata(path).effect));
    failures++;
  };
  read("/usr", Effect::allow, "read[0]");
  read("/usr/bin/cc", Effect::allow, "read[0]");
  read("/usrx", Effect::none);
  read("/us", Effect::none);
  read("/", Effect::none);
  write("/usr/bin/cc", Effect::none);
  read("/home/u/p/a/b/c", Effect::allow, "read[1]");
  write("/home/u/p/a", Effect::allow, "write[0]");
  read("/home/u", Effect::none);
  read("/home/u/p/secret", Effect::deny, "deny[0]");
  read("/home/u/p/secrets", Effect::allow, "read[1]");
  read("/home/u/p/secret/x", Effect::deny, "deny[0]");
  write("/home/u/p/secret/public/x", Effect::deny, "deny[0]");
  read("/home/u/p/secret/public/x", Effect::allow, "read[2]");
  read("/etc/both/x", Effect::deny, "deny[1]");
  // Names that are not canonical match nothing.
  read("", Effect::none);
  read("usr", Effect::none);
  read("pipe:[12]", Effect::none);
  read("/usr//bin", Effect::none);
  read("/home//u/p", Effect::none);
  read("//usr", Effect::none);

  metadata("/usr/x", Effect::allow);
  for (const char* ancestor : {"/", "/home", "/home/u", "/home/u/p", "/home/u/p/secret"})
    metadata(ancestor, Effect::allow);
  metadata("/home/v", Effect::none);
  metadata("/home/u/q", Effect::none);
  metadata("/home/u/p/secret/x", Effect::deny);
  metadata("/home/u/p/secret/public", Effect::allow);
  metadata("/etc/both", Effect::deny);
  metadata("/etc", Effect::none);  // only a denied rule is below
  metadata("/drop/x", Effect::allow);
  metadata("/drop/in/x", Effect::deny);
  metadata("/lib", Effect::allow);
  metadata("/lib/x", Effect::none);
  metadata("/var/run", Effect::allow);
  metadata("/var/run/link", Effect::allow);
  metadata("/var/run/other", Effect::none);
  read("/lib", Effect::none);

  Rules root;
  CHECK(root.add_path("/", kAll, Effect::allow, "read[0]"));
  CHECK(root.add_path("/etc/shadow", kRead, Effect::deny, "deny[0]"));
  CHECK(root.exec_by_rule);
  CHECK(root.finish());
  expect(root.path("/", kRead), Effect::allow, "read[0]", "/");
  expect(root.path("/a", kWrite), Effect::allow, "read[0]", "/a");
  expect(root.path("/etc/shadow", kRead), Effect::deny, "deny[0]", "/etc/shadow");
  CHECK(root.metadata("/etc/shadow").effect == Effect::deny);

  // A right of its own: beside the others, and refused on its own too.
  Rules looked;
  CHECK(looked.add_path("/", kMetadata, Effect::allow, "files.metadata[0]"));
  CHECK(looked.add_path("/a", kRead | kWrite | kExecute, Effect::deny, "files.deny[0]"));
  CHECK(looked.add_path("/b", kRead | kWrite | kExecute | kMetadata, Effect::deny, "files.deny[1]"));
  CHECK(looked.add_path("/b/c", kRead, Effect::allow, "files.read[0]"));
  CHECK(looked.add_path("/d", kRead, Effect::allow, "files.read[1]"));
  CHECK(looked.add_path("/d", kMetadata, Effect::deny, "files.deny[2]"));
  CHECK(looked.finish());
  const auto looks = [&](const char* path, Effect effect) { CHECK(looked.metadata(path).effect == effect); };
  looks("/", Effect::allow);
  looks("/etc/shadow", Effect::allow);
  looks("/a/x", Effect::allow);
  looks("/b", Effect::allow);  // on the way to what may be read
  looks("/b/x", Effect::deny);
  looks("/b/c/x", Effect::allow);
  looks("/d/x", Effect::deny);
  CHECK(looked.path("/etc/shadow", kRead).effect == Effect::none && looked.path("/a/x", kRead).effect == Effect::deny);
  CHECK(looked.path("/d/x", kRead).effect == Effect::allow);

  Rules none;
  CHECK(none.finish());
  CHECK(none.path("/", kRead).effect == Effect::none && none.metadata("/").effect == Effect::none);

  Rules bad;
  for (const char* path : {"", "a", "/a/", "//", "/a//b", "/a/./b", "/a/..", "/."})
    CHECK(!bad.add_path(path, kRead, Effect::allow, "") && !bad.add_visible(path));
  CHECK(!bad.add_path(std::string_view("/a\0b", 4), kRead, Effect::allow, ""));
  CHECK(!bad.add_path("/a", 0, Effect::allow, ""));
  CHECK(!bad.add_path("/a", 16, Effect::allow, ""));
  CHECK(!bad.add_path("/a", kRead, Effect::none, ""));
}

// Random rules in a small world, so that they meet; every answer compared with one that looks at each rule.
static void random_paths() {
  struct Rule {
    std::string path;
    uint8_t access;
    Effect effect;
    std::string label;
  };
  std::mt19937 random(11);
  const auto path = [&] {
    std::string out;
    for (size_t depth = random() % 5; depth > 0; depth--)
      out += "/" + std::string(random() % 2 + 1, "abc"[random() % 3]);
    return out.empty() ? std::string("/") : out;
  };
  const auto covers = [](const std::string& rule, const std::string& name) {
    return rule == "/" || name == rule ||
           (name.size() > rule.size() && name.compare(0, rule.size(), rule) == 0 && name[rule.size()] == '/');
  };
  const auto depth = [](const std::string& name) {
    return name == "/" ? 0 : std::count(name.begin(), name.end(), '/');
  };
  for (int round = 0; round < 3000; round++) {
    std::vector<Rule> list;
    std::vector<std::string> visible;
    Rules rules;
    for (size_t n = random() % 12; n > 0; n--) {
      Rule rule = {path(), static_cast<uint8_t>(random() % 7 + 1), random() % 3 == 0 ? Effect::deny : Effect::allow,
                   "rule " + std::to_string(n)};
      CHECK(rules.add_path(rule.path, rule.access, rule.effect, rule.label));
      list.push_back(rule);
    }
    if (random() % 3 == 0) {
      visible.push_back(path());
      CHECK(rules.add_visible(visible.back()));
    }
    CHECK(rules.finish());
    const auto naive = [&](const std::string& name, uint8_t bit) {
      const Rule* best = nullptr;
      for (const Rule& rule : list) {
        if ((rule.access & bit) == 0 || !covers(rule.path, name)) continue;
        const bool deeper = best == nullptr || depth(rule.path) > depth(best->path);
        const bool same = best != nullptr && depth(rule.path) == depth(best->path);
        if (deeper || (same && rule.effect == Effect::deny && best->effect == Effect::allow)) best = &rule;
      }
      return best;
    };
    const auto naive_metadata = [&](const std::string& name) {
      for (const Rule& rule : list)
        for (const uint8_t bit : {kRead, kWrite, kExecute}) {
          const Rule* at = naive(rule.path, bit);
          if (rule.path != name && covers(name, rule.path) && at != nullptr && at->effect == Effect::allow &&
              depth(at->path) == depth(rule.path))
            return Effect::allow;
        }
      for (const std::string& seen : visible)
        if (covers(name, seen)) return Effect::allow;
      const Rule* read = naive(name, kRead);
      long allow = -1;
      for (const uint8_t bit : {kRead, kWrite, kExecute}) {
        const Rule* rule = naive(name, bit);
        if (rule != nullptr && rule->effect == Effect::allow) allow = std::max<long>(allow, depth(rule->path));
      }
      if (read != nullptr && read->effect == Effect::deny && depth(read->path) > allow) return Effect::deny;
      return allow >= 0 ? Effect::allow : Effect::none;
    };
    for (int i = 0; i < 40; i++) {
      const std::string name = path();
      for (const uint8_t bit : {kRead, kWrite, kExecute}) {
        const Rule* rule = naive(name, bit);
        expect(rules.path(name, bit), rule == nullptr ? Effect::none : rule->effect,
               rule == nullptr ? "" : rule->label.c_str(), "random " + name);
      }
      CHECK(rules.metadata(name).effect == naive_metadata(name));
    }
  }
}

static Address inet(const char* address, uint16_t port) {
  Address out;
  const bool six = std::strchr(address, ':') != nullptr;
  sockaddr_in6 in6 = {};
  sockaddr_in in = {};
  in6.sin6_family = AF_INET6;
  in.sin_family = AF_INET;
  in6.sin6_port = in.sin_port = htons(port);
  CHECK(inet_pton(six ? AF_INET6 : AF_INET, address, six ? static_cast<void*>(&in6.sin6_addr) : &in.sin_addr) == 1);
  CHECK(six ? Address::parse(&in6, sizeof in6, out) : Address::parse(&in, sizeof in, out));
  return out;
}

static bool add(Rules& rules, const char* address, unsigned prefix, uint16_t low, uint16_t high, uint8_t operations,
                Effect effect, const char* label) {
  uint8_t bytes[16];
  const int family = std::strchr(address, ':') != nullptr ? AF_INET6 : AF_INET;
  CHECK(inet_pton(family, address, bytes) == 1);
  return rules.add_address(static_cast<uint16_t>(family), bytes, prefix, low, high, operations, effect, label);
}

static void addresses() {
  Rules rules;
  CHECK(!rules.any_address(kConnect) && !rules.any_address(kBind));
  CHECK(add(rules, "10.0.0.0", 8, 0, 65535, kConnect, Effect::allow, "ten"));
  CHECK(add(rules, "10.1.0.0", 16, 80, 80, kConnect, Effect::allow, "ten.one:80"));
  CHECK(add(rules, "10.1.2.0", 24, 0, 65535, kConnect, Effect::deny, "not ten.one.two"));
  CHECK(add(rules, "10.1.2.3", 32, 0, 65535, kConnect, Effect::allow, "never: deny wins"));
  CHECK(add(rules, "127.0.0.1", 32, 3000, 3999, kConnect | kBind, Effect::allow, "local"));
  CHECK(add(rules, "127.0.0.1", 32, 3500, 3600, kConnect, Effect::deny, "not these"));
  CHECK(add(rules, "2001:db8::", 32, 0, 65535, kConnect, Effect::allow, "six"));
  CHECK(add(rules, "2001:db8::1", 128, 443, 443, kConnect, Effect::allow, "six one"));
  CHECK(add(rules, "2001:db8:8000::", 33, 0, 65535, kConnect, Effect::deny, "not upper half"));
  CHECK(add(rules, "::ffff:192.168.0.0", 112, 0, 65535, kConnect, Effect::allow, "mapped"));
  CHECK(!add(rules, "10.0.0.0", 33, 0, 65535, kConnect, Effect::allow, ""));
  CHECK(!add(rules, "::", 129, 0, 65535, kConnect, Effect::allow, ""));
  CHECK(!add(rules, "10.0.0.0", 8, 2, 1, kConnect, Effect::allow, ""));
  CHECK(!add(rules, "10.0.0.0", 8, 1, 2, 0, Effect::allow, ""));
  CHECK(!add(rules, "10.0.0.0", 8, 1, 2, 4, Effect::allow, ""));
  const uint8_t any[16] = {};
  CHECK(!rules.add_address(AF_UNIX, any, 0, 0, 1, kConnect, Effect::allow, ""));
  CHECK(rules.finish());
  CHECK(rules.any_address(kConnect) && rules.any_address(kBind));

  const auto connect = [&](const char* to, uint16_t port, Effect effect, const char* label = "") {
    expect(rules.address(inet(to, port), kConnect), effect, label, std::string("connect ") + to);
  };
  connect("10.9.9.9", 1, Effect::allow, "ten");
  connect("10.1.9.9", 80, Effect::allow, "ten.one:80");
  connect("10.1.9.9", 81, Effect::allow, "ten");
  connect("10.1.2.3", 80, Effect::deny, "not ten.one.two");
  connect("11.0.0.0", 80, Effect::none);
  connect("127.0.0.1", 3000, Effect::allow, "local");
  connect("127.0.0.1", 3999, Effect::allow, "local");
  connect("127.0.0.1", 4000, Effect::none);
  connect("127.0.0.1", 2999, Effect::none);
  connect("127.0.0.1", 3500, Effect::deny, "not these");
  connect("::ffff:127.0.0.1", 3500, Effect::deny, "not these");
  connect("::ffff:127.0.0.1", 3000, Effect::allow, "local");
  connect("::127.0.0.1", 3000, Effect::none);
  connect("192.168.7.7", 9, Effect::allow, "mapped");
  connect("192.169.7.7", 9, Effect::none);
  connect("2001:db8::1", 443, Effect::allow, "six one");
  connect("2001:db8::1", 444, Effect::allow, "six");
  connect("2001:db8:8000::1", 443, Effect::deny, "not upper half");
  connect("2001:db9::1", 443, Effect::none);
  expect(rules.address(inet("127.0.0.1", 3550), kBind), Effect::allow, "local", "bind");
  expect(rules.address(inet("10.0.0.1", 80), kBind), Effect::none, "", "bind");
  // To connect to the unspecified address is to connect to this machine.
  connect("0.0.0.0", 3000, Effect::allow, "local");
  connect("0.0.0.0", 3550, Effect::deny, "not these");
  connect("0.0.0.0", 80, Effect::none);
  connect("::", 3550, Effect::deny, "not these");
  connect("::", 3000, Effect::none);
  expect(rules.address(inet("0.0.0.0", 3000), kBind), Effect::none, "", "bind to every address");
  CHECK(rules.address(inet("10.0.0.1", 80), 0).effect == Effect::none);
  CHECK(rules.address(inet("10.0.0.1", 80), kConnect | kBind).effect == Effect::none);

  Rules everywhere;
  CHECK(add(everywhere, "0.0.0.0", 0, 0, 65535, kConnect, Effect::allow, "all"));
  CHECK(add(everywhere, "::", 0, 0, 65535, kConnect, Effect::allow, "all"));
  CHECK(add(everywhere, "::1", 128, 22, 22, kConnect, Effect::deny, "ssh"));
  CHECK(add(everywhere, "127.0.0.0", 8, 23, 23, kConnect, Effect::deny, "telnet"));
  CHECK(everywhere.finish());
  expect(everywhere.address(inet("::", 22), kConnect), Effect::deny, "ssh", "::");
  expect(everywhere.address(inet("::", 23), kConnect), Effect::deny, "telnet", "::");
  expect(everywhere.address(inet("::", 24), kConnect), Effect::allow, "all", "::");
  expect(everywhere.address(inet("0.0.0.0", 22), kConnect), Effect::allow, "all", "0.0.0.0");
  expect(everywhere.address(inet("0.0.0.0", 23), kConnect), Effect::deny, "telnet", "0.0.0.0");
  CHECK(!everywhere.any_address(kBind));

  Address odd = inet("10.0.0.1", 80);
  odd.family = AF_APPLETALK;
  CHECK(rules.address(odd, kConnect).effect == Effect::none);
  odd.family = AF_UNSPEC;  // bind() and sendto() take it for IPv4
  expect(rules.address(odd, kConnect), Effect::allow, "ten", "AF_UNSPEC");
}

static void random_addresses() {
  struct Rule {
    bool six;
    uint8_t bytes[16];
    unsigned prefix;
    uint16_t low, high;
    uint8_t operations;
    Effect effect;
    std::string label;
  };
  std::mt19937 random(13);
  // Few different bits, so that rules and addresses meet. The first byte is never 0: :: and mapped addresses are
  // others' tests.
  const auto bytes = [&](uint8_t* out) {
    std::memset(out, 0, 16);
    out[0] = 32 | random() % 2 << 4;
    for (const int at : {1, 3, 8, 15}) out[at] = random() % 2 * 128 + random() % 2;
  };
  const auto bit = [](const uint8_t* from, unsigned at) { return from[at / 8] >> (7 - at % 8) & 1; };
  for (int round = 0; round < 3000; round++) {
    std::vector<Rule> list;
    Rules rules;
    for (size_t n = random() % 14; n > 0; n--) {
      Rule rule = {};
      rule.six = random() % 2;
      bytes(rule.bytes);
      rule.prefix = random() % 4 == 0 ? (rule.six ? 128 : 32) : random() % (rule.six ? 129 : 33);
      rule.low = random() % 12;
      rule.high = rule.low + random() % 6;
      if (random() % 4 == 0) rule.low = 0, rule.high = 65535;
      rule.operations = random() % 3 + 1;
      rule.effect = random() % 3 == 0 ? Effect::deny : Effect::allow;
      rule.label = "rule " + std::to_string(n);
      CHECK(rules.add_address(rule.six ? AF_INET6 : AF_INET, rule.bytes, rule.prefix, rule.low, rule.high,
                              rule.operations, rule.effect, rule.label));
      list.push_back(rule);
    }
    CHECK(rules.finish());
    for (int i = 0; i < 40; i++) {
      Address address;
      address.family = random() % 2 ? AF_INET6 : AF_INET;
      bytes(address.bytes);
      address.port = random() % 8 == 0 ? 65535 : random() % 18;
      const uint8_t operation = random() % 2 + 1;
      const Rule* best = nullptr;
      for (const Rule& rule : list) {
        bool fits = rule.six == (address.family == AF_INET6) && (rule.operations & operation) != 0 &&
                    rule.low <= address.port && address.port <= rule.high;
        for (unsigned at = 0; fits && at < rule.prefix; at++) fits = bit(rule.bytes, at) == bit(address.bytes, at);
        if (!fits) continue;
        if (best == nullptr || (rule.effect != best->effect ? rule.effect == Effect::deny : rule.prefix > best->prefix))
          best = &rule;
      }
      expect(rules.address(address, operation), best == nullptr ? Effect::none : best->effect,
             best == nullptr ? "" : best->label.c_str(), "random address");
    }
  }
}

static Address unix_name(std::string_view name, bool abstract = false) {
  Address out;
  out.family = AF_UNIX;
  out.unix_name = name;
  out.abstract = abstract;
  return out;
}

static void unix_sockets() {
  Rules rules;
  CHECK(rules.add_unix("/run/db", kConnect, Effect::allow, "db"));
  CHECK(rules.add_unix("/run/db/admin.sock", kConnect | kBind, Effect::deny, "not admin"));
  CHECK(rules.add_unix("@bus", kConnect, Effect::allow, "bus"));
  CHECK(rules.add_unix(std::string_view("@a\0b", 4), kBind, Effect::allow, "nul"));
  CHECK(rules.add_unix("@x/y", kBind, Effect::deny, "slash"));
  CHECK(!rules.add_unix("", kConnect, Effect::allow, ""));
  CHECK(!rules.add_unix("run/db", kConnect, Effect::allow, ""));
  CHECK(!rules.add_unix("/run/db", 0, Effect::allow, ""));
  CHECK(rules.finish());
  expect(rules.address(unix_name("/run/db"), kConnect), Effect::allow, "db", "db");
  expect(rules.address(unix_name("/run/db/x.sock"), kConnect), Effect::allow, "db", "below db");
  expect(rules.address(unix_name("/run/db/x.sock"), kBind), Effect::none, "", "bind below db");
  expect(rules.address(unix_name("/run/dbx"), kConnect), Effect::none, "", "dbx");
  expect(rules.address(unix_name("/run/db/admin.sock"), kConnect), Effect::deny, "not admin", "admin");
  expect(rules.address(unix_name("@bus", true), kConnect), Effect::allow, "bus", "@bus");
  expect(rules.address(unix_name("@bus"), kConnect), Effect::none, "", "a file called @bus");
  expect(rules.address(unix_name("@bus2", true), kConnect), Effect::none, "", "@bus2");
  expect(rules.address(unix_name("@bu", true), kConnect), Effect::none, "", "@bu");
  expect(rules.address(unix_name("/run/db", true), kConnect), Effect::none, "", "abstract /run/db");
  expect(rules.address(unix_name(std::string_view("@a\0b", 4), true), kBind), Effect::allow, "nul", "@a.b");
  expect(rules.address(unix_name("@a", true), kBind), Effect::none, "", "@a");
  expect(rules.address(unix_name("@x", true), kBind), Effect::none, "", "@x");
  expect(rules.address(unix_name("@x/y", true), kBind), Effect::deny, "slash", "@x/y");
  expect(rules.address(unix_name(""), kConnect), Effect::none, "", "unnamed");
  CHECK(rules.any_address(kConnect) && rules.any_address(kBind));
}

static void parsing() {
  Address out;
  sockaddr_in in = {};
  in.sin_family = AF_INET;
  in.sin_port = htons(8080);
  in.sin_addr.s_addr = htonl(0x7f000001);
  for (size_t size = 0; size < sizeof in; size++) CHECK(!Address::parse(&in, size, out));
  CHECK(Address::parse(&in, sizeof in, out) && out.family == AF_INET && out.port == 8080 && out.text() == "127.0.0.1");

  sockaddr_in6 in6 = {};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(1);
  in6.sin6_addr.s6_addr[0] = 0xfe;
  in6.sin6_addr.s6_addr[1] = 0x80;
  in6.sin6_scope_id = 7;
  CHECK(!Address::parse(&in6, 23, out));
  CHECK(Address::parse(&in6, 24, out) && out.scope == 0 && out.text() == "fe80::");
  CHECK(Address::parse(&in6, 28, out) && out.scope == 7 && out.family == AF_INET6 && out.port == 1);
  CHECK(inet("::ffff:1.2.3.4", 5).family == AF_INET && inet("::ffff:1.2.3.4", 5).text() == "1.2.3.4");

  in.sin_family = AF_UNSPEC;
  CHECK(Address::parse(&in, 2, out) && out.family == 0 && out.port == 0 && out.text() == "0.0.0.0");
  CHECK(Address::parse(&in, sizeof in, out) && out.family == 0 && out.port == 8080 && out.text() == "127.0.0.1");
  CHECK(!Address::parse(&in, 1, out) && !Address::parse(&in, 0, out));
  in.sin_family = AF_NETLINK;
  CHECK(!Address::parse(&in, sizeof in, out));

  sockaddr_un un = {};
  un.sun_family = AF_UNIX;
  constexpr size_t kHead = offsetof(sockaddr_un, sun_path);
  CHECK(Address::parse(&un, kHead, out) && out.unix_name.empty() && !out.abstract);
  std::strcpy(un.sun_path, "/run/x");
  CHECK(Address::parse(&un, sizeof un, out) && out.unix_name == "/run/x" && !out.abstract && out.text() == "/run/x");
  CHECK(Address::parse(&un, kHead + 6, out) && out.unix_name == "/run/x");
  CHECK(Address::parse(&un, kHead + 4, out) && out.unix_name == "/run");
  std::memset(un.sun_path, 'x', sizeof un.sun_path);
  CHECK(Address::parse(&un, sizeof un, out) && out.unix_name.size() == 108);
  CHECK(!Address::parse(&un, sizeof un + 1, out));
  std::memcpy(un.sun_path, "\0a\0b", 4);
  CHECK(Address::parse(&un, kHead + 4, out) && out.abstract && out.unix_name == std::string_view("@a\0b", 4));
  CHECK(Address::parse(&un, kHead + 1, out) && out.abstract && out.unix_name == "@");
  CHECK(Address::parse(&un, sizeof un, out) && out.abstract && out.unix_name.size() == 108);

  // A copy has a name of its own.
  Address copy;
  {
    Address original;
    std::strcpy(un.sun_path, "/run/original");
    CHECK(Address::parse(&un, sizeof un, original));
    copy = original;
    std::strcpy(un.sun_path, "/run/overwritten");
    CHECK(Address::parse(&un, sizeof un, original));
  }
  const Address second(copy);
  CHECK(copy.unix_name == "/run/original" && second.unix_name == "/run/original");
}

static double nanoseconds_per_look(size_t count) {
  Rules rules;
  std::vector<std::string> names;
  for (size_t i = 0; i < count; i++) {
    const std::string base = "/srv/p" + std::to_string(i % 97) + "/packages/q" + std::to_string(i);
    rules.add_path(base, kRead, i % 5 == 0 ? Effect::deny : Effect::allow, "rule");
    if (i % (count / 10) == 0) names.push_back(base + "/src/lib/index.js");
  }
  rules.add_path("/usr", kRead, Effect::allow, "rule");
  rules.finish();
  for (int i = 0; i < 10; i++) names.push_back("/usr/lib/x86_64-linux-gnu/lib" + std::to_string(i) + ".so");
  double best = 1e9;
  int found = 0;
  for (int run = 0; run < 5; run++) {
    constexpr int kLooks = 100'000;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kLooks; i++) found += rules.path(names[i % names.size()], kRead).effect != Effect::none;
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count() / kLooks);
  }
  CHECK(found == 500'000);
  return best;
}

// Right times part times thing: docs/api.md, "What a rule on a path means".
static void parts() {
  Rules rules;
  CHECK(rules.add_path("/proj", kRead, Effect::allow, "read[0]"));
  CHECK(rules.add_path("/proj/dist", kWrite, Effect::allow, "write[0]"));
  CHECK(rules.add_path("/proj/dist/sub", kWrite, Effect::allow, "write[1]"));
  CHECK(rules.add_path("/proj/dist/kept", kWrite, Effect::deny, "deny[0]"));
  CHECK(rules.add_path("/dev/null", kWrite, Effect::allow, "defaults"));
  CHECK(rules.finish());
  const auto is = [&](const char* path, Part part, Thing thing, Effect effect, const char* label = "") {
    expect(rules.look(path).change(part, thing), effect, label, path);
  };
  const auto all = {Thing::ordinary, Thing::pipe, Thing::device};
  for (const Thing thing : all) {
    // What it is on.
    is("/proj/dist", Part::contents, thing, Effect::allow, "write[0]");
    is("/proj/dist", Part::name, thing, Effect::none);
    is("/dev/null", Part::contents, thing, Effect::allow, "defaults");
    is("/dev/null", Part::name, thing, Effect::none);
    is("/proj/dist/kept", Part::contents, thing, Effect::deny, "deny[0]");
    is("/proj/dist/kept", Part::name, thing, Effect::deny, "deny[0]");
    is("/proj/dist/kept/x", Part::name, thing, Effect::deny, "deny[0]");
    is("/proj/x", Part::name, thing, Effect::none);
  }
  is("/proj/dist", Part::attributes, Thing::ordinary, Effect::allow, "write[0]");
  is("/dev/null", Part::attributes, Thing::device, Effect::none);
  is("/dev/null", Part::attributes, Thing::pipe, Effect::none);
  // Below it, the names are its own; devices never are.
  for (const Part part : {Part::attributes, Part::name}) {
    is("/proj/dist/x", part, Thing::ordinary, Effect::allow, "write[0]");
    is("/proj/dist/x", part, Thing::pipe, Effect::allow, "write[0]");
    is("/proj/dist/x", part, Thing::device, Effect::none);
  }
  // A rule of its own takes nothing from what the rule above gives.
  is("/proj/dist/sub", Part::name, Thing::ordinary, Effect::allow, "write[0]");
  is("/proj/dist/sub/x", Part::name, Thing::ordinary, Effect::allow, "write[1]");

  // Folders that may be moved, and so come to be called otherwise during a walk.
  CHECK(!rules.look("/proj/dist").movable && !rules.look("/proj/dist/x").movable);
  CHECK(rules.look("/proj/dist/x/y").movable && rules.look("/proj/dist/sub/x").movable);
  CHECK(!rules.look("/proj/src/x/y").movable && !rules.look("/").movable);

  // The command: that very name.
  CHECK(rules.add_command("/home/u/run"));
  CHECK(rules.path("/home/u/run", kRead).effect == Effect::allow);
  CHECK(rules.path("/home/u/run", kExecute).effect == Effect::allow);
  CHECK(rules.path("/home/u/run", kWrite).effect == Effect::none);
  CHECK(rules.path("/home/u/run/x", kRead).effect == Effect::none);
  CHECK(rules.metadata("/home/u").effect == Effect::allow && rules.has_rule_below("/home/u"));
}

void test_reach() {
  const uint8_t none[16] = {};
  const auto all = [&](Rules& rules, uint8_t operations, uint16_t low = 0) {
    return rules.add_address(AF_INET, none, 0, low, 65535, operations, Effect::allow, "all") &&
           rules.add_address(AF_INET6, none, 0, 0, 65535, operations, Effect::allow, "all") &&
           rules.add_unix("/", operations, Effect::allow, "all") &&
           rules.add_unix("@*", operations, Effect::allow, "all");
  };
  Rules whole;
  CHECK(all(whole, kConnect) && whole.finish());
  CHECK(whole.reach(kConnect).everything() && !whole.reach(kBind).everything() && whole.reach(kBind).denied.empty());
  Rules ports;  // all but one, and that one by another rule
  CHECK(all(ports, kConnect, 1) && all(ports, kBind, 1));
  CHECK(ports.add_address(AF_INET, none, 0, 0, 0, kBind, Effect::allow, "the last") && ports.finish());
  CHECK(!ports.reach(kConnect).internet && ports.reach(kConnect).paths && ports.reach(kBind).everything());
  Rules folder;
  CHECK(folder.add_unix("/run", kConnect, Effect::allow, "") && folder.add_unix("@x*", kConnect, Effect::allow, ""));
  CHECK(folder.add_address(AF_INET, none, 1, 0, 65535, kConnect, Effect::allow, "half") && folder.finish());
  const Rules::Reach some = folder.reach(kConnect);
  CHECK(!some.internet && !some.paths && !some.abstract && some.denied.empty());
  const auto denied = [&](auto deny) {
    Rules rules;
    CHECK(all(rules, kConnect | kBind) && deny(rules) && rules.finish());
    const Rules::Reach reach = rules.reach(kConnect);
    return !reach.everything() && reach.denied.size() == 1 && std::string_view(reach.denied[0]) == "no" &&
           rules.reach(kBind).everything();
  };
  const uint8_t one[16] = {10};
  CHECK(
      denied([&](Rules& rules) { return rules.add_address(AF_INET, one, 8, 0, 65535, kConnect, Effect::deny, "no"); }));
  CHECK(denied([&](Rules& rules) { return rules.add_address(AF_INET6, one, 8, 1, 1, kConnect, Effect::deny, "no"); }));
  CHECK(denied([&](Rules& rules) { return rules.add_unix("/run/x", kConnect, Effect::deny, "no"); }));
  CHECK(denied([&](Rules& rules) { return rules.add_unix("@x", kConnect, Effect::deny, "no"); }));
  CHECK(denied([&](Rules& rules) { return rules.add_unix("@x*", kConnect, Effect::deny, "no"); }));
}

void patterns() {
  Rules rules;
  CHECK(rules.add_path("/p", kRead | kWrite, Effect::allow, "p") && rules.add_path("/no", kRead, Effect::deny, "no"));
  CHECK(rules.add_path("/p/x/.env", kRead, Effect::allow, "deeper") &&
        rules.add_path("/m", kMetadata, Effect::allow, "m"));
  CHECK(rules.add_pattern("/", "**/.env", kRead | kWrite | kExecute | kMetadata, Effect::deny, "env"));
  CHECK(rules.add_pattern("/", "**/hidden", kRead, Effect::deny, "hidden"));
  CHECK(rules.add_pattern("/no", "*", kRead, Effect::allow, "not lifted"));
  CHECK(rules.add_pattern("/out", "*/d", kWrite, Effect::allow, "out"));
  CHECK(rules.add_pattern("/out", "*/d/**", kWrite, Effect::allow, "out"));
  CHECK(!rules.add_pattern("/", "[", kRead, Effect::deny, "") && !rules.add_pattern("/", "", kRead, Effect::deny, ""));
  CHECK(!rules.add_pattern("p", "*", kRead, Effect::deny, "") && !rules.add_pattern("/", "*", 0, Effect::deny, ""));
  CHECK(rules.finish() && !rules.add_pattern("/", "*", kRead, Effect::deny, "late"));

  const PathMatch env = rules.look("/p/x/.env");
  for (const Match* right : {&env.read, &env.write, &env.execute, &env.metadata, &env.name})
    CHECK(right->effect == Effect::deny && std::string_view(right->label) == "env");
  CHECK(rules.path("/p/x/.en", kRead).effect == Effect::allow);
  CHECK(rules.path("/no/a", kRead).effect == Effect::deny);
  // What refuses reading refuses a look, unless a rule of its own says so.
  CHECK(rules.metadata("/p/hidden").effect == Effect::deny && rules.metadata("/m/hidden").effect == Effect::allow);

  const PathMatch own = rules.look("/out/a/d");
  CHECK(own.write.effect == Effect::allow && own.name.effect == Effect::none && !own.movable);
  CHECK(own.metadata.effect == Effect::allow && own.read.effect == Effect::none);
  CHECK(rules.look("/out/a/d/e").name.effect == Effect::allow && !rules.look("/out/a/d/e").movable);
  CHECK(rules.look("/out/a/d/e/f").movable);
  CHECK(rules.metadata("/out/a").effect == Effect::allow && rules.metadata("/out").effect == Effect::allow);
  CHECK(rules.metadata("/out/a/e").effect == Effect::none && rules.look("/out/a").write.effect == Effect::none);

  CHECK(!rules.patterns_change_below("/p/a", "/p/b") && rules.patterns_change_below("/p/a", "/out/a/d/e"));
  CHECK(rules.patterns_change_below("/p/a", "/out/a") && rules.patterns_change_below("/p/.env", "/p/b"));
  CHECK(rules.patterns_change_below("/p/a", "/p/.env"));
  CHECK(!rules.decides_socket("/p/.env", kConnect));
}

int main() {
  patterns();
  test_reach();
  parts();
  paths();
  random_paths();
  addresses();
  random_addresses();
  unix_sockets();
  parsing();
  const double few = nanoseconds_per_look(10), many = nanoseconds_per_look(10'000);
  std::printf("rules: a look-up takes %.0f ns with 10 rules, %.0f ns with 10,000 (%.2f times)\n", few, many,
              many / few);
  return failures == 0 ? 0 : 1;
}
