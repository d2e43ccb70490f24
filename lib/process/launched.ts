// The supervisor as a child of the addon's own, which takes as long whatever memory Node has; Node's spawn forks.
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Native, NativeChild } from '../native/native.ts';
import { signalName, signalNumber } from '../native/signals.ts';

/** What the rest of a sandbox uses of the supervisor's process, whoever has started it. */
export type Inner = Pick<ChildProcess, 'pid' | 'stdin' | 'stdout' | 'stderr' | 'stdio' | 'kill' | 'ref' | 'unref'> &
  Pick<EventEmitter, 'on'> &
  Partial<Pick<ChildProcess, 'send' | 'disconnect' | 'connected' | 'channel'>>;

/** As native/addon/launch.h has them. */
export const IGNORED = -1;
export const STREAM = -2;
/** What ps(1) shows. */
export const SUPERVISOR = 'holdfast-supervisor';
/** Above all that a process can have open (RLIMIT_NOFILE's own limit). */
const MAX_DESCRIPTOR = 2 ** 30;

/** What comes into the places of the command's stdio. Undefined if only Node's own spawn knows, or says what is wrong. */
export function descriptorsOf(stdio: readonly unknown[]): number[] | undefined {
  const descriptors: number[] = [];
  for (const [place, entry] of stdio.entries()) {
    const descriptor = descriptorOf(entry, place);
    if (descriptor === undefined) return undefined;
    descriptors.push(descriptor);
  }
  return descriptors;
}

function descriptorOf(entry: unknown, place: number): number | undefined {
  if (entry === undefined || entry === null) return place < 3 ? STREAM : IGNORED;
  if (entry === 'ignore') return IGNORED;
  if (entry === 'pipe' || entry === 'overlapped') return STREAM;
  if (entry === 'inherit') return place;
  const number = typeof entry === 'object' ? (entry as { fd?: unknown }).fd : entry;
  if (!Number.isInteger(number) || (number as number) > MAX_DESCRIPTOR) return undefined;
  if ((number as number) >= 0) return number as number;
  return typeof entry === 'number' ? STREAM : undefined;
}

/** What Node takes as it is. */
export const isText = (value: unknown): value is string => typeof value === 'string' && !value.includes('\0');
/** As the addon takes a list. */
export const joined = (texts: readonly string[]): string => texts.map((text) => `${text}\0`).join('');

const COVERAGE = 'NODE_V8_COVERAGE';

/** As Node's own spawn makes it, with what is inherited, and with the coverage that spreads to every child. */
function environmentOf(env: unknown): string | undefined {
  if (env && typeof env !== 'object') return undefined;
  const given = env as NodeJS.ProcessEnv | undefined;
  const { [COVERAGE]: coverage } = process.env;
  const spreads = given && coverage && !Object.hasOwn(given, COVERAGE);
  let pairs = '';
  const from: NodeJS.ProcessEnv = given || process.env;
  for (const key in from) {
    const value: unknown = from[key];
    if (value === undefined || (spreads && key === COVERAGE)) continue;
    const pair = `${key}=${value}`;
    if (pair.includes('\0')) return undefined;
    pairs += `${pair}\0`;
  }
  return spreads ? `${pairs}${COVERAGE}=${coverage}\0` : pairs;
}

/** Empty: the one of this process. */
function directoryOf(cwd: unknown): string | undefined {
  if (cwd === undefined || cwd === null) return '';
  if (cwd instanceof URL) return cwd.protocol === 'file:' ? fileURLToPath(cwd) : undefined;
  const text = Buffer.isBuffer(cwd) ? cwd.toString() : cwd;
  return isText(text) ? text : undefined;
}

const isFlag = (value: unknown) => value === undefined || value === null || typeof value === 'boolean';

/** Where and with what a program starts, as Node's own spawn would have it. */
export interface Surroundings {
  environment: string;
  directory: string;
}

/** Undefined if only Node's own spawn knows, or says what is wrong. */
export function surroundingsOf(options: SpawnOptions): Surroundings | undefined {
  const { env, cwd, uid, gid, detached, serialization, windowsHide, windowsVerbatimArguments } = options;
  if ((uid ?? gid) !== undefined || ![detached, windowsHide, windowsVerbatimArguments].every(isFlag)) return undefined;
  if (![undefined, 'json', 'advanced'].includes(serialization)) return undefined;
  // With Node's permission model its own spawn has to say whether there may be a child at all.
  if ('permission' in process && process.permission !== undefined) return undefined;
  const environment = environmentOf(env);
  const directory = directoryOf(cwd);
  return environment === undefined || directory === undefined ? undefined : { environment, directory };
}

/** Node marks a stream whose descriptor it has given to another child: that one reads it. */
const isUsedAsStdio = (stream: object) =>
  Object.getOwnPropertySymbols(stream).some((symbol) => symbol.description === 'kIsUsedAsStdio');

/** A supervisor that the addon has started, with streams as Node gives them to a child, and the same order of events. */
export class Launched extends EventEmitter implements Inner {
  readonly pid: number;
  stdin: Socket | null = null;
  stdout: Socket | null = null;
  stderr: Socket | null = null;
  stdio = [] as unknown as ChildProcess['stdio'];
  readonly #child: NativeChild;
  /** Its exit, and the end of each stream but its input. */
  #awaited = 1;

  /** @throws A system error. */
  constructor(
    addon: Native,
    path: string,
    args: readonly string[],
    where: Surroundings,
    descriptors: number[],
    detached: boolean,
  ) {
    super();
    const { environment, directory } = where;
    this.#child = new addon.Child(
      path,
      joined([SUPERVISOR, ...args]),
      environment,
      directory,
      Int32Array.from(descriptors),
      detached,
      (code, signal) => this.#exited(code, signal),
    );
    this.pid = this.#child.pid;
    this.give(this.#child.takeEnds(), descriptors);
  }

  /** Streams on our ends of those among the descriptors. */
  give(ends: number[], descriptors: readonly number[]): void {
    try {
      const streams = descriptors.map((from, place) => (from === STREAM ? this.#stream(ends, place) : null));
      [this.stdin = null, this.stdout = null, this.stderr = null] = streams;
      this.stdio = streams as unknown as ChildProcess['stdio'];
    } catch (error) {
      for (const fd of ends) closeSync(fd);
      this.kill('SIGKILL');
      throw error;
    }
  }

  #stream(ends: number[], place: number): Socket {
    const socket = new Socket({ fd: ends[0] as number, readable: place > 0 });
    ends.shift();
    if (place > 0) {
      this.#awaited++;
      socket.on('close', () => this.#closed());
    }
    return socket;
  }

  kill(signal: NodeJS.Signals | number): boolean {
    return this.#child.kill(signalNumber(signal));
  }

  ref(): void {
    this.#child.ref();
  }

  unref(): void {
    this.#child.unref();
  }

  #exited(code: number, signal: number): void {
    this.stdin?.destroy();
    if (signal > 0) this.emit('exit', null, signalName(signal));
    else this.emit('exit', code, null);
    // Output that nobody reads must not keep its stream from closing; in this tick somebody still may.
    process.nextTick(() => {
      for (const stream of this.stdio as (Socket | null)[]) {
        if (stream?.readable && !isUsedAsStdio(stream)) stream.resume();
      }
    });
    this.#closed();
  }

  #closed(): void {
    this.#awaited--;
    if (this.#awaited === 0) this.emit('close');
  }
}
