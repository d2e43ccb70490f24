// What a hook can ask about who makes its call: methods of each call that it is given.
import { HoldfastError } from '../errors.ts';
import type { FieldWriter } from '../native/fields.ts';
import type { NativeRecord } from '../native/native.ts';
import { nested, own, text } from '../native/records.ts';
import { shown } from '../policy/check.ts';
import type { Ancestor, Caller } from './families/common.ts';
import type { ExecCaller } from './families/exec.ts';

/** Asks the supervisor. Rejects with an error that has a positive `errno` where it refuses. */
export type Ask = (kind: string, fill: (fields: FieldWriter) => void) => Promise<NativeRecord[]>;

/** Where a call waits for its answer. */
export interface Place {
  readonly slot: number;
  readonly generation: number;
  /** Of an exec: where the list of its environment stands in the caller's memory. */
  readonly environment?: number | undefined;
}

interface Asker {
  readonly pid: number;
  readonly tid: number;
}

const ESRCH = 3;
/** The most that one answer carries (native/engine/processes.cc), and the most that is read at once. */
const MOST_IN_PART = 32768;
const MOST = 1 << 20;
const MAX_ADDRESS = 2n ** 64n - 1n;

function gone(what: string): HoldfastError {
  return new HoldfastError('ERR_HOLDFAST_CALL_GONE', `${what}: the call is not held any more, or its thread has ended`);
}

function translate(error: unknown, what: string): unknown {
  const errno = (error as { errno?: unknown } | null)?.errno;
  if (errno === ESRCH || (error as { code?: unknown } | null)?.code === 'ERR_HOLDFAST_NOT_RUNNING') return gone(what);
  if (typeof errno !== 'number' || error instanceof HoldfastError) return error;
  return new HoldfastError('ERR_HOLDFAST_MEMORY', `${what}: ${(error as Error).message}`, { errno: -errno });
}

function checkedAddress(address: unknown): bigint {
  const valid =
    typeof address === 'bigint'
      ? address >= 0n && address <= MAX_ADDRESS
      : Number.isSafeInteger(address) && Number(address) >= 0;
  if (!valid) {
    throw new HoldfastError(
      'ERR_HOLDFAST_INVALID_OPTION',
      `readMemory(): address: ${shown(address)} must be a whole number from 0 on, above 2^53 a bigint`,
    );
  }
  return BigInt(address as number | bigint);
}

function checkedLength(length: unknown): number {
  if (!Number.isInteger(length) || Number(length) < 1 || Number(length) > MOST) {
    throw new HoldfastError(
      'ERR_HOLDFAST_INVALID_OPTION',
      `readMemory(): length: ${shown(length)} must be a whole number from 1 to ${MOST}`,
    );
  }
  return length as number;
}

/**
 * The methods of one sandbox's calls, not enumerable: a call is a plain object of what it is about. Where it waits stands in
 * `places`.
 */
export function callerMethods(ask: Ask, places: WeakMap<object, Place>): PropertyDescriptorMap {
  const methods: Caller & ThisType<Asker> = {
    async cwd() {
      try {
        const [told] = await ask('directory', (fields) => fields.number('tid', this.tid));
        return text(told as NativeRecord, 'path');
      } catch (error) {
        throw translate(error, 'cwd()');
      }
    },
    async ancestry() {
      try {
        const parts = await ask('ancestry', (fields) => fields.number('pid', this.pid));
        return parts.flatMap((part) => nested(part, 'process').map(ancestor));
      } catch (error) {
        throw translate(error, 'ancestry()');
      }
    },
    async readMemory(address, length) {
      const from = checkedAddress(address);
      const size = checkedLength(length);
      const place = places.get(this);
      if (place === undefined) throw gone('readMemory()');
      try {
        return await read(ask, place, this.tid, from, size);
      } catch (error) {
        throw translate(error, 'readMemory()');
      }
    },
  };
  return Object.fromEntries(Object.entries(methods).map(([name, value]) => [name, { value }]));
}

/** What an exec's call has besides. */
export function execMethods(ask: Ask, places: WeakMap<object, Place>): PropertyDescriptorMap {
  const methods: ExecCaller & ThisType<Asker> = {
    async env() {
      const place = places.get(this);
      if (place === undefined) throw gone('env()');
      if (!place.environment) return {};
      try {
        return await environmentAt(ask, place, this.tid);
      } catch (error) {
        throw translate(error, 'env()');
      }
    },
  };
  return { env: { value: methods.env } };
}

async function read(ask: Ask, place: Place, tid: number, from: bigint, size: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let at = 0; at < size; at += MOST_IN_PART) {
    const [told] = await ask('memory', (fields) =>
      fields
        .number('slot', place.slot)
        .number('generation', place.generation)
        .number('tid', tid)
        .big('place', from + BigInt(at))
        .number('length', Math.min(MOST_IN_PART, size - at)),
    );
    parts.push(own(told as NativeRecord, 'memory') as Buffer);
  }
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}

const PAGE = 4096n;
/** What the kernel takes for arguments and environment together, at most (execve(2)). */
const MOST_ENVIRONMENT = 6 << 20;

/** Memory page by page, as far as it is asked for: what is behind the end of it need not be there. */
class Pages {
  readonly #read: (from: bigint, size: number) => Promise<Buffer>;
  readonly #pages = new Map<bigint, Buffer>();

  constructor(read: (from: bigint, size: number) => Promise<Buffer>) {
    this.#read = read;
  }

  /** From an address to the end of its page. */
  async from(address: bigint): Promise<Buffer> {
    const page = address - (address % PAGE);
    let bytes = this.#pages.get(page);
    if (bytes === undefined) {
      if (this.#pages.size * Number(PAGE) > MOST_ENVIRONMENT)
        throw new HoldfastError('ERR_HOLDFAST_MEMORY', 'env(): it is longer than the kernel takes');
      bytes = await this.#read(page, Number(PAGE));
      this.#pages.set(page, bytes);
    }
    return bytes.subarray(Number(address - page));
  }
}

async function environmentAt(ask: Ask, place: Place, tid: number): Promise<Record<string, string>> {
  const pages = new Pages((from, size) => read(ask, place, tid, from, size));
  const environment: Record<string, string> = Object.create(null);
  for (let at = BigInt(place.environment ?? 0); ; at += 8n) {
    let word = await pages.from(at);
    if (word.length < 8) word = Buffer.concat([word, await pages.from(at + BigInt(word.length))]);
    const pointer = word.readBigUInt64LE(0);
    if (pointer === 0n) return environment;
    const parts: Buffer[] = [];
    for (let from = pointer; ; ) {
      const part = await pages.from(from);
      const end = part.indexOf(0);
      parts.push(end < 0 ? part : part.subarray(0, end));
      if (end >= 0) break;
      from += BigInt(part.length);
    }
    const entry = Buffer.concat(parts).toString();
    const equals = entry.indexOf('=', 1);
    // As in the shells, the first of a name counts; what has no `=` is no variable.
    if (equals > 0) environment[entry.slice(0, equals)] ??= entry.slice(equals + 1);
  }
}

function ancestor(record: NativeRecord): Ancestor {
  const argv = own(record, 'argv');
  return {
    pid: Number(own(record, 'pid')),
    executable: text(record, 'executable'),
    argv: Array.isArray(argv) ? (argv as string[]) : [],
    argvCut: own(record, 'more') === 1,
  };
}
