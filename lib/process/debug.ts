// What NODE_DEBUG=holdfast prints to standard error, as Node's own modules do (util.debuglog).
import { debuglog } from 'node:util';
import type { SandboxPlan } from './layers.ts';

const log = debuglog('holdfast');

/** Whether anybody wants to read it: what is printed costs time. */
export const debugs = (): boolean => log.enabled;

/** What is known of a start. */
export interface Started {
  readonly file: string;
  /** Of the command. */
  readonly pid: number | undefined;
  readonly supervisor: number | undefined;
  /** Of this thread, until the command's process was there. */
  readonly milliseconds: number;
  readonly ready: boolean;
  readonly hooks: number;
  readonly hearsViolations: boolean;
}

export function debugStart({ file, pid, supervisor, milliseconds, ready, hooks, hearsViolations }: Started): void {
  const how = ready ? 'that was ready' : 'that was started for it';
  const listens = hearsViolations ? "with a listener for 'violation'" : "without a listener for 'violation'";
  log('%d: %s, by supervisor %d %s, in %s ms', pid, file, supervisor, how, milliseconds.toFixed(2));
  log('%d: %d lines of hooks’ filters, %s', pid, hooks, listens);
}

/** One line for each class of calls. */
export function debugPlan(pid: number | undefined, { landlockAbi, classes }: Omit<SandboxPlan, 'restrictions'>): void {
  log('%d: Landlock ABI %d', pid, landlockAbi);
  for (const [name, { layer, obstacles }] of Object.entries(classes)) {
    const reasons = obstacles.map(({ why, change }) => (change === undefined ? why : `${why} (${change})`));
    log('%d: %s', pid, [`${name}: ${layer}`, ...reasons].join('; '));
  }
}
