import type { SpawnOptions } from 'node:child_process';
import type { HookRegistry } from '../hooks/hooks.ts';
import type { ControlGroup } from '../limits/control-group.ts';
import type { CheckedLimits } from '../limits/limits.ts';
import type { Rules } from '../policy/policy.ts';
import type { ReadySupervisors } from './ready.ts';

/** What goes to Node's own spawn as it is. */
export const passedOptions = [
  'cwd',
  'env',
  'uid',
  'gid',
  'detached',
  'serialization',
  'windowsHide',
  'windowsVerbatimArguments',
] as const satisfies readonly (keyof SpawnOptions)[];

/** Everything that a spawn needs, checked (spawn/options.ts). */
export interface Spawn {
  file: string;
  /** With argv[0], as `spawnargs` shows it. */
  args: string[];
  stdio: unknown[];
  /** For Node's own spawn, as they are. */
  passed: Pick<SpawnOptions, (typeof passedOptions)[number]>;
  cwd: string;
  /** The command's process group, by its number (process/job-group.ts). */
  jobGroup: number;
  /** By its number (process/engine.ts). */
  engine: number;
  changesUser: boolean;
  timeout: number;
  killSignal: number;
  signal: AbortSignal | undefined;
  rules: Rules;
  hookTimeout: number;
  waitForTree: boolean;
  /** Milliseconds; 0 for none. */
  forceKillAfter: number;
  usageByExecutable: boolean;
  /** What is asked for is counted. */
  record: boolean;
  limits: CheckedLimits;
  /** Of the tree, where one could be made and a limit asks for it. It is to be removed at the end. */
  group?: ControlGroup;
  /** What has been registered already, where hooks live in another thread (lib/run/sync.ts). */
  hooks?: HookRegistry;
  /** Supervisors to choose from, for a spawn of a pool. */
  ready?: ReadySupervisors;
}
