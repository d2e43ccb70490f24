// The configuration that Node sends: what is read from it, what is refused and how, and where the paths of rules lead.
#include "../../native/policy/config.h"

#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>

#include "../../native/paths/canonical.h"
#include "../../native/paths/known_places.h"
#include "../../native/paths/mounts.h"
#include "../../native/protocol/tlv.h"
#include "check.h"

using namespace holdfast;
using namespace holdfast::protocol;

struct Blob {
  uint8_t buffer[65536];
  FieldWriter writer{buffer, sizeof buffer};

  Blob& options(int any_exec, int wait_for_tree) {
    const size_t mark = writer.begin(Tag::options_);
    writer.number(Tag::anyExec_, any_exec);
    writer.number(Tag::waitForTree_, wait_for_tree);
    writer.text(Tag::command_, "node");
    writer.end(mark);
    return *this;
  }
  Blob& file(int64_t effect, int64_t access, std::string_view path, std::string_view label = "files.read[0]") {
    const size_t mark = writer.begin(Tag::fileRule_);
    writer.number(Tag::effect_, effect);
    writer.number(Tag::access_, access);
    writer.text(Tag::path_, path);
    writer.text(Tag::label_, label);
    writer.end(mark);
    return *this;
  }
  Blob& address(int64_t family, std::string_view bytes, int64_t prefix, int64_t low, int64_t high,
                int64_t operations = 1) {
    const size_t mark = writer.begin(Tag::addressRule_);
    writer.number(Tag::effect_, 1);
    writer.number(Tag::operations_, operations);
    writer.number(Tag::family_, family);
    writer.text(Tag::bytes_, bytes);
    writer.number(Tag::prefix_, prefix);
    writer.number(Tag::portLow_, low);
    writer.number(Tag::portHigh_, high);
    writer.text(Tag::label_, "network.connect[0]");
    writer.end(mark);
    return *this;
  }
  Blob& socket(int64_t effect, std::string_view name) {
    const size_t mark = writer.begin(Tag::unixRule_);
    writer.number(Tag::effect_, effect);
    writer.number(Tag::operations_, 1);
    writer.text(Tag::path_, name);
    writer.text(Tag::label_, "network.connect[1]");
    writer.end(mark);
    return *this;
  }
  Blob& mount(std::string_view path) {
    const size_t mark = writer.begin(Tag::procMount_);
    writer.text(Tag::path_, path);
    writer.end(mark);
    return *this;
  }
  Blob& link(std::string_view place, std::string_view target) {
    const size_t mark = writer.begin(Tag::knownLink_);
    writer.text(Tag::path_, place);
    writer.text(Tag::target_, target);
    writer.end(mark);
    return *this;
  }
  Blob& hook(int64_t number, int64_t event, int64_t access, const char* pattern = nullptr, int64_t low = -1,
             int64_t high = -1) {
    const size_t mark = writer.begin(Tag::hookRule_);
    writer.number(Tag::hook_, number);
    writer.number(Tag::event_, event);
    writer.number(Tag::access_, access);
    if (pattern != nullptr) writer.text(Tag::pattern_, pattern);
    if (low >= 0) writer.number(Tag::portLow_, low);
    if (high >= 0) writer.number(Tag::portHigh_, high);
    writer.end(mark);
    return *this;
  }

  std::string refused() {
    Config config;
    std::string error;
    return config.parse(buffer, writer.size(), error) ? "" : error;
  }
};

static void expect(const std::string& got, const char* wanted) {
  if (got == wanted) return;
  std::printf("error is '%s', expected '%s'\n", got.c_str(), wanted);
  failures++;
}

static constexpr int64_t kOpen = static_cast<int64_t>(Event::open),
                         kConnectEvent = static_cast<int64_t>(Event::connect);

