import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { errnoNumber, HoldfastError, isKnownErrno } from '../errors.ts';
import { signalNumber } from '../native/signals.ts';
import { addressBytes, notUtf8 } from '../policy/addresses.ts';

export type VerdictKind =
  | 'allow'
  | 'deny'
  | 'kill'
  | 'redirectPath'
  | 'redirectAddress'
  | 'redirectProgram'
  | 'redirectSignal'
  | 'respond'
  | 'fake'
  | 'fakeValue'
  | 'respondValue'
  | 'respondFields';

/** protocol.h: VerdictKind. 0 is "no opinion". */
const numbers: Readonly<Record<VerdictKind, number>> = {
  allow: 1,
  deny: 2,
  kill: 3,
  redirectPath: 4,
  redirectAddress: 4,
  redirectProgram: 4,
  redirectSignal: 4,
  respond: 5,
  fake: 6,
  fakeValue: 6,
  respondValue: 5,
  respondFields: 5,
};

/** Held by this module alone: nothing else can make a verdict that was not checked. */
const maker = Symbol('maker');
let make: <K extends VerdictKind>(kind: K, error: number, data?: Uint8Array) => Verdict<K>;

/**
 * What a hook answers. Made by {@link allow}, {@link deny}, {@link kill}, {@link redirect}, {@link respond} and {@link fake}
 * only.
 */
export class Verdict<K extends VerdictKind = VerdictKind> {
  readonly kind: K;
  readonly #error: number;
  readonly #data: Uint8Array | undefined;

  private constructor(key: symbol, kind: K, error: number, data: Uint8Array | undefined) {
    if (key !== maker)
      throw refuse('verdicts are made by allow(), deny(), kill(), redirect(), respond() and fake() only');
    this.kind = kind;
    this.#error = error;
    this.#data = data;
    Object.freeze(this);
  }

  /** Whether a value was made by the functions of this module. */
  static is(value: unknown): value is Verdict {
    return typeof value === 'object' && value !== null && #error in value;
  }

