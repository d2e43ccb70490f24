// exec and execFile of node:child_process, with their arguments, results and errors.
import type { ExecFileException } from 'node:child_process';
import type { Readable } from 'node:stream';
import { getSystemErrorName, inspect, promisify } from 'node:util';
import { coded } from '../errors.ts';
import type { SandboxedProcess } from '../process/sandboxed-process.ts';
import { wrongType } from '../spawn/arguments.ts';
import type { SpawnSandboxedOptions } from '../spawn/options.ts';
import { spawnSandboxed } from '../spawn/spawn.ts';

/** As Node's. */
const MAX_BUFFER = 1024 * 1024;

/** Options of {@link execFileSandboxed}: those of Node's `execFile`, and of a sandbox. */
export interface ExecFileSandboxedOptions<E extends BufferEncoding | 'buffer' | null = BufferEncoding | 'buffer' | null>
  extends Omit<SpawnSandboxedOptions, 'stdio' | 'detached' | 'serialization'> {
  /** What stdout and stderr are given as: `'buffer'` or null for bytes. Default: `'utf8'`. */
  encoding?: E;
  /** The most that each of stdout and stderr may print; for more the tree is ended. In bytes. Default: 1048576. */
  maxBuffer?: number;
}

/** Options of {@link execSandboxed}: `shell` is the shell's name. */
export type ExecSandboxedOptions<E extends BufferEncoding | 'buffer' | null = BufferEncoding | 'buffer' | null> = Omit<
  ExecFileSandboxedOptions<E>,
  'shell'
> & { shell?: string };

/** The process that they give: its streams are there. */
export type ExecProcess = ReturnType<typeof spawnSandboxed<'pipe'>>;

type Encoding = BufferEncoding | 'buffer' | null;
type TextOf<E> = E extends 'buffer' | null ? Buffer : string;
type Callback<T> = (error: ExecFileException | null, stdout: T, stderr: T) => void;
type Promised<T> = Promise<{ stdout: T; stderr: T }> & { child: ExecProcess };

/** {@link execFileSandboxed}, and what `promisify` makes of it. */
export interface ExecFileSandboxed {
  (file: string, callback?: Callback<string>): ExecProcess;
  (file: string, args: readonly string[] | null | undefined, callback?: Callback<string>): ExecProcess;
  <const E extends Encoding = 'utf8'>(
    file: string,
    args: readonly string[] | null | undefined,
    options: ExecFileSandboxedOptions<E> | null | undefined,
    callback?: Callback<TextOf<E>>,
  ): ExecProcess;
  <const E extends Encoding = 'utf8'>(
    file: string,
    options: ExecFileSandboxedOptions<E> | null | undefined,
    callback?: Callback<TextOf<E>>,
  ): ExecProcess;
  [promisify.custom]: {
    <const E extends Encoding = 'utf8'>(
      file: string,
      args?: readonly string[] | null,
      options?: ExecFileSandboxedOptions<E> | null,
    ): Promised<TextOf<E>>;
    <const E extends Encoding = 'utf8'>(file: string, options: ExecFileSandboxedOptions<E>): Promised<TextOf<E>>;
  };
}

/** {@link execSandboxed}, and what `promisify` makes of it. */
export interface ExecSandboxed {
  (command: string, callback?: Callback<string>): ExecProcess;
  <const E extends Encoding = 'utf8'>(
    command: string,
    options: ExecSandboxedOptions<E> | null | undefined,
    callback?: Callback<TextOf<E>>,
  ): ExecProcess;
  [promisify.custom]: <const E extends Encoding = 'utf8'>(
    command: string,
    options?: ExecSandboxedOptions<E> | null,
  ) => Promised<TextOf<E>>;
}

type AnyCallback = Callback<string | Buffer>;
type Spawn = (file: string, args: readonly string[], options: Record<string, unknown>) => SandboxedProcess;

interface Given {
  args: string[];
  options: Record<string, unknown>;
  callback: AnyCallback | undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** As Node's normalizeExecFileArgs: each of them may be left out. */
function givenTo(rest: readonly unknown[]): Given {
  const left = [...rest];
  let args: unknown;
  if (Array.isArray(left[0]) || left[0] === null || left[0] === undefined) args = left.shift();
  const options = typeof left[0] === 'function' ? {} : (left.shift() ?? {});
  const callback = left[0] ?? undefined;
  if (!isObject(options)) throw wrongType('options', 'of type object', options);
  if (callback !== undefined && typeof callback !== 'function') {
    throw wrongType('callback', 'of type function', callback);
  }
  return {
    args: [...((args ?? []) as string[])],
    options: { __proto__: null, ...options },
    callback: callback as AnyCallback | undefined,
  };
}

/** Of execFile, and of the functions that wait. */
export function maxBufferOf({ maxBuffer = MAX_BUFFER }: Record<string, unknown>): number {
  const most = maxBuffer ?? MAX_BUFFER;
  if (typeof most === 'number' && most >= 0) return most;
  throw coded(
    new RangeError(
      `The value of "options.maxBuffer" is out of range. It must be a positive number. Received ${inspect(most)}`,
    ),
    'ERR_OUT_OF_RANGE',
  );
}

/** What a stream has printed, no more than may be. */
class Collected {
  readonly parts: (string | Buffer)[] = [];
  #length = 0;

