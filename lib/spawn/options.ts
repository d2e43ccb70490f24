import type { SpawnOptions, StdioOptions } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HoldfastError } from '../errors.ts';
import { checkLimits, type Limits } from '../limits/limits.ts';
import { shown } from '../policy/check.ts';
import type { PolicyName, StrictName } from '../policy/named.ts';
import { CompiledPolicy, makeRules, type Policy } from '../policy/policy.ts';
import { takingSpace } from '../policy/syscalls.ts';
import { type Engine, engineProblem, engineWanted } from '../process/engine.ts';
import { graceProblem } from '../process/grace.ts';
import { jobGroupOf } from '../process/job-group.ts';
import { passedOptions, type Spawn } from '../process/plan.ts';
import {
  checkAbortSignal,
  checkNoNul,
  checkString,
  checkTimeout,
  killSignalNumber,
  wrongType,
  wrongValue,
} from './arguments.ts';
import { givesTerminal, hasControllingTerminal } from './terminal.ts';

/** What holdfast adds to the options of `child_process.spawn`. */
export interface SandboxOptions {
  /**
   * What the command and its descendants may do. Without it: load what a program needs to start, read the working
   * directory, and nothing else.
   */
  policy?: PolicyName | StrictName | Policy | CompiledPolicy;
  /**
   * How long one hook may think about one call, in milliseconds; then the call is denied and `hookError` emitted.
   * `Infinity` for ever. Default: 30000.
   */
  hookTimeout?: number;
  /**
   * `'kill'`: when the command ends, everything that it has left behind is killed. `'wait'`: descendants may go on, and
   * `close` comes when the last of them has ended. Default: `'kill'`.
   */
  descendants?: 'kill' | 'wait';
  /**
   * How long what is asked to end may take, in milliseconds: from the first `kill()` by SIGTERM, SIGINT, SIGHUP or SIGQUIT,
   * a `timeout` or an abort on. What the command leaves behind then is sent the same signal in place of SIGKILL, and
   * what is left when the time is over is killed. Default: 0, so that nothing outlives the command; and `killTree()` with
   * another signal than SIGKILL waits 5000.
   */
  forceKillAfter?: number;
  /** The former name of {@link forceKillAfter}. */
  killGrace?: number;
  /** Limits for the command and all its descendants together: memory, time, processes, files, output. Default: none. */
  limits?: Limits;
  /** Whether {@link TreeUsage.byExecutable} is wanted. Default: false. */
  usageByExecutable?: boolean;
  /**
   * Whether what the tree asks for is counted by the supervisor, allowed or not, for {@link SandboxedProcess.accesses}. Then nothing is left to the
   * kernel that it could decide by itself, so that all of it is seen: calls take longer. Default: false.
   */
  record?: boolean;
  /**
   * Who holds the calls that the kernel cannot decide by itself. `'auto'` takes the first that can be had here, and
   * `child.engine` says which that is. Default: what the environment variable HOLDFAST_ENGINE names, or `'auto'`.
   */
  engine?: 'auto' | Engine;
}

/** Options of {@link spawnSandboxed}: all of `child_process.spawn`, with Node's meaning, and {@link SandboxOptions}. */
export interface SpawnSandboxedOptions<S extends StdioOptions | undefined = StdioOptions | undefined>
  extends SpawnOptions,
    SandboxOptions {
  stdio?: S;
}

/** Of {@link SandboxOptions}: what holdfast has beside Node's. */
export const sandboxOptionNames = [
  'policy',
  'hookTimeout',
  'descendants',
  'forceKillAfter',
  'killGrace',
  'limits',
  'usageByExecutable',
  'record',
  'engine',
] as const satisfies readonly (keyof SandboxOptions)[];
const ownOptions = ['argv0', 'stdio', 'shell', 'signal', 'timeout', 'killSignal', ...sandboxOptionNames];
/** What Node's fork() and execFile() have for themselves and hand on to a spawn: without meaning there, as in Node. */
const foreignOptions = ['execPath', 'execArgv', 'silent', 'encoding', 'maxBuffer'];
const known = new Set<string>([...passedOptions, ...ownOptions]);
const accepted = new Set<string>([...known, ...foreignOptions]);

