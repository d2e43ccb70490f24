// From a held call to its verdict: the matching hooks are asked in order. Whatever goes wrong denies the call.
import { inspect } from 'node:util';
import { HoldfastError } from '../errors.ts';
import { AskReader } from '../native/asks.ts';
import type { Native, NativeRecord } from '../native/native.ts';
import { number } from '../native/records.ts';
import { type Ask, callerMethods, execMethods, type Place } from './caller.ts';
import { calls, type HookEvent } from './families/index.ts';
import type { ConnectCall } from './families/network.ts';
import type { SyscallCall } from './families/syscall.ts';
import { encodeResponse, hasStruct, patchesOf, StructProblem } from './structs.ts';
import { responseOf, Verdict } from './verdict.ts';

export type AnyHook = (call: never) => unknown;

/** Which hooks there are, and how answers go back. */
export interface DispatchTarget {
  hook(id: number): AnyHook | undefined;
  answer(slot: number, generation: number, verdict: number, error: number, data?: Uint8Array): void;
  hookFailed(error: HoldfastError): void;
  ask: Ask;
}

/** A question. One that is answered at once is used again for the next. */
class Asked {
  slot = 0;
  generation = 0;
  event = '' as HookEvent;
  call: unknown = undefined;
  hooks: number[] = [];
  /** The hook that was asked last, as a place in `hooks`. */
  at = 0;
  /** A hook's promise was waited for. */
  later = false;
  timer: NodeJS.Timeout | undefined = undefined;
  /** Answered, or forgotten by the supervisor. */
  done = false;
}

const EACCES = 13;
const DENY = 2;
const NO_OPINION = 0;
/** The longest that setTimeout takes. */
const MAX_TIMER = 2 ** 31 - 1;

export class Dispatcher {
  readonly #target: DispatchTarget;
  readonly #native: Native;
  readonly #timeout: number;
  #reader: AskReader | undefined;
  #spare: Asked | undefined;
  readonly #places = new WeakMap<object, Place>();
  /** Of each call; its own members are what it is about. */
  readonly #methods: PropertyDescriptorMap;
  readonly #execMethods: PropertyDescriptorMap;
  /** Calls whose hooks are still thinking, by slot. */
  readonly #waiting = new Map<number, Asked>();

  constructor(native: Native, timeout: number, target: DispatchTarget) {
    this.#native = native;
    this.#timeout = timeout;
    this.#target = target;
    this.#methods = callerMethods((...asked) => target.ask(...asked), this.#places);
    this.#execMethods = execMethods((...asked) => target.ask(...asked), this.#places);
  }

  /** The questions that stand in a buffer, one behind the other. None of them lasts: hooks have done nothing yet. */
  ask(buffer: ArrayBuffer, end: number): void {
    this.#reader ??= new AskReader(this.#native.fields);
    for (let at = 0; at < end; ) {
      at = this.#reader.read(buffer, at);
      this.#one(this.#reader);
    }
  }

