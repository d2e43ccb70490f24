#include "glob.h"

#include <algorithm>
#include <bitset>

namespace holdfast {

// A pattern becomes a list of tokens, and matching keeps the set of tokens that the path may stand at: one bit each,
// all of them moved at once for each byte of the path. So nothing is tried twice.
struct Glob::Token {
  enum class Kind : uint8_t { bytes, continuation, star, globstar, folders };  // from narrow to wide
  Kind kind = Kind::bytes;
  std::bitset<256> accepts;

  bool repeats() const { return kind != Kind::bytes; }
};

namespace {

// `?` becomes two tokens.
constexpr size_t kMaxWords = 2 * Glob::kMaxPattern / 64 + 1;

std::bitset<256> any_but_slash() {
  std::bitset<256> set;
  set.set();
  set.reset('/');
  return set;
}

// Bytes of a UTF-8 character after its first: `?` and brackets take them along.
std::bitset<256> continuation_bytes() {
  std::bitset<256> set;
  for (int byte = 0x80; byte < 0xc0; byte++) set.set(byte);
  return set;
}

// Reads a bracket expression from after its `[` to after its `]`. False if it is not valid.
bool read_class(std::string_view pattern, size_t& at, std::bitset<256>& set) {
  const bool negated = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
  if (negated) at++;
  const auto member = [&](uint8_t& byte) {
    if (at < pattern.size() && pattern[at] == '\\') at++;
    if (at >= pattern.size() || pattern[at] == '/') return false;
    byte = static_cast<uint8_t>(pattern[at++]);
    return true;
  };
  for (bool first = true;; first = false) {
    if (at >= pattern.size()) return false;
    if (pattern[at] == ']' && !first) break;
    uint8_t low, high;
    if (!member(low)) return false;
    high = low;
    if (at + 1 < pattern.size() && pattern[at] == '-' && pattern[at + 1] != ']') {
      at++;
      if (!member(high) || high < low) return false;
    }
    for (int byte = low; byte <= high; byte++) set.set(byte);
  }
  at++;
  if (negated) set.flip();
  set.reset('/');
  return true;
}

}  // namespace

bool Glob::compile(std::string_view pattern, For what) {
  using Kind = Token::Kind;
  if (pattern.empty() || pattern.size() > kMaxPattern || pattern.find('\0') != pattern.npos) return false;
  if (pattern.size() > 1 && pattern.back() == '/') return false;

  std::vector<Token> tokens;
  const auto add_bytes = [&](const std::bitset<256>& set, bool takes_continuation) {
    tokens.push_back({Kind::bytes, set});
    if (takes_continuation) tokens.push_back({Kind::continuation, continuation_bytes()});
  };
  const auto add_repeat = [&](Kind kind) {
    std::bitset<256> set = any_but_slash();
    if (kind != Kind::star) set.set();
    // Of two that stand side by side the wider one says it all.
    if (!tokens.empty() && tokens.back().repeats()) {
      if (tokens.back().kind >= kind) return;
      tokens.pop_back();
    }
    tokens.push_back({kind, set});
  };

  bool has_slash = false;
  for (size_t at = 0; at < pattern.size();) {
    const char c = pattern[at++];
    if (c == '*') {
      const size_t begin = at - 1;
      while (at < pattern.size() && pattern[at] == '*') at++;
      const bool whole = (begin == 0 || pattern[begin - 1] == '/') && at < pattern.size() && pattern[at] == '/';
      if (at - begin == 1) {
        add_repeat(Kind::star);
      } else if (!whole) {
        add_repeat(Kind::globstar);
      } else {
        // `**/**/` says no more than `**/`.
        const size_t n = tokens.size();
        if (n >= 2 && tokens[n - 2].kind == Kind::folders) {
          at++;
          continue;
        }
        add_repeat(Kind::folders);
      }
    } else if (c == '?') {
      add_bytes(any_but_slash(), true);
    } else if (c == '[') {
      std::bitset<256> set;
      if (!read_class(pattern, at, set)) return false;
      add_bytes(set, (set & continuation_bytes()).any() || (set >> 0xc0).any());
    } else {
      if (c == '\\' && at == pattern.size()) return false;
      const char literal = c == '\\' ? pattern[at++] : c;
      has_slash |= literal == '/';
      std::bitset<256> set;
      add_bytes(set.set(static_cast<uint8_t>(literal)), false);
    }
  }

  end_ = tokens.size();
  words_ = end_ / 64 + 1;
  last_component_ = !has_slash && what == For::whole_paths;
  accepts_.assign(256 * words_, 0);
  repeats_.assign(words_, 0);
  folders_.assign(words_, 0);
  for (size_t i = 0; i < end_; i++) {
    const uint64_t bit = uint64_t{1} << i % 64;
    for (size_t byte = 0; byte < 256; byte++)
      if (tokens[i].accepts[byte]) accepts_[byte * words_ + i / 64] |= bit;
    if (tokens[i].repeats()) repeats_[i / 64] |= bit;
    if (tokens[i].kind == Kind::folders) folders_[i / 64] |= bit;
  }
  return true;
}

void Glob::start(uint64_t* set) const {
  std::fill_n(set, words_, 0);
  if (words_ == 0) return;
  set[0] = 1;
  set[0] |= (set[0] & folders_[0]) << 2;
  set[0] |= (set[0] & repeats_[0]) << 1;
}

bool Glob::step(std::string_view bytes, uint64_t* set) const {
  for (const char c : bytes) {
    const uint64_t* accepts = &accepts_[static_cast<uint8_t>(c) * words_];
    uint64_t any = 0, moved_over = 0, folders_over = 0, repeats_over = 0;  // what shifts carry into the next word
    for (size_t i = 0; i < words_; i++) {
      const uint64_t hit = set[i] & accepts[i];
      const uint64_t once = hit & ~repeats_[i];
      const uint64_t moved = once << 1 | moved_over;
      moved_over = once >> 63;
      // Only who comes to `**/` from before it may pass over both of its tokens.
      const uint64_t folders = moved & folders_[i];
      uint64_t now = moved | (hit & repeats_[i]) | folders << 2 | folders_over;
      folders_over = folders >> 62;
      // No two tokens that repeat stand side by side, so one step is enough.
      const uint64_t repeats = now & repeats_[i];
      now |= repeats << 1 | repeats_over;
      repeats_over = repeats >> 63;
      any |= set[i] = now;
    }
    if (any == 0) return false;
  }
  return true;
}

bool Glob::matches(std::string_view path) const {
  if (words_ == 0) return false;
  if (last_component_) path.remove_prefix(path.rfind('/') + 1);
  uint64_t set[kMaxWords];
  start(set);
  return step(path, set) && (set[end_ / 64] >> end_ % 64 & 1) != 0;
}

// An empty name is the folder itself that the names are in.
bool Glob::stand_in(std::string_view directory, uint64_t* set) const {
  start(set);
  return words_ != 0 && (directory.empty() || (step(directory, set) && (directory == "/" || step("/", set))));
}

bool Glob::matches_below_alike(std::string_view from, std::string_view to) const {
  if (last_component_) return true;
  uint64_t here[kMaxWords], there[kMaxWords];
  if (!stand_in(from, here)) return true;
  if (!stand_in(to, there)) return false;
  for (size_t i = 0; i < words_; i++)
    if ((here[i] & ~there[i]) != 0) return false;
  return true;
}

bool Glob::may_match_below(std::string_view directory) const {
  uint64_t set[kMaxWords];
  return last_component_ || stand_in(directory, set);
}

}  // namespace holdfast
