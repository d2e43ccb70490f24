import type { IOType } from 'node:child_process';
import type { Readable, Stream, Writable } from 'node:stream';
import { HoldfastError } from '../errors.ts';
import { platformProblem } from '../native/native.ts';
import { SandboxedProcess } from '../process/sandboxed-process.ts';
import { normalizeSpawn, type SpawnSandboxedOptions } from './options.ts';

/** What stands at one place of the `stdio` option. */
export type EntryAt<S, N extends '0' | '1' | '2'> = S extends null | undefined
  ? 'pipe'
  : S extends string
    ? S
    : S extends readonly unknown[]
      ? N extends keyof S
        ? S[N]
        : number extends S['length']
          ? S[number]
          : undefined
      : never;

/** The stream that an entry gives this side, if it gives one. */
export type StreamFor<Entry, T> = Entry extends 'pipe' | 'overlapped' | null | undefined
  ? T
  : Entry extends 'ignore' | 'inherit' | 'ipc' | number | Stream
    ? null
    : T | null;

/** The `stdio` option, as it is written. */
export type Stdio = IOType | readonly (IOType | 'ipc' | Stream | number | null | undefined)[] | undefined;
/** Options whose stdio is kept as it is written, so that its streams are known. */
type OptionsWith<S extends Stdio> = Omit<SpawnSandboxedOptions, 'stdio'> & { stdio?: S };
/** The process that a `stdio` option gives: a stream that it does not ask for is null, for the compiler too. */
export type ProcessFor<S extends Stdio> = SandboxedProcess<
  StreamFor<EntryAt<S, '0'>, Writable>,
  StreamFor<EntryAt<S, '1'>, Readable>,
  StreamFor<EntryAt<S, '2'>, Readable>
>;

/**
 * Starts a program as `child_process.spawn` does, with it and all its descendants held to a policy and to hooks.
 *
 * ```ts
 * const child = spawnSandboxed('npm', ['install'], { policy: { files: { read: [project], write: [project] } } });
 * child.onOpen((call) => (call.path.endsWith('/.npmrc') ? deny('ENOENT') : undefined));
 * child.on('close', (code, signal) => {});
 * ```
 *
 * Blocks for the few milliseconds until the command's process is there, so that `pid` is known. Hooks that are registered
 * in the same tick are in force before its first instruction.
 *
 * @param command A path, or a name that is looked up in `PATH`.
 * @param args Its arguments.
 * @param options Those of `child_process.spawn`, with `policy`, `hookTimeout` and `descendants`.
 * @throws {TypeError} What Node's spawn throws for wrong arguments, with Node's codes (`ERR_INVALID_ARG_TYPE`, …).
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_OPTION`, `ERR_HOLDFAST_INVALID_POLICY`,
 * `ERR_HOLDFAST_UNSUPPORTED_PLATFORM`, `ERR_HOLDFAST_NATIVE_MISSING`. Everything that goes wrong later is an `error` event.
 */
export function spawnSandboxed<const S extends Stdio = undefined>(
  command: string,
  args?: readonly string[] | null,
  options?: OptionsWith<S>,
): ProcessFor<S>;
export function spawnSandboxed<const S extends Stdio = undefined>(
  command: string,
  options?: OptionsWith<S>,
): ProcessFor<S>;
export function spawnSandboxed(command: string, argsOrOptions?: unknown, options?: unknown): SandboxedProcess {
  const spawn = normalizeSpawn(command, argsOrOptions, options);
  const problem = platformProblem();
  if (problem !== undefined) throw new HoldfastError('ERR_HOLDFAST_UNSUPPORTED_PLATFORM', problem);
  return new SandboxedProcess(spawn);
}
