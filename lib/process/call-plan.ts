// How each rule on raw system calls is held, and what restrict() has put on so far: parts of the plan.
import type { Rules } from '../policy/policy.ts';
import { type CallRule, callActions, madeForTheTree, syscallRows } from '../policy/syscalls.ts';

/** A rule of `policy.syscalls`, or a part of it that is held in the same way. */
export interface CallRulePlan {
  /** The policy's field, as events name it. */
  readonly rule: string;
  readonly action: 'errno' | 'trap' | 'kill' | 'log' | 'allow';
  /** What it speaks of; `only` speaks of all calls that it does not name. */
  readonly calls: readonly string[];
  /**
   * `'kernel'`: a seccomp program of each process answers by itself. `'stop'`: the call is held, and the supervisor decides
   * and tells of it. `'nobody'`: a `'log'` that nobody listened to in the spawn's tick.
   */
  readonly held: 'kernel' | 'stop' | 'nobody';
}

/** What one `restrict()` has put on. */
export interface RestrictionPlan {
  /** `'strict'`: nothing but `read`, `write`, `exit`, `exit_group`, `rt_sigreturn`. */
  readonly strict: boolean;
  /** Its rules on files, addresses and programs, as violations name them; at most 64 are named. */
  readonly rules: readonly string[];
  readonly calls: readonly CallRulePlan[];
}

/** Who listened in the spawn's tick. */
export interface Hears {
  readonly violations: boolean;
  readonly logged: boolean;
}

const MOST_RULES = 64;
const names = Object.fromEntries(Object.entries(callActions).map(([name, number]) => [number, name]));

/**
 * As native/policy/call_rules.cc (build) has it.
 * @param answered Calls that the kernel answers by rules of before: it never comes to a stop there.
 */
export function callPlans(rules: readonly CallRule[], hears: Hears, answered: ReadonlySet<string>): CallRulePlan[] {
  const stopped = new Set<string>();
  for (const { call, action } of rules) {
    if (action === callActions.kill || (action === callActions.log && hears.logged)) stopped.add(call);
  }
  const heldBy = ({ call, action }: CallRule): CallRulePlan['held'] => {
    if (action === callActions.log && !hears.logged) return 'nobody';
    const way = syscallRows().get(call)?.way;
    if (way === 'absent') return 'kernel';
    if (way === 'verify') return 'stop';
    if (action === callActions.trap) return 'kernel';
    const ours = madeForTheTree.has(call);
    if (action !== callActions.errno) return answered.has(call) && !ours ? 'kernel' : 'stop';
    return (hears.violations || ours || stopped.has(call)) && !answered.has(call) ? 'stop' : 'kernel';
  };
  const plans = new Map<string, { plan: CallRulePlan; calls: string[] }>();
  for (const rule of rules) {
    const held = heldBy(rule);
    const action = names[rule.action] as CallRulePlan['action'];
    const key = `${rule.label} ${action} ${held}`;
    const known = plans.get(key);
    if (known !== undefined) {
      known.calls.push(rule.call);
      continue;
    }
    const calls = [rule.call];
    plans.set(key, { calls, plan: { rule: rule.label, action, calls, held } });
  }
  return [...plans.values()].map(({ plan, calls }) => {
    Object.freeze(calls);
    return Object.freeze(plan);
  });
}

/** What the kernel answers by itself. */
export function answeredBy(plans: readonly CallRulePlan[]): string[] {
  return plans.flatMap(({ held, calls }) => (held === 'kernel' ? calls : []));
}

export function restrictionPlan(
  rules: Rules,
  strict: boolean,
  hears: Hears,
  answered: ReadonlySet<string>,
): RestrictionPlan {
  const labels = new Set<string>();
  for (const { label } of [...rules.files, ...rules.network, ...rules.exec]) {
    if (label.startsWith('restrict.') && labels.size < MOST_RULES) labels.add(label);
  }
  return Object.freeze({
    strict,
    rules: Object.freeze([...labels]),
    calls: Object.freeze(callPlans(rules.calls, hears, answered)),
  });
}
