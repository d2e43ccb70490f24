import type { ChildProcess, MessageOptions, SendHandle, Serializable } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { EventEmitter } from 'eventemitter3';
import { AbortError, ofEngine } from '../errors.ts';
import type { HookEvent } from '../hooks/families/index.ts';
import { Hookable, HookRegistry } from '../hooks/hooks.ts';
import type { LimitReached } from '../limits/reached.ts';
import type { NativeRecord } from '../native/native.ts';
import { signalNumber } from '../native/signals.ts';
import { idleRules, type PolicyWarning } from '../policy/idle.ts';
import type { PolicyName, StrictName } from '../policy/named.ts';
import type { CompiledPolicy } from '../policy/policy.ts';
import type { Restriction } from '../policy/restriction.ts';
import type { Accesses } from './accesses.ts';
import { channels } from './debug.ts';
import { type Engine, engineAsked } from './engine.ts';
import type { SandboxedProcessEvents } from './events.ts';
import { forceKillAfterOf } from './grace.ts';
import type { Inspection } from './inspection.ts';
import type { Inner } from './launched.ts';
import { classesOf, type SandboxPlan } from './layers.ts';
import type { LifecycleEvent } from './lifecycle.ts';
import type { Spawn } from './plan.ts';
import { processesOf, type TreeProcess } from './processes.ts';
import type { UnusedRules } from './rule-use.ts';
import { Supervision } from './supervision.ts';
import { type TreeUsage, treeUsage } from './usage.ts';

/** A look at a file for each, and one or two for what is not there: about a millisecond. */
const RULES_PER_TURN = 128;

/** What what is asked to end by `killTree()` has, in milliseconds. */
const DEFAULT_FORCE_KILL_AFTER = 5000;

const notConfined = {
  rule: 'mode',

  message: "policy.mode: 'report': what no rule allows is let by and told; the command is not confined",
};

const lifecycleEvents = ['fork', 'exec', 'processExit'] as const;
const isLifecycleEvent = (event: unknown) => (lifecycleEvents as readonly unknown[]).includes(event);

type Names = EventEmitter.EventNames<SandboxedProcessEvents>;
type Message = Parameters<SandboxedProcessEvents['message']>;
type Listener<E extends Names> = EventEmitter.EventListener<SandboxedProcessEvents, E>;

/**
 * A command in its sandbox, as {@link spawnSandboxed} returns it: what `ChildProcess` is to `spawn`, with hooks, and the
 * events `violation`, `hookError` and `treeEmpty`.
 */
export class SandboxedProcess<
  Stdin extends Writable | null = Writable | null,
  Stdout extends Readable | null = Readable | null,
  Stderr extends Readable | null = Readable | null,
