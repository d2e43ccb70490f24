#include "decide.h"

#include <sys/socket.h>

#include <cerrno>

#include "config.h"
#include "judge.h"
#include "record.h"
#include "violation.h"

namespace holdfast {

namespace {

Decision allow() {
  Decision decision;
  decision.kind = Decision::Kind::allow;
  return decision;
}

Decision follow(Sandbox& sandbox, const Held& call, const Facts& facts, const Judgement& judgement,
                const Ruling& ruling, std::string_view reason = {}) {
  if (ruling.silent) {
    note(sandbox, call, facts, judgement.given);
    return Decision::refused(ruling.error);
  }
  return refuse(sandbox, call, facts, ruling.error, ruling.rule, reason.empty() ? ruling.reason : reason,
                ruling.missing);
}

// What rules that are only tried would have refused.
void try_rules(Sandbox& sandbox, const Held& call, const Facts& facts) {
  if (sandbox.config.dry == nullptr || facts.refused_anyway) return;
  const Judgement tried = judge(*sandbox.config.dry, call, facts);
  if (tried.denied)
    report_let_by(sandbox, call, facts, ruling_of(sandbox.config, tried).error, tried.rule, "the rule is dry",
                  tried.missing);
}

Decision decide_allowed(Sandbox& sandbox, const Held& call, const Facts& facts, const Judgement& judgement) {
  try_rules(sandbox, call, facts);
  note(sandbox, call, facts, judgement.given);
  return allow();
}

}  // namespace

Ruling ruling_of(const Config& config, const Judgement& judgement) {
  Ruling out;
  out.final = judgement.denied || judgement.narrowed;
  if (!out.final && judgement.allowed) {
    out.rule = judgement.allowed_by;
    return out;
  }
  if (!judgement.denied && judgement.only_missing) {
    out.error = ENOENT;
    out.silent = true;
    return out;
  }
  out.error = judgement.denied && judgement.not_there ? ENOENT : judgement.hidden ? config.ungranted : EACCES;
  out.missing = judgement.missing;
  if (judgement.denied) {
    out.rule = judgement.rule;
  } else {
    if (judgement.narrowed) out.rule = "restrict";
    out.reason = judgement.reason;
  }
  return out;
}

bool lets_by(const Config& config, const Judgement& judgement, const Ruling& ruling) {
  return ruling.error != 0 && !ruling.final && !ruling.silent && config.lets_by && !judgement.never;
}

Ruling ruling_where_nothing_is(const Config& config, std::string_view place) {
  Ruling out;
  out.final = out.silent = true;
  out.error = ENOENT;
  Match match;
  const auto is_not_denied = [&](const Rules& rules) {
    match = rules.metadata(place);
    return match.effect != Effect::deny;
  };
  if (config.all_say(is_not_denied)) return out;
  match.note();
  out.silent = false;
  out.error = match.hidden ? ENOENT : config.ungranted;
  out.rule = match.label;
  return out;
}

void facts_of_socket(const Config& config, std::string_view path, bool missing, Address& address, Facts& facts) {
  address.family = AF_UNIX;
  address.unix_name = path;
  if (config.rules.decides_socket(path, facts.operation)) {
    facts.address = &address;
  } else {
    facts.paths[0] = {path, protocol::kWrite, missing};
    facts.path_count = 1;
  }
}

Decision decide(Sandbox& sandbox, const Held& call, const Facts& facts) {
  const Judgement judgement = judge(sandbox.config, call, facts);
  const Ruling ruling = ruling_of(sandbox.config, judgement);
  Decision decision;
  if (!ruling.final && anybody_wants(sandbox.config, call, facts) && ask(sandbox, call, facts, decision)) {
    if (decision.kind != Decision::Kind::error) note(sandbox, call, facts, judgement.given);
    return decision;
  }
  if (ruling.error == 0) return decide_allowed(sandbox, call, facts, judgement);
  if (lets_by(sandbox.config, judgement, ruling)) {
    if (!facts.refused_anyway) report_let_by(sandbox, call, facts, ruling.error, "", ruling.reason, ruling.missing);
    return decide_allowed(sandbox, call, facts, judgement);
  }
  return follow(sandbox, call, facts, judgement, ruling);
}

Decision decide_denied(Sandbox& sandbox, const Held& call, const Facts& facts, std::string_view reason) {
  const Judgement judgement = judge(sandbox.config, call, facts);
  if (!judgement.denied && !judgement.narrowed) return allow();
  return follow(sandbox, call, facts, judgement, ruling_of(sandbox.config, judgement),
                judgement.denied ? reason : std::string_view());
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