  #one(ask: AskReader): void {
    const asked = this.#spare ?? new Asked();
    this.#spare = undefined;
    const event = this.#native.events[ask.number('event', -1)] as HookEvent;
    asked.slot = ask.number('slot');
    asked.generation = ask.number('generation');
    asked.event = event;
    const call = calls[event]?.(ask);
    if (call !== undefined) {
      Object.defineProperties(call, this.#methods);
      const { slot, generation } = asked;
      if (event === 'exec') Object.defineProperties(call, this.#execMethods);
      this.#places.set(call, { slot, generation, environment: ask.optionalNumber('environmentAt') });
    }
    asked.call = call;
    asked.hooks.length = 0;
    for (const hook of ask.hooks) asked.hooks.push(hook);
    asked.at = 0;
    asked.done = false;
    this.#go(asked);
    if (asked.later) return;
    asked.call = undefined;
    this.#spare = asked;
  }

  /** The caller died or was interrupted: whatever its hooks say comes too late. */
  forget(record: NativeRecord): void {
    const asked = this.#waiting.get(number(record, 'slot'));
    if (asked !== undefined && asked.generation === number(record, 'generation')) this.#end(asked);
  }

  /** The channel is gone. */
  close(): void {
    for (const asked of this.#waiting.values()) this.#end(asked);
  }

  /** Asks the hooks from `at` on, without leaving this tick as long as they answer at once. */
  #go(asked: Asked): void {
    for (; asked.at < asked.hooks.length; asked.at++) {
      let answer: unknown;
      try {
        const hook = this.#target.hook(asked.hooks[asked.at] ?? -1);
        if (hook === undefined) throw new Error('the supervisor asked a hook that is not registered');
        answer = hook(asked.call as never);
        if (answer === undefined) continue;
        if (!Verdict.is(answer) && isThenable(answer)) {
          this.#wait(asked, answer);
          return;
        }
      } catch (cause) {
        this.#fail(asked, 'ERR_HOLDFAST_HOOK_FAILED', `threw ${brief(cause)}`, cause);
        return;
      }
      this.#decide(asked, answer);
      return;
    }
    this.#answer(asked, NO_OPINION, 0);
  }

  #wait(asked: Asked, promise: PromiseLike<unknown>): void {
    const { at } = asked;
    // Only the first of answer, failure, timeout and "forgotten" counts.
    const current = () => !asked.done && asked.at === at;
    asked.later = true;
    this.#waiting.set(asked.slot, asked);
    if (this.#timeout <= MAX_TIMER) {
      asked.timer = setTimeout(() => {
        if (current()) this.#fail(asked, 'ERR_HOLDFAST_HOOK_TIMEOUT', `did not answer within ${this.#timeout} ms`);
      }, this.#timeout);
      // The channel keeps the event loop alive as long as the user wants that.
      asked.timer.unref();
    }
    Promise.resolve(promise).then(
      (answer) => {
        if (!current()) return;
        clearTimeout(asked.timer);
        if (answer !== undefined) return this.#decide(asked, answer);
        asked.at++;
        this.#go(asked);
      },
      (cause) => {
        if (current()) this.#fail(asked, 'ERR_HOLDFAST_HOOK_FAILED', `rejected with ${brief(cause)}`, cause);
      },
    );
  }

  #decide(asked: Asked, answer: unknown): void {
    if (!Verdict.is(answer)) {
      this.#fail(asked, 'ERR_HOLDFAST_INVALID_VERDICT', `answered ${brief(answer)}, which is no verdict`);
      return;
    }
    if (!makesSense(asked.event, answer, asked.call)) {
      const kind = answer.kind.startsWith('redirect') ? 'this redirect()' : `${answer.kind}()`;
      this.#fail(asked, 'ERR_HOLDFAST_INVALID_VERDICT', `answered ${kind}, which makes no sense for this call`);
      return;
    }
    const { number: verdict, error, data: encoded } = Verdict.encode(answer);
    let data = encoded;
    if (asked.event === 'syscall') {
      try {
        data = responseData(asked.call as SyscallCall, answer, encoded);
      } catch (problem) {
        this.#fail(asked, 'ERR_HOLDFAST_INVALID_VERDICT', `answered respond(): ${(problem as Error).message}`);
        return;
      }
    }
    this.#answer(asked, verdict, error, data);
  }

  #fail(asked: Asked, code: HoldfastError['code'], what: string, ...cause: [unknown?]): void {
    const name = `on${asked.event?.[0]?.toUpperCase()}${asked.event?.slice(1)}`;
    const { event, call } = asked;
    const details = cause.length > 0 ? { event, call, cause: cause[0] } : { event, call };
    const then = event === 'exit' ? 'the process ends all the same' : 'the call was denied with EACCES';
    const error = new HoldfastError(code, `a hook of ${name} ${what}; ${then}`, details);
    // Not from within a promise: what a listener throws must be an uncaughtException, not a rejection.
    process.nextTick(() => this.#target.hookFailed(error));
    if (event !== 'exit') return this.#answer(asked, DENY, EACCES);
    clearTimeout(asked.timer);
    asked.at++;
    this.#go(asked);
  }

