// A process or a thread that is stopped to be looked at.
import { constants } from 'node:os';
import { HoldfastError, type HoldfastErrorCode } from '../errors.ts';
import type { FieldWriter } from '../native/fields.ts';
import type { NativeRecord } from '../native/native.ts';
import { number, own, text } from '../native/records.ts';
import { shown } from '../policy/check.ts';
import { type Registers, type RegisterValues, readRegisters, registerProblem, writeRegisters } from './registers.ts';
import { RequestRefused } from './requests.ts';

/** A mapping of a process, as proc(5) has it. */
export interface Mapping {
  /** The first address, and the first one behind it. */
  readonly start: bigint;
  readonly end: bigint;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly executable: boolean;
  /** Changes are seen by whoever has it mapped, too. */
  readonly shared: boolean;
  /** Of the file, in bytes. */
  readonly offset: bigint;
  readonly inode: number;
  /** The file's path, `[stack]` and the like, or empty. */
  readonly path: string;
}

/** What a thread was doing when it was stopped. */
export interface ThreadState {
  readonly registers: Registers;
  /** Floating-point and vector registers: NT_FPREGSET of ptrace(2), 512 bytes on x86_64 (FXSAVE), 528 on aarch64. */
  readonly floatingPoint: Buffer;
  /** The system call in which it was stopped, or which it has just ended. */
  readonly syscall: string | undefined;
}

type Ask = (kind: string, fill: (fields: FieldWriter) => void) => Promise<NativeRecord[]>;

/** Bytes of one request (native/engine/inspecting.cc: kMostMemory). */
const MOST_AT_ONCE = 1 << 20;
/** Of one call: what a Buffer may be without harm. */
const MOST = 1 << 28;
const ADDRESSES = 1n << 64n;

const codes: ReadonlyMap<number, HoldfastErrorCode> = new Map([
  [constants.errno.ESRCH, 'ERR_HOLDFAST_THREAD_GONE'],
  [constants.errno.EPERM, 'ERR_HOLDFAST_NOT_STOPPED'],
  [constants.errno.EBUSY, 'ERR_HOLDFAST_THREAD_BUSY'],
  [constants.errno.EFAULT, 'ERR_HOLDFAST_BAD_ADDRESS'],
]);

/** What the supervisor would not do, as an error of this library's own. */
export function inspectionError(error: unknown): unknown {
  if (!(error instanceof RequestRefused)) return error;
  const code = codes.get(error.errno) ?? 'ERR_HOLDFAST_INSPECT';
  return new HoldfastError(code, error.message, { errno: -error.errno });
}

function invalid(field: string, value: unknown, problem: string): HoldfastError {
  return new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', `${field}: ${shown(value)} ${problem}`);
}

function checkAddress(address: unknown): bigint {
  const whole = typeof address === 'number' && Number.isSafeInteger(address) ? BigInt(address) : address;
  if (typeof whole === 'bigint' && whole >= 0n && whole < ADDRESSES) return whole;
  throw invalid('address', address, 'must be an address: a bigint, or a whole number, of 64 bits');
}

/**
 * A process, or one of its threads, that stands still until this is released: by `using`, `await using`, or
 * {@link release}. Made by `child.inspect()`.
 */
export class Inspection {
  /** The process. */
  readonly pid: number;
  /** The threads that stand still; of a process, its first one comes first. */
  readonly tids: readonly number[];
  readonly #ask: Ask;
  readonly #stop: number;
  #released: Promise<void> | undefined;

  /** @internal */
  constructor(record: NativeRecord, tid: number, ask: Ask) {
    const threads = own(record, 'threadIds');
    this.pid = number(record, 'pid');
    this.tids = [tid, ...(Array.isArray(threads) ? (threads as number[]).filter((one) => one !== tid) : [])];
    this.#stop = number(record, 'inspection');
    this.#ask = ask;
  }

