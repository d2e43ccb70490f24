// What came of a command, in one object.
import { constants } from 'node:os';
import { stripVTControlCharacters } from 'node:util';
import { HoldfastError } from '../errors.ts';
import type { LimitReached } from '../limits/reached.ts';
import type { TreeUsage } from '../process/usage.ts';
import { type Violation, visible } from '../process/violation.ts';
import type { Overflow } from './capture.ts';
import { commandLine } from './words.ts';

/** What a stream of a command can be in its result, by the options `encoding`, `lines` and `stdio`. */
export type RunOutput = string | string[] | Buffer | undefined;

/** What came of a command: of {@link runSandboxed}. */
export interface SandboxedResult<Stdout = string, Stderr = string, All = undefined> {
  /** As they were given. */
  readonly command: string;
  readonly args: readonly string[];
  /** What it printed: text, lines or bytes. Undefined if the option `stdio` leads it elsewhere. */
  readonly stdout: Stdout;
  readonly stderr: Stderr;
  /** Both, in the order in which they came here; with the option `all`. */
  readonly all: All;
  /** Null if a signal ended it, or if it was not started. */
  readonly exitCode: number | null;
  /** The signal that ended it; else null. */
  readonly signal: NodeJS.Signals | null;
  /** Whether the option `timeout` ended it. */
  readonly timedOut: boolean;
  /** Whether the option `signal` (an AbortSignal) ended it. */
  readonly canceled: boolean;
  /** The limit that the tree was killed for; else the first at which something was refused. */
  readonly limit: LimitReached | undefined;
  /** The stream that printed more than `maxBuffer`, for which the tree was killed. */
  readonly maxBufferExceeded: Overflow | undefined;
  /** From the call until nothing of the tree was left, in milliseconds. */
  readonly durationMs: number;
  /** What the whole tree has used. Undefined if it was not started, or if its supervisor was lost. */
  readonly usage: TreeUsage | undefined;
  /** What was refused, in order: the first 10000. Empty with `violations: false`. */
  readonly violations: readonly Violation[];
  /** How many more there were. */
  readonly violationsOmitted: number;
  /** Whether it ended otherwise than by itself with exit code 0. A refusal alone is no failure. */
  readonly failed: boolean;
  /** With what the promise is rejected, unless `reject` is false. */
  readonly error: SandboxedError<Stdout, Stderr, All> | undefined;
}

/** How a command ended, before it is told. */
export interface Ended<Stdout = unknown, Stderr = unknown, All = unknown>
  extends Omit<SandboxedResult<Stdout, Stderr, All>, 'failed' | 'error'> {
  /** What kept it from starting, or from being followed to its end. */
  readonly cause: unknown;
  /** Whether it ever ran. */
  readonly started: boolean;
  /** The end of what it wrote to stderr, as text. */
  readonly lastWords: string;
  readonly timeout: number | undefined;
  readonly maxBuffer: number;
}

/** What is looked at when an error is printed; the rest is there, but would bury its message. */
const shownWithError = ['exitCode', 'signal', 'timedOut', 'canceled', 'durationMs'] as const;
const kept = [
  'command',
  'args',
  'stdout',
  'stderr',
  'all',
  'limit',
  'maxBufferExceeded',
  'usage',
  'violations',
  'violationsOmitted',
] as const;

/**
 * A command that failed: with what a promise of {@link runSandboxed} is rejected. It has the fields of the result. Its message
 * has the command, how it ended, the most telling refusal, and the end of what the command wrote to stderr. `code` is
 * `ERR_HOLDFAST_COMMAND`, or that of the failure of holdfast's own that is its `cause`.
 */
