// Path patterns of hooks' filters.
#include "../../native/policy/glob.h"

#include <chrono>
#include <cstdio>
#include <random>
#include <string>

using holdfast::Glob;

static int failures = 0;

static void expect(bool wanted, const char* pattern, const char* path) {
  Glob glob;
  if (!glob.compile(pattern)) {
    std::printf("%s: does not compile\n", pattern);
    failures++;
  } else if (glob.matches(path) != wanted) {
    std::printf("%s: %s %s\n", pattern, wanted ? "does not match" : "matches", path);
    failures++;
  }
}

static void yes(const char* pattern, const char* path) { expect(true, pattern, path); }
static void no(const char* pattern, const char* path) { expect(false, pattern, path); }

static void invalid(const std::string& pattern) {
  Glob glob;
  if (!glob.compile(pattern)) return;
  std::printf("%s: compiles\n", pattern.c_str());
  failures++;
}

// The same language, said plainly: what is tried is tried again, so only for short patterns without brackets.
static bool naive(const char* p, const char* begin, const char* s, bool at_folder) {
  if (*p == '\0') return *s == '\0';
  if (p[0] == '*' && p[1] == '*') {
    const char* after = p;
    while (*after == '*') after++;
    if (at_folder && *after == '/' && naive(after + 1, begin, s, true)) return true;
    for (;; s++) {
      if (naive(after, begin, s, false)) return true;
      if (*s == '\0') return false;
    }
  }
  if (*p == '*') {
    for (;; s++) {
      if (naive(p + 1, begin, s, false)) return true;
      if (*s == '\0' || *s == '/') return false;
    }
  }
  if (*s == '\0') return false;
  if (*p == '?') return *s != '/' && naive(p + 1, begin, s + 1, false);
  return *p == *s && naive(p + 1, begin, s + 1, *p == '/');
}

static void random_patterns() {
  std::mt19937 random(7);
  const auto text = [&](const char* alphabet, size_t count, size_t longest) {
    std::string out;
    for (size_t n = random() % longest + 1; n > 0; n--) out += alphabet[random() % count];
    return out;
  };
  int matched = 0;
  for (int round = 0; round < 300'000; round++) {
    // Five in eight are stars or slashes: what is hard about patterns.
    const std::string pattern = text("**/*/ab?", 8, 10);
    const std::string path = "/" + text("/aab", 4, 9);
    Glob glob;
    if (!glob.compile(pattern)) continue;
    std::string_view subject = path;
    if (pattern.find('/') == pattern.npos) subject.remove_prefix(subject.rfind('/') + 1);
    const bool wanted = naive(pattern.c_str(), pattern.c_str(), std::string(subject).c_str(), true);
    matched += wanted;
    expect(wanted, pattern.c_str(), path.c_str());
  }
  if (matched < 1000) {
    std::printf("only %d random patterns matched\n", matched);
    failures++;
  }
}

static void pathological() {
  const std::string path = "/" + std::string(2000, 'a') + "/" + std::string(2000, 'a');
  std::string stars, globstars, questions, mixed;
  for (int i = 0; i < 500; i++) {
    stars += "a*";
    globstars += "**a";
    questions += "?*";
    mixed += "**/*a";
  }
  const auto begin = std::chrono::steady_clock::now();
  for (std::string pattern :
       {"**/" + stars + "b", globstars + "b", "/" + questions + "/" + questions + "b", mixed + "b"}) {
    no(pattern.c_str(), path.c_str());
    pattern.pop_back();
    Glob glob;
    glob.compile(pattern);
    glob.matches(path);
  }
  const auto took = std::chrono::steady_clock::now() - begin;
  // Backtracking would not end today; the limit only has to tell minutes from milliseconds.
  if (took > std::chrono::seconds(10)) {
    std::printf("patterns that provoke backtracking took too long\n");
    failures++;
  }
}

