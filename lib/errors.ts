import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

/** Every `code` that a {@link HoldfastError} can have. docs/api.md says of each when it comes and what to do. */
export type HoldfastErrorCode =
  | 'ERR_HOLDFAST_INVALID_OPTION'
  | 'ERR_HOLDFAST_INVALID_POLICY'
  | 'ERR_HOLDFAST_INVALID_FILTER'
  | 'ERR_HOLDFAST_INVALID_VERDICT'
  | 'ERR_HOLDFAST_INVALID_GUARD'
  | 'ERR_HOLDFAST_HOOK_TOO_LATE'
  | 'ERR_HOLDFAST_HOOK_FAILED'
  | 'ERR_HOLDFAST_HOOK_TIMEOUT'
  | 'ERR_HOLDFAST_UNSUPPORTED_PLATFORM'
  | 'ERR_HOLDFAST_UNSUPPORTED_KERNEL'
  | 'ERR_HOLDFAST_NATIVE_MISSING'
  | 'ERR_HOLDFAST_POOL_CLOSED'
  | 'ERR_HOLDFAST_COMMAND'
  | 'ERR_HOLDFAST_PTRACE'
  | 'ERR_HOLDFAST_SECCOMP'
  | 'ERR_HOLDFAST_LISTENER'
  | 'ERR_HOLDFAST_NEEDS_HOLD'
  | 'ERR_HOLDFAST_LANDLOCK'
  | 'ERR_HOLDFAST_POLICY'
  | 'ERR_HOLDFAST_PROC'
  | 'ERR_HOLDFAST_CAPABILITIES'
  | 'ERR_HOLDFAST_LIMIT'
  | 'ERR_HOLDFAST_LIMIT_NOT_EXACT'
  | 'ERR_HOLDFAST_LAUNCH'
  | 'ERR_HOLDFAST_NOT_RUNNING'
  | 'ERR_HOLDFAST_THREAD_GONE'
  | 'ERR_HOLDFAST_THREAD_BUSY'
  | 'ERR_HOLDFAST_NOT_STOPPED'
  | 'ERR_HOLDFAST_BAD_ADDRESS'
  | 'ERR_HOLDFAST_INSPECT'
  | 'ERR_HOLDFAST_WIDER_POLICY'
  | 'ERR_HOLDFAST_RESTRICT'
  | 'ERR_HOLDFAST_CALL_GONE'
  | 'ERR_HOLDFAST_MEMORY'
  | 'ERR_HOLDFAST_REPORT'
  | 'ERR_HOLDFAST_CHANNEL'
  | 'ERR_HOLDFAST_SUPERVISOR_LOST'
  | 'ERR_HOLDFAST_SANDBOX_CLOSED';

/** One thing that is wrong with a policy. */
export interface PolicyProblem {
  /** Where, from the policy on: `files.read[2]`; empty for the policy as a whole. */
  readonly field: string;
  /** The policy file, as it was named. */
  readonly file?: string;
  /** In the file, from 1 on. */
  readonly line?: number;
  /** In the line, from 1 on, in UTF-16 code units. */
  readonly column?: number;
  /** All of it in one line: the file and its line if there is one, the field, the value, and what is wrong. */
  readonly message: string;
  /** The word that was most likely meant. */
  readonly suggestion?: string;
}

/**
 * How calls are held:
 * - `notify`: a seccomp listener receives them (seccomp_unotify(2)); what only the caller can do is stopped by ptrace(2);
 * - `ptrace`: each is stopped. Where a process can have no listener, because one is there already;
 * - `kernel`: none is. Seccomp and Landlock alone decide, and nothing that they cannot decide can be asked for.
 */
export type Engine = 'notify' | 'ptrace' | 'kernel';

/** What a {@link HoldfastError} may know beside its code and message. */
export interface HoldfastErrorDetails {
  cause?: unknown;
  /** Negative, as in Node's own errors. */
  errno?: number;
  /** The hook's event: `open`, `connect`, … (`ERR_HOLDFAST_HOOK_*`, `ERR_HOLDFAST_INVALID_VERDICT`). */
  event?: string;
  /** The call that a hook was asked about. */
  call?: unknown;
  /** All that is wrong with a policy, as far as it was looked at (`ERR_HOLDFAST_INVALID_POLICY`). */
  problems?: readonly PolicyProblem[];
  /** Who holds the calls of the process that it is about, or was to hold them; undefined before one was chosen. */
  engine?: Engine;
}

