// runSandboxedSync(): a command run to its end while this thread waits. Another thread follows the command; this one sleeps
// until it is told something, and runs the hooks that it is asked for.
import { existsSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { HoldfastError } from '../errors.ts';
import { brief } from '../hooks/dispatch.ts';
import type { HookEvent } from '../hooks/families/index.ts';
import { Hookable, HookRegistry } from '../hooks/hooks.ts';
import { type KeptVerdict, keepVerdict, Verdict } from '../hooks/verdict.ts';
import { platformProblem } from '../native/native.ts';
import { shown } from '../policy/check.ts';
import { normalizeSpawn } from '../spawn/options.ts';
import type { Stdio } from '../spawn/spawn.ts';
import { type ResultFor, type RunEncoding, type RunSandboxedOptions, runPlan } from './options.ts';
import { type Ended, type RunOutput, resultOf } from './result.ts';
import { given } from './run.ts';
import { type Answer, type Job, keptError, type Told } from './thread.ts';
import { serve } from './worker.ts';

/** How often the thread is looked after, in milliseconds, where nothing is heard of it. */
const LOOK_EVERY = 1000;
/** How long it may take to be there. */
const START_WITHIN = 60_000;

/** Where the hooks of a command are registered before it is started: {@link runSandboxedSync}. */
export class SandboxHooks extends Hookable<Record<never, never>> {
  readonly #registry: HookRegistry;

  /** @internal */
  constructor(registry: HookRegistry) {
    super();
    this.#registry = registry;
  }

  protected override addHook(event: HookEvent, args: readonly unknown[]): void {
    this.#registry.register(event, args);
  }

  protected override addSyscallHook(call: unknown, args: readonly unknown[]): void {
    this.#registry.registerCall(call, args);
  }
}

/** Options of {@link runSandboxedSync}: those of {@link runSandboxed} that mean something while this thread waits. */
export interface RunSandboxedSyncOptions<
  S extends Stdio = Stdio,
  E extends RunEncoding = RunEncoding,
  L extends boolean = boolean,
  A extends boolean = boolean,
> extends Omit<RunSandboxedOptions<S, E, L, A>, 'input' | 'signal' | 'pool' | 'hooks' | 'serialization'> {
  /** What the command reads: text or bytes. Default: nothing. */
  input?: string | Uint8Array;
  /** Called before the start: the place for hooks. They have to answer at once. */
  hooks?: (sandbox: SandboxHooks) => void;
}

const refuse = (name: string, value: unknown, problem: string) =>
  new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', `options.${name}: ${shown(value)} ${problem}`);

const waits = 'means nothing while this thread waits: use runSandboxed(), or spawn';

/** Places of `stdio` that another thread can be given: descriptors are the whole process's. */
function placesOf(stdio: readonly unknown[]): unknown[] {
  return stdio.map((entry, place) => {
    if (entry === 'inherit') return place;
    if (typeof entry === 'number' || entry === 'ignore' || entry === null || entry === undefined) return entry;
    if (entry === 'pipe' || entry === 'overlapped') {
      if (place < 3) return 'pipe';
      throw refuse(`stdio[${place}]`, entry, waits);
    }
    const { fd, _handle } = entry as { fd?: unknown; _handle?: { fd?: unknown } | null };
    const number = typeof fd === 'number' ? fd : _handle?.fd;
    if (typeof number === 'number' && number >= 0) return number;
    throw refuse(`stdio[${place}]`, entry, waits);
  });
}

/** As it is now: a thread has the one of its own start. */
function environmentOf(env: NodeJS.ProcessEnv | undefined): NodeJS.ProcessEnv {
  const own: NodeJS.ProcessEnv = {};
  const from = env ?? process.env;
  // As in a spawn, what is inherited counts.
  for (const name in from) if (from[name] !== undefined) own[name] = String(from[name]);
  return own;
}

/** A thread, and what it has said. */
class Thread {
  readonly #port: MessagePort;
  readonly #signal = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker: Worker;
  #number: string | undefined;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    // Built, it is this file that is loaded; in a clone what was built of it.
    const own = import.meta.url;
    const module = own.endsWith('.ts') ? new URL('../../dist/index.js', own).href : own;
    const worker = new Worker(
      `import(${JSON.stringify(module)}).then(({ runSandboxedSync }) => runSandboxedSync[Symbol.for('holdfast.serve')](require('node:worker_threads').workerData))`,
      {
        eval: true,
        workerData: { port: port2, signal: this.#signal },
        transferList: [port2],
        execArgv: [],
        stdin: false,
      },
    );
    this.#worker = worker;
    // What goes wrong there is told by the port, or by its silence.
    worker.on('error', () => {});
    worker.unref();
    port1.unref();
    const told = this.next(START_WITHIN);
    if (told?.kind !== 'ready') throw lost('did not start');
    this.#number = told.thread;
  }

  end(): void {
    void this.#worker.terminate();
  }

  say(message: Job | Answer): void {
    this.#port.postMessage(message);
  }

  /** Waits for what it says next; undefined if it is not there any more. */
  next(within = Number.POSITIVE_INFINITY): Told | undefined {
    const until = performance.now() + within;
    for (;;) {
      // Before the look, so that what comes behind it ends the wait.
      const seen = Atomics.load(this.#signal, 0);
      const received = receiveMessageOnPort(this.#port);
      if (received !== undefined) return received.message as Told;
      Atomics.wait(this.#signal, 0, seen, LOOK_EVERY);
      const gone = this.#number !== undefined && !existsSync(`/proc/self/task/${this.#number}`);
      if ((gone || performance.now() > until) && Atomics.load(this.#signal, 0) === seen) return undefined;
    }
  }
}

const lost = (how: string) =>
  new HoldfastError('ERR_HOLDFAST_SUPERVISOR_LOST', `the thread that follows the command ${how}; the tree was killed`);

/** Threads that have nothing to do. A hook may run a command itself, so there may be more than one. */
const idle: Thread[] = [];

/** How it ended, and the number that the command had. */
export interface Waited {
  readonly ended: Ended<RunOutput, RunOutput, RunOutput>;
  readonly pid: number | undefined;
}

type Ask = (hook: number, event: HookEvent, call: object) => KeptVerdict | undefined;

/** @throws What a hook or the function of `verbose` has thrown, or was refused for; the tree has ended by then. */
function wait(thread: Thread, ask: Ask, tell: (line: string) => void): Waited {
  let pid: number | undefined;
  let supervisor: number | undefined;
  let thrown: { readonly error: unknown } | undefined;
  for (;;) {
    const told = thread.next();
    switch (told?.kind) {
      case 'started':
        ({ pid, supervisor } = told);
        break;
      case 'line':
        try {
          tell(told.line);
        } catch (error) {
          thrown ??= { error };
        }
        break;
      case 'asked': {
        let verdict: KeptVerdict | undefined;
        try {
          if (thrown === undefined) verdict = ask(told.hook, told.event, told.call);
        } catch (error) {
          thrown = { error };
        }
        thread.say({ asked: told.asked, verdict, failed: thrown !== undefined });
        break;
      }
      case 'over': {
        idle.push(thread);
        if (thrown !== undefined) throw thrown.error;
        if (told.hookError !== undefined) throw keptError(told.hookError);
        const { cause, ...ended } = told.ended;
        for (const each of [ended, ...ended.violations]) buffers(each);
        return { pid, ended: { ...ended, cause: cause === undefined ? undefined : keptError(cause as never) } };
      }
      case 'broken':
        endTree(supervisor);
        thread.end();
        throw keptError(told.error);
      case undefined:
        endTree(supervisor);
        throw lost('has ended');
    }
  }
}

/** By its supervisor, with which the kernel ends all of it. */
function endTree(supervisor: number | undefined): void {
  try {
    if (supervisor !== undefined) process.kill(supervisor, 'SIGKILL');
  } catch {} // it has ended
}

const nameOf = (event: HookEvent) => `on${event[0]?.toUpperCase()}${event.slice(1)}`;

function hookFailed(event: HookEvent, call: object, what: string, ...cause: [unknown?]): HoldfastError {
  const message = `a hook of ${nameOf(event)} ${what}; the call was denied with EACCES, and the tree ended`;
  return new HoldfastError('ERR_HOLDFAST_HOOK_FAILED', message, {
    event,
    call,
    ...(cause.length > 0 && { cause: cause[0] }),
  });
}

/** Bytes come as plain ones from another thread. */
function buffers(of: object): void {
  for (const [name, value] of Object.entries(of)) {
    if (value instanceof Uint8Array)
      (of as Record<string, unknown>)[name] = Buffer.from(value.buffer, value.byteOffset, value.length);
  }
}

const asker =
  (registry: HookRegistry): Ask =>
  (number, event, call) => {
    buffers(call);
    let answer: unknown;
    let isPromise: boolean;
    try {
      answer = registry.hook(number)?.(call as never);
      isPromise = !Verdict.is(answer) && typeof (answer as { then?: unknown } | null | undefined)?.then === 'function';
    } catch (error) {
      throw hookFailed(event, call, `threw ${brief(error)}`, error);
    }
    if (answer === undefined) return undefined;
    if (Verdict.is(answer)) return keepVerdict(answer);
    if (isPromise) {
      Promise.resolve(answer).catch(() => {});
      throw hookFailed(
        event,
        call,
        'answered by a promise, which cannot be waited for here: answer at once, or use runSandboxed()',
      );
    }
    throw hookFailed(event, call, `answered ${shown(answer)}, which is no verdict`);
  };

/** A command, what is asked of it, and its hooks. */
export interface Waits {
  readonly command: string;
  readonly args: unknown;
  /** For the spawn. */
  readonly options: Record<string, unknown>;
  readonly plan: Omit<Job['plan'], 'timeout'>;
  readonly hooks: ((sandbox: SandboxHooks) => unknown) | undefined;
  /** Gets each line of what `verbose` tells. */
  readonly tell: ((line: string) => void) | undefined;
}

/** Calls who registers hooks, and tells him if he counts on more than that: nothing else of the process is there while this thread waits. */
function register(hooks: (sandbox: SandboxHooks) => unknown, registry: HookRegistry): void {
  const problem = (text: string) => new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', `options.hooks: ${text}`);
  const only = new Proxy(new SandboxHooks(registry), {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof name === 'symbol') return value;
      if (typeof value === 'function' && /^on[A-Z]/.test(name)) return value.bind(target);
      throw problem(`uses ${name}, which is not there while this thread waits for the program: it may register hooks`);
    },
  });
  const answer = hooks(only);
  if (typeof (answer as { then?: unknown } | null | undefined)?.then !== 'function') return;
  Promise.resolve(answer).catch(() => {});
  throw problem('answers by a promise, which cannot be waited for here: register the hooks at once');
}

/**
 * Runs it to its end.
 * @returns With what was executed: `command`, or its shell.
 * @throws What wrong arguments and options, and hooks, are refused for; not for how it ends.
 */
export function waitFor({
  command,
  args,
  options,
  plan,
  hooks,
  tell,
}: Waits): Waited & { file: string; args: string[] } {
  for (const name of ['signal', 'serialization'] as const) {
    if (options[name] !== undefined) throw refuse(name, options[name], waits);
  }
  const { signal, ready, group, hooks: _, ...spawn } = normalizeSpawn(command, args, options);
  const problem = platformProblem();
  if (problem !== undefined) throw new HoldfastError('ERR_HOLDFAST_UNSUPPORTED_PLATFORM', problem);
  const registry = new HookRegistry(spawn.cwd);
  if (hooks !== undefined) register(hooks, registry);
  registry.sent = true;
  const { cwd, env, ...passed } = spawn.passed;
  const { compiled, ...rules } = spawn.rules;
  const job: Job = {
    spawn: {
      ...spawn,
      rules,
      stdio: placesOf(spawn.stdio),
      passed: {
        ...passed,
        env: environmentOf(env),
        ...(cwd !== undefined && { cwd: cwd instanceof URL ? fileURLToPath(cwd) : cwd }),
      },
    },
    command,
    args: [...((args ?? []) as string[])],
    // Nobody writes to a pipe meanwhile.
    plan: { ...plan, input: plan.input ?? '', timeout: options.timeout as number | undefined },
    tells: tell !== undefined,
    hooks: registry.kept,
  };
  const thread = idle.pop() ?? new Thread();
  thread.say(job);
  const waited = wait(thread, asker(registry), tell ?? (() => {}));
  return { ...waited, file: spawn.file, args: spawn.args.slice(1) };
}

/**
 * As {@link runSandboxed}, while this thread waits. Hooks are asked on this thread and have to answer at once; of a call they see
 * what it is about, without its methods. A hook that throws, or answers by a promise, ends the tree, and is thrown.
 *
 * @throws {SandboxedError} If the command fails, unless `reject` is false; {HoldfastError} `ERR_HOLDFAST_HOOK_FAILED`, and what
 * spawnSandboxed throws for wrong arguments and options.
 */
export function runSandboxedSync<
  const S extends Stdio = undefined,
  const E extends RunEncoding = 'utf8',
  const L extends boolean = false,
  const A extends boolean = false,
>(command: string, options?: RunSandboxedSyncOptions<S, E, L, A>): ResultFor<S, E, L, A>;
export function runSandboxedSync<
  const S extends Stdio = undefined,
  const E extends RunEncoding = 'utf8',
  const L extends boolean = false,
  const A extends boolean = false,
>(
  command: string,
  args?: readonly string[] | null,
  options?: RunSandboxedSyncOptions<S, E, L, A>,
): ResultFor<S, E, L, A>;
export function runSandboxedSync(command: string, argsOrOptions?: unknown, lastOptions?: unknown): unknown {
  const [args, options] = given(argsOrOptions, lastOptions);
  if (options.pool !== undefined) throw refuse('pool', options.pool, waits);
  const { rest, reject, hooks, verbose, pool, input, ...plan } = runPlan(options);
  if (input !== undefined && typeof input !== 'string' && !(input instanceof Uint8Array)) {
    throw refuse('input', input, 'must be text or bytes: nothing else can be read while this thread waits');
  }
  // At once: process.stderr may wait for a loop that does not turn.
  const tell = options.verbose === true ? (line: string) => void writeSync(2, `${line}\n`) : verbose;
  const asked = { command, args, options: rest, plan: { ...plan, input }, hooks: hooks as never, tell };
  const result = resultOf(waitFor(asked).ended);
  if (result.error === undefined) return result;
  Error.captureStackTrace(result.error, runSandboxedSync);
  result.error.stack = [String(result.error), ...framesOf(result.error)].join('\n');
  if (reject) throw result.error;
  return result;
}

/** Behind a message that may have any number of lines. */
const framesOf = ({ stack = '', message }: Error) =>
  stack
    .slice(stack.indexOf(message) + message.length)
    .split('\n')
    .slice(1);

// For the thread, which loads this module anew.
Object.defineProperty(runSandboxedSync, Symbol.for('holdfast.serve'), { value: serve });
