// One command under one supervisor: turns its records into events, and ends it.

import { constants } from 'node:os';
import { HoldfastError } from '../errors.ts';
import { Dispatcher } from '../hooks/dispatch.ts';
import { encodeHooks, encodeVerdict } from '../hooks/encode.ts';
import type { HookRegistry } from '../hooks/hooks.ts';
import { ranOutOfMemory, removeControlGroup } from '../limits/control-group.ts';
import { limitOutput } from '../limits/output.ts';
import { type LimitReached, limitOf, limitReached } from '../limits/reached.ts';
import { type Native, type NativeChannel, type NativeRecord, native, supervisorPath } from '../native/native.ts';
import { number, optionalNumber } from '../native/records.ts';
import { signalName } from '../native/signals.ts';
import { shown } from '../policy/check.ts';
import { encodeConfiguration } from '../policy/encode.ts';
import type { PolicyWarning } from '../policy/idle.ts';
import { CompiledPolicy, type NetworkRule, type Rules } from '../policy/policy.ts';
import { refuseWiderAddresses, restrictionRules, restrictionWarning } from '../policy/restriction.ts';
import { callActions, timeCalls } from '../policy/syscalls.ts';
import { type Accesses, accessesOf } from './accesses.ts';
import { answeredBy, callPlans, type Hears, type RestrictionPlan, restrictionPlan } from './call-plan.ts';
import { debugPlan, debugStart, debugs } from './debug.ts';
import { Ending } from './ending.ts';
import { type Engine, engineOf, needsOf, notFollowed } from './engine.ts';
import { Inspection, inspectionError } from './inspection.ts';
import type { Inner } from './launched.ts';
import { planOf, type SandboxPlan } from './layers.ts';
import { Lifecycle, type LifecycleEvent, lifecycleEvent } from './lifecycle.ts';
import type { Spawn } from './plan.ts';
import { RequestRefused, Requests } from './requests.ts';
import { RuleUse, type UnusedRules } from './rule-use.ts';
import { removeScratch, type Scratch } from './scratch.ts';
import { launchError, lossError, type Need, needsHold } from './stages.ts';
import { innerError, type StartFailure, start } from './start.ts';
import { type TreeUsage, treeUsage } from './usage.ts';
import { type LoggedCall, loggedOf, type Violation, violationOf } from './violation.ts';
import { warningOf } from './warning.ts';

/** Whom a supervision tells. Never called before the tick of the spawn has ended. */
export interface SupervisionListener {
  spawned(): void;
  /** The command could not be started; `errno` is positive. `over` follows. */
  failed(error: Error, errno: number): void;
  exited(code: number | null, signal: NodeJS.Signals | null): void;
  /** Everything ended, streams included. */
  over(): void;
  error(error: Error): void;
  violation(violation: Violation): void;
  lifecycle(event: LifecycleEvent): void;
  /** Whether anybody does, now. */
  hearsLifecycle(): boolean;
  /** Whether anybody does by the end of the spawn's tick: then whatever can be refused is held. */
  hearsViolations(): boolean;
  /** A call that a rule only logs; and whether anybody hears of such by the end of the spawn's tick. */
  logged(call: LoggedCall): void;
  hearsLogged(): boolean;
  warning(warning: PolicyWarning): void;
  hookError(error: HoldfastError): void;
  limit(reached: LimitReached): void;
  /** The command was stopped; without a signal, it goes on. */
  stopped(signal: NodeJS.Signals | undefined): void;
  treeEmpty(): void;
}

const SIGKILL = 9;
/** native/call/tree.h, spare(). */
const ALREADY_TOLD = -1;
/** SIGHUP, SIGINT, SIGQUIT, SIGTERM. */
const asksToEnd: ReadonlySet<number> = new Set([1, 2, 3, 15]);
/** The longest that setTimeout takes. */
const MAX_TIMER = 2 ** 31 - 1;
/** What a pid_t holds: of a larger number the supervisor would see another one. */
const MOST_PID = 2 ** 31 - 1;
const noHooks = new Uint8Array();