/** As Node's own errors, whose stack begins with their code. */
function codeInStack(error: Error, name: string): void {
  const header = error.message === '' ? name : `${name}: ${error.message}`;
  if (error.stack?.startsWith(header)) error.stack = `${error}${error.stack.slice(header.length)}`;
}

/** Everything that is holdfast's own failure. What Node's `spawn` reports itself keeps Node's class and code. */
export class HoldfastError extends Error {
  readonly code: HoldfastErrorCode;
  // Declared only: what does not apply is not there.
  declare readonly errno?: number;
  declare readonly event?: string;
  declare readonly call?: unknown;
  declare readonly problems?: readonly PolicyProblem[];
  declare readonly engine?: Engine;

  constructor(code: HoldfastErrorCode, message: string, details: HoldfastErrorDetails = {}) {
    super(message, Object.hasOwn(details, 'cause') ? { cause: details.cause } : undefined);
    this.code = code;
    if (details.errno !== undefined) this.errno = details.errno;
    if (details.event !== undefined) this.event = details.event;
    if (details.call !== undefined) this.call = details.call;
    if (details.problems !== undefined) this.problems = details.problems;
    if (details.engine !== undefined) this.engine = details.engine;
    codeInStack(this, this.name);
  }

  override toString(): string {
    return `${this.name} [${this.code}]: ${this.message}`;
  }

  static {
    // On the prototype, so that it does not show up among each error's own properties.
    Object.defineProperty(HoldfastError.prototype, 'name', {
      value: 'HoldfastError',
      configurable: true,
      writable: true,
    });
  }
}

/** Tells it whose process it is about; where it was made nobody knew. */
export function ofEngine<Given>(error: Given, engine: Engine | undefined): Given {
  if (error instanceof HoldfastError && engine !== undefined && error.engine === undefined) {
    (error as { engine?: Engine }).engine = engine;
  }
  return error;
}

const namesOfErrnos = new Map<number, string>();
for (const [name, number] of Object.entries(constants.errno)) {
  if (!namesOfErrnos.has(number)) namesOfErrnos.set(number, name);
}
// Where two names share a number (EAGAIN and EWOULDBLOCK, ENOTSUP and EOPNOTSUPP), Node's choice wins.
for (const [number, [name]] of getSystemErrorMap()) namesOfErrnos.set(-number, name);

/** `ENOENT` for 2; `errno 1234` for a number without a name. */
export function errnoName(errno: number): string {
  return namesOfErrnos.get(errno) ?? `errno ${errno}`;
}

/** The positive number of an errno name, if this system has it. */
export function errnoNumber(name: string): number | undefined {
  return Object.hasOwn(constants.errno, name) ? (constants.errno as Record<string, number>)[name] : undefined;
}

/** The first of the numbers that libuv has made up for itself (EAI_…, EOF): no system call answers those. */
const LIBUV_ERRNOS = 3000;

export function isKnownErrno(errno: number): boolean {
  return namesOfErrnos.has(errno) && errno < LIBUV_ERRNOS;
}

/** The error that child_process emits when a program cannot be started: `spawn nosuch ENOENT`. */
export function spawnError(errno: number, file: string, args: readonly string[]): NodeJS.ErrnoException {
  const code = errnoName(errno);
  const syscall = `spawn ${file}`;
  return Object.assign(new Error(`${syscall} ${code}`), {
    errno: -errno,
    code,
    syscall,
    path: file,
    spawnargs: [...args],
  });
}

/** What `AbortSignal` makes of a child process: the same name and code as Node's own. */
export class AbortError extends Error {
  readonly code = 'ABORT_ERR';
  override readonly name = 'AbortError';

  constructor(reason: unknown) {
    super('The operation was aborted', { cause: reason });
  }
}

/** An error with a `code`, as Node's own have. */
export type Coded<E extends Error> = E & { code: string };

/** Gives an error its code, also in its text, as Node does: `TypeError [ERR_INVALID_ARG_TYPE]: …`. */
export function coded<E extends Error>(error: E, code: string): Coded<E> {
  Object.defineProperty(error, 'toString', {
    value(this: Error) {
      return `${this.name} [${code}]: ${this.message}`;
    },
    configurable: true,
    writable: true,
  });
  codeInStack(error, error.name);
  return Object.assign(error, { code });
}
