#include "decide.h"

#include <cerrno>

#include "config.h"
#include "judge.h"

namespace holdfast {

Decision decide(Sandbox& sandbox, const Held& call, const Facts& facts) {
  const Judgement judgement = judge(sandbox.config, call, facts);
  const int error = judgement.hidden ? sandbox.config.ungranted : EACCES;
  if (judgement.denied) return refuse(sandbox, call, facts, error, judgement.rule, "", judgement.missing);
  Decision decision;
  if (anybody_wants(sandbox.config, call, facts) && ask(sandbox, call, facts, decision)) return decision;
  if (judgement.allowed) {
    decision.kind = Decision::Kind::allow;
    return decision;
  }
  if (judgement.only_missing) return Decision::refused(ENOENT);
  return refuse(sandbox, call, facts, error, "", judgement.reason, judgement.missing);
}

Decision decide_denied(Sandbox& sandbox, const Held& call, const Facts& facts) {
  const Judgement judgement = judge(sandbox.config, call, facts);
  const int error = judgement.hidden ? sandbox.config.ungranted : EACCES;
  if (judgement.denied) return refuse(sandbox, call, facts, error, judgement.rule, "", judgement.missing);
  Decision decision;
  decision.kind = Decision::Kind::allow;
  return decision;
}

Decision decide_redirected(Sandbox& sandbox, const Held& call, const Facts& facts) {
  const Judgement judgement = judge(sandbox.config, call, facts);
  if (judgement.denied)
    return refuse(sandbox, call, facts, EACCES, judgement.rule, "a hook redirected the call there", judgement.missing);
  Decision decision;
  decision.kind = Decision::Kind::allow;
  return decision;
}

bool allowed_unheard(const Sandbox& sandbox, const Held& call, const Facts& facts) {
  if (anybody_wants(sandbox.config, call, facts)) return false;
  const Judgement judgement = judge(sandbox.config, call, facts);
  return !judgement.denied && judgement.allowed;
}

}  // namespace holdfast