type State = 'starting' | 'running' | 'failed' | 'exited';

export class Supervision {
  /** The supervisor, with the command's streams. Undefined if not even that could be tried. */
  readonly inner: Inner | undefined;
  /** Of the command. */
  readonly pid: number | undefined;
  /** When nothing of the tree is left: what it has used. */
  usage: TreeUsage | undefined;
  readonly #spawn: Spawn;
  readonly #hooks: HookRegistry;
  readonly #listener: SupervisionListener;
  readonly #native: Native;
  readonly #channel: NativeChannel | undefined;
  readonly #dispatcher: Dispatcher;
  readonly #ending: Ending;
  #state: State = 'starting';
  /** How long the start took this thread, and whether by a supervisor that was ready. */
  readonly #milliseconds: number;
  readonly #ready: boolean;
  /** Known from the command's first instruction on. */
  engine: Engine | undefined;
  /** Why it is the engine `kernel`, and what that cannot have. */
  #instead: HoldfastError | undefined;
  #needs: readonly Need[] = [];
  #treeEmpty = false;
  #corrupt = false;
  /** The signal that was sent last. */
  #killed = 0;
  /** Who waits for a plan. */
  #plan: Omit<SandboxPlan, 'restrictions'> | undefined;
  /** With what was put on since. */
  #wholePlan: SandboxPlan | undefined;
  #restrictions: readonly RestrictionPlan[] = [];
  #hears: Hears = { violations: false, logged: false };
  readonly #plans: { resolve(plan: SandboxPlan): void; reject(error: Error): void }[] = [];
  readonly #requests: Requests;
  readonly #ruleUse = new RuleUse();
  /** Inspections of which it is not known yet that their threads stop; until then hooks' answers wait. */
  #stopping = 0;
  readonly #answers: (() => void)[] = [];
  /** Addresses of the policies that were put on top. */
  readonly #restricted: NetworkRule[][] = [];
  readonly lifecycle: Lifecycle;
  /** What the tree has asked for, told at its end; once read, as a list. */
  readonly #accessed: NativeRecord[] = [];
  #accesses: Accesses | undefined;
  /** Runs from the first request to end. */
  #grace: NodeJS.Timeout | undefined;
  /** Who waits for the end of the tree; undefined when it has come. */
  #waitForEnd: (() => void)[] | undefined = [];

  constructor(spawn: Spawn, hooks: HookRegistry, listener: SupervisionListener) {
    this.#spawn = spawn;
    this.#hooks = hooks;
    this.#listener = listener;
    this.#native = native();
    this.#requests = new Requests(this.#native, spawn.file);
    const switchLife = (mode: number) => {
      // Only if there is nobody any more.
      this.ask('life', (fields) => fields.number('life', mode)).catch(() => {});
    };
    this.lifecycle = new Lifecycle(switchLife, () => listener.hearsLifecycle());
    if (!spawn.rules.writableMappings) this.#needMdwe();
    const before = performance.now();
    const { inner, channel, pid, failure, scratch, ready, instead } = start(this.#native, supervisorPath(), spawn);
    this.inner = inner;
    this.#channel = channel;
    this.pid = pid;
    this.#milliseconds = performance.now() - before;
    this.#ready = ready === true;
    this.#instead = instead;
    this.#dispatcher = new Dispatcher(this.#native, spawn.hookTimeout, {
      hook: (id) => hooks.hook(id),
      answer: (slot, generation, verdict, error, data) => {
        if (channel === undefined) return;
        if (this.#stopping > 0) {
          // Whose thread is to be inspected must not run on before the supervisor knows.
          this.#answers.push(() => this.#answer(slot, generation, verdict, error, data));
          return;
        }
        this.#answer(slot, generation, verdict, error, data);
      },
      ask: (kind, fill) => this.#requests.ask(kind, fill, { ofCall: true }),
      hookFailed: (error) => listener.hookError(error),
    });
    if (inner !== undefined) this.#watchInner(inner);
    this.#limitOutput();
    const ended = () => this.#state === 'exited' && !this.#corrupt;
    this.#ending = new Ending(inner, ended, () => this.#over(scratch));
    if (channel !== undefined && pid !== undefined) {
      this.#requests.listen(channel);
      channel.listen(
        (record) => this.#record(record),
        (reason) => this.#lost(reason),
        (asks, end) => this.#dispatcher.ask(asks, end),
      );
      // Hooks that are registered in this tick are in force before the command's first instruction.
      process.nextTick(() => this.#release(channel));
    } else {
      // As after any other start: hooks of this tick are welcome, though nobody will ask them.
      process.nextTick(() => {
        hooks.sent = true;
      });
      if (failure !== undefined) this.#failSoon(failure);
    }
  }

