#include "tree.h"

#include <signal.h>

#include "workers.h"

namespace holdfast {

bool Tree::contains(pid_t tid) const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  return threads_.count(tid) != 0;
}

pid_t Tree::group_of(pid_t tid) const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  const auto at = threads_.find(tid);
  return at == threads_.end() ? 0 : at->second.group;
}

uint64_t Tree::number_of(pid_t tid) const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  const auto at = threads_.find(tid);
  return at == threads_.end() ? 0 : at->second.number;
}

void Tree::renew(pid_t tid) {
  std::unique_lock<std::shared_mutex> lock(guard_);
  const auto at = threads_.find(tid);
  if (at != threads_.end()) at->second.number = ++thread_numbers_;
}

std::vector<pid_t> Tree::groups() const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  std::vector<pid_t> all;
  for (const auto& [tid, thread] : threads_)
    if (tid == thread.group) all.push_back(tid);
  return all;
}

std::vector<pid_t> Tree::threads() const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  std::vector<pid_t> all;
  all.reserve(threads_.size());
  for (const auto& member : threads_) all.push_back(member.first);
  return all;
}

size_t Tree::size() const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  return threads_.size();
}

size_t Tree::process_count() const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  return processes_.size();
}

void Tree::begin_to_end() {
  if (!to_end_.exchange(true)) wake_tracer();
}

void Tree::kill_all() {
  doom();
  begin_to_end();
  while_stable([&] {
    for (const pid_t group : groups()) kill(group, SIGKILL);
  });
}

void Tree::add(pid_t tid, pid_t group, pid_t parent_group) {
  std::unique_lock<std::shared_mutex> lock(guard_);
  const auto known = threads_.find(tid);
  const bool is_new = known == threads_.end();
  if (is_new)
    threads_.emplace(tid, Thread{group, ++thread_numbers_});
  else
    known->second.group = group;
  Process& process = processes_[group];
  if (is_new) {
    process.threads++;
    (tid == group ? usage_.processes : usage_.threads).fetch_add(1, std::memory_order_relaxed);
  }
  if (tid == group) {
    process.life = process.stay = process.umask_change = ++numbers_;
    process.umask = -1;
    forget(group);
    // The command has no maker in the tree; it is added first, and once more when it is seen.
    const auto maker = processes_.find(parent_group);
    if (maker != processes_.end())
      process.lineage = maker->second.lineage, process.arguments = maker->second.arguments;
    else if (is_new)
      process.lineage = Lineage{{}, numbers_ == 1};
    note_maker(process, parent_group);
  }
  // Whose parent is not known yet may be anybody's child.
  if (tid == group && !hidden_.empty() && (parent_group == 0 || hidden_.count(parent_group) != 0)) hidden_.insert(tid);
}

void Tree::remove(pid_t tid) {
  std::unique_lock<std::shared_mutex> lock(guard_);
  const auto member = threads_.find(tid);
  if (member != threads_.end()) {
    const auto process = processes_.find(member->second.group);
    if (process != processes_.end() && --process->second.threads == 0) processes_.erase(process);
    threads_.erase(member);
  }
  hidden_.erase(tid);
  forget(tid);
}

// The last thread of a process is its leader, or has become it by an exec.
const Tree::Process* Tree::alone_with_lock(pid_t tid) const {
  const auto process = processes_.find(tid);
  return process != processes_.end() && process->second.threads == 1 ? &process->second : nullptr;
}

uint64_t Tree::life_of(pid_t group) const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  const auto process = processes_.find(group);
  return process == processes_.end() ? 0 : process->second.life;
}

uint64_t Tree::alone(pid_t tid) const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  const Process* const process = alone_with_lock(tid);
  return process == nullptr ? 0 : process->life;
}

uint64_t Tree::stay_of(pid_t tid) const {
  if (!stays_followed_.load() || shared_.load() || doubted_.load()) return 0;
  std::shared_lock<std::shared_mutex> lock(guard_);
  const Process* const process = alone_with_lock(tid);
  return process == nullptr ? 0 : process->stay;
}

