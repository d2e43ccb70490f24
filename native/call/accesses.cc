#include "accesses.h"

#include <cstring>
#include <vector>

namespace holdfast {
namespace {

// The numbers, a text, and two texts with a NUL behind each: names have none.
std::string key_of(const Accesses::Access& access) {
  const int32_t numbers[] = {
      static_cast<int32_t>(access.outcome) | access.probe << 4 | access.of_folder << 5 | access.is_path << 6,
      access.error, access.family, access.port, access.signal};
  std::string key(reinterpret_cast<const char*>(numbers), sizeof numbers);
  for (const std::string_view text : {std::string_view(access.kind), access.program, access.rule}) {
    key += text;
    key += '\0';
  }
  key += access.target;
  return key;
}

// As it was given, but with texts of this key.
Accesses::Access from_key(Accesses::Access access, std::string_view key) {
  const size_t target = key.size() - access.target.size();
  const size_t rule = target - 1 - access.rule.size();
  access.target = key.substr(target);
  access.rule = key.substr(rule, access.rule.size());
  access.program = key.substr(rule - 1 - access.program.size(), access.program.size());
  return access;
}

}  // namespace

bool Accesses::add(const Access& access, uint64_t now) {
  std::string key = key_of(access);
  std::lock_guard<std::mutex> lock(guard_);
  auto at = all_.find(key);
  if (at == all_.end()) {
    if (all_.size() >= kMost || bytes_ + key.size() > kMostBytes) return left_out_++ != 0;
    bytes_ += key.size();
    at = all_.emplace(std::move(key), Kept{}).first;
    at->second.access = from_key(access, at->first);
    at->second.count.first = now;
  }
  at->second.count.calls++;
  at->second.count.last = now;
  return true;
}

uint64_t Accesses::left_out() const {
  std::lock_guard<std::mutex> lock(guard_);
  return left_out_;
}

void Accesses::for_all(const std::function<void(const Access&, const Count&)>& act) const {
  // Keys never move and never go.
  std::vector<const Kept*> kept;
  {
    std::lock_guard<std::mutex> lock(guard_);
    kept.reserve(all_.size());
    for (const auto& [key, one] : all_) kept.push_back(&one);
  }
  for (const Kept* const one : kept) {
    Count count;
    {
      std::lock_guard<std::mutex> lock(guard_);
      count = one->count;
    }
    act(one->access, count);
  }
}

}  // namespace holdfast
