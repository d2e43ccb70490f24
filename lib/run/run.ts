// A command run to its end, and what came of it.
import type { Readable } from 'node:stream';
import type { SandboxedProcess } from '../process/sandboxed-process.ts';
import type { Violation } from '../process/violation.ts';
import { wrongType } from '../spawn/arguments.ts';
import { type Stdio, spawnSandboxed } from '../spawn/spawn.ts';
import { Capture } from './capture.ts';
import { give } from './input.ts';
import {
  outputAs,
  type ResultFor,
  type RunEncoding,
  type RunPlan,
  type RunProcess,
  type RunSandboxedOptions,
  runPlan,
} from './options.ts';
import { type Ended, type RunOutput, resultOf } from './result.ts';
import { commandLine } from './words.ts';

/** So many refusals a result has; a tree can make any number. */
const MOST_VIOLATIONS = 10_000;

/** A result to come, with its process. */
export interface SandboxedRun<Result, Child> extends Promise<Result> {
  /** The running command: its streams, its events, `killTree()`. */
  readonly child: Child;
}

/** The arguments of a spawn, whichever of them are there. */
export function given(argsOrOptions: unknown, lastOptions: unknown): [args: unknown, options: Record<string, unknown>] {
  const second = typeof argsOrOptions === 'object' && argsOrOptions !== null && !Array.isArray(argsOrOptions);
  const options = (second ? argsOrOptions : lastOptions) ?? {};
  if (typeof options !== 'object' || Array.isArray(options)) throw wrongType('options', 'of type object', options);
  return [second ? undefined : argsOrOptions, { __proto__: null, ...options }];
}

/** Gathers what is refused. */
class Refusals {
  readonly list: Violation[] = [];
  omitted = 0;

  add(violation: Violation): void {
    if (this.list.length < MOST_VIOLATIONS) this.list.push(violation);
    else this.omitted++;
  }
}

/** What is asked of a run that is followed here, whoever has started it. */
export type Followed = Pick<
  RunPlan,
  'encoding' | 'maxBuffer' | 'lines' | 'all' | 'stripFinalNewline' | 'input' | 'violations' | 'verbose' | 'hooks'
> & {
  readonly timeout: number | undefined;
  /** By performance.now(). */
  readonly begun: number;
  /** If it prints too much it is ended by this, as by Node's spawnSync, which gives what came with the first byte too many, too. */
  readonly overflowSignal?: NodeJS.Signals | number | undefined;
};

/** One command, from its start to its end. */
export class Run {
  readonly child: SandboxedProcess;
  readonly #plan: Followed;
  readonly #command: string;
  readonly #args: readonly string[];
  readonly #refusals = new Refusals();
  readonly #capture: Capture;
  #started = false;
  #notStarted = false;
  #canceled = false;
  #cause: unknown;

