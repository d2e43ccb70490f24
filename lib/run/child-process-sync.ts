// spawnSync, execFileSync and execSync of node:child_process, with their arguments, results and errors.
import type { SpawnSyncReturns } from 'node:child_process';
import { constants } from 'node:os';
import { types } from 'node:util';
import { coded, HoldfastError } from '../errors.ts';
import { wrongType } from '../spawn/arguments.ts';
import { maxBufferOf } from './exec.ts';
import { resultOf } from './result.ts';
import { given } from './run.ts';
import { type SandboxHooks, waitFor } from './sync.ts';

type Result = SpawnSyncReturns<string | Buffer>;
type SpawnSync = (file: string, argsOrOptions?: unknown, last?: unknown) => Result;
type Hooks = (sandbox: SandboxHooks) => unknown;

const isPipe = (entry: unknown) => entry === undefined || entry === null || entry === 'pipe' || entry === 'overlapped';

/** What the command reads; nothing, if its stdin is somebody else's. */
function inputOf({ input, encoding, stdio }: Record<string, unknown>): Uint8Array | undefined {
  if (!isPipe(Array.isArray(stdio) ? stdio[0] : stdio || undefined)) return undefined;
  if (input === undefined || input === null) return new Uint8Array();
  if (typeof input === 'string') {
    return Buffer.from(input, Buffer.isEncoding(encoding as string) ? (encoding as BufferEncoding) : 'utf8');
  }
  if (types.isArrayBufferView(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
  throw wrongType('options.input', 'of type string or an instance of Buffer, TypedArray, or DataView', input);
}

/** Undefined for bytes. */
function encodingOf({ encoding }: Record<string, unknown>): BufferEncoding | undefined {
  if (encoding === undefined || encoding === null || encoding === '' || encoding === 'buffer') return undefined;
  if (Buffer.isEncoding(encoding as string)) return encoding as BufferEncoding;
  throw coded(new TypeError(`Unknown encoding: ${String(encoding)}`), 'ERR_UNKNOWN_ENCODING');
}

const numbers = { ETIMEDOUT: constants.errno.ETIMEDOUT, ENOBUFS: constants.errno.ENOBUFS } as const;

function failure(code: string, errno: number, { file, args }: { file: string; args: string[] }): Error {
  const syscall = `spawnSync ${file}`;
  return Object.assign(new Error(`${syscall} ${code}`), { errno, code, syscall, path: file, spawnargs: args });
}

/**
 * @param sandboxed What becomes of a library's options, apart from the output's.
 * @param hooks Called for each program.
 * @internal
 */
export function spawnSyncWith(
  sandboxed: (options: Record<string, unknown>) => Record<string, unknown>,
  hooks: Hooks | undefined,
): SpawnSync {
  return (file, argsOrOptions, last) => {
    // That of messages, which there are none of: libraries give it all the same.
    const [args, { serialization, ...options }] = given(argsOrOptions, last);
    const encoding = encodingOf(options);
    const {
      ended,
      pid = 0,
      ...executed
    } = waitFor({
      command: file,
      args,
      options: sandboxed({ ...options, stdio: options.stdio || 'pipe' }),
      plan: {
        encoding: 'buffer',
        maxBuffer: maxBufferOf(options),
        lines: false,
        all: false,
        stripFinalNewline: false,
        input: inputOf(options),
        // Nobody could listen.
        violations: false,
        overflowSignal: (options.killSignal ?? 'SIGTERM') as NodeJS.Signals,
      },
      hooks,
      tell: undefined,
    });
    const cause = ended.cause as NodeJS.ErrnoException | undefined;
    const over = ended.timedOut ? 'ETIMEDOUT' : ended.maxBufferExceeded === undefined ? undefined : 'ENOBUFS';
    let error: Error | undefined = cause;
    if (over !== undefined) error = failure(over, -numbers[over], executed);
    else if (cause?.code !== undefined && typeof cause.errno === 'number' && !(cause instanceof HoldfastError))
      error = failure(cause.code, cause.errno, executed);
    // Who has a process is told by its event.
    else if (ended.limit?.killed) error = resultOf(ended).error;
    const as = (bytes: unknown) =>
      bytes === undefined ? null : encoding === undefined ? (bytes as Buffer) : (bytes as Buffer).toString(encoding);
    const [stdout, stderr] = ended.started ? [as(ended.stdout), as(ended.stderr)] : [null, null];
    const output = ended.started ? [null, stdout, stderr] : null;
    const result = { status: ended.exitCode, signal: ended.signal, output, pid, stdout, stderr };
    return (error === undefined ? result : { error, ...result }) as Result;
  };
}

/** What stands in for the error of a result, as Node's checkExecSyncError(). */
function checked(result: Result, command: () => string, inherits: boolean): string | Buffer {
  if (inherits && result.stderr) process.stderr.write(result.stderr);
  if (result.error !== undefined) throw Object.assign(result.error, result);
  if (result.status === 0) return result.stdout;
  const words = result.stderr !== null && result.stderr.length > 0 ? `\n${result.stderr.toString()}` : '';
  throw Object.assign(new Error(`Command failed: ${command()}${words}`), result);
}

/** @internal */
export function execFileSyncWith(spawnSync: SpawnSync): (...given: unknown[]) => string | Buffer {
  return (file, argsOrOptions, last) => {
    const [args, options] = given(argsOrOptions, last);
    const result = spawnSync(file as string, args, options);
    const words = () => [options.argv0 || file, ...((args ?? []) as string[])].join(' ');
    return checked(result, words, !options.stdio);
  };
}

/** @internal */
export function execSyncWith(spawnSync: SpawnSync): (...given: unknown[]) => string | Buffer {
  return (command, last) => {
    const [, options] = given(undefined, last);
    const shell = typeof options.shell === 'string' ? options.shell : true;
    const result = spawnSync(command as string, [], { ...options, shell });
    return checked(result, () => command as string, !options.stdio);
  };
}