bool Tree::umask_of(pid_t tid, mode_t& out, uint64_t& look) const {
  look = 0;
  if (!umasks_followed_.load() || shared_.load() || doubted_.load()) return false;
  std::shared_lock<std::shared_mutex> lock(guard_);
  const Process* const process = alone_with_lock(tid);
  if (process == nullptr) return false;
  look = process->umask_change;
  out = static_cast<mode_t>(process->umask);
  return process->umask >= 0;
}

void Tree::remember_umask(pid_t tid, mode_t umask, uint64_t look) const {
  std::unique_lock<std::shared_mutex> lock(guard_);
  const auto process = processes_.find(tid);
  if (process != processes_.end() && process->second.umask_change == look)
    process->second.umask = static_cast<int>(umask);
}

void Tree::forget_umask(pid_t group) {
  std::unique_lock<std::shared_mutex> lock(guard_);
  const auto process = processes_.find(group);
  if (process == processes_.end()) return;
  process->second.umask_change = ++numbers_;
  process->second.umask = -1;
}

void Tree::end_stay(pid_t group) {
  std::unique_lock<std::shared_mutex> lock(guard_);
  const auto process = processes_.find(group);
  if (process != processes_.end()) process->second.stay = ++numbers_;
}

Lineage Tree::lineage_of(pid_t group) const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  const auto process = processes_.find(group);
  return process == processes_.end() ? Lineage{{}, false} : process->second.lineage;
}

void Tree::executed(pid_t group, const Lineage::Bits& what) {
  std::unique_lock<std::shared_mutex> lock(guard_);
  const auto process = processes_.find(group);
  if (process != processes_.end()) process->second.lineage.executed |= what;
}

void Tree::inherit(pid_t group, pid_t maker) {
  std::unique_lock<std::shared_mutex> lock(guard_);
  const auto process = processes_.find(group), from = processes_.find(maker);
  if (process == processes_.end() || from == processes_.end() || group == maker) return;
  process->second.lineage.executed |= from->second.lineage.executed;
  process->second.lineage.known = from->second.lineage.known;
  if (process->second.arguments == nullptr) process->second.arguments = from->second.arguments;
}

Tree::Arguments Tree::arguments_of(pid_t group) const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  const auto process = processes_.find(group);
  return process == processes_.end() ? nullptr : process->second.arguments;
}

void Tree::set_arguments(pid_t group, Arguments arguments) {
  std::unique_lock<std::shared_mutex> lock(guard_);
  const auto process = processes_.find(group);
  if (process != processes_.end()) process->second.arguments = std::move(arguments);
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
  if (look == programs_forgotten_ && threads_.count(group) != 0) program_[group] = program;
}

void Tree::set_program(pid_t group, const std::string& program) {
  std::unique_lock<std::shared_mutex> lock(guard_);
  if (threads_.count(group) != 0 && !program.empty()) program_[group] = program;
}

pid_t Tree::maker_of(pid_t group) const {
  std::shared_lock<std::shared_mutex> lock(guard_);
  const auto process = processes_.find(group);
  if (process == processes_.end() || process->second.maker == 0) return 0;
  const auto maker = processes_.find(process->second.maker);
  return maker != processes_.end() && maker->second.life == process->second.maker_life ? maker->first : 0;
}

void Tree::set_maker(pid_t group, pid_t maker) {
  std::unique_lock<std::shared_mutex> lock(guard_);
  const auto process = processes_.find(group);
  if (process != processes_.end()) note_maker(process->second, maker);
}

void Tree::note_maker(Process& process, pid_t maker) {
  const auto made_by = processes_.find(maker);
  process.maker = made_by == processes_.end() ? 0 : maker;
  process.maker_life = made_by == processes_.end() ? 0 : made_by->second.life;
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