  constructor(stream: Readable | null, encoding: BufferEncoding | undefined, most: number, exceeded: () => void) {
    if (encoding !== undefined) stream?.setEncoding(encoding);
    stream?.on('data', (chunk: string | Buffer) => {
      const length = typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.length;
      this.#length += length;
      if (this.#length <= most) {
        this.parts.push(chunk);
        return;
      }
      this.parts.push(chunk.slice(0, Math.max(0, most - (this.#length - length))));
      exceeded();
    });
  }

  value(encoding: BufferEncoding | undefined): string | Buffer {
    return encoding === undefined ? Buffer.concat(this.parts as Buffer[]) : this.parts.join('');
  }
}

/** @param command As an error names it. */
function follow(
  child: SandboxedProcess,
  command: string,
  { options, callback }: Given,
  most: number,
): SandboxedProcess {
  const { encoding: wanted = 'utf8', killSignal } = options;
  const encoding = wanted !== 'buffer' && Buffer.isEncoding(wanted as string) ? (wanted as BufferEncoding) : undefined;
  let failure: Error | undefined;
  let over = false;
  const exceeded = (name: string) => () => {
    failure ??= coded(new RangeError(`${name} maxBuffer length exceeded`), 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER');
    end();
  };
  const stdout = new Collected(child.stdout, encoding, most, exceeded('stdout'));
  const stderr = new Collected(child.stderr, encoding, most, exceeded('stderr'));
  function destroy(): void {
    child.stdout?.destroy();
    child.stderr?.destroy();
  }
  function end(): void {
    destroy();
    // The whole of it: what the command leaves behind would print on.
    void child.killTree((killSignal as NodeJS.Signals | null | undefined) ?? 'SIGTERM');
  }
  function told(code: number | null, signal: NodeJS.Signals | null): void {
    if (over) return;
    over = true;
    if (callback === undefined) return;
    const [out, err] = [stdout.value(encoding), stderr.value(encoding)];
    if (failure === undefined && code === 0 && signal === null) return callback(null, out, err);
    failure ??= Object.assign(new Error(`Command failed: ${command}\n${err}`), {
      code: code !== null && code < 0 ? getSystemErrorName(code) : code,
      killed: child.killed,
      signal,
    });
    callback(Object.assign(failure, { cmd: command }) as ExecFileException, out, err);
  }
  child.on('close', told);
  child.on('error', (error) => {
    failure ??= error;
    destroy();
    told(null, null);
  });
  return child;
}

/** Of another spawn than {@link spawnSandboxed}. @internal */
export function execFileWith(spawn: Spawn): ExecFileSandboxed {
  const execFile = (file: string, ...rest: unknown[]): SandboxedProcess => {
    const given = givenTo(rest);
    const most = maxBufferOf(given.options);
    const { encoding, maxBuffer, ...options } = given.options;
    const child = spawn(file, given.args, { ...options, stdio: 'pipe' });
    return follow(child, [file, ...given.args].join(' '), given, most);
  };
  return promisable(execFile) as unknown as ExecFileSandboxed;
}

/** @internal */
export function execWith(spawn: Spawn): ExecSandboxed {
  const execFile = execFileWith(spawn) as (...args: unknown[]) => SandboxedProcess;
  const exec = (command: string, ...rest: unknown[]): SandboxedProcess => {
    const [options, callback] = typeof rest[0] === 'function' ? [{}, rest[0]] : [rest[0] ?? {}, rest[1]];
    if (!isObject(options)) throw wrongType('options', 'of type object', options);
    const { shell } = options;
    return execFile(command, { ...options, shell: typeof shell === 'string' ? shell : true }, callback);
  };
  return promisable(exec) as unknown as ExecSandboxed;
}

/** With what Node's own have for `promisify`: both outputs, also on the error. */
function promisable(run: (...args: never[]) => SandboxedProcess) {
  const promised = (...args: unknown[]) => {
    let child: SandboxedProcess | undefined;
    const promise = new Promise((resolve, reject) => {
      const callback: AnyCallback = (error, stdout, stderr) => {
        if (error === null) resolve({ stdout, stderr });
        else reject(Object.assign(error, { stdout, stderr }));
      };
      child = run(...([...args, callback] as never[]));
    });
    // What the arguments were refused for is thrown, as by Node.
    return Object.assign(promise, { child });
  };
  Object.defineProperty(promised, 'name', { value: run.name });
  return Object.defineProperty(run, promisify.custom, { value: promised, enumerable: false });
}

/**
 * `execFile` of node:child_process in a sandbox: the same arguments, results and errors, and `promisify` gives the same
 * promise. What prints too much, or takes longer than `timeout`, is ended with all its descendants.
 */
export const execFileSandboxed: ExecFileSandboxed = execFileWith(spawnSandboxed as unknown as Spawn);

/** `exec` of node:child_process in a sandbox, as {@link execFileSandboxed}. The shell is in the sandbox, too. */
export const execSandboxed: ExecSandboxed = execWith(spawnSandboxed as unknown as Spawn);