const booleanProblem = (value: unknown) => (typeof value === 'boolean' ? undefined : 'must be true or false');

/** What is wrong with an option of our own, if it is there. */
const problems: Readonly<Record<string, (value: unknown) => string | undefined>> = {
  hookTimeout: (value) =>
    typeof value === 'number' && value > 0 ? undefined : 'must be milliseconds above 0, or Infinity',
  descendants: (value) => (value === 'kill' || value === 'wait' ? undefined : "must be 'kill' or 'wait'"),
  forceKillAfter: graceProblem,
  killGrace: graceProblem,
  engine: engineProblem,
  usageByExecutable: booleanProblem,
  record: booleanProblem,
};

function argumentList(args: unknown): string[] {
  if (args === undefined || args === null) return [];
  if (!Array.isArray(args)) throw wrongType('args', 'of type object', args);
  return [...args];
}

function checkObject(options: unknown): asserts options is Record<string, unknown> {
  if (options === null || typeof options !== 'object' || Array.isArray(options)) {
    throw wrongType('options', 'of type object', options);
  }
}

function checkOptions(options: Record<string, unknown>): void {
  for (const name of Object.keys(options)) {
    if (accepted.has(name)) continue;
    throw new HoldfastError(
      'ERR_HOLDFAST_INVALID_OPTION',
      `options.${name}: ${shown(options[name])} is not an option. Known are ${[...known].join(', ')}`,
    );
  }
  for (const [name, problemOf] of Object.entries(problems)) {
    const value = options[name];
    const problem = value === undefined ? undefined : problemOf(value);
    if (problem === undefined) continue;
    throw new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', `options.${name}: ${shown(value)} ${problem}`);
  }
}

// As Node's getValidStdio: fewer than three entries are filled up with 'pipe'. What is in them, Node checks.
function stdioList(stdio: unknown): unknown[] {
  if (Array.isArray(stdio)) {
    const list = [...stdio];
    while (list.length < 3) list.push(undefined);
    return list;
  }
  // Whatever is falsy is the default, as in Node.
  const all = stdio || 'pipe';
  switch (all) {
    case 'pipe':
    case 'overlapped':
    case 'ignore':
      return [all, all, all];
    case 'inherit':
      return [0, 1, 2];
    default:
      throw wrongValue('stdio', 'is invalid', stdio);
  }
}

/** Stands for a working directory that was removed: nothing can be there, and no rule is to mean anything else. */
const REMOVED = '/dev/null/removed';

function ownDirectory(): string {
  try {
    return process.cwd();
  } catch {
    return REMOVED;
  }
}

function workingDirectory(cwd: unknown): string {
  // What is wrong with it, Node's own spawn says, in its own words.
  if (cwd instanceof URL && cwd.protocol === 'file:') return fileURLToPath(cwd);
  if (typeof cwd === 'string' && !cwd.includes('\0')) return absolute(cwd);
  if (cwd instanceof Uint8Array && !cwd.includes(0)) return absolute(Buffer.from(cwd).toString());
  return ownDirectory();
}

function absolute(folder: string): string {
  if (!folder.split('/').includes('..')) return resolve(ownDirectory(), folder);
  // As chdir(2) takes it: `..` after a symbolic link leaves the link's target.
  try {
    return realpathSync.native(folder);
  } catch {
    return resolve(ownDirectory(), folder);
  }
}

function grace({ forceKillAfter, killGrace }: Record<string, unknown>): number | undefined {
  if (forceKillAfter !== undefined && killGrace !== undefined) {
    throw new HoldfastError(
      'ERR_HOLDFAST_INVALID_OPTION',
      `options.killGrace: ${shown(killGrace)} is given twice: it is the former name of forceKillAfter`,
    );
  }
  return (forceKillAfter ?? killGrace) as number | undefined;
}

function pick(options: Record<string, unknown>): Spawn['passed'] {
  const passed: Record<string, unknown> = {};
  for (const name of passedOptions) if (options[name] !== undefined) passed[name] = options[name];
  return passed;
}

/**
 * Checks what was given to spawnSandboxed. What Node's spawn would refuse is refused with Node's own codes, here or, for
 * the options that are passed on, by Node itself.
 */
