#include "report.h"

#include <sys/wait.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "../call/threads.h"
#include "../call/tree.h"
#include "../protocol/tlv.h"
#include "../syscalls/guards.h"
#include "access_fields.h"
#include "channel.h"
#include "usage_fields.h"

namespace holdfast {
namespace {

using protocol::FieldWriter;
using protocol::RecordKind;
using protocol::Tag;

// Beside what is in the ring.
constexpr size_t kMostWaiting = 1 << 20;

struct Record {
  RecordKind kind;
  std::vector<uint8_t> fields;
};

// One thread of its own keeps in order what does not fit into the ring at once. Most often it is never needed.
struct Reporter {
  std::mutex guard;
  std::condition_variable changed;
  std::deque<Record> queue;
  bool busy = false, started = false;
  size_t bytes = 0;  // in the queue
  std::function<void()> on_room;
  Channel* channel = nullptr;
} reporter;

void* run(void*) {
  std::unique_lock<std::mutex> lock(reporter.guard);
  for (;;) {
    while (reporter.queue.empty()) reporter.changed.wait(lock);
    Record record = std::move(reporter.queue.front());
    reporter.queue.pop_front();
    reporter.bytes -= record.fields.size();
    reporter.busy = true;
    lock.unlock();
    reporter.channel->send(record.kind, record.fields.data(), record.fields.size());
    lock.lock();
    reporter.busy = false;
    if (reporter.on_room && reporter.bytes <= kMostWaiting / 2) std::exchange(reporter.on_room, nullptr)();
    reporter.changed.notify_all();
  }
}

// Node may be left asleep for now, if somebody wakes it soon.
void queue(Sandbox& sandbox, RecordKind kind, const uint8_t* fields, size_t size, bool wakes) {
  std::lock_guard<std::mutex> lock(reporter.guard);
  if (reporter.queue.empty() && !reporter.busy && sandbox.channel.send_now(kind, fields, size)) {
    if (wakes) sandbox.channel.wake();
    return;
  }
  reporter.channel = &sandbox.channel;
  reporter.queue.push_back({kind, {fields, fields + size}});
  reporter.bytes += size;
  if (!reporter.started) {
    reporter.started = true;
    if (!start_thread(run, nullptr, true)) fatal("the reporting thread cannot be started", protocol::Stage::threads);
  }
  reporter.changed.notify_all();
}

void queue(Sandbox& sandbox, RecordKind kind, std::initializer_list<std::pair<Tag, int64_t>> numbers,
           bool wakes = true) {
  uint8_t buffer[256];
  FieldWriter writer(buffer, sizeof buffer);
  for (const auto& [tag, value] : numbers) writer.number(tag, value);
  queue(sandbox, kind, buffer, writer.size(), wakes);
}

}  // namespace

void report_warning(Sandbox& sandbox, std::string_view rule, std::string_view path, std::string_view target,
                    std::string_view reason) {
  std::vector<uint8_t> buffer(protocol::kMaxRecord);  // two paths of PATH_MAX have room in it
  FieldWriter writer(buffer.data(), buffer.size());
  writer.text(Tag::rule_, rule);
  writer.text(Tag::path_, path);
  if (!target.empty()) writer.text(Tag::target_, target);
  writer.text(Tag::reason_, reason);
  sandbox.channel.send(RecordKind::warning, buffer.data(), writer.size());
}

void report_launched(Sandbox& sandbox, pid_t command) {
  queue(sandbox, RecordKind::launched, {{Tag::pid_, command}, {Tag::engine_, static_cast<int64_t>(engine_in_use())}},
        false);
}

void report_failed_launch(Sandbox& sandbox, const Launch& launch) {
  int stage = launch.area->stage.load();
  int error = launch.area->error.load();
  if (stage == 0) stage = static_cast<int>(protocol::Stage::internal);
  queue(sandbox, RecordKind::failed, {{Tag::errno_, error}, {Tag::stage_, stage}, {Tag::pid_, launch.child}});
}

void report_stopped(Sandbox& sandbox, int signal) {
  {
    // A tree can do this without end, faster than Node takes it: of those that wait, the last one counts.
    const std::lock_guard<std::mutex> lock(reporter.guard);
    if (!reporter.queue.empty() && reporter.queue.back().kind == RecordKind::stopped) {
      reporter.bytes -= reporter.queue.back().fields.size();
      reporter.queue.pop_back();
    }
  }
  if (signal == 0)
    queue(sandbox, RecordKind::stopped, {});
  else
    queue(sandbox, RecordKind::stopped, {{Tag::signal_, signal}});
}

void report_exit(Sandbox& sandbox, pid_t command, int wait_status) {
  if (WIFSIGNALED(wait_status))
    queue(sandbox, RecordKind::exit, {{Tag::pid_, command}, {Tag::signal_, WTERMSIG(wait_status)}});
  else
    queue(sandbox, RecordKind::exit, {{Tag::pid_, command}, {Tag::code_, WEXITSTATUS(wait_status)}});
}

void report_limit(Sandbox& sandbox, std::string_view name, int64_t limit, int64_t reached, pid_t pid, int error) {
  uint8_t buffer[256];
  FieldWriter writer(buffer, sizeof buffer);
  writer.text(Tag::limitName_, name);
  writer.number(Tag::limit_, limit);
  writer.number(Tag::reached_, reached);
  if (error != 0) {
    writer.number(Tag::pid_, pid);
    writer.number(Tag::errno_, error);
  }
  queue(sandbox, RecordKind::limit, buffer, writer.size(), true);
}

void report_reply(Sandbox& sandbox, const uint8_t* fields, size_t size) {
  queue(sandbox, RecordKind::reply, fields, size, true);
}

void report_life(Sandbox& sandbox, const uint8_t* fields, size_t size) {
  queue(sandbox, RecordKind::life, fields, size, true);
}

bool is_backed_up(std::function<void()> on_room) {
  std::lock_guard<std::mutex> lock(reporter.guard);
  if (reporter.bytes <= kMostWaiting) return false;
  reporter.on_room = std::move(on_room);
  return true;
}

void report_accesses(Sandbox& sandbox) {
  const std::unique_ptr<uint8_t[]> buffer(new uint8_t[protocol::kMaxRecord]);
  FieldWriter writer(buffer.get(), protocol::kMaxRecord);
  const auto send = [&] {
    queue(sandbox, RecordKind::accesses, buffer.get(), writer.size(), true);
    writer = FieldWriter(buffer.get(), protocol::kMaxRecord);
  };
  write_accesses(
      sandbox.tree.accesses(), [&]() -> FieldWriter& { return writer; },
      [&](size_t needed) {
        if (writer.room() < needed) send();
      });
  send();
}

void report_end(Sandbox& sandbox) {
  const std::unique_ptr<uint8_t[]> buffer(new uint8_t[protocol::kMaxRecord]);
  FieldWriter writer(buffer.get(), protocol::kMaxRecord);
  write_usage(writer, sandbox.tree.usage(), sandbox.tree.usage().ended());
  write_by_program(writer, sandbox.tree.usage());
  queue(sandbox, RecordKind::tree_empty, buffer.get(), writer.size(), true);
  std::unique_lock<std::mutex> lock(reporter.guard);
  while (!reporter.queue.empty() || reporter.busy) reporter.changed.wait(lock);
  lock.unlock();
  // Our own end is what Node takes for the command's: it closes stdin then. It shall know of the command's end by then.
  sandbox.channel.wait_until_taken();
}

}  // namespace holdfast
