import type { EventEmitter } from 'eventemitter3';
import { HoldfastError } from '../errors.ts';
import { shown } from '../policy/check.ts';
import { MOST_UNDER, type UnderRule, Unders } from '../policy/exec.ts';
import type { SyscallName } from '../policy/syscall-table.ts';
import { filterTests, problemText, rowOf, type SyscallFilter, SyscallProblem } from '../policy/syscalls.ts';
import type { AnyHook, unfakeable } from './dispatch.ts';
import { NodeEmitter } from './emitter.ts';
import type { CallHook, HookRule } from './encode.ts';
import type { HookEvent, HookedCall } from './families/index.ts';
import type { SyscallCall } from './families/syscall.ts';
import { compileFilter, type HookFilter } from './filter.ts';
import type { SyscallStructs } from './structs.ts';
import type { FieldsVerdict, Verdict } from './verdict.ts';

/** Where a success is more than a number: a descriptor, a new program, a buffer that is filled. */
type Unfakeable = (typeof unfakeable)[number];

/** The verdicts that make sense for an event. */
export type HookVerdict<E extends HookEvent = HookEvent> =
  | (E extends 'exit' ? never : Verdict<'allow'> | Verdict<'deny'> | Verdict<'kill'>)
  | (E extends 'open' ? Verdict<'redirectPath'> | Verdict<'respond'> : never)
  | (E extends 'connect' | 'bind' | 'send' ? Verdict<'redirectAddress'> | Verdict<'redirectPath'> : never)
  | (E extends 'exec' ? Verdict<'redirectProgram'> : never)
  | (E extends 'signal' ? Verdict<'redirectSignal'> : never)
  | (E extends Unfakeable ? never : Verdict<'fake'>)
  | (E extends 'send' | 'watch' | 'fork' ? Verdict<'fakeValue'> : never);

// biome-ignore lint/suspicious/noConfusingVoidType: a hook without a return statement has no opinion
type Answer<E extends HookEvent> = HookVerdict<E> | undefined | void;

/**
 * Is asked about a call before it happens. It answers a verdict, or nothing (no opinion: the next hook is asked, then the
 * rules), at once or by a promise; only the thread that made the call waits.
 */
export type Hook<E extends HookEvent = HookEvent> = (call: HookedCall<E>) => Answer<E> | PromiseLike<Answer<E>>;

/** The verdicts that make sense for a system call. */
export type SyscallVerdict<N extends SyscallName = SyscallName> =
  | Verdict<'allow'>
  | Verdict<'deny'>
  | Verdict<'kill'>
  | Verdict<'respondValue'>
  | (N extends keyof SyscallStructs ? FieldsVerdict<SyscallStructs[N]> : never)
  | ('getrandom' extends N ? Verdict<'respond'> : never);

// biome-ignore lint/suspicious/noConfusingVoidType: a hook without a return statement has no opinion
type SyscallAnswer<N extends SyscallName> = SyscallVerdict<N> | undefined | void;

/** Is asked about a system call before it runs: see `onSyscall`. */
export type SyscallHook<N extends SyscallName = SyscallName> = (
  call: SyscallCall<N>,
) => SyscallAnswer<N> | PromiseLike<SyscallAnswer<N>>;

/** A hook, or a filter and a hook. */
export type HookArguments<E extends HookEvent> = [hook: Hook<E>] | [filter: HookFilter<E>, hook: Hook<E>];

function tooLate(name: string, event: HookEvent): HoldfastError {
  return new HoldfastError(
    'ERR_HOLDFAST_HOOK_TOO_LATE',
    `${name}() was called after the tick of the spawn: the command may be running already, so the hook could not be ` +
      'in force from its start. Register hooks right after spawnSandboxed(), before any await or callback',
    { event },
  );
}

function noFunction(name: string, event: HookEvent, hook: unknown): HoldfastError {
  const message = `${name}(): the hook must be a function, not ${shown(hook)}`;
  return new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', message, { event });
}

/** What was registered, as data. */
export interface KeptHooks {
  readonly rules: readonly HookRule[];
  readonly calls: readonly CallHook[];
  readonly unders: readonly UnderRule[];
}

/** What is registered, until the configuration is sent. */
export class HookRegistry {
  readonly rules: HookRule[] = [];
  /** On single system calls. */
  readonly calls: CallHook[] = [];
  readonly #hooks: AnyHook[] = [];
  readonly #cwd: string;
  /** Numbers above those of the policy. */
  readonly unders = new Unders(MOST_UNDER);
  sent = false;

