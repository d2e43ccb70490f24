// Names that hooks' filters speak of, and which moves would take something out of them.
#include "../../native/policy/name_filter.h"

#include <random>
#include <string>

#include "check.h"

using holdfast::NameFilter;

namespace {

NameFilter filter(const char* path, const char* pattern) {
  NameFilter made;
  CHECK(made.set(path, pattern));
  return made;
}

void names() {
  const NameFilter all;
  CHECK(all.any() && all.matches("/a") && !all.would_lose("/a", "/b", true));
  const NameFilter folder = filter("/a/b", "");
  CHECK(folder.matches("/a/b") && folder.matches("/a/b/c/d") && !folder.matches("/a/bc") && !folder.matches("/a"));
  const NameFilter root = filter("/", "");
  CHECK(root.matches("/") && root.matches("/x"));
  const NameFilter one = filter("/a", "*");
  CHECK(one.matches("/a/x") && !one.matches("/a/x/y") && !one.matches("/a") && !one.matches("/b/x"));
  const NameFilter below = filter("/a", "**");
  CHECK(below.matches("/a/x/y") && !below.matches("/a"));
  const NameFilter in_root = filter("/", "*");
  CHECK(in_root.matches("/x") && !in_root.matches("/x/y"));
  NameFilter wrong;
  CHECK(!wrong.set("/a", "["));
}

void within() {
  CHECK(NameFilter().may_match_within("/a"));
  const NameFilter folder = filter("/a/b", "");
  for (const char* near : {"/", "/a", "/a/b", "/a/b/c"}) CHECK(folder.may_match_within(near));
  for (const char* far : {"/a/bc", "/a/c", "/b"}) CHECK(!folder.may_match_within(far));
  const NameFilter one = filter("/a/b", "*.key");
  CHECK(one.may_match_within("/a") && one.may_match_within("/a/b"));
  CHECK(!one.may_match_within("/a/b/c") && one.may_match_within("/a/b/x.key"));
  CHECK(filter("/a", "**/key").may_match_within("/a/b/c"));
  const NameFilter text = filter("", "/a/*/key");
  CHECK(text.may_match_within("/") && text.may_match_within("/a") && text.may_match_within("/a/b"));
  CHECK(!text.may_match_within("/b") && !text.may_match_within("/a/b/c"));
  CHECK(filter("", "*.key").may_match_within("/anywhere"));
}

void moves() {
  const NameFilter folder = filter("/a/secret", "");
  CHECK(folder.would_lose("/a/secret", "/a/s2", true) && folder.would_lose("/a", "/b", true));
  CHECK(folder.would_lose("/a/secret/key", "/a/key", false) && !folder.would_lose("/a/secret/x", "/a/secret/y", true));
  CHECK(!folder.would_lose("/a/new", "/a/secret", true) && !folder.would_lose("/c", "/d", true));
  CHECK(!folder.would_lose("/a", "/b", false));
  const NameFilter below = filter("/a/secret", "**");
  CHECK(below.would_lose("/a/secret", "/a/s2", true) && below.would_lose("/a", "/b", true));
  CHECK(!below.would_lose("/a/secret/d", "/a/secret/e", true) && below.would_lose("/a/secret/d", "/a/d", true));
  // Nothing takes the place of a folder that it lies in: the kernel says so.
  CHECK(!filter("/a", "*/key").would_lose("/a/d", "/a", true) && filter("/a", "*/key").would_lose("/a/d", "/d", true));
  const NameFilter keys = filter("", "*.key");
  CHECK(keys.would_lose("/a/x.key", "/a/x.txt", false) && !keys.would_lose("/a", "/b", true));
  CHECK(!keys.would_lose("/a/x.tmp", "/a/x.key", false) && !keys.would_lose("/a/x.key", "/b/y.key", false));
  const NameFilter deep = filter("", "**/secret/**");
  CHECK(deep.would_lose("/a/secret", "/a/s2", true) && !deep.would_lose("/a", "/b", true));
  CHECK(!deep.would_lose("/a/secret", "/b/secret", true) && deep.would_lose("/a/secret/x", "/a/x", true));
}

// Whatever a filter speaks of below one name and not below the other must be found.
void by_trial() {
  std::mt19937 random(4);
  const auto pick = [&](const auto& list) -> const auto& { return list[random() % std::size(list)]; };
  const std::string parts[] = {"a", "b", "ab", "s"};
  const auto path = [&](unsigned most) {
    std::string out;
    for (unsigned left = 1 + random() % most; left > 0; left--) out += "/" + pick(parts);
    return out;
  };
  const char* patterns[] = {"",       "*",    "**",     "a*",     "**/s", "**/a/**", "?b/**",
                            "[ab]/*", "*/*b", "**/a*b", "a/**/b", "*s",   "s/*",     "**b"};
  unsigned lost = 0;
  for (int i = 0; i < 20000; i++) {
    const std::string folder = random() % 3 == 0 ? "" : path(2);
    const char* pattern = pick(patterns);
    if (folder.empty() && *pattern == '\0') continue;
    const NameFilter one = filter(folder.c_str(), pattern);
    const std::string from = path(3), to = path(3);
    if (from == to || holdfast::lies_below(to, from) || holdfast::lies_below(from, to)) continue;
    bool loses = one.matches(from) && !one.matches(to);
    for (int j = 0; j < 8 && !loses; j++) {
      const std::string rest = path(3);
      loses = one.matches(from + rest) && !one.matches(to + rest);
    }
    if (!loses) continue;
    lost++;
    CHECK(one.would_lose(from, to, true));
  }
  CHECK(lost > 1000);
}

}  // namespace

int main() {
  names();
  within();
  moves();
  by_trial();
  return failures == 0 ? 0 : 1;
}