> extends Hookable<SandboxedProcessEvents> {
  /** Of the command itself, not of its supervisor. Undefined if it could not be started. */
  pid: number | undefined;
  /** Null until the command ended, or if a signal ended it. Negative if it could not be started. */
  exitCode: number | null = null;
  /** The signal that ended the command. */
  signalCode: NodeJS.Signals | null = null;
  /** Whether {@link kill} has sent a signal. It says nothing about the command having ended. */
  killed = false;
  /** Whether the option `timeout` has ended it. */
  timedOut = false;
  /** The limit that the tree was killed for; else the first at which something was refused. */
  limit: LimitReached | undefined;
  /** The program as it was asked for; the shell with the `shell` option. */
  readonly spawnfile: string;
  /** All arguments, with argv[0]. */
  readonly spawnargs: string[];
  /** The command's streams, as the `stdio` option has them. */
  readonly stdin: Stdin;
  readonly stdout: Stdout;
  readonly stderr: Stderr;
  readonly stdio: [Stdin, Stdout, Stderr, ...(Writable | Readable | null | undefined)[]];
  /**
   * Sends a message to a Node process, as `ChildProcess.send`. There with `'ipc'` in `stdio` only.
   * @returns False if the channel has closed, or if many messages wait.
   */
  readonly send?: (
    message: Serializable,
    sendHandle?: SendHandle | ((error: Error | null) => void),
    options?: MessageOptions | ((error: Error | null) => void),
    callback?: (error: Error | null) => void,
  ) => boolean;
  readonly #hooks: HookRegistry;
  readonly #supervision: Supervision;
  readonly #inner: Inner | undefined;
  readonly #forceKillAfter: number;
  readonly #killSignal: number;
  readonly #byExecutable: boolean;
  #messages: Message[] = [];
  #hearsMessages = false;
  #warnedOfLayers = false;

  /** @internal Use {@link spawnSandboxed}. */
  constructor(spawn: Spawn) {
    super();
    this.spawnfile = spawn.file;
    this.spawnargs = spawn.args;
    this.#hooks = spawn.hooks ?? new HookRegistry(spawn.cwd);
    this.#forceKillAfter = spawn.forceKillAfter;
    this.#killSignal = spawn.killSignal;
    this.#byExecutable = spawn.usageByExecutable;
    this.#supervision = new Supervision(spawn, this.#hooks, {
      spawned: () => this.emit('spawn'),
      failed: (error, errno) => this.#failed(ofEngine(error, this.engine ?? engineAsked(spawn.engine)), errno),
      exited: (code, signal) => this.#exited(code, signal),
      over: () => {
        const { exitCode, signalCode } = this;
        channels.close.publish({ child: this, exitCode, signalCode });
        this.emit('close', exitCode, signalCode);
      },
      error: (error) => this.emit('error', ofEngine(error, this.engine)),
      violation: (violation) => {
        channels.violation.publish({ child: this, violation });
        this.emit('violation', violation);
      },
      lifecycle: (event) => this.#lives(event),
      hearsLifecycle: () => lifecycleEvents.some((event) => this.listenerCount(event) > 0),
      hearsViolations: () => this.listenerCount('violation') > 0 || channels.violation.hasSubscribers,
      logged: (call) => this.emit('syscall', call),
      hearsLogged: () => this.listenerCount('syscall') > 0,
      warning: (warning) => this.emit('warning', warning),
      hookError: (error) => {
        ofEngine(error, this.engine);
        channels.hookError.publish({ child: this, error });
        this.emit('hookError', error);
      },
      limit: (reached) => this.#limitReached(reached),
      stopped: (signal) => (signal === undefined ? this.emit('continue') : this.emit('stop', signal)),
      treeEmpty: () => this.emit('treeEmpty'),
    });
    const inner = this.#supervision.inner;
    this.#inner = inner;
    this.pid = this.#supervision.pid;
    this.stdin = (inner?.stdin ?? null) as Stdin;
    this.stdout = (inner?.stdout ?? null) as Stdout;
    this.stderr = (inner?.stderr ?? null) as Stderr;
    // The last entry is the supervisor's channel.
    const own = inner?.stdio?.slice(0, spawn.stdio.length) ?? spawn.stdio.map(() => null);
    this.stdio = own as unknown as SandboxedProcess<Stdin, Stdout, Stderr>['stdio'];
    if (inner?.send !== undefined) {
      this.send = inner.send.bind(inner) as NonNullable<SandboxedProcess['send']>;
      inner.on('disconnect', () => this.emit('disconnect'));
      inner.on('internalMessage', (...message: Message) => this.emit('internalMessage', ...message));
    }
    // Looking costs time: for those only who want to hear.
    process.nextTick(() => {
      if (this.listenerCount('warning') === 0) return;
      if (spawn.rules.letsBy) this.emit('warning', { ...notConfined, path: spawn.file });
      this.#warn(idleRules(spawn.rules.files, spawn.rules.network));
    });
    this.#endAfter(spawn);
    this.#endOnAbort(spawn);
    channels.spawn.publish({ child: this });
  }

  protected override addSyscallHook(call: unknown, args: readonly unknown[]): void {
    this.#hooks.registerCall(call, args);
  }

  protected override addHook(event: HookEvent, args: readonly unknown[]): void {
    this.#hooks.register(event, args);
  }

  /** Who holds its calls; undefined until it runs (`spawn`). */
  get engine(): Engine | undefined {
    return this.#supervision.engine;
  }

  /** `'report'`: its policy lets by what no rule allows, and tells of it. It is not confined then. */
  get mode(): 'enforce' | 'report' {
    return this.#supervision.mode;
  }

  /** Whether messages can still be sent and received. */
  get connected(): boolean {
    return this.#inner?.connected ?? false;
  }

  /** The IPC channel, to be ref'ed and unref'ed, or undefined without one. */
  get channel(): ChildProcess['channel'] {
    return this.#inner?.channel;
  }

  /** @internal The channel's old name, which programs that know Node well still read. */
  get _channel(): ChildProcess['channel'] {
    return this.channel;
  }

  /** Closes the IPC channel. */
  disconnect(): void {
    if (this.send !== undefined) this.#inner?.disconnect?.();
  }

  /**
   * Sends a signal to the command. When it ends, its descendants are killed (with `descendants: 'wait'` they are not,
   * except by `SIGKILL`, which is for the whole tree).
   * @param signal Name or number; 0 asks only whether the command is there. Default: `'SIGTERM'`.
   * @returns Whether it was sent. False if the command has ended or was never started.
   * @throws {TypeError} `ERR_UNKNOWN_SIGNAL`, `ERR_INVALID_ARG_TYPE`.
   */
  kill(signal: NodeJS.Signals | number = 'SIGTERM'): boolean {
    const sent = this.#supervision.kill(signal === 0 ? 0 : signalNumber(signal));
    if (sent) this.killed = true;
    return sent;
  }

  /**
   * Which layer decides each class of calls, and why it is not a cheaper one: docs/performance.md says what each costs.
   * Asked for in the tick of the spawn, it is answered however soon the command ends.
   * @throws `ERR_HOLDFAST_NOT_RUNNING` (by the promise) if it could not be started, or has ended before it was asked.
   */
  plan(): Promise<SandboxPlan> {
    return this.#supervision.plan();
  }

  /**
   * Which rules of the policy matched no call, to tidy it up: resolves when nothing of the tree is left. Rules of what it starts
   * from (`extends`) and the defaults are not among them, nor is what `restrict()` has put on.
   * @throws `ERR_HOLDFAST_NOT_RUNNING` (by the promise) if it could not be started, or its supervisor was lost.
   */
  unusedRules(): Promise<UnusedRules> {
    return this.#supervision.unusedRules();
  }

  /**
   * Who is in the tree now.
   * @throws `ERR_HOLDFAST_NOT_RUNNING` (by the promise) if there is nobody any more.
   */
  async processes(): Promise<TreeProcess[]> {
    const parts = await this.#supervision.ask('processes');
    return processesOf(parts);
  }

  /**
   * Ends the whole tree, whatever it does: stopped, frozen, held by a hook, in sessions of its own, orphaned.
   * @param signal Sent to each process. Default: `'SIGKILL'`.
   * @param options.forceKillAfter How long after another signal SIGKILL follows, in milliseconds, or `Infinity`. Default: the
   * option `forceKillAfter` of the spawn, or 5000 if that is 0.
   * @returns When nothing of it is left; at once if there is nothing.
   * @throws {TypeError} `ERR_UNKNOWN_SIGNAL` (by the promise).
   * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_OPTION` (by the promise).
   */
  async killTree(
    signal: NodeJS.Signals | number = 'SIGKILL',
    options: { forceKillAfter?: number } = {},
  ): Promise<void> {
    const number = signalNumber(signal);
    const after = forceKillAfterOf(options) ?? (this.#forceKillAfter || DEFAULT_FORCE_KILL_AFTER);
    const ended = this.#supervision.endTree(number, after);
    if (this.exitCode === null && this.signalCode === null) this.killed = true;
    await ended;
  }

  /**
   * What the tree's processes live through: `fork`, `exec` and `exit` of each, in order, from the call on; called in the
   * tick of the spawn, from the start. Ends with the tree. Nothing is left out: if more than 1024 wait, who makes a process or
   * executes a program waits, until they are taken or the loop is left.
   */
  lifecycle(): AsyncIterableIterator<LifecycleEvent, undefined, undefined> {
    return this.#supervision.lifecycle.read();
  }

  /** What the tree has used, when nothing of it is left (`close`); undefined before, and if it never began. */
  get usage(): TreeUsage | undefined {
    return this.#supervision.usage;
  }

  /**
   * What the tree has used until now: the dead and the living; after its end {@link usage}.
   * @throws `ERR_HOLDFAST_NOT_RUNNING` (by the promise) if it could not be started, or its supervisor was lost.
   */
  async getUsage(): Promise<TreeUsage> {
    if (this.usage !== undefined) return this.usage;
    try {
      const [told] = await this.#supervision.ask('usage');
      return treeUsage(told as NativeRecord, this.#byExecutable);
    } catch (error) {
      // It has ended in the meantime.
      if (this.usage !== undefined) return this.usage;
      throw error;
    }
  }

  /**
   * What the tree has asked for until now, with the option `record`: also when it has ended.
   * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_OPTION` (by the promise) without that option; `ERR_HOLDFAST_NOT_RUNNING`
   * if it could not be started, or its supervisor was lost.
   */
  async accesses(): Promise<Accesses> {
    return this.#supervision.accesses();
  }

  /**
   * Stops every thread of the tree, those too that are just being made, so that none runs an instruction of its own until
   * {@link thaw}: not by SIGCONT either. It costs no processor time. What stands still is not told: there is no `SIGSTOP`, and
   * no call is cut short. Only SIGKILL has an effect meanwhile; other signals, and what hooks have answered, wait.
   * @returns When none of them runs any more.
   * @throws `ERR_HOLDFAST_NOT_RUNNING` (by the promise) if there is nobody any more.
   */
  async freeze(): Promise<void> {
    await this.#supervision.ask('freeze');
  }

  /**
   * Lets go on what {@link freeze} has stopped; who was stopped by SIGSTOP before stays so.
   * @throws `ERR_HOLDFAST_NOT_RUNNING` (by the promise) if there is nobody any more.
   */
  async thaw(): Promise<void> {
    await this.#supervision.ask('thaw');
  }

  /**
   * Stops a process with all its threads, or one thread that is not its first, and lets registers and memory be read and
   * set until it is released (`using`, `await using`, `release()`).
   *
   * Resolves when it stands still: what waits for a hook, or for its child by vfork, when that is over. Asked for in a hook
   * before that answers, the thread stops right behind its call.
   * @throws (by the promise) `ERR_HOLDFAST_INVALID_OPTION`; `ERR_HOLDFAST_THREAD_GONE` if it is not in the tree, or ends
   * before it has stopped; `ERR_HOLDFAST_NOT_RUNNING`.
   */
  inspect(pid: number): Promise<Inspection> {
    return this.#supervision.inspect(pid);
  }

  /**
   * Takes rights away from the tree while it runs. Of a plain object only what it names changes; a compiled policy counts
   * as a whole, and so does `'compute'`; `'strict'` leaves read, write, exit and the return from signal handlers, as seccomp's strict mode does,
   * and kills a process that makes any other call. Hooks cannot allow more than it leaves. What is open stays open.
   *
   * Resolves when it holds for the next call of every thread.
   * @throws (by the promise) `ERR_HOLDFAST_INVALID_POLICY`; `ERR_HOLDFAST_WIDER_POLICY` if it would allow what rules do
   * not allow now; `ERR_HOLDFAST_NOT_RUNNING` if there is nobody any more; `ERR_HOLDFAST_RESTRICT`.
   */
  restrict(policy: Restriction | CompiledPolicy | PolicyName | StrictName): Promise<void> {
    return this.#supervision.restrict(policy);
  }

  /** Lets Node wait for the command again, after {@link unref}. */
  ref(): void {
    this.#supervision.ref();
  }

  /** Lets Node end before the command does. The tree dies with Node. Streams and IPC are unref'ed by themselves. */
  unref(): void {
    this.#supervision.unref();
  }

  /** Kills the command, and so the tree, if it was not killed already; after its end, what it has left behind. */
  [Symbol.dispose](): void {
    if (this.exitCode !== null || this.signalCode !== null) this.kill('SIGKILL');
    else if (!this.killed) this.kill();
  }

  /**
   * Ends the tree and waits until nothing of it is left: with the option `forceKillAfter` by `killSignal` first, else by
   * SIGKILL.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.killTree(this.#forceKillAfter > 0 ? this.#killSignal : 'SIGKILL');
  }

  /** As in Node, an `error` that nobody listens to is thrown. */
  override emit<E extends Names>(event: E, ...args: Parameters<Listener<E>>): boolean {
    if (event === 'error' && this.listenerCount('error') === 0) throw args[0];
    return super.emit(event, ...args);
  }

  override on<E extends Names>(event: E, listener: Listener<E>, context?: unknown): this {
    super.on(event, listener, context);
    if (event === 'message') this.#hearMessages();
    if (event === 'violation') this.#hearViolations();
    if (isLifecycleEvent(event)) this.#supervision.lifecycle.look();
    return this;
  }

  override once<E extends Names>(event: E, listener: Listener<E>, context?: unknown): this {
    super.once(event, listener, context);
    if (event === 'message') this.#hearMessages();
    if (event === 'violation') this.#hearViolations();
    if (isLifecycleEvent(event)) this.#supervision.lifecycle.look();
    return this;
  }

  override addListener<E extends Names>(event: E, listener: Listener<E>, context?: unknown): this {
    return this.on(event, listener, context);
  }

  // As in Node, messages wait for the first listener.
  #hearMessages(): void {
    if (!this.#hearsMessages) {
      this.#hearsMessages = true;
      this.#inner?.on('message', (...message: Message) => {
        if (this.listenerCount('message') === 0) this.#messages.push(message);
        else this.emit('message', ...message);
      });
      return;
    }
    process.nextTick(() => {
      while (this.#messages.length > 0 && this.listenerCount('message') > 0) {
        const message = this.#messages.shift();
        if (message !== undefined) this.emit('message', ...message);
      }
    });
  }

  /** Who listens only now hears nothing of what was left to the kernel, and would think that nothing is refused. */
  #hearViolations(): void {
    if (!this.#hooks.sent || this.#warnedOfLayers) return;
    this.#warnedOfLayers = true;
    process.nextTick(() => {
      // Asking costs time: for those only who want to hear.
      if (this.listenerCount('warning') === 0) return;
      this.plan().then(
        ({ classes }) => {
          const left = classesOf(classes, 'landlock');
          if (left.length === 0) return;
          const message = `refusals of ${left.join(', ')} are not heard of: a listener for 'violation' that comes after the spawn's tick cannot change that the kernel alone decides them. Add it in the tick of the spawn`;
          // What a listener throws is nobody's rejection.
          process.nextTick(() => this.emit('warning', { rule: 'violation', path: this.spawnfile, message }));
        },
        () => {}, // it has ended: there is nothing more to be heard
      );
    });
  }

  /** Of a policy with very many rules, some at a time: others have their turn between them. */
  #warn(warnings: Iterator<PolicyWarning | undefined, void>): void {
    for (let i = 0; i < RULES_PER_TURN; i++) {
      const { done, value } = warnings.next();
      if (done) return;
      if (value !== undefined) this.emit('warning', value);
    }
    setImmediate(() => this.#warn(warnings));
  }

  #limitReached(reached: LimitReached): void {
    if (this.limit === undefined || (reached.killed && !this.limit.killed)) this.limit = reached;
    this.emit('limit', reached);
  }

  #lives(event: LifecycleEvent): void {
    switch (event.type) {
      case 'fork':
        this.emit('fork', event);
        return;
      case 'exec':
        this.emit('exec', event);
        return;
      case 'exit':
        this.emit('processExit', event);
    }
  }

  #failed(error: Error, errno: number): void {
    this.pid = undefined;
    this.exitCode = -(errno || 1);
    this.stdin?.destroy();
    this.emit('error', error);
  }

  #exited(code: number | null, signal: NodeJS.Signals | null): void {
    this.exitCode = code;
    this.signalCode = signal;
    this.stdin?.destroy();
    this.emit('exit', code, signal);
  }

  #end(signal: number): boolean {
    const sent = this.#supervision.end(signal);
    if (sent) this.killed = true;
    return sent;
  }

  #endAfter({ timeout, killSignal }: Spawn): void {
    if (timeout <= 0) return;
    const timer = setTimeout(() => {
      if (this.#end(killSignal)) this.timedOut = true;
    }, timeout);
    // It holds until the last of the tree has ended.
    for (const event of ['treeEmpty', 'close'] as const) this.once(event, () => clearTimeout(timer));
  }

  #endOnAbort({ signal, killSignal }: Spawn): void {
    if (signal === undefined) return;
    const abort = () => {
      if (this.#end(killSignal)) this.emit('error', new AbortError(signal.reason));
    };
    if (signal.aborted) {
      process.nextTick(abort);
      return;
    }
    signal.addEventListener('abort', abort, { once: true });
    for (const event of ['treeEmpty', 'close'] as const) {
      this.once(event, () => signal.removeEventListener('abort', abort));
    }
  }
}