  constructor(cwd: string) {
    this.#cwd = cwd;
  }

  register(event: HookEvent, args: readonly unknown[]): void {
    const name = `on${event[0]?.toUpperCase()}${event.slice(1)}`;
    if (this.sent) {
      throw tooLate(name, event);
    }
    const [filter, hook] = args.length > 1 ? args : [undefined, args[0]];
    if (typeof hook !== 'function') throw noFunction(name, event, hook);
    this.rules.push({ id: this.#hooks.length, event, filters: compileFilter(event, filter, this.#cwd, this.unders) });
    this.#hooks.push(hook as AnyHook);
  }

  registerCall(call: unknown, args: readonly unknown[]): void {
    if (this.sent) throw tooLate('onSyscall', 'syscall');
    const [filter, hook] = args.length > 1 ? args : [undefined, args[0]];
    if (typeof hook !== 'function') throw noFunction('onSyscall', 'syscall', hook);
    try {
      const row = rowOf(call, '');
      // The kernel says so before anybody else is asked: libraries depend on it.
      if (row.way === 'absent') throw new SyscallProblem('', call, 'is a call that this sandbox does not have');
      const tests = filter === undefined ? new Uint8Array() : filterTests(row, filter);
      this.calls.push({ id: this.#hooks.length, call: row.name, tests });
    } catch (error) {
      if (!(error instanceof SyscallProblem)) throw error;
      const field = error.field === '' ? 'onSyscall' : `filter of onSyscall.${error.field}`;
      throw new HoldfastError('ERR_HOLDFAST_INVALID_FILTER', `${field}: ${problemText(error)}`);
    }
    this.#hooks.push(hook as AnyHook);
  }

  hook(id: number): AnyHook | undefined {
    return this.#hooks[id];
  }

  /** What another thread needs, to be asked there. */
  get kept(): KeptHooks {
    return { rules: this.rules, calls: this.calls, unders: this.unders.rules };
  }

  /** @param ask Asks the hook of that number, where it lives. */
  static of({ rules, calls, unders }: KeptHooks, ask: (id: number) => AnyHook): HookRegistry {
    const registry = new HookRegistry('/');
    registry.rules.push(...rules);
    registry.calls.push(...calls);
    registry.unders.rules.push(...unders);
    for (let id = 0; id < rules.length + calls.length; id++) registry.#hooks.push(ask(id));
    return registry;
  }
}

/**
 * An emitter with a setter for each kind of call that a hook can hear of. Each takes a hook, or a filter and a hook, and
 * returns the object itself. A filter is evaluated by the supervisor, so calls that do not match cost next to nothing.
 *
 * Hooks must be registered in the tick of the spawn; later `ERR_HOLDFAST_HOOK_TOO_LATE` is thrown, because the command
 * may have made the call already. A filter that is not valid throws `ERR_HOLDFAST_INVALID_FILTER`.
 */
export abstract class Hookable<Events extends EventEmitter.ValidEventTypes> extends NodeEmitter<Events> {
  protected abstract addHook(event: HookEvent, args: readonly unknown[]): void;

  protected abstract addSyscallHook(call: unknown, args: readonly unknown[]): void;

  #add(event: HookEvent, args: readonly unknown[]): this {
    this.addHook(event, args);
    return this;
  }

  /** open, openat, openat2, creat. May also be answered with `redirect(path)` or `respond(contents)`. */
  onOpen(...args: HookArguments<'open'>): this {
    return this.#add('open', args);
  }

  /** stat, lstat, newfstatat, statx: a path's metadata is looked at. */
  onStat(...args: HookArguments<'stat'>): this {
    return this.#add('stat', args);
  }

  /** access, faccessat, faccessat2. */
  onAccess(...args: HookArguments<'access'>): this {
    return this.#add('access', args);
  }

  /** readlink, readlinkat. */
  onReadlink(...args: HookArguments<'readlink'>): this {
    return this.#add('readlink', args);
  }

  /** rename, renameat, renameat2. The filter's path may match either of the two. */
  onRename(...args: HookArguments<'rename'>): this {
    return this.#add('rename', args);
  }

  /** link, linkat. The filter's path may match either of the two. */
  onLink(...args: HookArguments<'link'>): this {
    return this.#add('link', args);
  }

  /** symlink, symlinkat. */
  onSymlink(...args: HookArguments<'symlink'>): this {
    return this.#add('symlink', args);
  }

  /** unlink, unlinkat, rmdir. */
  onUnlink(...args: HookArguments<'unlink'>): this {
    return this.#add('unlink', args);
  }

  /** mkdir, mkdirat. */
  onMkdir(...args: HookArguments<'mkdir'>): this {
    return this.#add('mkdir', args);
  }

  /** mknod, mknodat: FIFOs, sockets, devices. */
  onMknod(...args: HookArguments<'mknod'>): this {
    return this.#add('mknod', args);
  }

  /** chmod, fchmod, fchmodat, fchmodat2. */
  onChmod(...args: HookArguments<'chmod'>): this {
    return this.#add('chmod', args);
  }

  /** chown, lchown, fchown, fchownat. */
  onChown(...args: HookArguments<'chown'>): this {
    return this.#add('chown', args);
  }

  /** utime, utimes, futimesat, utimensat. */
  onUtimes(...args: HookArguments<'utimes'>): this {
    return this.#add('utimes', args);
  }

  /** truncate. */
  onTruncate(...args: HookArguments<'truncate'>): this {
    return this.#add('truncate', args);
  }

  /** statfs. */
  onStatfs(...args: HookArguments<'statfs'>): this {
    return this.#add('statfs', args);
  }

  /** getxattr, lgetxattr, listxattr, llistxattr. */
  onGetxattr(...args: HookArguments<'getxattr'>): this {
    return this.#add('getxattr', args);
  }

  /** setxattr, removexattr and their relatives. */
  onSetxattr(...args: HookArguments<'setxattr'>): this {
    return this.#add('setxattr', args);
  }

  /** inotify_add_watch. */
  onWatch(...args: HookArguments<'watch'>): this {
    return this.#add('watch', args);
  }

  /** chdir. */
  onChdir(...args: HookArguments<'chdir'>): this {
    return this.#add('chdir', args);
  }

  /** execve, execveat; the command's own start is the first one. May also be answered with `redirect({ path, argv, env })`. */
  onExec(...args: HookArguments<'exec'>): this {
    return this.#add('exec', args);
  }

  /** connect. May also be answered with `redirect({ address, port })`, of a unix socket by path with `redirect(path)`. */
  onConnect(...args: HookArguments<'connect'>): this {
    return this.#add('connect', args);
  }

  /** bind. May also be answered with `redirect({ address, port })`, of a unix socket by path with `redirect(path)`. */
  onBind(...args: HookArguments<'bind'>): this {
    return this.#add('bind', args);
  }

  /** sendto, sendmsg, sendmmsg with an address. May also be answered with `redirect({ address, port })`, of a unix socket by path with `redirect(path)`. */
  onSend(...args: HookArguments<'send'>): this {
    return this.#add('send', args);
  }

  /** kill, tkill, tgkill and their relatives, to another process of the tree. May also be answered with
   * `redirect({ signal, pid })`. Takes no filter but `under`. */
  onSignal(...args: HookArguments<'signal'>): this {
    return this.#add('signal', args);
  }

  /**
   * fork, vfork, clone: a process or a thread is about to be made. May also be answered with `fake(pid)`: nothing is made,
   * and the caller is told of such a child. Calls that no such hook may hear of (`kind`) are not held.
   */
  onFork(...args: HookArguments<'fork'>): this {
    return this.#add('fork', args);
  }

  /**
   * A process is about to end, of itself or by a signal: once for each, however many threads it has. Nothing can be refused,
   * so there are no verdicts; the process ends when the hook is done. Not asked any more once the whole tree is being
   * ended (`killTree()`, `timeout`, an abort, a limit, the command's own end).
   */
  onExit(...args: HookArguments<'exit'>): this {
    return this.#add('exit', args);
  }

  /**
   * One system call by its name, also one that is held by no other hook. The filter's comparisons are made by the kernel,
   * so other calls cost nothing. `allow()`, and no answer, say that it goes on as without this hook: the policy, its rules
   * and hooks like `onOpen` are asked then. `respond(value)`: it does not run, and returns that. `respond({ … })` for calls
   * that fill a struct (`uname`, `clock_gettime`, …): it runs, and these fields are changed.
   *
   * What the arguments point to is only read here: the tree can change it before the call runs.
   */
  onSyscall<N extends SyscallName>(call: N, hook: SyscallHook<N>): this;
  onSyscall<N extends SyscallName>(call: N, filter: SyscallFilter, hook: SyscallHook<N>): this;
  onSyscall(call: SyscallName, ...args: unknown[]): this {
    this.addSyscallHook(call, args);
    return this;
  }
}