static void good() {
  Blob blob;
  blob.options(0, 1).file(1, 1, "/").address(AF_INET, std::string_view("\x7f\0\0\1", 4), 32, 80, 90);
  blob.address(AF_INET6, std::string_view("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16), 128, 0, 65535, 3).socket(1, "@bus");
  blob.hook(7, kOpen, 2, "*.key").hook(7, kOpen, 7).hook(9, kConnectEvent, 7, nullptr, 443, 443);
  Config config;
  std::string error;
  CHECK(config.parse(blob.buffer, blob.writer.size(), error));
  CHECK(error.empty());
  CHECK(!config.any_exec && config.wait_for_tree);
  CHECK(config.rules.path("/x", kRead).effect == Effect::allow);
  CHECK(std::strcmp(config.rules.path("/x", kRead).label, "files.read[0]") == 0);
  CHECK(config.rules.any_address(kConnect) && config.rules.any_address(kBind));
  CHECK(config.hooked(Event::open) && config.hooked(Event::connect) && !config.hooked(Event::stat) &&
        !config.hooked(Event::none));
  CHECK(config.hooks.size() == 3 && config.hooks_of[0].size() == 2);
  CHECK(config.hooks[0].hook == 7 && config.hooks[0].access == 2 && !config.hooks[0].names.any() &&
        !config.hooks[0].has_port);
  CHECK(config.hooks[0].names.matches("/a/b.key") && config.hooks[1].names.any());
  CHECK(config.hooks[2].has_port && config.hooks[2].port_low == 443 && config.hooks[2].port_high == 443);
  bool has_proc = false;
  for (const std::string& mount : config.proc_mounts) has_proc |= mount == "/proc";
  CHECK(has_proc);
  CHECK(!config.parse(blob.buffer, blob.writer.size(), error));  // once only
  std::vector<uint8_t> places;
  std::vector<std::string> mounts;
  const std::atomic<bool> stopped = false;
  CHECK(proc_mounts(mounts) == 0);
  with_known_places(mounts, nullptr, 0, places, stopped);
  CHECK(places.size() >= 24);  // /proc at least

  Config empty;
  CHECK(empty.parse(nullptr, 0, error) && empty.any_exec && !empty.wait_for_tree);
}

static void bad() {
  CHECK(Blob().mount("/proc").mount("/mnt/proc").link("/a", "b").refused().empty());
  expect(Blob().mount("proc").refused(), "procMount 0: path proc is not absolute");
  expect(Blob().mount("/proc").mount("").refused(), "procMount 1: no path");
  expect(Blob().link("a", "b").refused(), "knownLink 0: it is no path, or comes after a rule");
  expect(Blob().link("/a", "b").link("/a", "").refused(), "knownLink 1: no target");
  expect(Blob().link("/a", std::string_view("b\0", 2)).refused(), "knownLink 0: target contains a NUL byte");
  expect(Blob().socket(1, "@a").link("/a", "b").refused(), "knownLink 0: it is no path, or comes after a rule");
  expect(Blob().file(1, 1, "a").refused(), "fileRule 0: path a is not absolute");
  expect(Blob().file(3, 1, "/").refused(), "fileRule 0: effect is 3");
  expect(Blob().file(1, 1, "/").file(0, 1, "/").refused(), "fileRule 1: effect is 0");
  expect(Blob().file(1, 0, "/").refused(), "fileRule 0: access is 0");
  expect(Blob().file(1, 16, "/").refused(), "fileRule 0: access is 16");
  expect(Blob().file(1, 1, "").refused(), "fileRule 0: no path");
  expect(Blob().file(1, 1, "/", "").refused(), "fileRule 0: no label");
  expect(Blob().file(1, 1, std::string_view("/a\0", 3)).refused(), "fileRule 0: path contains a NUL byte");
  expect(Blob().file(1, 1, "/" + std::string(4095, 'a')).refused(), "fileRule 0: path is too long");
  expect(Blob().options(2, 0).refused(), "options: anyExec is 2");
  expect(Blob().options(1, 0).options(1, 0).refused(), "options: they are there twice");
  const std::string_view four("\x7f\0\0\1", 4);
  expect(Blob().address(AF_UNIX, four, 32, 0, 1).refused(), "addressRule 0: family is 1");
  expect(Blob().address(5, four, 32, 0, 1).refused(), "addressRule 0: family is 5");
  expect(Blob().address(AF_INET6, four, 32, 0, 1).refused(), "addressRule 0: bytes has 4 bytes");
  expect(Blob().address(AF_INET, four, 33, 0, 1).refused(), "addressRule 0: prefix is 33");
  expect(Blob().address(AF_INET, four, -1, 0, 1).refused(), "addressRule 0: prefix is -1");
  expect(Blob().address(AF_INET, four, 32, 2, 1).refused(), "addressRule 0: portHigh is 1");
  expect(Blob().address(AF_INET, four, 32, 0, 65536).refused(), "addressRule 0: portHigh is 65536");
  expect(Blob().address(AF_INET, four, 32, -1, 1).refused(), "addressRule 0: portLow is -1");
  expect(Blob().address(AF_INET, four, 32, 0, 1, 4).refused(), "addressRule 0: operations is 4");
  expect(Blob().socket(1, "").refused(), "unixRule 0: no path");
  expect(Blob().hook(-1, kOpen, 7).refused(), "hookRule 0: hook is -1");
  expect(Blob().hook(int64_t{1} << 32, kOpen, 7).refused(), "hookRule 0: hook is 4294967296");
  expect(Blob().hook(0, kEventCount, 7).refused(), ("hookRule 0: event is " + std::to_string(kEventCount)).c_str());
  expect(Blob().hook(0, -1, 7).refused(), "hookRule 0: event is -1");
  expect(Blob().hook(0, kOpen, 0).refused(), "hookRule 0: access is 0");
  expect(Blob().hook(0, kOpen, 7, "[").refused(), "hookRule 0: pattern [ is not valid");
  expect(Blob().hook(0, kConnectEvent, 7, nullptr, 9, 8).refused(), "hookRule 0: portHigh is 8");

  // Hooks come one by one after the rest, and bring nothing else; the rest comes once.
  Config config;
  std::string error;
  Blob rest, hook;
  rest.options(0, 0);
  hook.hook(0, kOpen, 7);
  CHECK(config.parse(rest.buffer, rest.writer.size(), error));
  CHECK(config.parse_hooks(hook.buffer, hook.writer.size(), error));
  CHECK(!config.parse_hooks(rest.buffer, rest.writer.size(), error));
  expect(error, "options comes too late");
  CHECK(!config.parse(hook.buffer, hook.writer.size(), error));
  expect(error, "the configuration was read before");
  const std::string long_one(Config::kMaxBytes + 1, '\0');
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(long_one.data());
  CHECK(!Config().parse(bytes, long_one.size(), error));
  expect(error, "the configuration is too long");
  error.clear();
  CHECK(!config.parse_hooks(bytes, long_one.size(), error));
  expect(error, "the configuration is too long");

  Blob twice;
  size_t mark = twice.writer.begin(Tag::fileRule_);
  twice.writer.number(Tag::effect_, 1);
  twice.writer.number(Tag::effect_, 2);
  twice.writer.end(mark);
  expect(twice.refused(), "fileRule 0: effect is there twice");
  Blob foreign;
  mark = foreign.writer.begin(Tag::hookRule_);
  foreign.writer.text(Tag::target_, "/");
  foreign.writer.end(mark);
  expect(foreign.refused(), "hookRule 0: target is not expected");
  Blob unknown;
  unknown.writer.number(static_cast<Tag>(0x777), 1);
  expect(unknown.refused(), "field 1911 is not expected");
  Blob misplaced;
  misplaced.writer.number(Tag::pid_, 1);
  expect(misplaced.refused(), "pid is not expected");
  Blob text_for_number;
  mark = text_for_number.writer.begin(Tag::fileRule_);
  text_for_number.writer.text(Tag::effect_, "allow");
  text_for_number.writer.end(mark);
  expect(text_for_number.refused(), "fileRule 0: effect is not a number");

  // Cut anywhere, it is refused or, between two rules, shorter; never read beyond its end.
  Blob whole;
  whole.options(1, 0).file(1, 1, "/usr").socket(1, "@x").hook(1, kOpen, 7, "*.key");
  for (size_t size = 0; size < whole.writer.size(); size++) {
    const std::string cut(reinterpret_cast<const char*>(whole.buffer), size);
    Config config;
    std::string error;
    if (!config.parse(reinterpret_cast<const uint8_t*>(cut.data()), cut.size(), error)) CHECK(!error.empty());
  }
  std::mt19937 random(5);
  for (int round = 0; round < 20'000; round++) {
    std::string changed(reinterpret_cast<const char*>(whole.buffer), whole.writer.size());
    for (int n = random() % 4 + 1; n > 0; n--) changed[random() % changed.size()] = static_cast<char>(random());
    Config config;
    std::string error;
    config.parse(reinterpret_cast<const uint8_t*>(changed.data()), changed.size(), error);
  }
}

static void mountinfo() {
  const auto mounts = proc_mounts_in(
      "22 27 0:20 / /proc rw,nosuid shared:5 - proc proc rw\n"
      "23 27 0:21 / /sys rw shared:6 - sysfs proc rw\n"
      "24 27 0:22 / /mnt/a\\040b\\134c\\011 rw - proc none rw\n"
      "25 27 0:23 / /x rw shared:1 master:2 - procfs none rw\n"
      "garbage\n"
      "26 27 0:24 / /last rw - proc");
  CHECK(mounts.size() == 3);
  CHECK(mounts.size() > 0 && mounts[0] == "/proc");
  CHECK(mounts.size() > 1 && mounts[1] == "/mnt/a b\\c\t");
  CHECK(mounts.size() > 2 && mounts[2] == "/last");
  CHECK((mount_numbers_in("21 1 0:20 / / rw - ext4 x rw\n7 21 0:5 / /proc rw - proc p rw\nnone\n") ==
         std::vector<uint64_t>{21, 7}));
  CHECK(proc_mounts_in("").empty());
}

static bool mounted(const std::string& path) {
  std::vector<std::string> mounts;
  CHECK(proc_mounts(mounts) == 0);
  return std::find(mounts.begin(), mounts.end(), path) != mounts.end();
}

struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/holdfast-config-XXXXXX";
    char real[PATH_MAX];
    if (mkdtemp(name) == nullptr || realpath(name, real) == nullptr) abort();
    path = real;
  }
  ~Folder() {
    const std::string command = "rm -r '" + path + "'";
    if (system(command.c_str()) != 0) failures++;
  }
  std::string operator/(const char* name) const { return path + "/" + name; }
  void directory(const char* name) const { CHECK(mkdir((*this / name).c_str(), 0777) == 0); }
  void link(const char* target, const char* name) const { CHECK(symlink(target, (*this / name).c_str()) == 0); }
};

