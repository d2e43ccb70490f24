// What calls write into their caller's memory, where a hook may answer for them: the kernel's own layouts, which are the
// same on both architectures.
import { inspect } from 'node:util';
import { didYouMean } from '../policy/nearest.ts';
import type { SyscallName } from '../policy/syscall-table.ts';

/** `uname`: texts of at most 64 bytes. */
export interface UnameFields {
  sysname?: string;
  nodename?: string;
  release?: string;
  version?: string;
  machine?: string;
  domainname?: string;
}

/** `sysinfo`, by the names of sysinfo(2). */
export interface SysinfoFields {
  /** Seconds. */
  uptime?: number;
  /** Of 1, 5 and 15 minutes, as `uptime` shows them. */
  loads?: readonly [number, number, number];
  totalram?: number | bigint;
  freeram?: number | bigint;
  sharedram?: number | bigint;
  bufferram?: number | bigint;
  totalswap?: number | bigint;
  freeswap?: number | bigint;
  procs?: number;
  totalhigh?: number | bigint;
  freehigh?: number | bigint;
  mem_unit?: number;
}

/** `clock_gettime`. */
export interface ClockFields {
  seconds?: number | bigint;
  /** 0 to 999 999 999. */
  nanoseconds?: number;
}

/** `gettimeofday`. */
export interface TimeFields {
  seconds?: number | bigint;
  /** 0 to 999 999. */
  microseconds?: number;
}

/** `times`, in ticks of the clock (`getconf CLK_TCK`). */
export interface TimesFields {
  utime?: number | bigint;
  stime?: number | bigint;
  cutime?: number | bigint;
  cstime?: number | bigint;
}

/** `getrusage`, by the names of getrusage(2) without `ru_`; times in seconds. */
export interface RusageFields {
  utime?: number;
  stime?: number;
  maxrss?: number | bigint;
  ixrss?: number | bigint;
  idrss?: number | bigint;
  isrss?: number | bigint;
  minflt?: number | bigint;
  majflt?: number | bigint;
  nswap?: number | bigint;
  inblock?: number | bigint;
  oublock?: number | bigint;
  msgsnd?: number | bigint;
  msgrcv?: number | bigint;
  nsignals?: number | bigint;
  nvcsw?: number | bigint;
  nivcsw?: number | bigint;
}

/** `getcpu`. */
export interface CpuFields {
  cpu?: number;
  node?: number;
}

/** What `respond({ … })` takes, by call. A field that is not named keeps what the kernel has written. */
export interface SyscallStructs {
  uname: UnameFields;
  sysinfo: SysinfoFields;
  clock_gettime: ClockFields;
  gettimeofday: TimeFields;
  times: TimesFields;
  getrusage: RusageFields;
  getcpu: CpuFields;
}

/** Bytes for the caller's memory: at a pointer argument and so far behind it. */
export interface Patch {
  argument: number;
  offset: number;
  bytes: Uint8Array;
}

/** A field's value as bytes; undefined if it is none. */
type Encode = (value: unknown) => Uint8Array | undefined;

interface Field {
  argument: number;
  offset: number;
  encode: Encode;
  takes: string;
}

const whole = (value: unknown): bigint | undefined => {
  if (typeof value === 'bigint') return value;
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : undefined;
};

function integer(low: bigint, high: bigint, size: 2 | 4 | 8): Encode {
  return (value) => {
    const number = whole(value);
    if (number === undefined || number < low || number > high) return undefined;
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(number);
    return bytes.subarray(0, size);
  };
}

const MOST = 0x7fff_ffff_ffff_ffffn;

function text(value: unknown): Uint8Array | undefined {
  if (typeof value !== 'string' || value.includes('\0') || Buffer.byteLength(value) > 64) return undefined;
  const bytes = Buffer.alloc(65);
  bytes.write(value);
  return bytes;
}

function timeval(value: unknown): Uint8Array | undefined {
  if (typeof value !== 'number' || !(value >= 0) || value > 1e12) return undefined;
  const bytes = Buffer.alloc(16);
  const micros = Math.round(value * 1e6);
  bytes.writeBigInt64LE(BigInt(Math.floor(micros / 1e6)), 0);
  bytes.writeBigInt64LE(BigInt(micros % 1e6), 8);
  return bytes;
}