  /** In the tick of its spawn. */
  constructor(child: SandboxedProcess, command: string, args: unknown, plan: Followed) {
    this.#plan = plan;
    this.child = child;
    this.#command = command;
    this.#args = Object.freeze([...((args ?? []) as string[])]);
    child.on('spawn', () => {
      this.#started = true;
    });
    child.on('error', (error) => this.#failed(error));
    if (plan.violations) child.on('violation', (violation) => this.#refusals.add(violation));
    const { stdout, stderr } = child as { stdout: Readable | null; stderr: Readable | null };
    const { maxBuffer, all, overflowSignal: signal } = plan;
    const overflowed = () => (signal === undefined ? this.#end() : void child.killTree(signal));
    this.#capture = new Capture({ stdout, stderr }, maxBuffer, all, overflowed, signal !== undefined);
    if (plan.input !== undefined && child.stdin !== null) give(child.stdin, plan.input, (error) => this.#fail(error));
    if (plan.verbose !== undefined) this.#tell(plan.verbose);
    this.#callHooks();
  }

  #callHooks(): void {
    try {
      const answer = this.#plan.hooks?.(this.child);
      if (answer instanceof Promise) answer.catch((error) => this.#fail(error));
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  #failed(error: Error): void {
    if (error.name === 'AbortError') this.#canceled = true;
    else if (!this.#started) this.#notStarted = true;
    this.#cause ??= error;
  }

  /** Nothing that follows could be relied on. */
  #fail(error: unknown): void {
    this.#cause ??= error ?? new Error('unknown');
    this.#end();
  }

  #end(): void {
    void this.child[Symbol.asyncDispose]();
  }

  #tell(print: (line: string) => void): void {
    const { child } = this;
    print(`$ ${commandLine(this.#command, this.#args)}`);
    if (this.#plan.violations) child.on('violation', ({ message }) => print(`  refused: ${message}`));
    child.on('close', (code, signal) => {
      const end = signal ?? `exit code ${code}`;
      print(`  ${end} after ${Math.round(performance.now() - this.#plan.begun)} ms`);
    });
  }

  /** When nothing of it is left. */
  over(): Promise<Ended<RunOutput, RunOutput, RunOutput>> {
    return new Promise((resolve) => {
      this.child.on('close', (code, signal) => resolve(this.#ended(code, signal)));
    });
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): Ended<RunOutput, RunOutput, RunOutput> {
    const { child } = this;
    const plan = this.#plan;
    const capture = this.#capture;
    const stderr = capture.bytes('stderr');
    return {
      command: this.#command,
      args: this.#args,
      stdout: outputAs(capture.bytes('stdout'), plan),
      stderr: outputAs(stderr, plan),
      all: outputAs(capture.bytes('all'), plan),
      exitCode: this.#started ? code : null,
      signal,
      timedOut: child.timedOut,
      canceled: this.#canceled,
      limit: child.limit,
      maxBufferExceeded: capture.overflow,
      durationMs: performance.now() - this.#plan.begun,
      usage: child.usage,
      violations: this.#refusals.list,
      violationsOmitted: this.#refusals.omitted,
      cause: this.#cause ?? capture.error,
      started: !this.#notStarted,
      lastWords: stderr?.toString() ?? '',
      timeout: plan.timeout,
      maxBuffer: plan.maxBuffer,
    };
  }
}

/**
 * Runs a program to its end as {@link spawnSandboxed} starts it, and gives what came of it: what it printed, how it ended, what
 * was refused, what it has used.
 *
 * ```ts
 * const { stdout } = await runSandboxed('git', ['log', '-1', '--format=%s'], { cwd: project });
 * ```
 *
 * @returns A promise, with the process as `child`: fulfilled when nothing of the tree is left. If the command fails it is
 * rejected with a {@link SandboxedError}, unless `reject` is false.
 * @throws What spawnSandboxed throws for wrong arguments and options, at once.
 */
export function runSandboxed<
  const S extends Stdio = undefined,
  const E extends RunEncoding = 'utf8',
  const L extends boolean = false,
  const A extends boolean = false,
>(command: string, options?: RunSandboxedOptions<S, E, L, A>): SandboxedRun<ResultFor<S, E, L, A>, RunProcess<S>>;
export function runSandboxed<
  const S extends Stdio = undefined,
  const E extends RunEncoding = 'utf8',
  const L extends boolean = false,
  const A extends boolean = false,
>(
  command: string,
  args?: readonly string[] | null,
  options?: RunSandboxedOptions<S, E, L, A>,
): SandboxedRun<ResultFor<S, E, L, A>, RunProcess<S>>;
export function runSandboxed(command: string, argsOrOptions?: unknown, lastOptions?: unknown): unknown {
  const [args, options] = given(argsOrOptions, lastOptions);
  const plan = runPlan(options);
  const begun = performance.now();
  const here: { stack?: string } = {};
  Error.captureStackTrace(here, runSandboxed);
  const spawn = (plan.pool?.spawn ?? spawnSandboxed) as (...given: unknown[]) => SandboxedProcess;
  const child = spawn(command, args, plan.rest);
  const run = new Run(child, command, args, { ...plan, timeout: plan.rest.timeout as number | undefined, begun });
  const result = run.over().then((ended) => {
    const told = resultOf(ended);
    if (told.error === undefined) return told;
    // Where the command was run from: the end of one comes from nowhere.
    told.error.stack = [String(told.error), ...(here.stack ?? '').split('\n').slice(1)].join('\n');
    if (plan.reject) throw told.error;
    return told;
  });
  return Object.assign(result, { child });
}
