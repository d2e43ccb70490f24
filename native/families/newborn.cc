// Calls that make a process or a thread, where a hook hears of them.
#include "../policy/decide.h"
#include "../policy/fork_hooks.h"
#include "../syscalls/guards.h"
#include "caller.h"
#include "handlers.h"

namespace holdfast::families {

Finish make_newborn(Sandbox& sandbox, Held& call) {
  if (call.row->way == Way::refuse && !lets_by(*call.row, call.args)) return refuse(sandbox, call);
  // Held for a rule's sake alone.
  if (!sandbox.config.hooked(protocol::Event::fork)) return Finish::proceed();
  const Newborn made = newborn_of(call);
  const std::string program = executable_of(sandbox, call);
  Facts facts;
  facts.event = protocol::Event::fork;
  facts.flags = made.flags;
  facts.kind = made.kind;
  facts.program = &program;
  const Decision decision = decide(sandbox, call, facts);
  return decision.allowed() ? Finish::proceed() : refusal(decision);
}

}  // namespace holdfast::families
