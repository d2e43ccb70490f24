#include "decide.h"

#include <cerrno>

#include "config.h"
#include "judge.h"
#include "record.h"
#include "violation.h"

namespace holdfast {

namespace {

int error_of(const Sandbox& sandbox, const Judgement& judgement) {
  if (judgement.denied && judgement.not_there) return ENOENT;
  return judgement.hidden ? sandbox.config.ungranted : EACCES;
}

Decision allow() {
  Decision decision;
  decision.kind = Decision::Kind::allow;
  return decision;
}

Decision refuse_denied(Sandbox& sandbox, const Held& call, const Facts& facts, const Judgement& judgement,
                       std::string_view reason) {
  return refuse(sandbox, call, facts, error_of(sandbox, judgement), judgement.rule, reason, judgement.missing);
}

Decision refuse_narrowed(Sandbox& sandbox, const Held& call, const Facts& facts, const Judgement& judgement) {
  if (judgement.only_missing) {
    note(sandbox, call, facts, judgement.given);
    return Decision::refused(ENOENT);
  }
  return refuse(sandbox, call, facts, error_of(sandbox, judgement), "restrict", judgement.reason, judgement.missing);
}

// What rules that are only tried would have refused.
void try_rules(Sandbox& sandbox, const Held& call, const Facts& facts) {
  if (sandbox.config.dry == nullptr) return;
  const Judgement tried = judge(*sandbox.config.dry, call, facts);
  if (tried.denied)
    report_let_by(sandbox, call, facts, error_of(sandbox, tried), tried.rule, "the rule is dry", tried.missing);
}

Decision decide_allowed(Sandbox& sandbox, const Held& call, const Facts& facts, const Judgement& judgement) {
  try_rules(sandbox, call, facts);
  note(sandbox, call, facts, judgement.given);
  return allow();
}

}  // namespace

Decision decide(Sandbox& sandbox, const Held& call, const Facts& facts) {
  const Judgement judgement = judge(sandbox.config, call, facts);
  if (judgement.denied) return refuse_denied(sandbox, call, facts, judgement, "");
  if (judgement.narrowed) return refuse_narrowed(sandbox, call, facts, judgement);
  Decision decision;
  if (anybody_wants(sandbox.config, call, facts) && ask(sandbox, call, facts, decision)) {
    if (decision.kind != Decision::Kind::error) note(sandbox, call, facts, judgement.given);
    return decision;
  }
  if (judgement.allowed) return decide_allowed(sandbox, call, facts, judgement);
  if (judgement.only_missing) {
    note(sandbox, call, facts, judgement.given);
    return Decision::refused(ENOENT);
  }
  if (sandbox.config.lets_by && !judgement.never) {
    report_let_by(sandbox, call, facts, error_of(sandbox, judgement), "", judgement.reason, judgement.missing);
    return decide_allowed(sandbox, call, facts, judgement);
  }
  return refuse(sandbox, call, facts, error_of(sandbox, judgement), "", judgement.reason, judgement.missing);
}

Decision decide_denied(Sandbox& sandbox, const Held& call, const Facts& facts, std::string_view reason) {
  const Judgement judgement = judge(sandbox.config, call, facts);
  if (judgement.denied) return refuse_denied(sandbox, call, facts, judgement, reason);
  return judgement.narrowed ? refuse_narrowed(sandbox, call, facts, judgement) : allow();
}

Decision decide_redirected(Sandbox& sandbox, const Held& call, const Facts& facts) {
  return decide_denied(sandbox, call, facts, "a hook redirected the call there");
}

bool allowed_unheard(const Sandbox& sandbox, const Held& call, const Facts& facts) {
  if (sandbox.config.records || sandbox.config.dry || anybody_wants(sandbox.config, call, facts)) return false;
  const Judgement judgement = judge(sandbox.config, call, facts);
  return !judgement.denied && judgement.allowed;
}

bool allowed_unheard(const Sandbox& sandbox, const Held& call, const Facts::Path& path) {
  Facts facts;
  facts.event = call.row->event;
  facts.paths[0] = path;
  facts.path_count = 1;
  return allowed_unheard(sandbox, call, facts);
}

}  // namespace holdfast