  /** @internal How the channel carries it. */
  static encode(verdict: Verdict): { number: number; error: number; data: Uint8Array | undefined } {
    return { number: numbers[verdict.kind], error: verdict.#error, data: verdict.#data };
  }

  static {
    make = (kind, error, data) => new Verdict(maker, kind, error, data);
  }
}

/** A verdict as data, for another thread. */
export interface KeptVerdict {
  readonly kind: VerdictKind;
  readonly error: number;
  readonly data: Uint8Array | undefined;
  readonly response: SyscallResponse | undefined;
}

/** @internal */
export function keepVerdict(verdict: Verdict): KeptVerdict {
  const { error, data } = Verdict.encode(verdict);
  return { kind: verdict.kind, error, data, response: responses.get(verdict) };
}

/** @internal Of one that was checked in another thread. */
export function keptVerdict({ kind, error, data, response }: KeptVerdict): Verdict {
  const verdict = make(kind, error, data);
  if (response !== undefined) responses.set(verdict, response);
  return verdict;
}

function refuse(message: string): HoldfastError {
  return new HoldfastError('ERR_HOLDFAST_INVALID_VERDICT', message);
}

const allowed = make('allow', 0);

/** The call is carried out, whatever the allow rules say. `deny` rules were asked before. */
export function allow(): Verdict<'allow'> {
  return allowed;
}

/**
 * The call fails.
 * @param errno What the program sees: a name such as `'ENOENT'`, or a positive number. Default: `'EACCES'`.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_VERDICT` if there is no such errno.
 */
export function deny(errno: string | number = 'EACCES'): Verdict<'deny'> {
  const number = typeof errno === 'string' ? errnoNumber(errno) : errno;
  if (number === undefined || !isKnownErrno(number)) {
    throw refuse(`deny(): ${inspect(errno)} is not an errno. Give a name like 'ENOENT' or its positive number`);
  }
  return make('deny', number);
}

/**
 * The process that made the call is sent a signal, and the call is not carried out.
 * @param signal Name or number. Default: `'SIGKILL'`.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_VERDICT` if there is no such signal.
 */
export function kill(signal: NodeJS.Signals | number = 'SIGKILL'): Verdict<'kill'> {
  try {
    return make('kill', signalNumber(signal));
  } catch {
    throw refuse(`kill(): ${inspect(signal)} is not a signal`);
  }
}

/** Another program for {@link redirect} of an exec. */
export interface RedirectProgram {
  /** An absolute path or a `file:` URL. */
  path: string | URL;
  /** With `argv[0]`. Default: as the hook was shown them. */
  argv?: readonly string[];
  /** All of it; what is undefined is left out. Default: the caller's. */
  env?: Readonly<Record<string, string | undefined>>;
}

/** Another signal, or another receiver, for {@link redirect}. */
export interface RedirectSignal {
  /** Name or number. Default: the same. */
  signal?: NodeJS.Signals | number;
  /** A process of the tree. Default: who it was for. */
  pid?: number;
}

/** Where {@link redirect} can send a connection. */
export interface RedirectTarget {
  /** An IPv4 or IPv6 address as text; of the same family as the one that was asked for. */
  address: string;
  /** 1 to 65535. */
  port: number;
}

/** How {@link redirect} to a path is to be understood. */
export interface RedirectOptions {
  /**
   * A folder, as an absolute path or a `file:` URL: the path, relative to it or below it, is walked without leaving it,
   * neither by `..` nor by any link (openat2's `RESOLVE_BENEATH`).
   */
  within?: string | URL;
}

/**
 * The call is carried out on something else. What a `deny` rule refuses stays refused there; and no symbolic link is
 * followed where the policy lets the tree write.
 * @param to For an open: an absolute path or a `file:` URL; with `within` also a path relative to it. For a connect, bind
 * or send: an address and a port, or (a unix socket that has a path) an absolute path. For an exec: a program. For a signal: another one, or another process of the tree.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_VERDICT` if it is no such thing.
 */
export function redirect(to: string | URL, options?: RedirectOptions): Verdict<'redirectPath'>;
export function redirect(to: RedirectProgram): Verdict<'redirectProgram'>;
export function redirect(to: RedirectTarget): Verdict<'redirectAddress'>;
export function redirect(to: RedirectSignal): Verdict<'redirectSignal'>;
export function redirect(
  to: string | URL | RedirectProgram | RedirectTarget | RedirectSignal,
  options?: RedirectOptions,
): Verdict<'redirectPath'> | Verdict<'redirectAddress'> | Verdict<'redirectProgram'> | Verdict<'redirectSignal'> {
  if (typeof to === 'string' || to instanceof URL) return make('redirectPath', 0, pathBytes(to, options));
  if (options !== undefined) throw refuse('redirect(): only a path takes options');
  if (typeof to !== 'object' || to === null) {
    throw refuse(
      `redirect(): ${inspect(to)} is neither a path nor { address, port }, { path, argv, env } or { signal, pid }`,
    );
  }
  // Its own fields only, each read once.
  const own: Record<string, unknown> = Object.assign(Object.create(null), to);
  if ('path' in own) return make('redirectProgram', 0, programBytes(own));
  if ('signal' in own || 'pid' in own) return make('redirectSignal', 0, signalBytes(own));
  known(own, ['address', 'port']);
  const { address, port } = own as Partial<RedirectTarget>;
  const bytes = typeof address === 'string' ? addressBytes(address) : undefined;
  if (bytes === undefined) throw refuse(`redirect(): ${inspect(address)} is not an IP address`);
  if (port === undefined || !Number.isInteger(port) || port < 1 || port > 65535) {
    throw refuse(`redirect(): ${inspect(port)} is not a port (1 to 65535)`);
  }
  // protocol.h: RedirectAddress. 2 and 10 are AF_INET and AF_INET6.
  const data = Buffer.alloc(24);
  data.writeUInt32LE(bytes.length === 4 ? 2 : 10, 0);
  data.writeUInt32LE(port, 4);
  data.set(bytes, 8);
  return make('redirectAddress', 0, data);
}

function known(own: Record<string, unknown>, fields: readonly string[]): void {
  const unknown = Object.keys(own).find((key) => !fields.includes(key));
  if (unknown === undefined) return;
  throw refuse(`redirect(): ${inspect(unknown)} is not a field here (${fields.join(', ')} are)`);
}

function signalBytes(own: Record<string, unknown>): Uint8Array {
  known(own, ['signal', 'pid']);
  const { signal, pid } = own;
  if (signal === undefined && pid === undefined) throw refuse('redirect(): {} has neither a signal nor a pid');
  let number = -1;
  try {
    if (signal !== undefined) number = signal === 0 ? 0 : signalNumber(signal as NodeJS.Signals | number);
  } catch {
    throw refuse(`redirect(): ${inspect(signal)} is not a signal`);
  }
  if (pid !== undefined && !(Number.isInteger(pid) && Number(pid) > 0 && Number(pid) < 2 ** 31)) {
    throw refuse(`redirect(): ${inspect(pid)} is not the number of a process`);
  }
  // protocol.h: RedirectSignal.
  const data = Buffer.alloc(8);
  data.writeInt32LE(number, 0);
  data.writeInt32LE(Number(pid ?? 0), 4);
  return data;
}

/** The most bytes that the arguments and the environment of {@link redirect} take, with 8 for the place of each. */
export const maxProgram = 126_000;

/** As native/policy/redirected_program.h reads it. */
function programBytes(own: Record<string, unknown>): Uint8Array {
  known(own, ['path', 'argv', 'env']);
  const { argv, env } = own;
  const path = absolutePath(own.path);
  const texts: string[] = [];
  const add = (value: unknown, field: string) => {
    if (typeof value !== 'string' || value.includes('\0')) {
      throw refuse(`redirect(): ${field}: ${inspect(value)} is not text without NUL bytes`);
    }
    if (notUtf8(value)) throw refuse(`redirect(): ${field}: ${inspect(value)} cannot be written as UTF-8`);
    texts.push(value);
  };
  if (argv !== undefined) {
    if (!Array.isArray(argv) || argv.length === 0) {
      throw refuse(`redirect(): argv: ${inspect(argv)} is not a list of arguments that begins with argv[0]`);
    }
    for (let i = 0; i < argv.length; i++) add(argv[i], `argv[${i}]`);
  }
  const count = texts.length;
  if (env !== undefined) {
    if (typeof env !== 'object' || env === null || Array.isArray(env)) {
      throw refuse(`redirect(): env: ${inspect(env)} is not an object of variables`);
    }
    for (const [name, value] of Object.entries(env)) {
      if (value === undefined) continue;
      if (name === '' || name.includes('=')) throw refuse(`redirect(): env: ${inspect(name)} is not a name`);
      if (typeof value !== 'string') throw refuse(`redirect(): env.${name}: ${inspect(value)} is not text`);
      add(`${name}=${value}`, `env.${name}`);
    }
  }
  const strings = Buffer.from([path, ...texts, ''].join('\0'));
  const size = strings.length + 8 * texts.length;
  if (size > maxProgram) {
    throw refuse(`redirect(): the arguments and the environment take ${size} bytes, and ${maxProgram} are possible`);
  }
  const head = Buffer.alloc(12);
  head.writeUInt32LE((argv === undefined ? 0 : 1) | (env === undefined ? 0 : 2), 0);
  head.writeUInt32LE(count, 4);
  head.writeUInt32LE(texts.length - count, 8);
  return Buffer.concat([head, strings]);
}

function pathText(value: unknown, what: string): string {
  let path: unknown = value;
  try {
    if (value instanceof URL) path = fileURLToPath(value);
  } catch {
    throw refuse(`redirect(): ${String(value)} is not a file: URL of this machine`);
  }
  if (typeof path !== 'string' || path.includes('\0')) {
    throw refuse(`redirect(): ${inspect(path)} is not ${what} without NUL bytes`);
  }
  if (notUtf8(path)) throw refuse(`redirect(): ${inspect(path)} cannot be written as UTF-8`);
  const bytes = Buffer.byteLength(path);
  if (bytes > 4095) throw refuse(`redirect(): the path has ${bytes} bytes, and 4095 are possible`);
  return path;
}

function absolutePath(value: unknown): string {
  const path = pathText(value, 'an absolute path');
  if (!isAbsolute(path)) throw refuse(`redirect(): ${inspect(path)} is not an absolute path without NUL bytes`);
  return path;
}

/** A path; or a folder and a path below it, with a NUL between (native/policy/ask.cc). */
function pathBytes(to: string | URL, options: unknown): Uint8Array {
  if (options === undefined) return Buffer.from(absolutePath(to));
  if (typeof options !== 'object' || options === null) {
    throw refuse(`redirect(): ${inspect(options)} is not { within }`);
  }
  const unknown = Object.keys(options).find((key) => key !== 'within');
  if (unknown !== undefined) throw refuse(`redirect(): ${inspect(unknown)} is not an option (within is)`);
  const { within }: RedirectOptions = Object.assign(Object.create(null), options);
  if (within === undefined) return Buffer.from(absolutePath(to));
  const folder = absolutePath(within).replace(/\/+$/, '');
  const path = pathText(to, 'a path');
  const below = isAbsolute(path) ? belowFolder(path, folder) : path;
  if (below === '') throw refuse(`redirect(): ${inspect(path)} is not a path below ${inspect(folder || '/')}`);
  const bytes = Buffer.from(`${folder || '/'}\0${below}`);
  if (bytes.length > 4160) throw refuse(`redirect(): the paths have ${bytes.length} bytes, and 4160 are possible`);
  return bytes;
}

function belowFolder(path: string, folder: string): string {
  return path.startsWith(`${folder}/`) ? path.slice(folder.length + 1).replace(/^\/+/, '') : '';
}

/**
 * The call is not carried out, and the program is told that it was.
 * @param value What it returns. Default: what a success returns: 0, for a send all that was to be sent. Others make sense
 * only where a success can be another number: `onSend` (bytes), `onWatch`, and `onFork` (the child's).
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_VERDICT` if it is not an integer from 0 to 2147483647.
 */
export function fake(value?: 0): Verdict<'fake'>;
export function fake(value: number): Verdict<'fakeValue'>;
export function fake(value?: number): Verdict<'fake'> | Verdict<'fakeValue'> {
  if (value === undefined) return make('fake', -1);
  if (!Number.isInteger(value) || value < 0 || value > 0x7fffffff) {
    throw refuse(`fake(): ${inspect(value)} is not an integer from 0 to 2147483647: deny() gives an errno`);
  }
  return value === 0 ? make('fake', 0) : make('fakeValue', value);
}

/** The most bytes that {@link respond} takes. */
export const maxResponse = 4096;

declare const fieldsOf: unique symbol;

/** A verdict that changes fields of what a call has written: {@link respond}. */
export type FieldsVerdict<T> = Verdict<'respondFields'> & { readonly [fieldsOf]?: T };

/** What a response to a system call says; encoded when it is known which call that is. */
export interface SyscallResponse {
  value?: bigint;
  fields?: Readonly<Record<string, unknown>>;
}

const responses = new WeakMap<Verdict, SyscallResponse>();

/** @internal */
export const responseOf = (verdict: Verdict): SyscallResponse => responses.get(verdict) ?? {};

/** MAX_ERRNO, linux/err.h: from here to -1 a result is an error. */
const LEAST_ERROR = -4095n;

function respondValue(given: number | bigint): Verdict<'respondValue'> {
  if (typeof given === 'number' && !Number.isSafeInteger(given)) {
    throw refuse(`respond(): ${given} is no integer that a number holds exactly: give a bigint`);
  }
  const value = BigInt(given);
  if (value < -(2n ** 63n) || value >= 2n ** 64n) throw refuse(`respond(): ${given} does not fit into 64 bits`);
  const result = BigInt.asIntN(64, value);
  if (result < 0n && result >= LEAST_ERROR) throw refuse(`respond(): ${given} is an error: use deny(${-result})`);
  const verdict = make('respondValue', 0);
  responses.set(verdict, { value });
  return verdict;
}

/**
 * `onOpen`: the open succeeds, and what is read are these contents, not the file's. `onSyscall('getrandom')`: these are the
 * random bytes, as many as were asked for at most.
 * @param contents Text (as UTF-8) or bytes, copied; at most 4096 bytes.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_VERDICT` if they are too long or something else.
 */
export function respond(contents: string | Uint8Array): Verdict<'respond'>;
/** `onSyscall`: the call does not run, and returns this. Not an error: those are for {@link deny}. */
export function respond(value: number | bigint): Verdict<'respondValue'>;
/** `onSyscall` of calls that fill a struct: it runs, and where it succeeds these fields are changed in its result. */
export function respond<const T extends object>(fields: T): FieldsVerdict<T>;
export function respond(
  answer: string | Uint8Array | number | bigint | object,
): Verdict<'respond'> | Verdict<'respondValue'> | Verdict<'respondFields'> {
  if (typeof answer === 'number' || typeof answer === 'bigint') return respondValue(answer);
  if (typeof answer === 'object' && answer !== null && !(answer instanceof Uint8Array) && !Array.isArray(answer)) {
    const verdict = make('respondFields', 0);
    responses.set(verdict, { fields: Object.assign(Object.create(null), answer) });
    return verdict;
  }
  const contents = answer;
  if (typeof contents !== 'string' && !(contents instanceof Uint8Array)) {
    throw refuse(`respond(): ${inspect(contents)} is neither text nor bytes`);
  }
  const bytes = Uint8Array.from(typeof contents === 'string' ? Buffer.from(contents) : contents);
  if (bytes.length > maxResponse) {
    throw refuse(`respond(): ${bytes.length} bytes are too many (${maxResponse}): write a file and redirect() to it`);
  }
  return make('respond', 0, bytes);
}