// What is remembered of the mounts is what is mounted now. Only who may mount can tell.
static void mounts_change() {
  CHECK(mounted("/proc"));
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return;
  const Folder folder;
  folder.directory("proc");
  const std::string place = folder / "proc";
  CHECK(mounted("/proc") && !mounted(place));
  CHECK(mount("proc", place.c_str(), "proc", 0, nullptr) == 0);
  CHECK(mounted("/proc") && mounted(place) && mounted(place));
  CHECK(umount(place.c_str()) == 0);
  CHECK(mounted("/proc") && !mounted(place));
}

// What is remembered of the folder that the last path was in changes nothing: each path leads where it leads alone.
static void neighbours() {
  const Folder folder;
  folder.directory("real");
  folder.directory("real/sub");
  folder.link("real", "link");
  folder.link("sub", "real/down");
  folder.link("loop", "real/loop");
  folder.link("../nowhere", "real/dangling");
  const std::string folders[] = {folder.path,       folder / "real",     folder / "link",       folder / "real/sub",
                                 folder / "real/.", folder / "link/..",  folder / "real/loop",  folder / "real/down",
                                 folder / "none",   folder / "real//",   folder / "link/down",  "/proc/self",
                                 "/proc/1",         "/proc/thread-self", folder / "none/deeper"};
  const std::string names[] = {"a",    "b",    "c",        "sub", ".", "..", "",    "d",     "down", "e",
                               "loop", "real", "dangling", "e/f", "g", "h",  "cwd", "h/../", "link", "none"};
  Canonicaliser paths(Canonicaliser::Links::in_file_system);
  const auto trusts = [&](const std::string& place) { return !place.ends_with("/link"); };
  const auto same = [&](Canonicaliser& all, const std::string& path, bool all_trusted) {
    Canonicaliser alone(Canonicaliser::Links::in_file_system);
    CanonicalPath out, expected;
    const auto follow = [&](Canonicaliser& by, CanonicalPath& to) {
      return all_trusted ? by.follow(path, to) : by.follow(path, to, trusts);
    };
    CHECK(follow(all, out) && follow(alone, expected) && out.path == expected.path);
    const auto equal = [](const auto& some, const auto& others) {
      return std::equal(some.begin(), some.end(), others.begin(), others.end(),
                        [](const auto& a, const auto& b) { return a.place == b.place && a.rest == b.rest; });
    };
    CHECK(equal(out.links, expected.links) && equal(out.planted, expected.planted));
  };
  for (int round = 0; round < 2; round++)
    for (const std::string& in : folders)
      for (const std::string& name : names) same(paths, in + "/" + name, round == 0);
  Canonicaliser told(Canonicaliser::Links::as_told);
  for (const auto& [place, target] : paths.targets())
    if (!target.empty()) told.tell(place, target);
  for (const std::string& in : folders)
    for (const std::string& name : names)
      if (!in.starts_with("/proc")) same(told, in + "/" + name, name.size() % 2 == 0);
  // What it is told later counts.
  CanonicalPath out;
  CHECK(told.follow(folder / "real/a", out) && told.follow(folder / "real/b", out) && out.links.empty());
  told.tell(folder / "real", "elsewhere");
  CHECK(told.follow(folder / "real/b", out) && out.path == folder / "elsewhere/b" && out.links.size() == 1);
}

