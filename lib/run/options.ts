// What running to the end has beside the options of a spawn.
import type { Readable, Writable } from 'node:stream';
import { HoldfastError } from '../errors.ts';
import { type ByteSize, parseBytes } from '../limits/units.ts';
import { shown } from '../policy/check.ts';
import type { SandboxedProcess } from '../process/sandboxed-process.ts';
import type { SpawnSandboxedOptions } from '../spawn/options.ts';
import { SandboxPool } from '../spawn/pool.ts';
import type { EntryAt, Stdio, StreamFor } from '../spawn/spawn.ts';
import { isInput, type RunInput } from './input.ts';
import type { SandboxedResult } from './result.ts';

/** As Node names them; `'buffer'` gives bytes. */
export type RunEncoding = BufferEncoding | 'buffer';

/** What is asked of the output. */
export interface CaptureOptions<
  E extends RunEncoding = RunEncoding,
  L extends boolean = boolean,
  A extends boolean = boolean,
> {
  /** What stdout and stderr are given as. Default: `'utf8'`. */
  encoding?: E;
  /** The most that each of stdout and stderr may print; for more the tree is killed. Bytes, or text such as `'64MiB'`. Default: 100 MiB. */
  maxBuffer?: ByteSize;
  /** Whether they are given as lists of lines. Default: false. */
  lines?: L;
  /** Whether the result has them in one, too, as they came. Default: false. */
  all?: A;
  /** Whether the last newline of text is left out, and with `lines` that of each line. Default: true. */
  stripFinalNewline?: boolean;
}

/** Options of {@link runSandboxed}: all of `spawnSandboxed`, and what a result needs. */
export interface RunSandboxedOptions<
  S extends Stdio = Stdio,
  E extends RunEncoding = RunEncoding,
  L extends boolean = boolean,
  A extends boolean = boolean,
> extends Omit<SpawnSandboxedOptions, 'stdio'>,
    CaptureOptions<E, L, A> {
  /** As in Node. Default: stdout and stderr are read, and stdin is empty (`/dev/null`) unless there is `input`. */
  stdio?: S;
  /** What the command reads, as fast as it does. It need not read all of it. Default: nothing. */
  input?: RunInput;
  /** Whether a command that fails rejects the promise. Else the result has `failed` and `error`. Default: true. */
  reject?: boolean;
  /**
   * Whether refusals are told. Without that, calls that the kernel can refuse by itself are not held (docs/performance.md).
   * Default: true.
   */
  violations?: boolean;
  /** Prints the command, what is refused, and the end to stderr, or gives each such line. Default: false. */
  verbose?: boolean | ((line: string) => void);
  /** Called in the tick of the spawn: the place for hooks and listeners. */
  hooks?: (child: SandboxedProcess) => void;
  /** Whose supervisors are used. */
  pool?: SandboxPool;
}

type TextOf<E, L> = E extends 'buffer' ? Buffer : L extends true ? string[] : string;
type IsPiped<S, N extends '1' | '2'> = StreamFor<EntryAt<S, N>, true>;
/** Undefined if it leads elsewhere. */
type OutputOf<S, N extends '1' | '2', E, L> =
  IsPiped<S, N> extends infer P ? (P extends true ? TextOf<E, L> : undefined) : never;
type AllOf<S, E, L, A> = A extends true
  ? [IsPiped<S, '1'>, IsPiped<S, '2'>] extends [null, null]
    ? undefined
    : TextOf<E, L>
  : undefined;

/** The result that options give. */
export type ResultFor<S, E, L, A> = SandboxedResult<OutputOf<S, '1', E, L>, OutputOf<S, '2', E, L>, AllOf<S, E, L, A>>;

/** The process: stdin depends on `input`, unless `stdio` says what it is. */
export type RunProcess<S extends Stdio> = SandboxedProcess<
  S extends undefined ? Writable | null : StreamFor<EntryAt<S, '0'>, Writable>,
  StreamFor<EntryAt<S, '1'>, Readable>,
  StreamFor<EntryAt<S, '2'>, Readable>
>;

/** What is asked of a run, checked. */
export interface RunPlan {
  readonly encoding: RunEncoding;
  readonly maxBuffer: number;
  readonly lines: boolean;
  readonly all: boolean;
  readonly stripFinalNewline: boolean;
  readonly input: RunInput | undefined;
  readonly reject: boolean;
  readonly violations: boolean;
  readonly verbose: ((line: string) => void) | undefined;
  readonly hooks: ((child: SandboxedProcess) => unknown) | undefined;
  readonly pool: SandboxPool | undefined;
  /** For the spawn. */
  readonly rest: Record<string, unknown>;
}

