#include "dispatch.h"

#include <stdio.h>

#include "../arch/arch.h"
#include "../families/handlers.h"
#include "../policy/call_rules.h"
#include "../policy/config.h"
#include "../policy/record.h"
#include "../policy/violation.h"
#include "../syscalls/guards.h"

namespace holdfast {
namespace {

using Handler = Finish (*)(Sandbox&, Held&);

constexpr Handler kHandlers[] = {
#define SYSCALL(name, x86_64, aarch64, family, event, way, error, guard, handler, args, reason) families::handler,
#include "../syscalls/table.def"
#undef SYSCALL
};

Finish decide_on(Sandbox& sandbox, Held& call) {
  if (sandbox.config.speaks_of(*call.row) && !call.initial) {
    Finish decided;
    if (decide_by_call_rules(sandbox, call, decided)) return decided;
    // Held for a rule's or a hook's sake alone.
    if (call.row->event != Event::fork && call.engine == Held::Engine::trace && !call.again &&
        !is_taken_back(*call.row, call.args) && (!is_stopped(*call.row, call.args) || lets_by(*call.row, call.args)))
      return Finish::proceed();
  }
  return kHandlers[call.row - rows_begin()](sandbox, call);
}

}  // namespace

Finish dispatch(Sandbox& sandbox, Held& call) {
  if (!sandbox.config.records) return decide_on(sandbox, call);
  Recording recording(sandbox, call);
  return recording.end(decide_on(sandbox, call));
}

Finish refuse_unknown(Sandbox& sandbox, Held& call, int number, uint32_t audit_arch) {
  static const Row kUnknown = {"unknown", -1, -1, Family::system, Event::none, Way::refuse, ENOSYS, Guard::always_held,
                               0,         {}, ""};
  call.row = &kUnknown;
  char reason[96];
  if (audit_arch != arch::kAuditArch)
    snprintf(reason, sizeof reason, "system call %d by a foreign ABI (audit arch 0x%x)", number, audit_arch);
  else if (arch::kForeignNumberBit != 0 && (static_cast<unsigned>(number) & arch::kForeignNumberBit) != 0)
    snprintf(reason, sizeof reason, "system call %u by the x32 ABI",
             static_cast<unsigned>(number) & ~static_cast<unsigned>(arch::kForeignNumberBit));
  else
    snprintf(reason, sizeof reason, "system call number %d is not in the table", number);
  report(sandbox, call, ENOSYS, reason);
  return Finish::error(ENOSYS);
}

namespace families {

Finish refuse(Sandbox& sandbox, Held& call) {
  if (sandbox.config.calls.opens(*call.row, call.args)) return Finish::proceed();
  const int error = call.row->error != 0 ? call.row->error : EPERM;
  report(sandbox, call, error, call.row->reason);
  return Finish::error(error);
}

}  // namespace families
}  // namespace holdfast