static void canonical_paths() {
  const Folder folder;
  folder.directory("real");
  folder.directory("real/sub");
  folder.link("real", "link");
  folder.link("../link/sub", "real/up");
  folder.link((folder / "nowhere/at/all").c_str(), "dangling");
  folder.link("loop", "loop");
  folder.link("/proc/self/fd/0", "stdin");
  Canonicaliser paths(Canonicaliser::Links::in_file_system);
  const auto leads = [&](const std::string& from, const std::string& to, size_t links) {
    for (int again = 0; again < 2; again++) {  // the second time from what is remembered
      CanonicalPath out;
      if (paths.follow(from, out) && out.path == to && out.links.size() == links) continue;
      std::printf("%s leads to %s by %zu links, expected %s by %zu\n", from.c_str(), out.path.c_str(), out.links.size(),
                  to.c_str(), links);
      failures++;
    }
  };
  leads("/", "/", 0);
  leads("//", "/", 0);
  leads("/..", "/", 0);
  leads(folder / "real", folder / "real", 0);
  leads(folder / "./real/", folder / "real", 0);
  leads(folder / "link", folder / "real", 1);
  leads(folder / "link/sub/x/y", folder / "real/sub/x/y", 1);
  leads(folder / "real/up", folder / "real/sub", 2);
  leads(folder / "link/up/new", folder / "real/sub/new", 3);
  leads(folder / "link/..", folder.path, 1);
  leads(folder / "real/up/..", folder / "real", 2);
  leads(folder / "missing/../real", folder / "real", 0);
  leads(folder / "dangling", folder / "nowhere/at/all", 1);
  leads(folder / "dangling/x", folder / "nowhere/at/all/x", 1);
  leads(folder / "loop/x", folder / "loop/x", 40);
  leads(folder / "stdin", "/proc/self/fd/0", 1);
  leads("/proc/self/cwd", "/proc/self/cwd", 0);
  leads("/proc/thread-self/root/etc", "/proc/thread-self/root/etc", 0);
  leads("/proc/mounts", "/proc/self/mounts", 1);
  leads("/proc/1/exe", "/proc/1/exe", 0);

  CanonicalPath out;
  CHECK(!paths.follow("", out) && !paths.follow("link/a", out) && !paths.follow(".", out));
  CHECK(paths.follow(folder / "link/sub/x", out) && out.links[0].place == folder / "link" &&
        out.links[0].rest == "/sub/x");
  // Told of the links, it finds the same without looking; of others it knows nothing.
  Canonicaliser told(Canonicaliser::Links::as_told);
  CHECK(told.follow(folder / "link/up", out) && out.path == folder / "link/up" && out.links.empty());
  for (const auto& [place, target] : paths.targets())
    if (!target.empty()) told.tell(place, target);
  CHECK(told.follow(folder / "link/up/new", out) && out.path == folder / "real/sub/new" && out.links.size() == 3);
  CHECK(told.follow(folder / "loop/x", out) && out.path == folder / "loop/x" && out.links.size() == 40);

  Blob blob;
  blob.file(1, 1, folder / "link/sub").file(2, 7, folder / "link/secret", "files.deny[0]").socket(2, folder / "link/s");
  Config config;
  std::string error;
  std::vector<uint8_t> fields;
  with_known_links(blob.buffer, blob.writer.size(), fields);
  CHECK(config.parse(fields.data(), fields.size(), error));
  const Rules& rules = config.rules;
  CHECK(rules.path(folder / "real/sub/x", kRead).effect == Effect::allow);
  CHECK(rules.path(folder / "real/x", kRead).effect == Effect::none);
  // The link on the way may be looked at, and so may what it lies in.
  CHECK(rules.metadata(folder / "link").effect == Effect::allow);
  CHECK(rules.metadata(folder.path).effect == Effect::allow);
  CHECK(rules.path(folder / "link", kRead).effect == Effect::none);
  CHECK(rules.path(folder / "real/secret", kWrite).effect == Effect::deny);
  // A denied name stays denied when somebody replaces the link by a directory of its own.
  CHECK(rules.path(folder / "link/secret/x", kWrite).effect == Effect::deny);
  Address address;
  address.family = AF_UNIX;
  const std::string by_name = folder / "real/s", by_link = folder / "link/s";
  address.unix_name = by_name;
  CHECK(rules.address(address, kConnect).effect == Effect::deny);
  address.unix_name = by_link;
  CHECK(rules.address(address, kConnect).effect == Effect::deny);
}