  #answer(asked: Asked, verdict: number, error: number, data?: Uint8Array): void {
    this.#end(asked);
    this.#target.answer(asked.slot, asked.generation, verdict, error, data);
  }

  #end(asked: Asked): void {
    asked.done = true;
    if (!asked.later) return;
    clearTimeout(asked.timer);
    if (this.#waiting.get(asked.slot) === asked) this.#waiting.delete(asked.slot);
  }
}

/** Events of calls whose success is more than a number, or (fork) where 0 would tell the caller that it is the child. */
export const unfakeable = [
  'open',
  'exec',
  'stat',
  'statfs',
  'readlink',
  'getxattr',
  'fork',
  'exit',
] as const satisfies HookEvent[];

/** What a response to a system call is for the supervisor. */
function responseData(call: SyscallCall, verdict: Verdict, contents: Uint8Array | undefined): Uint8Array | undefined {
  const { value, fields } = responseOf(verdict);
  if (verdict.kind === 'respondValue' && value !== undefined) {
    const time = Buffer.alloc(8);
    time.writeBigInt64LE(BigInt.asIntN(64, value));
    // time(2) also stores what it returns.
    return encodeResponse(false, value, call.syscall === 'time' ? [{ argument: 0, offset: 0, bytes: time }] : []);
  }
  if (verdict.kind === 'respondFields' && fields !== undefined) {
    if (!hasStruct(call.syscall)) throw new StructProblem(`${call.syscall} has no fields: respond(value) makes sense`);
    return encodeResponse(true, 0n, patchesOf(call.syscall, fields));
  }
  if (verdict.kind !== 'respond' || contents === undefined) return contents;
  if (call.syscall !== 'getrandom') throw new StructProblem(`${call.syscall} takes no contents`);
  const asked = call.args[1]?.value ?? 0n;
  const bytes = asked < BigInt(contents.length) ? contents.subarray(0, Number(asked)) : contents;
  return encodeResponse(false, BigInt(bytes.length), [{ argument: 0, offset: 0, bytes }]);
}

/** Sockets that have a path; abstract names begin with an `@`. */
function hasPath(call: unknown): boolean {
  const { family, address } = call as ConnectCall;
  return family === 'unix' && address.startsWith('/');
}

function makesSense(event: HookEvent, verdict: Verdict, call: unknown): boolean {
  const hasAddress = event === 'connect' || event === 'bind' || event === 'send';
  if (event === 'exit') return false;
  switch (verdict.kind) {
    case 'allow':
    case 'deny':
    case 'kill':
      return true;
    case 'redirectPath':
      // `within`, and so a NUL, is for files.
      return event === 'open' || (hasAddress && hasPath(call) && !Verdict.encode(verdict).data?.includes(0));
    case 'respond':
      return event === 'open' || event === 'syscall';
    case 'respondValue':
    case 'respondFields':
      return event === 'syscall';
    case 'redirectAddress':
      return hasAddress && (call as ConnectCall).family !== 'unix';
    case 'redirectProgram':
      return event === 'exec';
    case 'redirectSignal':
      return event === 'signal';
    case 'fake':
      return event !== 'syscall' && !(unfakeable as readonly HookEvent[]).includes(event);
    case 'fakeValue':
      return event === 'send' || event === 'watch' || event === 'fork';
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

/** For a message; the value itself may do anything when it is looked at. */
export function brief(value: unknown): string {
  try {
    if (value instanceof Error) return `${value.name}: ${value.message}`;
    const text = inspect(value, { depth: 0, customInspect: false });
    return text.length > 80 ? `${text.slice(0, 80)}…` : text;
  } catch {
    return 'a value that cannot be shown';
  }
}
