#include "violation.h"

#include <time.h>

#include <memory>

#include "../call/tree.h"
#include "../channel/channel.h"
#include "record.h"

namespace holdfast {

using protocol::FieldWriter;
using protocol::RecordKind;
using protocol::Tag;

namespace {

struct Refusal {
  const Facts* facts = nullptr;
  const char* syscall = nullptr;
  std::string_view path = {};  // instead of facts
  std::string_view rule = {};
  std::string_view reason = {};
  Missing missing = {};
  int error = 0;
  bool dry = false;  // nothing was refused
};

int64_t now() {
  timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1000000;
}

constexpr size_t kMostArguments = 4 << 10;  // bytes of them

// Who it is and who has made it, from what is remembered: the caller may be killed at any moment.
void write_descent(FieldWriter& writer, const Sandbox& sandbox, const Held& call) {
  uint64_t look;
  std::string program;
  const pid_t maker = sandbox.tree.maker_of(call.tgid());
  if (maker != 0 && sandbox.tree.program_of(maker, program, look)) writer.text(Tag::parentExecutable_, program);
  const Tree::Arguments arguments = sandbox.tree.arguments_of(call.tgid());
  if (arguments == nullptr) return;
  size_t left = kMostArguments;
  for (const std::string& argument : *arguments) {
    if (argument.size() > left) {
      writer.number(Tag::more_, 1);
      break;
    }
    writer.text(Tag::argv_, argument);
    left -= argument.size();
  }
}

void send_record(Sandbox& sandbox, const Held& call, const Refusal& refusal, RecordKind kind = RecordKind::violation) {
  if (kind == RecordKind::violation && !refusal.dry) {
    sandbox.tree.usage().refused.fetch_add(1, std::memory_order_relaxed);
    note_refused(sandbox, call, refusal.facts, refusal.rule, refusal.error, refusal.missing);
  }
  const std::string executable = executable_of(sandbox, call);
  const std::unique_ptr<uint8_t[]> buffer(new uint8_t[protocol::kMaxRecord]);
  // Names may be longer than any record: then the event comes without them.
  for (const bool with_names : {true, false}) {
    FieldWriter writer(buffer.get(), protocol::kMaxRecord);
    write_caller(writer, call, refusal.syscall, executable);
    writer.number(Tag::errno_, refusal.error);
    if (refusal.dry) writer.number(Tag::dry_, 1);
    writer.number(Tag::time_, now());
    if (!refusal.rule.empty()) writer.text(Tag::rule_, refusal.rule);
    if (!refusal.reason.empty()) writer.text(Tag::reason_, refusal.reason);
    if (refusal.facts != nullptr && refusal.facts->event != Event::none)
      writer.number(Tag::event_, static_cast<int64_t>(refusal.facts->event));
    if (refusal.missing.right != nullptr) {
      writer.text(Tag::right_, refusal.missing.right);
      // Against a deny rule no other helps.
      if (refusal.rule.empty() && refusal.missing.field != nullptr) writer.text(Tag::field_, refusal.missing.field);
      if (refusal.missing.of_folder) writer.number(Tag::ofFolder_, 1);
      if (refusal.missing.second) writer.number(Tag::second_, 1);
    }
    // What was asked for, of a call that is known by its registers: Node has the names of commands and options.
    if (refusal.facts == nullptr)
      for (const uint64_t value : call.args) writer.number(Tag::registers_, static_cast<int64_t>(value));
    if (with_names) {
      if (!refusal.path.empty()) writer.text(Tag::path_, refusal.path);
      if (refusal.facts != nullptr) write_names(writer, *refusal.facts);
      write_descent(writer, sandbox, call);
    }
    if (refusal.facts != nullptr && refusal.facts->signal >= 0) {
      writer.number(Tag::signal_, refusal.facts->signal);
      writer.number(Tag::targetPid_, refusal.facts->target_pid);
    }
    if (writer.full()) continue;
    sandbox.channel.send(kind, buffer.get(), writer.size());
    return;
  }
}

void report_ruling(Sandbox& sandbox, const Held& call, const Facts& facts, int error, std::string_view rule,
                   std::string_view reason, const Missing& missing, bool dry) {
  send_record(sandbox, call,
              {.facts = &facts,
               .syscall = syscall_of(call, facts),
               .rule = rule,
               .reason = reason,
               .missing = missing,
               .error = error,
               .dry = dry});
}

}  // namespace

void report_refused(Sandbox& sandbox, const Held& call, const Facts& facts, int error, std::string_view rule,
                    std::string_view reason, const Missing& missing) {
  report_ruling(sandbox, call, facts, error, rule, reason, missing, false);
}

void report_let_by(Sandbox& sandbox, const Held& call, const Facts& facts, int error, std::string_view rule,
                   std::string_view reason, const Missing& missing) {
  report_ruling(sandbox, call, facts, error, rule, reason, missing, true);
}

void report_by_rule(Sandbox& sandbox, const Held& call, int error, std::string_view rule, std::string_view reason) {
  send_record(sandbox, call, {.syscall = call.row->name, .rule = rule, .reason = reason, .error = error});
}

void report_logged(Sandbox& sandbox, const Held& call, std::string_view rule) {
  send_record(sandbox, call, {.syscall = call.row->name, .rule = rule}, RecordKind::logged);
}

void report(Sandbox& sandbox, const Held& call, int error, std::string_view reason, std::string_view path) {
  send_record(sandbox, call, {.syscall = call.row->name, .path = path, .reason = reason, .error = error});
}

void report_denied_name(Sandbox& sandbox, const Held& call, int error, std::string_view rule, std::string_view path) {
  send_record(sandbox, call, {.syscall = call.row->name, .path = path, .rule = rule, .error = error});
}

}  // namespace holdfast