  /** `close` means that nothing is left: of the scratch folder and the control group neither. */
  #over(scratch: Scratch | undefined): void {
    const { group } = this.#spawn;
    const removals: (readonly [rule: string, path: string, removed: Promise<Error | undefined>])[] = [];
    const room = this.#spawn.rules.tmp ? 'tmp' : 'scratch';
    if (scratch !== undefined) removals.push([room, scratch.path, removeScratch(scratch)]);
    if (group !== undefined) removals.push(['limits', group.path, removeControlGroup(group)]);
    if (removals.length === 0) return this.#listener.over();
    void Promise.all(removals.map(([, , removed]) => removed)).then((errors) =>
      // What a listener throws is nobody's rejection.
      process.nextTick(() => {
        for (const [i, [rule, path]] of removals.entries()) {
          const error = errors[i];
          if (error === undefined) continue;
          const field = rule === 'limits' ? 'options.limits' : `policy.${rule}`;
          this.#listener.warning({ rule, path, message: `${field}: '${path}' could not be removed: ${error.message}` });
        }
        this.#listener.over();
      }),
    );
  }

  /** Whoever has printed too much is killed, with all that belongs to it. */
  #limitOutput(): void {
    const limit = this.#spawn.limits.output;
    if (limit === undefined || this.inner === undefined) return;
    limitOutput([this.inner.stdout, this.inner.stderr], limit, (reached) => {
      this.#channel?.killAll(SIGKILL);
      // What a listener throws must not reach the stream.
      process.nextTick(() => this.#listener.limit(limitReached({ name: 'output', limit, reached, killed: true })));
    });
  }

  /** False if there is nothing left to be killed. Signal 0 asks only that. */
  kill(signal: number): boolean {
    if (this.pid === undefined || this.#state === 'failed') return false;
    // SIGKILL is for the whole tree, also where descendants may outlive the command.
    if (signal === SIGKILL || this.#state === 'exited') return signal === SIGKILL && this.#signalTree(signal);
    if (signal === 0) return true;
    this.#killed = signal;
    if (asksToEnd.has(signal)) this.#giveGrace(signal);
    return this.#channel?.kill(signal) ?? false;
  }

  /** What a timeout or an abort does, as long as anything of the tree is there: it is for all of it. */
  end(signal: number): boolean {
    if (this.pid === undefined || this.#state === 'failed') return false;
    if (this.#treeEmpty) return false;
    if (signal === 0) return this.kill(signal);
    if (signal !== SIGKILL) this.#giveGrace(ALREADY_TOLD);
    if (this.#state !== 'exited') this.#killed = signal;
    return this.#channel?.killAll(signal) ?? false;
  }

  /** Ends the tree: by a signal and, `after` milliseconds later, by SIGKILL. Resolves when nothing of it is left. */
  async endTree(signal: number, after: number): Promise<void> {
    if (this.#waitForEnd === undefined || this.pid === undefined || this.#state === 'failed') return;
    if (signal !== SIGKILL) {
      // What the command leaves behind has had the signal, too.
      if (!this.#spawn.waitForTree) this.#channel?.spare(ALREADY_TOLD);
      if (after <= MAX_TIMER) {
        const timer = setTimeout(() => this.#channel?.killAll(SIGKILL), after);
        timer.unref();
        this.#waitForEnd.push(() => clearTimeout(timer));
      }
    }
    if (this.#state !== 'exited') this.#killed = signal;
    this.#channel?.killAll(signal);
    await new Promise<void>((resolve) => this.#waitForEnd?.push(resolve) ?? resolve());
  }

  /** Nothing of the tree is left. */
  #gone(): void {
    clearTimeout(this.#grace);
    this.#requests.end();
    this.lifecycle.end();
    const waiting = this.#waitForEnd ?? [];
    this.#waitForEnd = undefined;
    for (const told of waiting) told();
  }

  #signalTree(signal: number): boolean {
    // What the command has left behind is still there, and nobody but us knows it.
    const lives =
      this.#state !== 'exited' || ((this.#spawn.waitForTree || this.#grace !== undefined) && !this.#treeEmpty);
    if (lives && this.#state !== 'exited') this.#killed = signal;
    return lives && (this.#channel?.killAll(signal) ?? false);
  }

  /** Whatever is asked to end has so long; what the command leaves meanwhile is sent this signal. */
  #giveGrace(signal: number): void {
    const { forceKillAfter, waitForTree } = this.#spawn;
    if (forceKillAfter === 0) return;
    if (!waitForTree) this.#channel?.spare(signal);
    if (this.#grace !== undefined || forceKillAfter > MAX_TIMER) return;
    this.#grace = setTimeout(() => this.#signalTree(SIGKILL), forceKillAfter);
    // The channel keeps the event loop alive as long as the user wants that; if Node ends, so does the tree.
    this.#grace.unref();
  }

  /** Which layer decides what: it never changes. Asked for in the spawn's tick, it comes before the command runs. */
  plan(): Promise<SandboxPlan> {
    return new Promise((resolve, reject) => {
      if (this.#plan !== undefined) return resolve(this.#told(this.#plan));
      if (this.#state === 'running' && !(this.#channel?.plan() ?? false)) return reject(this.#notRunning());
      if (this.#state !== 'starting' && this.#state !== 'running') return reject(this.#notRunning());
      this.#plans.push({ resolve, reject });
    });
  }

  /** When nothing of the tree is left. */
  async unusedRules(): Promise<UnusedRules> {
    await new Promise<void>((resolve) => this.#waitForEnd?.push(resolve) ?? resolve());
    const unused = this.#ruleUse.unusedOf(this.#spawn.rules);
    if (unused !== undefined) return unused;
    const message = `${this.#spawn.file} was not started, or its supervisor was lost: nobody knows which rules matched`;
    throw new HoldfastError('ERR_HOLDFAST_NOT_RUNNING', message);
  }

  /** Asks the supervisor, once the command runs: {@link Requests.ask}. */
  ask(...request: Parameters<Requests['ask']>): ReturnType<Requests['ask']> {
    return this.#requests.ask(...request);
  }

  get mode(): SandboxPlan['mode'] {
    return this.#spawn.rules.letsBy ? 'report' : 'enforce';
  }

  /** What the tree has asked for: of who lives, until now. */
  async accesses(): Promise<Accesses> {
    if (!this.#spawn.record) {
      throw new HoldfastError(
        'ERR_HOLDFAST_INVALID_OPTION',
        'options.record: must be true at the spawn, so that what is asked for is counted from the start',
      );
    }
    if (this.#treeEmpty) return this.#ended();
    try {
      return accessesOf(await this.#requests.ask('accesses'));
    } catch (error) {
      // It has ended in the meantime.
      if (this.#treeEmpty) return this.#ended();
      throw error;
    }
  }

  #ended(): Accesses {
    this.#accesses ??= Object.freeze(accessesOf(this.#accessed.splice(0)));
    return this.#accesses;
  }

  #answer(slot: number, generation: number, verdict: number, error: number, data?: Uint8Array): void {
    if (data === undefined || data.length <= this.#native.limits.verdictBytes) {
      this.#channel?.answer(slot, generation, verdict, error, data);
    } else {
      this.#channel?.request(encodeVerdict(this.#native, slot, generation, data));
    }
  }

  /** Stops a process or a thread to look at it. */
  async inspect(tid: unknown): Promise<Inspection> {
    if (!Number.isInteger(tid) || (tid as number) <= 0 || (tid as number) > MOST_PID) {
      throw new HoldfastError(
        'ERR_HOLDFAST_INVALID_OPTION',
        `pid: ${shown(tid)} must be the number of a process or thread`,
      );
    }
    this.#stopping++;
    const sure = () => {
      if (--this.#stopping > 0) return;
      for (const answer of this.#answers.splice(0)) answer();
    };
    try {
      const parts = await this.#requests.ask('inspect', (fields) => fields.number('tid', tid as number), {
        onFirst: sure,
      });
      const ask: Requests['ask'] = (kind, fill) => this.#requests.ask(kind, fill);
      return new Inspection(parts.at(-1) as NativeRecord, tid as number, ask);
    } catch (error) {
      throw inspectionError(error);
    }
  }

  #needMdwe(): void {
    if (this.#native.support().refusesWritableCode) return;
    throw new HoldfastError(
      'ERR_HOLDFAST_UNSUPPORTED_KERNEL',
      'policy.exec.writableMappings: false needs PR_SET_MDWE, which Linux has since 6.3: leave it out here',
    );
  }

  /** Puts a policy on top of what there is. */
  async restrict(policy: unknown): Promise<void> {
    const { rules: base, cwd, file } = this.#spawn;
    const strict = policy === 'strict' || (CompiledPolicy.is(policy) && CompiledPolicy.rules(policy).strict);
    const hasVdso = ![...base.calls, ...this.#hooks.calls].some(({ call }) => timeCalls.has(call));
    const opened = base.calls.filter(({ action }) => action === callActions.allow).map(({ call }) => call);
    const rules = restrictionRules(policy === 'strict' ? {} : policy, cwd, { anyExec: base.anyExec, hasVdso, opened });
    if (!rules.writableMappings) this.#needMdwe();
    for (const now of [base.network, ...this.#restricted]) refuseWiderAddresses(now, rules.network);
    try {
      await this.#requests.ask('restrict', (fields) => fields.number('strict', Number(strict)), {
        policy: () => encodeConfiguration(this.#native, { waitForTree: false, rules, limits: [] }),
      });
    } catch (error) {
      if (!(error instanceof RequestRefused)) throw error;
      const wider = error.errno === constants.errno.EINVAL;
      const message = (wider ? error.reason : error.message).replace(/^restrict\./, 'policy.');
      throw new HoldfastError(wider ? 'ERR_HOLDFAST_WIDER_POLICY' : 'ERR_HOLDFAST_RESTRICT', message);
    }
    this.#restricted.push(rules.network);
    this.#noteRestriction(rules, strict);
    const message = restrictionWarning(rules, hasVdso);
    if (message !== undefined) this.#listener.warning({ rule: 'restrict.syscalls.only', path: file, message });
  }

  #notRunning(): HoldfastError {
    return new HoldfastError(
      'ERR_HOLDFAST_NOT_RUNNING',
      `${this.#spawn.file} is not running: its plan cannot be asked for`,
    );
  }

  #forgetPlans(): void {
    for (const { reject } of this.#plans.splice(0)) reject(this.#notRunning());
  }

  ref(): void {
    this.inner?.ref();
    this.#channel?.ref();
  }

  unref(): void {
    this.inner?.unref();
    this.#channel?.unref();
  }

  #release(channel: NativeChannel): void {
    this.#hooks.sent = true;
    if (this.#state !== 'starting') return;
    const { rules, calls } = this.#hooks;
    const debugging = debugs();
    const listening = {
      violations: this.#listener.hearsViolations(),
      plan: this.#plans.length > 0 || debugging,
      logged: this.#listener.hearsLogged(),
      life: this.lifecycle.begin(),
      byProgram: this.#spawn.usageByExecutable,
    };
    this.#hears = { violations: listening.violations, logged: listening.logged };
    if (debugging) this.#debugStart(rules.length + calls.length, listening.violations);
    const nothing = rules.length + calls.length === 0 && !Object.values(listening).includes(true);
    const errno = channel.start(
      nothing ? noHooks : encodeHooks(this.#native, rules, this.#hooks.unders.rules, calls, listening),
    );
    if (errno !== 0) this.inner?.kill('SIGKILL');
  }

  #debugStart(hooks: number, hearsViolations: boolean): void {
    const { pid, inner } = this;
    const [milliseconds, ready] = [this.#milliseconds, this.#ready];
    debugStart({ file: this.#spawn.file, pid, supervisor: inner?.pid, milliseconds, ready, hooks, hearsViolations });
  }

  #failSoon({ error, errno }: StartFailure): void {
    this.#state = 'failed';
    this.#forgetPlans();
    this.#gone();
    process.nextTick(() => {
      this.#listener.failed(error, errno);
      // With an inner child, its own end is the end.
      if (this.inner === undefined) this.#ending.now();
    });
  }

  #watchInner(inner: Inner): void {
    const { file, args } = this.#spawn;
    inner.on('error', (error: NodeJS.ErrnoException) => {
      if (inner.pid !== undefined) return this.#listener.error(error);
      this.#state = 'failed';
      this.#gone();
      const errno = Math.abs(error.errno ?? 0);
      this.#listener.failed(innerError(error, errno, file, args.slice(1)), errno);
    });
    inner.on('exit', (code, signal) => this.#innerEnded(code, signal));
  }

  #record(record: NativeRecord): void {
    switch (record.kind) {
      case 'forgotten':
        return this.#dispatcher.forget(record);
      case 'violation':
        return this.#listener.violation(
          violationOf(record, this.#native.events, this.#spawn.rules.execAtLength ? 'exec.allow' : 'exec'),
        );
      case 'logged':
        return this.#listener.logged(loggedOf(record));
      case 'warning':
        return this.#listener.warning(warningOf(record));
      case 'limit':
        return this.#listener.limit(limitOf(record));
      case 'plan':
        return this.#planTold(record);
      case 'needs':
        this.#needs = needsOf(record);
        return;
      case 'life': {
        const event = lifecycleEvent(record);
        this.#listener.lifecycle(event);
        return this.lifecycle.told(event);
      }
      case 'stopped': {
        const signal = optionalNumber(record, 'signal');
        return this.#listener.stopped(signal === undefined ? undefined : signalName(signal));
      }
      case 'rules':
        return this.#ruleUse.told(record);
      case 'reply':
        return this.#requests.told(record);
      case 'launched':
        if (this.#state === 'starting') {
          this.#state = 'running';
          this.engine = engineOf(record);
          if (this.engine === 'kernel') this.#requests.refuse((kind) => notFollowed(this.#spawn.file, kind));
          else if (this.#channel !== undefined) this.#requests.begin(this.#channel);
          if (this.#plans.length > 0) this.#channel?.plan();
          this.#listener.spawned();
        }
        return;
      case 'failed':
        return this.#launchFailed(number(record, 'stage'), number(record, 'errno'));
      case 'exit':
        return this.#commandEnded(record);
      case 'accesses':
        this.#accessed.push(record);
        return;
      case 'tree_empty':
        this.#treeEmpty = true;
        this.usage = treeUsage(record, this.#spawn.usageByExecutable);
        this.#gone();
        this.#listener.treeEmpty();
        return this.#ending.treeIsEmpty();
    }
  }

  /** It never changes, however often it is told. */
  #planTold(record: NativeRecord): void {
    const first = this.#plan === undefined;
    const calls = callPlans(this.#spawn.rules.calls, this.#hears, new Set());
    this.#plan ??= planOf(record, this.#spawn.limits, this.#spawn.group !== undefined, calls, this.mode);
    if (first && debugs()) debugPlan(this.pid, this.#plan);
    for (const { resolve } of this.#plans.splice(0)) resolve(this.#told(this.#plan));
  }

  /** One object for all who ask, until another restriction comes. */
  #told(plan: Omit<SandboxPlan, 'restrictions'>): SandboxPlan {
    this.#wholePlan ??= Object.freeze({ ...plan, restrictions: this.#restrictions });
    return this.#wholePlan;
  }

  #noteRestriction(rules: Rules, strict: boolean): void {
    const before = [
      ...callPlans(this.#spawn.rules.calls, this.#hears, new Set()),
      ...this.#restrictions.flatMap(({ calls }) => calls),
    ];
    const one = restrictionPlan(rules, strict, this.#hears, new Set(answeredBy(before)));
    this.#restrictions = Object.freeze([...this.#restrictions, one]);
    this.#wholePlan = undefined;
  }

  #launchFailed(stage: number, errno: number): void {
    if (this.#state !== 'starting') return;
    this.#forgetPlans();
    this.#requests.end();
    // Killed on the way to its first instruction: that is an end, not a failure.
    if (errno === 0 && this.#killed !== 0) return this.#exit(null, signalName(this.#killed));
    this.#state = 'failed';
    this.#gone();
    const { file, args } = this.#spawn;
    const error =
      stage === this.#native.stages.needsHold
        ? needsHold(file, this.#needs, this.#instead)
        : launchError(this.#native, stage, errno, file, args.slice(1));
    this.#listener.failed(error, errno);
  }

  #commandEnded(record: NativeRecord): void {
    if (this.#state === 'exited' || this.#state === 'failed') return;
    const signal = optionalNumber(record, 'signal') ?? 0;
    if (signal > 0) this.#exit(null, signalName(signal));
    else this.#exit(number(record, 'code'), null);
  }

  #exit(code: number | null, signal: NodeJS.Signals | null): void {
    // Killed before its first instruction. Who waits for a start and an end, as each child of Node's has both, is not to wait for ever.
    const early = this.#state === 'starting';
    this.#state = 'exited';
    if (early) this.#listener.spawned();
    this.#listener.exited(code, signal);
  }

  #lost(reason: 'closed' | 'corrupt'): void {
    this.#forgetPlans();
    this.#requests.end();
    this.#corrupt ||= reason === 'corrupt';
    this.#dispatcher.close();
    // Whoever closed the channel must not go on without it. An ordinary end has closed it too, and is about to exit.
    if (reason === 'corrupt' || !this.#finished()) this.inner?.kill('SIGKILL');
  }

  #finished(): boolean {
    return this.#state === 'failed' || (this.#state === 'exited' && (this.#treeEmpty || !this.#spawn.waitForTree));
  }

  #innerEnded(code: number | null, signal: NodeJS.Signals | null): void {
    // SIGCHLD may be faster than the ring's eventfd.
    this.#channel?.drain();
    const lastWord = this.#channel?.lastWord() ?? '';
    const lastStage = this.#channel?.lastStage() ?? 0;
    this.#forgetPlans();
    this.#gone();
    this.#channel?.close();
    this.#dispatcher.close();
    if (this.#finished() && !this.#corrupt) return;
    const end = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
    const how = lastWord === '' ? end : `gave up (${lastWord})`;
    const error = this.#corrupt
      ? new HoldfastError(
          'ERR_HOLDFAST_CHANNEL',
          'the supervisor sent a message that is not valid; the whole tree was killed',
        )
      : lossError(
          this.#native,
          lastStage,
          `the supervisor ${how} before the command did; the kernel killed the whole tree`,
        );
    const ended = this.#state === 'exited';
    this.#state = 'exited';
    if (this.#ending.told) return;
    const { group, limits } = this.#spawn;
    const reached = signal === 'SIGKILL' && group !== undefined ? ranOutOfMemory(group) : undefined;
    try {
      if (reached === undefined || limits.memory === undefined) this.#listener.error(error);
      else this.#listener.limit(limitReached({ name: 'memory', limit: limits.memory, reached, killed: true }));
    } finally {
      if (!ended) this.#listener.exited(null, 'SIGKILL');
    }
  }
}