export function normalizeSpawn(command: unknown, argsOrOptions: unknown, lastOptions: unknown): Spawn {
  checkString(command, 'file');
  checkNoNul(command, 'file');
  if (command.length === 0) throw wrongValue('file', 'cannot be empty', command);
  const second = typeof argsOrOptions === 'object' && argsOrOptions !== null && !Array.isArray(argsOrOptions);
  const given = argumentList(second ? undefined : argsOrOptions);
  for (const [i, arg] of given.entries()) checkNoNul(arg, `args[${i}]`);
  const last = (second ? argsOrOptions : lastOptions) ?? (lastOptions === null && !second ? null : {});
  checkObject(last);
  // As in Node: what an object inherits is no option. Each is read once, so that what was checked is what counts.
  const options: Record<string, unknown> = { __proto__: null, ...last };
  checkOptions(options);
  const { shell, argv0 } = options;
  if (shell !== undefined && shell !== null && typeof shell !== 'boolean' && typeof shell !== 'string') {
    throw wrongType('options.shell', 'one of type boolean or string', shell);
  }
  if (argv0 !== undefined && argv0 !== null) checkString(argv0, 'options.argv0');
  checkNoNul(argv0, 'options.argv0');
  checkNoNul(shell, 'options.shell');
  checkTimeout(options.timeout);
  checkAbortSignal(options.signal);

  // The same words as Node's own: the shell gets one string, and quotes nothing.
  const file = shell ? (typeof shell === 'string' ? shell : '/bin/sh') : command;
  const args = shell ? ['-c', [command, ...given].join(' ')] : given;
  const cwd = workingDirectory(options.cwd);
  const stdio = stdioList(options.stdio);
  const detached = options.detached === true;
  const rules = makeRules(options.policy, cwd, givesTerminal(stdio, detached));
  const limits = checkLimits(options.limits, stdio);
  if (limits.written !== undefined) rules.calls = [...rules.calls, takingSpace('limits.written')];
  return {
    file,
    args: [typeof argv0 === 'string' ? argv0 : file, ...args],
    stdio,
    passed: pick(options),
    cwd,
    jobGroup: jobGroupOf(detached, hasControllingTerminal()),
    changesUser: options.uid !== undefined || options.gid !== undefined,
    timeout: (options.timeout as number | undefined) ?? 0,
    killSignal: killSignalNumber(options.killSignal),
    signal: options.signal as AbortSignal | undefined,
    rules,
    hookTimeout: (options.hookTimeout as number | undefined) ?? 30_000,
    waitForTree: options.descendants === 'wait',
    forceKillAfter: grace(options) ?? 0,
    usageByExecutable: options.usageByExecutable === true,
    record: options.record === true,
    limits,
    engine: engineWanted(options.engine),
  };
}

/**
 * Checks a policy once, for any number of spawns: wherever a policy may be given, what this returns may be, too. What is
 * changed in the policy later changes nothing.
 *
 * Relative paths are those of `cwd`, whatever the spawn's own is. Where a path leads is looked up when each command
 * starts, and `defaults` means that command's own working directory and terminal.
 * @param options.cwd Default: the working directory of this process, now.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_POLICY`, `ERR_HOLDFAST_INVALID_OPTION`.
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE`.
 */
export function compilePolicy(
  policy: PolicyName | StrictName | Policy | CompiledPolicy,
  options?: { cwd?: string | URL },
): CompiledPolicy;
export function compilePolicy(policy: unknown, options: unknown = {}): CompiledPolicy {
  checkObject(options);
  const { cwd, ...others } = { __proto__: null, ...options } as { cwd?: unknown };
  for (const [name, value] of Object.entries(others)) {
    throw new HoldfastError(
      'ERR_HOLDFAST_INVALID_OPTION',
      `options.${name}: ${shown(value)} is not an option of compilePolicy. Known is cwd`,
    );
  }
  if (CompiledPolicy.is(policy)) return policy;
  if (cwd !== undefined && !(cwd instanceof URL && cwd.protocol === 'file:')) {
    if (typeof cwd !== 'string') throw wrongType('options.cwd', 'of type string or an instance of URL', cwd);
    checkNoNul(cwd, 'options.cwd');
  }
  return new CompiledPolicy(policy, workingDirectory(cwd));
}
