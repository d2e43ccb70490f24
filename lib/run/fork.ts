// fork of node:child_process.

import type { IOType } from 'node:child_process';
import type { Readable, Stream, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { coded } from '../errors.ts';
import type { SandboxedProcess } from '../process/sandboxed-process.ts';
import { checkNoNul, wrongType, wrongValue } from '../spawn/arguments.ts';
import type { SpawnSandboxedOptions } from '../spawn/options.ts';
import { spawnSandboxed } from '../spawn/spawn.ts';

/** Options of {@link forkSandboxed}: those of Node's `fork`, and of a sandbox. */
export interface ForkSandboxedOptions extends Omit<SpawnSandboxedOptions, 'shell' | 'stdio'> {
  /** The Node that runs it. Default: this one. */
  execPath?: string;
  /** Its own options. Default: those of this one. */
  execArgv?: readonly string[];
  /** Whether its streams are piped to here and not inherited, if `stdio` does not say. Default: false. */
  silent?: boolean;
  /** As in Node: one of them is `'ipc'`, which text adds by itself. */
  stdio?: IOType | readonly (IOType | 'ipc' | Stream | number | null | undefined)[];
}

type ForkProcess = SandboxedProcess<Writable | null, Readable | null, Readable | null>;
type Spawn = (file: string, args: readonly string[], options: Record<string, unknown>) => SandboxedProcess;

/** {@link forkSandboxed}. */
export interface ForkSandboxed {
  (modulePath: string | URL, args?: readonly string[] | null, options?: ForkSandboxedOptions): ForkProcess;
  (modulePath: string | URL, options?: ForkSandboxedOptions): ForkProcess;
}

function pathOf(modulePath: unknown): string {
  const path =
    modulePath instanceof URL
      ? fileURLToPath(modulePath)
      : modulePath instanceof Uint8Array
        ? Buffer.from(modulePath).toString()
        : modulePath;
  if (typeof path !== 'string') {
    throw wrongType('modulePath', 'of type string or an instance of Buffer or URL', modulePath);
  }
  checkNoNul(path, 'modulePath');
  return path;
}

/** Without what this Node was given to evaluate, or each would fork itself for ever. */
function ownExecArgv(): readonly string[] {
  const { execArgv } = process;
  const { _eval: evaluated } = process as { _eval?: string };
  const at = evaluated == null ? -1 : execArgv.lastIndexOf(evaluated);
  return at > 0 ? execArgv.toSpliced(at - 1, 2) : execArgv;
}

function stdioOf(stdio: unknown, silent: unknown): unknown[] {
  if (Array.isArray(stdio)) {
    if (stdio.includes('ipc')) return stdio;
    throw coded(
      new Error("Forked processes must have an IPC channel, missing value 'ipc' in options.stdio"),
      'ERR_CHILD_PROCESS_IPC_REQUIRED',
    );
  }
  const each = typeof stdio === 'string' ? stdio : silent ? 'pipe' : 'inherit';
  if (!['pipe', 'ignore', 'inherit', 'overlapped'].includes(each)) throw wrongValue('stdio', 'is invalid', stdio);
  return [each, each, each, 'ipc'];
}

/** Of another spawn than {@link spawnSandboxed}. @internal */
export function forkWith(spawn: Spawn): ForkSandboxed {
  return (modulePath: unknown, argsOrOptions?: unknown, last?: unknown) => {
    const path = pathOf(modulePath);
    const second = typeof argsOrOptions === 'object' && argsOrOptions !== null && !Array.isArray(argsOrOptions);
    const args = second ? [] : (argsOrOptions ?? []);
    if (!Array.isArray(args)) throw wrongType('args', 'an instance of Array', args);
    const given = (second ? argsOrOptions : last) ?? {};
    if (typeof given !== 'object' || Array.isArray(given)) throw wrongType('options', 'of type object', given);
    const { execPath, execArgv, silent, stdio, ...options } = { __proto__: null, ...given } as Record<string, unknown>;
    const own = (execArgv ?? ownExecArgv()) as string[];
    return spawn((execPath || process.execPath) as string, [...own, path, ...args], {
      ...options,
      shell: false,
      stdio: stdioOf(stdio, silent),
    }) as ForkProcess;
  };
}

/**
 * `fork` of node:child_process in a sandbox: another Node that runs a module, with a channel for messages. The policy has to let it
 * read the module and what that loads.
 */
export const forkSandboxed: ForkSandboxed = forkWith(spawnSandboxed as unknown as Spawn);