export class SandboxedError<Stdout = RunOutput, Stderr = RunOutput, All = RunOutput>
  extends HoldfastError
  implements Omit<SandboxedResult<Stdout, Stderr, All>, 'error'>
{
  declare readonly command: string;
  declare readonly args: readonly string[];
  declare readonly stdout: Stdout;
  declare readonly stderr: Stderr;
  declare readonly all: All;
  declare readonly exitCode: number | null;
  declare readonly signal: NodeJS.Signals | null;
  declare readonly timedOut: boolean;
  declare readonly canceled: boolean;
  declare readonly limit: LimitReached | undefined;
  declare readonly maxBufferExceeded: Overflow | undefined;
  declare readonly durationMs: number;
  declare readonly usage: TreeUsage | undefined;
  declare readonly violations: readonly Violation[];
  declare readonly violationsOmitted: number;
  declare readonly failed: true;
  /** The first line of the message: the command, and how it ended. */
  declare readonly shortMessage: string;

  /** @internal */
  constructor(ended: Ended<Stdout, Stderr, All>) {
    const shortMessage = headline(ended);
    const { cause } = ended;
    const errno = (cause as NodeJS.ErrnoException | undefined)?.errno;
    super(
      cause instanceof HoldfastError ? cause.code : 'ERR_HOLDFAST_COMMAND',
      [shortMessage, ...details(ended)].join('\n'),
      {
        ...(cause !== undefined && { cause }),
        ...(typeof errno === 'number' && { errno }),
      },
    );
    for (const field of shownWithError) this.#set(field, ended[field], true);
    for (const field of kept) this.#set(field, ended[field], false);
    this.#set('failed', true, false);
    this.#set('shortMessage', shortMessage, false);
  }

  #set(field: string, value: unknown, enumerable: boolean): void {
    Object.defineProperty(this, field, { value, enumerable, configurable: true, writable: true });
  }

  static {
    Object.defineProperty(SandboxedError.prototype, 'name', {
      value: 'SandboxedError',
      configurable: true,
      writable: true,
    });
  }
}

function headline(ended: Ended): string {
  const { cause, started, exitCode, signal, limit } = ended;
  const line = commandLine(ended.command, ended.args);
  const why = cause instanceof Error ? cause.message : String(cause);
  if (ended.maxBufferExceeded !== undefined) {
    return `Command printed more than ${ended.maxBuffer} bytes to ${ended.maxBufferExceeded} (maxBuffer): ${line}`;
  }
  if (ended.timedOut) return `Command timed out after ${ended.timeout} ms: ${line}`;
  if (ended.canceled) return `Command was canceled: ${line}`;
  if (limit?.killed) return `Command was killed, ${limit.message}: ${line}`;
  if (!started && cause !== undefined) return `Command could not be started, ${why}: ${line}`;
  if (cause !== undefined) return `Command failed, ${why}: ${line}`;
  if (signal !== null) return `Command was killed by ${signal}: ${line}`;
  return `Command failed with exit code ${exitCode}: ${line}`;
}

/** Lines and characters of stderr that a message takes. */
const MOST_LINES = 20;
const MOST_CHARACTERS = 2000;

function details(ended: Ended): string[] {
  const { violations, violationsOmitted } = ended;
  const lines: string[] = [];
  const words = end(ended.lastWords);
  const telling = mostTelling(violations, words);
  if (telling !== undefined) {
    lines.push(`Refused: ${telling.message}`);
    const others = violations.length - 1 + violationsOmitted;
    if (others > 0) lines.push(`(and ${others} more: see violations)`);
  }
  if (words !== '') lines.push(words);
  return lines;
}

function end(text: string): string {
  const lines = stripVTControlCharacters(text)
    .trimEnd()
    .split(/\r\n|[\n\r]/);
  const last = lines.slice(-MOST_LINES).map((line) => visible(line.replaceAll('\t', '    ')));
  const joined = last.join('\n');
  return joined.length > MOST_CHARACTERS ? `…${joined.slice(-MOST_CHARACTERS)}` : joined;
}

/**
 * The refusal that the command most likely failed for: the last that its own words name; else the last that was no look at what may be there.
 */
export function mostTelling(all: readonly Violation[], words: string): Violation | undefined {
  // What was let by, and only told, is nobody's failure (mode: 'report').
  const violations = all.filter((violation: Violation & { readonly dry?: true }) => violation.dry !== true);
  const named = (violation: Violation) =>
    [violation.path, violation.to, violation.address].some(
      (name) => name !== undefined && name !== '/' && words.includes(name),
    );
  const serious = violations.filter(({ probe }) => !probe);
  return serious.findLast(named) ?? violations.findLast(named) ?? serious.at(-1);
}

/** What a failure is. */
function isFailure({ cause, started, exitCode, timedOut, canceled, maxBufferExceeded, limit }: Ended): boolean {
  return (
    !started ||
    cause !== undefined ||
    exitCode !== 0 ||
    timedOut ||
    canceled ||
    maxBufferExceeded !== undefined ||
    limit?.killed === true
  );
}

export function resultOf<Stdout, Stderr, All>(ended: Ended<Stdout, Stderr, All>): SandboxedResult<Stdout, Stderr, All> {
  const failed = isFailure(ended);
  const { cause, started, lastWords, timeout, maxBuffer, ...result } = ended;
  const error = failed ? new SandboxedError<Stdout, Stderr, All>(ended) : undefined;
  return { ...result, failed, error };
}

/** As shells count: 128 and its number. */
export const exitCodeOfSignal = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];