const MAX_BUFFER = 100 * 2 ** 20;

const isFlag = (value: unknown) => (typeof value === 'boolean' ? undefined : 'must be true or false');
const isFunction = (value: unknown) => (typeof value === 'function' ? undefined : 'must be a function');

const problems: Readonly<Record<string, (value: unknown) => string | undefined>> = {
  encoding: (value) =>
    value === 'buffer' || (typeof value === 'string' && Buffer.isEncoding(value))
      ? undefined
      : "must be 'buffer' or an encoding that Node knows: utf8, utf16le, latin1, ascii, base64, base64url, hex",
  maxBuffer: (value) => {
    if (value === Number.POSITIVE_INFINITY) return undefined;
    const parsed = parseBytes(value);
    return 'problem' in parsed ? parsed.problem : undefined;
  },
  lines: isFlag,
  all: isFlag,
  stripFinalNewline: isFlag,
  reject: isFlag,
  violations: isFlag,
  input: (value) =>
    isInput(value) ? undefined : 'must be text, bytes, a readable stream, or an iterable of text or bytes',
  verbose: (value) => (typeof value === 'boolean' ? undefined : isFunction(value)),
  hooks: isFunction,
  pool: (value) => (value instanceof SandboxPool ? undefined : 'must be a pool, as createSandboxPool() makes it'),
};

const refuse = (name: string, value: unknown, problem: string) =>
  new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', `options.${name}: ${shown(value)} ${problem}`);

/** Where the command's stdin comes from, if that is said. */
function givenStdin(stdio: unknown): unknown {
  return Array.isArray(stdio) ? stdio[0] : stdio;
}

const isPipe = (entry: unknown) => entry === 'pipe' || entry === 'overlapped';

function stdioFor(stdio: unknown, input: unknown): unknown {
  const stdin = givenStdin(stdio) ?? undefined;
  if (stdin === undefined) {
    const [, stdout = 'pipe', stderr = 'pipe', ...others] = Array.isArray(stdio) ? stdio : [];
    return [input === undefined ? 'ignore' : 'pipe', stdout, stderr, ...others];
  }
  if (input !== undefined && !isPipe(stdin)) {
    throw refuse('input', input, `has no use: stdin is ${shown(stdin)} by options.stdio, and would have to be 'pipe'`);
  }
  return stdio;
}

/** @throws {HoldfastError} `ERR_HOLDFAST_INVALID_OPTION` for what a run has; the rest is the spawn's to check. */
export function runPlan(options: Record<string, unknown>): RunPlan {
  const { ...given } = options;
  for (const [name, problemOf] of Object.entries(problems)) {
    const value = given[name];
    if (value === undefined) continue;
    const problem = problemOf(value);
    if (problem !== undefined) throw refuse(name, value, problem);
  }
  const {
    encoding = 'utf8',
    maxBuffer = MAX_BUFFER,
    lines = false,
    all = false,
    stripFinalNewline = true,
    input,
    reject = true,
    violations = true,
    verbose,
    hooks,
    pool,
    ...rest
  } = given as Partial<Omit<RunSandboxedOptions, 'stdio'>> & { stdio?: unknown };
  if (encoding === 'buffer' && lines) throw refuse('lines', lines, "has no use with encoding: 'buffer'");
  const parsed = maxBuffer === Number.POSITIVE_INFINITY ? { value: maxBuffer } : parseBytes(maxBuffer);
  return {
    encoding,
    maxBuffer: 'value' in parsed ? (parsed.value as number) : MAX_BUFFER,
    lines,
    all,
    stripFinalNewline,
    input,
    reject,
    violations,
    verbose: verbose === true ? (line) => process.stderr.write(`${line}\n`) : verbose || undefined,
    hooks,
    pool,
    rest: { ...rest, stdio: stdioFor(rest.stdio, input) },
  };
}

/** Encodings whose text has lines. */
const ofText = new Set(['utf8', 'utf-8', 'utf16le', 'utf-16le', 'ucs2', 'ucs-2', 'latin1', 'binary', 'ascii']);

/** Bytes as they were asked for. */
export function outputAs(
  bytes: Buffer | undefined,
  { encoding, lines, stripFinalNewline }: Pick<RunPlan, 'encoding' | 'lines' | 'stripFinalNewline'>,
): string | string[] | Buffer | undefined {
  if (bytes === undefined || encoding === 'buffer') return bytes;
  const text = bytes.toString(encoding);
  const strip = (line: string) => (stripFinalNewline ? line.replace(/\r?\n$/, '') : line);
  if (lines) return text === '' ? [] : text.split(/(?<=\n)/).map(strip);
  return ofText.has(encoding.toLowerCase()) ? strip(text) : text;
}