// Links that the tree can have made: what they allow is not followed, what they deny is.
static void planted_links() {
  Blob blob;
  blob.link("/p/dist", "/out").link("/p/a/b", "c").link("/bin", "usr/bin").link("/q", "/p/q2").link("/p/q2/l", "/out2");
  blob.file(1, 3, "/p", "files.write[0]").file(1, 2, "/p/dist/x", "files.write[1]");
  blob.file(1, 1, "/p/a/b", "files.read[2]")
      .file(1, 1, "/bin", "files.read[3]")
      .file(2, 7, "/p/dist/key", "files.deny[0]");
  blob.file(1, 2, "/q", "files.write[4]").file(1, 1, "/q/l", "files.read[5]");
  Config config;
  std::string error;
  CHECK(config.parse(blob.buffer, blob.writer.size(), error));
  const Rules& rules = config.rules;
  const auto reads = [&](const char* path) { return rules.path(path, kRead).effect; };
  CHECK(rules.path("/out/x", kWrite).effect == Effect::none);
  CHECK(rules.path("/p/dist/x", kWrite).effect == Effect::allow);
  CHECK(reads("/p/a/c") == Effect::allow && reads("/p/a/b") == Effect::allow);
  CHECK(reads("/out/key") == Effect::deny && reads("/p/dist/key") == Effect::deny);
  CHECK(reads("/usr/bin/x") == Effect::allow && reads("/out2") == Effect::none);
  CHECK(config.warnings.size() == 3);
  for (const Warning& warning : config.warnings) CHECK(!warning.path.empty() && !warning.target.empty());
  CHECK(config.warnings[0].rule == "files.write[1]" && config.warnings[0].path == "/p/dist" &&
        config.warnings[0].target == "/out");
}

