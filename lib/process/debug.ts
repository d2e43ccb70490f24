// For those who debug: what NODE_DEBUG=holdfast prints to standard error, as Node's own modules do (util.debuglog), and the
// channels of node:diagnostics_channel.
import { channel } from 'node:diagnostics_channel';
import { debuglog } from 'node:util';
import type { SandboxPlan } from './layers.ts';

const log = debuglog('holdfast');

/**
 * What every sandbox of this process tells, each message with its `child`: its spawn, in the tick of that, so that listeners may be added;
 * each `violation` and `hookError`; its end, with `exitCode` and `signalCode`. docs/command-line.md has the names.
 */
export const channels = {
  spawn: channel('holdfast.spawn'),
  violation: channel('holdfast.violation'),
  hookError: channel('holdfast.hookError'),
  close: channel('holdfast.close'),
};

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
