#include "usage_fields.h"

namespace holdfast {

using protocol::FieldWriter;
using protocol::Tag;

namespace {

void write(FieldWriter& writer, Tag tag, uint64_t value) { writer.number(tag, static_cast<int64_t>(value)); }

}  // namespace

void write_figures(FieldWriter& writer, const Figures& figures) {
  write(writer, Tag::userTime_, figures.user);
  write(writer, Tag::systemTime_, figures.system);
  write(writer, Tag::peakMemory_, figures.peak);
  write(writer, Tag::bytesRead_, figures.read);
  write(writer, Tag::bytesWritten_, figures.written);
}

void write_by_program(FieldWriter& writer, const Usage& usage) {
  constexpr size_t kEach = 512;
  for (const auto& [program, sum] : usage.by_program()) {
    if (writer.room() < program.size() + kEach) break;  // some thousand
    const size_t mark = writer.begin(Tag::program_);
    writer.text(Tag::executable_, program);
    write(writer, Tag::processes_, sum.processes);
    write_figures(writer, sum.figures);
    writer.end(mark);
  }
}

void write_usage(FieldWriter& writer, const Usage& usage, const Figures& figures) {
  write_figures(writer, figures);
  write(writer, Tag::wallTime_, usage.wall_time());
  write(writer, Tag::callsHeld_, usage.held.load());
  write(writer, Tag::callsRefused_, usage.refused.load());
  write(writer, Tag::processes_, usage.processes.load());
  write(writer, Tag::threads_, usage.threads.load());
}

}  // namespace holdfast