// A rule that is for a device only.
static void devices() {
  Blob blob;
  const auto rule = [&](const char* path, int64_t device) {
    const size_t mark = blob.writer.begin(Tag::fileRule_);
    blob.writer.number(Tag::effect_, 1);
    blob.writer.number(Tag::access_, 3);
    blob.writer.text(Tag::path_, path);
    blob.writer.text(Tag::label_, "defaults");
    blob.writer.number(Tag::device_, device);
    blob.writer.end(mark);
  };
  rule("/dev/full", 0x107);
  rule("/dev/zero", 0x107);
  rule("/etc/passwd", 0x103);
  rule("/dev/no-such-device", 0x103);
  Config config;
  std::string error;
  CHECK(config.parse(blob.buffer, blob.writer.size(), error));
  CHECK(config.rules.path("/dev/full", kRead).effect == Effect::allow);
  for (const char* path : {"/dev/zero", "/etc/passwd", "/dev/no-such-device"})
    CHECK(config.rules.path(path, kRead).effect == Effect::none);
  CHECK(config.warnings.size() == 2);  // nothing is said of what is not there
}

int main() {
  good();
  planted_links();
  devices();
  bad();
  mountinfo();
  canonical_paths();
  neighbours();
  mounts_change();
  if (failures == 0) std::printf("config: ok\n");
  return failures == 0 ? 0 : 1;
}
