#include "tree.h"

namespace holdfast {

bool Tree::contains(pid_t tid) const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  return group_.count(tid) != 0;
}

pid_t Tree::group_of(pid_t tid) const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  const auto at = group_.find(tid);
  return at == group_.end() ? 0 : at->second;
}

std::vector<pid_t> Tree::groups() const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  std::vector<pid_t> all;
  for (const auto& [tid, group] : group_)
    if (tid == group) all.push_back(group);
  return all;
}

std::vector<pid_t> Tree::threads() const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  std::vector<pid_t> all;
  all.reserve(group_.size());
  for (const auto& member : group_) all.push_back(member.first);
  return all;
}

size_t Tree::size() const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  return group_.size();
}

void Tree::add(pid_t tid, pid_t group, pid_t parent_group) {
  std::unique_lock<std::shared_mutex> lock(guard_);
  group_[tid] = group;
  if (tid == group) forget(group);
  // Whose parent is not known yet may be anybody's child.
  if (tid == group && !hidden_.empty() && (parent_group == 0 || hidden_.count(parent_group) != 0)) hidden_.insert(tid);
}

void Tree::remove(pid_t tid) {
  std::unique_lock<std::shared_mutex> lock(guard_);
  group_.erase(tid);
  hidden_.erase(tid);
  forget(tid);
}

void Tree::hide(pid_t group, bool hidden) {
  std::unique_lock<std::shared_mutex> lock(guard_);
  if (hidden)
    hidden_.insert(group);
  else
    hidden_.erase(group);
}

bool Tree::hidden(pid_t group) const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  return hidden_.count(group) != 0;
}

bool Tree::program_of(pid_t group, std::string& out, uint64_t& look) const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  look = programs_forgotten_;
  const auto at = program_.find(group);
  if (at == program_.end()) return false;
  out = at->second;
  return true;
}

void Tree::remember_program(pid_t group, const std::string& program, uint64_t look) {
  std::unique_lock<std::shared_mutex> lock(guard_);
  if (look == programs_forgotten_ && group_.count(group) != 0) program_[group] = program;
}

void Tree::forget_program(pid_t group) {
  std::unique_lock<std::shared_mutex> lock(guard_);
  forget(group);
}

void Tree::forget(pid_t group) {
  program_.erase(group);
  programs_forgotten_++;
}

}  // namespace holdfast
