// node:child_process for libraries that start programs with it: theirs run in a sandbox without knowing.
import type * as childProcess from 'node:child_process';
import { HoldfastError } from '../errors.ts';
import { shown } from '../policy/check.ts';
import type { Policy } from '../policy/policy.ts';
import type { SandboxedProcess } from '../process/sandboxed-process.ts';
import { wrongType } from '../spawn/arguments.ts';
import { compilePolicy, normalizeSpawn, type SandboxOptions, sandboxOptionNames } from '../spawn/options.ts';
import { SandboxPool } from '../spawn/pool.ts';
import { spawnSandboxed } from '../spawn/spawn.ts';
import { execFileSyncWith, execSyncWith, spawnSyncWith } from './child-process-sync.ts';
import { execFileWith, execWith } from './exec.ts';
import { forkWith } from './fork.ts';
import { given } from './run.ts';

/** What is the same for every program that a library starts. */
export interface SandboxedChildProcessOptions extends SandboxOptions {
  /** As always; relative paths in it are those of the working directory of this process, now. */
  policy?: SandboxOptions['policy'];
  /**
   * Called with each process in the tick of its spawn: the place for hooks and listeners. For a program that the thread waits for (`spawnSync`,
   * `execFileSync`, `execSync`) it can register hooks that answer at once, as those of `runSandboxedSync`, and nothing else: it is refused for
   * whatever else it uses of the process.
   */
  hooks?: (child: SandboxedProcess) => void;
  /** Whose supervisors are used, but for programs that the thread waits for. */
  pool?: SandboxPool;
}

/** The functions of node:child_process that start something. */
export type SandboxedChildProcess = Pick<
  typeof childProcess,
  'spawn' | 'fork' | 'exec' | 'execFile' | 'spawnSync' | 'execFileSync' | 'execSync'
>;

/**
 * What libraries hand on to `spawn` of options that are theirs, and that Node does not heed. By name, so that what is nobody's
 * is still refused.
 */
const theirs: ReadonlySet<string> = new Set([
  // execa 9: its own options, and what it makes of them
  'preferLocal',
  'localDir',
  'localDirectory',
  'node',
  'nodeOptions',
  'nodePath',
  'extendEnv',
  'input',
  'inputFile',
  'stdin',
  'stdout',
  'stderr',
  'all',
  'lines',
  'stripFinalNewline',
  'buffer',
  'ipc',
  'ipcInput',
  'verbose',
  'reject',
  'timeoutDuration',
  'cancelSignal',
  'gracefulCancel',
  'forceKillAfterDelay',
  'cleanup',
  'piped',
  // execa until 8
  'forceKillAfterTimeout',
  // cross-spawn
  'forceShell',
  // Node's fork, exec, execFile and cluster
  'execPath',
  'execArgv',
  'silent',
  'encoding',
  'maxBuffer',
]);

type Spawn = (file: string, args: readonly string[], options: Record<string, unknown>) => SandboxedProcess;

/**
 * The functions of node:child_process that start programs (`spawn`, `fork`, `exec`, `execFile`, `spawnSync`, `execSync`, `execFileSync`), with the same
 * signatures, results and errors. All programs run under these options: for libraries that take such functions, or in place of node:child_process itself.
 *
 * Options that are the library's own (execa's, cross-spawn's, those of Node's fork and cluster) are dropped by name; others that do not exist
 * are refused, as by {@link spawnSandboxed}. What is given here counts, whatever the library gives: holdfast's own options that it gives are
 * dropped, also those that are not given here.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_OPTION`.
 */
export function sandboxedChildProcess(options?: SandboxedChildProcessOptions): SandboxedChildProcess;
export function sandboxedChildProcess(options: unknown = {}): SandboxedChildProcess {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw wrongType('options', 'of type object', options);
  }
  const { hooks, pool, ...own } = { __proto__: null, ...options } as SandboxedChildProcessOptions;
  const refuse = (name: string, value: unknown, problem: string) =>
    new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', `options.${name}: ${shown(value)} ${problem}`);
  if (hooks !== undefined && typeof hooks !== 'function') throw refuse('hooks', hooks, 'must be a function');
  if (pool !== undefined && !(pool instanceof SandboxPool)) throw refuse('pool', pool, 'must be a pool');
  for (const [name, value] of Object.entries(own)) {
    if (!ownNames.has(name)) {
      throw refuse(name, value, `is not for every program. Known are ${[...ownNames].join(', ')}, hooks, pool`);
    }
  }
  // Once for all: wrong ones are told here, and no folder that a library starts something in changes what a path means.
  if (own.policy !== undefined) own.policy = compilePolicy(own.policy as Policy);
  normalizeSpawn('true', [], own);
  const start = (pool?.spawn ?? spawnSandboxed) as unknown as Spawn;
  const sandboxed = (all: Record<string, unknown>): Record<string, unknown> => {
    const kept = Object.entries(all).filter(([name]) => !theirs.has(name) && !ownNames.has(name));
    return { ...Object.fromEntries(kept), ...own };
  };
  const spawn = (file: string, argsOrOptions?: unknown, last?: unknown): SandboxedProcess => {
    const [args, all] = given(argsOrOptions, last);
    const child = start(file, args as string[], sandboxed(all));
    try {
      hooks?.(child);
    } catch (error) {
      child.on('error', () => {});
      void child.killTree();
      throw error;
    }
    return child;
  };
  const spawnSync = spawnSyncWith(sandboxed, hooks as never);
  const functions = {
    spawn,
    fork: forkWith(spawn),
    exec: execWith(spawn),
    execFile: execFileWith(spawn),
    spawnSync,
    execFileSync: execFileSyncWith(spawnSync),
    execSync: execSyncWith(spawnSync),
  };
  return functions as unknown as SandboxedChildProcess;
}

/** What of a spawn's options can be the same for all of them; `SandboxOptions`. */
const ownNames: ReadonlySet<string> = new Set(sandboxOptionNames);
