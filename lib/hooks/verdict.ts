import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { errnoNumber, HoldfastError, isKnownErrno } from '../errors.ts';
import { signalNumber } from '../native/signals.ts';
import { addressBytes, notUtf8 } from '../policy/addresses.ts';

export type VerdictKind = 'allow' | 'deny' | 'kill' | 'redirectPath' | 'redirectAddress' | 'respond';

/** protocol.h: VerdictKind. 0 is "no opinion". */
const numbers: Readonly<Record<VerdictKind, number>> = {
  allow: 1,
  deny: 2,
  kill: 3,
  redirectPath: 4,
  redirectAddress: 4,
  respond: 5,
};

/** Held by this module alone: nothing else can make a verdict that was not checked. */
const maker = Symbol('maker');
let make: <K extends VerdictKind>(kind: K, error: number, data?: Uint8Array) => Verdict<K>;

/** What a hook answers. Made by {@link allow}, {@link deny}, {@link kill}, {@link redirect} and {@link respond} only. */
export class Verdict<K extends VerdictKind = VerdictKind> {
  readonly kind: K;
  readonly #error: number;
  readonly #data: Uint8Array | undefined;

  private constructor(key: symbol, kind: K, error: number, data: Uint8Array | undefined) {
    if (key !== maker) throw refuse('verdicts are made by allow(), deny(), kill(), redirect() and respond() only');
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
 * @param to For an open: an absolute path or a `file:` URL; with `within` also a path relative to it. For a connect: an
 * address and a port.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_VERDICT` if it is no such thing.
 */
export function redirect(to: string | URL, options?: RedirectOptions): Verdict<'redirectPath'>;
export function redirect(to: RedirectTarget): Verdict<'redirectAddress'>;
export function redirect(
  to: string | URL | RedirectTarget,
  options?: RedirectOptions,
): Verdict<'redirectPath'> | Verdict<'redirectAddress'> {
  if (typeof to === 'string' || to instanceof URL) return make('redirectPath', 0, pathBytes(to, options));
  if (options !== undefined) throw refuse('redirect(): only a path takes options');
  if (typeof to !== 'object' || to === null) {
    throw refuse(`redirect(): ${inspect(to)} is neither a path nor { address, port }`);
  }
  // Its own fields only, each read once.
  const { address, port }: Partial<RedirectTarget> = Object.assign(Object.create(null), to);
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

/** The most bytes that {@link respond} takes. */
export const maxResponse = 4096;

/**
 * The open succeeds, and what is read are these contents, not the file's.
 * @param contents Text (as UTF-8) or bytes, copied; at most 4096 bytes.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_VERDICT` if they are too long or something else.
 */
export function respond(contents: string | Uint8Array): Verdict<'respond'> {
  if (typeof contents !== 'string' && !(contents instanceof Uint8Array)) {
    throw refuse(`respond(): ${inspect(contents)} is neither text nor bytes`);
  }
  const bytes = Uint8Array.from(typeof contents === 'string' ? Buffer.from(contents) : contents);
  if (bytes.length > maxResponse) {
    throw refuse(`respond(): ${bytes.length} bytes are too many (${maxResponse}): write a file and redirect() to it`);
  }
  return make('respond', 0, bytes);
}
