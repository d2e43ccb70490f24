// The tracer's part that tells Node what processes live through. Nothing of it waits: what does not fit into the ring
// is kept, and where that is too much, who has made a process or executed a program waits in its stop (resume()), so
// that no more than the living can be told of meanwhile.
#include <sys/wait.h>

#include "../call/proc_stat.h"
#include "../call/tree.h"
#include "../channel/report.h"
#include "../channel/usage_fields.h"
#include "process_facts.h"
#include "tracer.h"

namespace holdfast {

using protocol::FieldWriter;
using protocol::Life;
using protocol::LifeMode;
using protocol::Tag;

namespace {

void begin(FieldWriter& writer, Sandbox& sandbox, Life what, pid_t group, pid_t parent, const std::string& program) {
  writer.number(Tag::life_, static_cast<int64_t>(what));
  writer.number(Tag::pid_, group);
  if (parent != 0 && sandbox.tree.contains(parent)) writer.number(Tag::parent_, parent);
  if (!program.empty()) writer.text(Tag::executable_, program);
}

std::string remembered(const Tree& tree, pid_t group) {
  std::string program;
  uint64_t look;
  return tree.program_of(group, program, look) ? program : std::string();
}

constexpr size_t kNames = 8 << 10;  // a path has PATH_MAX at most

}  // namespace

// At the event of its maker, or at its own first stop if that came before.
void Tracer::tell_fork(pid_t group, pid_t parent) {
  if (life_ == LifeMode::quiet) return;
  uint8_t buffer[kNames];
  FieldWriter writer(buffer, sizeof buffer);
  begin(writer, sandbox_, Life::fork, group, parent, remembered(sandbox_.tree, group));
  report_life(sandbox_, buffer, writer.size());
}

// Any thread, while the process stands at its exec's stop.
void Tracer::tell_exec(pid_t group, const std::string& program) {
  if (life_.load() == LifeMode::quiet) return;
  const std::unique_ptr<uint8_t[]> buffer(new uint8_t[protocol::kMaxRecord]);
  FieldWriter writer(buffer.get(), protocol::kMaxRecord);
  begin(writer, sandbox_, Life::exec, group, stat_of(group).parent, program);
  if (!sandbox_.tree.has_begun()) writer.number(Tag::initial_, 1);
  write_arguments(writer, arguments_of(group));
  report_life(sandbox_, buffer.get(), writer.size());
}

void Tracer::tell_exit(pid_t group, const Ended& ended) {
  if (life_ == LifeMode::quiet) return;
  uint8_t buffer[kNames];
  FieldWriter writer(buffer, sizeof buffer);
  begin(writer, sandbox_, Life::exit, group, ended.parent, ended.program);
  if (WIFSIGNALED(ended.status))
    writer.number(Tag::signal_, WTERMSIG(ended.status));
  else
    writer.number(Tag::code_, WEXITSTATUS(ended.status));
  write_figures(writer, ended.figures);
  report_life(sandbox_, buffer, writer.size());
}

void Tracer::tell_life(LifeMode mode) {
  life_ = mode;
  if (mode == LifeMode::held_back) return;
  let_go_backed_up();
}

// Before a thread goes on that has something told of it.
void Tracer::wait_for_room(Tracee& tracee) {
  if (life_ == LifeMode::quiet) return;
  tracee.waits_for_room = life_ == LifeMode::held_back || backed_up_ || (backed_up_ = is_backed_up([this] {
                                                                           run_there([this] {
                                                                             backed_up_ = false;
                                                                             if (life_ != LifeMode::held_back)
                                                                               let_go_backed_up();
                                                                           });
                                                                         }));
}

void Tracer::let_go_backed_up() {
  if (backed_up_ && life_ != LifeMode::quiet) return;
  for (const auto& [tid, tracee] : tracees_) tracee->waits_for_room = false;
  release_parked();
}

}  // namespace holdfast