  async #asked(kind: string, tid: number | undefined, fill: (fields: FieldWriter) => void = () => {}) {
    if (tid !== undefined && !this.tids.includes(tid)) {
      throw invalid('tid', tid, `is no thread of this inspection: it has ${this.tids.join(', ')}`);
    }
    if (this.#released !== undefined) {
      throw new HoldfastError('ERR_HOLDFAST_NOT_STOPPED', `${this.pid} goes on: this inspection was released`);
    }
    try {
      return await this.#ask(kind, (fields) => {
        fields.number('inspection', this.#stop).number('tid', tid ?? (this.tids[0] as number));
        fill(fields);
      });
    } catch (error) {
      throw inspectionError(error);
    }
  }

  /** Registers of a thread, and its call. Without `tid`: of the first one. */
  async state(tid?: number): Promise<ThreadState> {
    const [record] = (await this.#asked('registers', tid)) as [NativeRecord];
    return {
      registers: readRegisters(own(record, 'general') as Buffer),
      floatingPoint: own(record, 'floating') as Buffer,
      syscall: text(record, 'syscall') || undefined,
    };
  }

  /**
   * Sets registers of a thread; what is not named stays.
   * @throws (by the promise) `ERR_HOLDFAST_INVALID_OPTION`, `ERR_HOLDFAST_THREAD_GONE`; `ERR_HOLDFAST_THREAD_BUSY` while a
   * call of it is being decided; `ERR_HOLDFAST_INSPECT` if the kernel takes no such values.
   */
  async setRegisters(values: RegisterValues, tid?: number): Promise<void> {
    if (typeof values !== 'object' || values === null) throw invalid('registers', values, 'must be an object');
    const given: Record<string, unknown> = { ...values };
    const problem = registerProblem(given);
    if (problem !== undefined) throw invalid(`registers.${problem[0]}`, given[problem[0]], problem[1]);
    const [record] = (await this.#asked('registers', tid)) as [NativeRecord];
    const bytes = writeRegisters(own(record, 'general') as Buffer, given);
    await this.#asked('setRegisters', tid, (fields) => fields.bytes('general', bytes));
  }

  /** Sets the floating-point registers, all of them, in the form in which {@link state} gives them. */
  async setFloatingPoint(bytes: Uint8Array, tid?: number): Promise<void> {
    if (!(bytes instanceof Uint8Array)) throw invalid('bytes', bytes, 'must be a Uint8Array');
    const { floatingPoint } = await this.state(tid);
    if (bytes.length !== floatingPoint.length) {
      throw invalid('bytes', bytes.length, `must be as many as there are: ${floatingPoint.length}`);
    }
    await this.#asked('setRegisters', tid, (fields) => fields.bytes('floating', bytes));
  }

  /**
   * Memory of the process, `length` bytes from `address` on; all or nothing.
   * @throws (by the promise) `ERR_HOLDFAST_BAD_ADDRESS`, with the first address that cannot be read.
   */
  async readMemory(address: bigint | number, length: number): Promise<Buffer> {
    const start = checkAddress(address);
    if (!Number.isInteger(length) || length < 0 || length > MOST) {
      throw invalid('length', length, `must be a number of bytes from 0 to ${MOST}`);
    }
    const parts: Buffer[] = [];
    for (let done = 0; done < length; done += MOST_AT_ONCE) {
      const size = Math.min(MOST_AT_ONCE, length - done);
      const records = await this.#asked('inspectedMemory', undefined, (fields) =>
        fields.big('memoryAddress', start + BigInt(done)).number('size', size),
      );
      parts.push(...bytesOf(records));
    }
    return Buffer.concat(parts);
  }

  /**
   * Writes to the process's memory, also where it may only read or execute itself: then it gets a copy of its own of that
   * page.
   * @throws (by the promise) `ERR_HOLDFAST_BAD_ADDRESS`, with the first address that cannot be written; what is before it is.
   */
  async writeMemory(address: bigint | number, bytes: Uint8Array): Promise<void> {
    const start = checkAddress(address);
    if (!(bytes instanceof Uint8Array)) throw invalid('bytes', bytes, 'must be a Uint8Array');
    for (let done = 0; done < bytes.length; done += MOST_AT_ONCE) {
      const part = bytes.subarray(done, done + MOST_AT_ONCE);
      await this.#asked('setMemory', undefined, (fields) =>
        fields.big('memoryAddress', start + BigInt(done)).bytes('memory', part),
      );
    }
  }

  /** The mappings of the process, by their addresses. */
  async mappings(): Promise<Mapping[]> {
    const records = await this.#asked('mappings', undefined);
    const lines = Buffer.concat(bytesOf(records)).toString().split('\n');
    return lines.filter((line) => line !== '').map(mappingOf);
  }

  /** Lets it go on. Resolves when it does. */
  release(): Promise<void> {
    this.#released ??= this.#ask('endInspection', (fields) => fields.number('inspection', this.#stop)).then(
      () => {},
      () => {}, // there is nobody any more
    );
    return this.#released;
  }

  [Symbol.dispose](): void {
    void this.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

function bytesOf(records: readonly NativeRecord[]): Buffer[] {
  return records.map((record) => own(record, 'memory')).filter((part): part is Buffer => Buffer.isBuffer(part));
}

/** `00400000-00452000 r-xp 00001000 08:02 173521  /usr/bin/dbus`; a newline in a name is written \012. */
function mappingOf(line: string): Mapping {
  const [, start = '', end = '', rights = '', offset = '', inode = '', path = ''] =
    /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) \S+ (\d+) *(.*)$/.exec(line) ?? [];
  return {
    start: BigInt(`0x${start}`),
    end: BigInt(`0x${end}`),
    readable: rights[0] === 'r',
    writable: rights[1] === 'w',
    executable: rights[2] === 'x',
    shared: rights[3] === 's',
    offset: BigInt(`0x${offset}`),
    inode: Number(inode),
    path: path.replaceAll('\\012', '\n'),
  };
}