int main() {
  yes("/etc/passwd", "/etc/passwd");
  no("/etc/passwd", "/etc/passwd2");
  no("/etc/passwd", "/etc/passw");
  yes("/", "/");

  yes("*.key", "/home/u/id.key");
  yes("*.key", "/.key");
  no("*.key", "/home/u/id.key/x");
  no("*.key", "/home/u.key/id");
  yes("**", "/home/u/x");
  yes("id_*", "/home/u/.ssh/id_rsa");
  no("id_*", "/id_x/y");

  yes("/home/*/x", "/home/u/x");
  no("/home/*/x", "/home/u/v/x");
  no("/home/*/x", "/home/x");
  yes("/home/*", "/home/.hidden");
  no("/home/*", "/home");
  yes("/home/*", "/home/u");
  yes("/a*b*c", "/aXbYc");
  yes("/a*b*c", "/abbbc");
  no("/a*b*c", "/ab/c");

  yes("/home/**", "/home/u/v/x");
  no("/home/**", "/home");
  no("/home/**", "/homely/u");
  yes("/home/**/x", "/home/x");
  yes("/home/**/x", "/home/u/x");
  yes("/home/**/x", "/home/u/v/x");
  no("/home/**/x", "/home/u/vx");
  no("/home/**/x", "/homex");
  yes("**/.npmrc", "/.npmrc");
  yes("**/.npmrc", "/home/u/.npmrc");
  no("**/.npmrc", "/home/u/x.npmrc");
  yes("/a/**/**/b", "/a/b");
  yes("/a/**/**/b", "/a/x/b");
  yes("/a/**/*", "/a/x");
  yes("/a/**/*", "/a/x/y");
  yes("/a**b", "/a/x/b");
  yes("/a**b", "/ab");
  yes("/a**/b", "/a/b");
  yes("/a**/b", "/ax/y/b");
  no("/a**/b", "/ab");
  yes("/***/b", "/a/b");

  yes("/a?c", "/abc");
  no("/a?c", "/a/c");
  no("/a?c", "/ac");
  yes("/a?c",
      "/a\xc3\xa9"
      "c");
  yes("/?", "/\xe2\x82\xac");
  yes("/?", "/\xff");
  no("/?", "/\xff\xfe");

  yes("/[a-c]x", "/bx");
  no("/[a-c]x", "/dx");
  yes("/[!a-c]x", "/dx");
  yes("/[^a-c]x", "/dx");
  no("/[!a-c]x", "/bx");
  no("/a[!b]c", "/a/c");
  yes("/[]a]", "/]");
  yes("/[!]]", "/a");
  no("/[!]]", "/]");
  yes("/[a-]", "/-");
  yes("/[\\]]", "/]");
  yes("/[\\a-c]", "/b");
  yes("/[\xc3\xa9]", "/\xc3\xa9");
  yes("/[!a]", "/\xc3\xa9");

  yes("/\\*", "/*");
  no("/\\*", "/a");
  yes("/\\[a]", "/[a]");
  yes("/{a,b}", "/{a,b}");
  no("/{a,b}", "/a");
  yes("/a\nb", "/a\nb");
  yes("/*", "/a\nb");

  invalid("");
  invalid("/[a");
  invalid("/[]");
  invalid("/[!");
  invalid("/[b-a]");
  invalid("/[a/b]");
  invalid("/a\\");
  invalid("/[\\");
  invalid("/a/");
  invalid(std::string("/a\0b", 4));
  invalid(std::string(Glob::kMaxPattern + 1, 'a'));

  Glob none;
  if (none.matches("")) failures++;

  // Around the ends of words of tokens.
  for (size_t length = 60; length < 200; length++) {
    const std::string literal(length, 'a');
    yes(("/" + literal).c_str(), ("/" + literal).c_str());
    yes(("/" + literal + "/**/x*").c_str(), ("/" + literal + "/x").c_str());
    yes(("/" + literal + "/**/*").c_str(), ("/" + literal + "/x").c_str());
    yes(("/" + literal + "*b").c_str(), ("/" + literal + "b").c_str());
    yes(("/" + literal + "?*b").c_str(), ("/" + literal + "xb").c_str());
    no(("/" + literal + "?*b").c_str(), ("/" + literal + "b").c_str());
  }
  random_patterns();
  pathological();
  if (failures == 0) std::printf("glob: ok\n");
  return failures == 0 ? 0 : 1;
}
