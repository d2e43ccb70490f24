#include "requests.h"

#include <errno.h>

#include <memory>
#include <string>
#include <utility>

#include "../call/sandbox.h"
#include "../channel/channel.h"
#include "../channel/reply.h"
#include "../engine/freezing.h"
#include "../engine/inspecting.h"
#include "../engine/processes.h"
#include "../engine/restricting.h"
#include "../engine/tasks.h"
#include "../protocol/tlv.h"

namespace holdfast {
namespace {

using protocol::Field;
using protocol::FieldReader;
using protocol::RequestKind;
using protocol::Tag;

// Answers by `reply`, now or later: when the last copy of it is gone, it is sent.
using Handler = void (*)(Sandbox& sandbox, Tracer& tracer, FieldReader asked, const std::shared_ptr<Reply>& reply);

// Nothing is asked here: a verdict has come.
void take_verdict(Sandbox& sandbox, Tracer&, FieldReader told, const std::shared_ptr<Reply>&) {
  int64_t slot = -1, generation = -1;
  std::string data;
  for (Field field; told.next(field);) {
    if (field.tag == Tag::slot_) slot = field.number(-1);
    if (field.tag == Tag::generation_) generation = field.number(-1);
    if (field.tag == Tag::verdictData_) data.assign(field.text());
  }
  if (slot < 0 || generation < 0) return;
  sandbox.channel.deliver(static_cast<uint32_t>(slot), static_cast<uint32_t>(generation),
                          protocol::VerdictKind::redirect, std::move(data));
}

Handler handler_of(RequestKind kind) {
  switch (kind) {
    case RequestKind::processes:
      return tell_processes;
    case RequestKind::freeze:
      return freeze_tree;
    case RequestKind::thaw:
      return thaw_tree;
    case RequestKind::verdict:
      return take_verdict;
    case RequestKind::usage:
      return tell_usage;
    case RequestKind::restrict:
      return restrict_tree;
    case RequestKind::inspect:
      return begin_inspection;
    case RequestKind::endInspection:
      return end_inspection;
    case RequestKind::registers:
      return tell_registers;
    case RequestKind::setRegisters:
      return set_registers;
    case RequestKind::inspectedMemory:
      return tell_inspected_memory;
    case RequestKind::setMemory:
      return set_memory;
    case RequestKind::mappings:
      return tell_mappings;
    case RequestKind::life:
      return switch_life;
    case RequestKind::ancestry:
      return tell_ancestry;
    case RequestKind::directory:
      return tell_directory;
    case RequestKind::memory:
      return tell_memory;
    case RequestKind::accesses:
      return tell_accesses;
    case RequestKind::end:
      break;
  }
  return nullptr;
}

}  // namespace

void take_request(Sandbox& sandbox, Tracer* tracer, std::vector<uint8_t> bytes) {
  int64_t request = -1, kind = -1;
  FieldReader reader(bytes.data(), bytes.size());
  for (Field field; reader.next(field);) {
    if (field.tag == Tag::request_) request = field.number(-1);
    if (field.tag == Tag::kind_) kind = field.number(-1);
  }
  const bool is_known = !reader.bad() && kind >= 0 && kind < static_cast<int64_t>(RequestKind::end);
  const auto reply = std::make_shared<Reply>(sandbox, request);
  if (!is_known) {
    reply->fail(EPROTO, "what is asked is not known");
    return;
  }
  if (tracer == nullptr) {
    reply->fail(EOPNOTSUPP, "the engine 'kernel' does not follow the tree");
    return;
  }
  const Handler handler = handler_of(static_cast<RequestKind>(kind));
  run_task([&sandbox, tracer, handler, reply, bytes = std::move(bytes)] {
    handler(sandbox, *tracer, FieldReader(bytes.data(), bytes.size()), reply);
  });
}

}  // namespace holdfast
