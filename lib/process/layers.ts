// Which layer decides each class of calls, and why (native/policy/layers.h).

import { type CheckedLimits, type LimitPlan, plansOf } from '../limits/limits.ts';
import type { NativeRecord } from '../native/native.ts';
import { number, own } from '../native/records.ts';
import type { CallRulePlan, RestrictionPlan } from './call-plan.ts';
import { type Engine, engineOf } from './engine.ts';

/**
 * Who decides a class of calls, from the cheapest on:
 * - `kernel`: not held; nothing of this class can be refused;
 * - `landlock`: not held; Landlock refuses what the rules would, with EACCES and without a `violation`;
 * - `continued`: held and judged; in folders that Landlock grants as a whole the call then goes on as the caller's own, and
 *   elsewhere the supervisor does it;
 * - `supervisor`: held, judged by the rules, and done by the supervisor;
 * - `hook`: held, and hooks hear of it.
 */
export type Layer = 'kernel' | 'landlock' | 'continued' | 'supervisor' | 'hook';

/** What is decided by one layer as a whole; docs/api.md says which calls each has. */
export type CallClass =
  | 'metadata'
  | 'read'
  | 'write'
  | 'readWrite'
  | 'make'
  | 'remove'
  | 'attributes'
  | 'exec'
  | 'connect'
  | 'send'
  | 'bind'
  | 'signal';

/** Why a class is not on a cheaper layer. */
export interface PlanObstacle {
  readonly why: string;
  /** What would remove it, as a change of the policy or of the machine; undefined if nothing would. */
  readonly change?: string;
}

export interface ClassPlan {
  readonly layer: Layer;
  /** Empty on the cheapest layer that the class has. At most eight are named. */
  readonly obstacles: readonly PlanObstacle[];
}

/** The argument of {@link SandboxedProcess.plan}'s promise. */
export interface SandboxPlan {
  /** Who holds what is held. */
  readonly engine: Engine;
  /** `'report'`: what no rule allows is let by and told. It is no sandbox then. */
  readonly mode: 'enforce' | 'report';
  /** ABI of the kernel's Landlock; 0 without. */
  readonly landlockAbi: number;
  readonly classes: Readonly<Record<CallClass, ClassPlan>>;
  /** The limits that were asked for, and how each is held. */
  readonly limits: readonly LimitPlan[];
  /** The rules of `policy.syscalls`, and how each is held. */
  readonly calls: readonly CallRulePlan[];
  /** What `restrict()` has put on so far, the first one first. */
  readonly restrictions: readonly RestrictionPlan[];
}

const layers: Readonly<Record<string, Layer>> = {
  1: 'kernel',
  2: 'landlock',
  3: 'continued',
  4: 'supervisor',
  5: 'hook',
};

export function planOf(
  record: NativeRecord,
  limits: CheckedLimits,
  group: boolean,
  calls: readonly CallRulePlan[],
  mode: SandboxPlan['mode'],
): Omit<SandboxPlan, 'restrictions'> {
  const texts = own(record, 'plan') as readonly string[];
  const classes: Partial<Record<string, ClassPlan>> = {};
  for (let at = 0; at < texts.length; ) {
    const [name = '', layer = '', count = '0'] = texts.slice(at, at + 3);
    at += 3;
    const obstacles: PlanObstacle[] = [];
    for (let i = 0; i < Number(count); i++, at += 2) {
      const [why = '', change = ''] = texts.slice(at, at + 2);
      obstacles.push(Object.freeze(change === '' ? { why } : { why, change }));
    }
    classes[name] = Object.freeze({ layer: layers[layer] ?? 'supervisor', obstacles: Object.freeze(obstacles) });
  }
  // Whoever asks is given the same.
  return Object.freeze({
    engine: engineOf(record),
    mode,
    landlockAbi: number(record, 'count'),
    classes: Object.freeze(classes as SandboxPlan['classes']),
    limits: plansOf(limits, group),
    calls: Object.freeze(calls),
  });
}

/** The names of those that a layer decides. */
export const classesOf = (classes: SandboxPlan['classes'], layer: Layer): string[] =>
  Object.entries(classes).flatMap(([name, plan]) => (plan.layer === layer ? [name] : []));