function loads(value: unknown): Uint8Array | undefined {
  if (!Array.isArray(value) || value.length !== 3) return undefined;
  const bytes = Buffer.alloc(24);
  for (const [i, load] of value.entries()) {
    if (typeof load !== 'number' || !(load >= 0) || load > 1e9) return undefined;
    bytes.writeBigUInt64LE(BigInt(Math.round(load * 65536)), i * 8);
  }
  return bytes;
}

const number = (argument: number, offset: number): Field => ({
  argument,
  offset,
  encode: integer(0n, MOST, 8),
  takes: 'an integer, not below 0',
});
const numbers = (argument: number, first: number, names: string): [string, Field][] =>
  names.split(' ').map((name, i) => [name, number(argument, first + i * 8)]);
const part = (argument: number, offset: number, most: bigint): Field => ({
  argument,
  offset,
  encode: integer(0n, most, 8),
  takes: `an integer from 0 to ${most}`,
});
const small = (argument: number, offset: number, size: 2 | 4): Field => ({
  argument,
  offset,
  encode: integer(0n, size === 2 ? 0xffffn : 0xffff_ffffn, size),
  takes: `an integer of ${size * 8} bits`,
});

const structs: Readonly<Record<keyof SyscallStructs, Readonly<Record<string, Field>>>> = {
  uname: Object.fromEntries(
    ['sysname', 'nodename', 'release', 'version', 'machine', 'domainname'].map((name, i) => [
      name,
      { argument: 0, offset: i * 65, encode: text, takes: 'text of at most 64 bytes without NUL' },
    ]),
  ),
  sysinfo: Object.fromEntries([
    ['uptime', number(0, 0)],
    ['loads', { argument: 0, offset: 8, encode: loads, takes: 'three numbers' }],
    ...numbers(0, 32, 'totalram freeram sharedram bufferram totalswap freeswap'),
    ['procs', small(0, 80, 2)],
    ...numbers(0, 88, 'totalhigh freehigh'),
    ['mem_unit', small(0, 104, 4)],
  ]),
  clock_gettime: { seconds: number(1, 0), nanoseconds: part(1, 8, 999_999_999n) },
  gettimeofday: { seconds: number(0, 0), microseconds: part(0, 8, 999_999n) },
  times: Object.fromEntries(numbers(0, 0, 'utime stime cutime cstime')),
  getrusage: Object.fromEntries([
    ['utime', { argument: 1, offset: 0, encode: timeval, takes: 'seconds, not below 0' }],
    ['stime', { argument: 1, offset: 16, encode: timeval, takes: 'seconds, not below 0' }],
    ...numbers(
      1,
      32,
      'maxrss ixrss idrss isrss minflt majflt nswap inblock oublock msgsnd msgrcv nsignals nvcsw nivcsw',
    ),
  ]),
  getcpu: { cpu: small(0, 0, 4), node: small(1, 0, 4) },
};

export const hasStruct = (call: SyscallName): call is keyof SyscallStructs => Object.hasOwn(structs, call);

/** What is wrong with an answer; the text goes on after the call's name. */
export class StructProblem extends Error {}

export function patchesOf(call: keyof SyscallStructs, fields: Readonly<Record<string, unknown>>): Patch[] {
  const known = structs[call];
  const patches: Patch[] = [];
  for (const [name, value] of Object.entries(fields)) {
    const field = Object.hasOwn(known, name) ? known[name] : undefined;
    if (field === undefined) {
      const all = Object.keys(known);
      throw new StructProblem(`${name} is no field of ${call} (${all.join(', ')})${didYouMean(name, all)}`);
    }
    if (value === undefined) continue;
    const bytes = field.encode(value);
    if (bytes === undefined) throw new StructProblem(`${name}: ${inspect(value)} is not ${field.takes}`);
    patches.push({ argument: field.argument, offset: field.offset, bytes });
  }
  return patches;
}

/** As native/policy/call_rules.cc reads it. With `runs` the kernel's own call comes first. */
export function encodeResponse(runs: boolean, value: bigint, patches: readonly Patch[]): Uint8Array {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(Number(runs), 0);
  head.writeUInt32LE(patches.length, 4);
  head.writeBigInt64LE(BigInt.asIntN(64, value), 8);
  const parts: Uint8Array[] = [head];
  for (const { argument, offset, bytes } of patches) {
    const place = Buffer.alloc(12);
    place.writeUInt32LE(argument, 0);
    place.writeUInt32LE(offset, 4);
    place.writeUInt32LE(bytes.length, 8);
    parts.push(place, bytes);
  }
  return Buffer.concat(parts);
}
