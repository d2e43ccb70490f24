// Rules on raw system calls, and filters of hooks on them: what is written, checked, and made ready for the supervisor.
import { errnoNumber, isKnownErrno } from '../errors.ts';
import { shown } from './check.ts';
import { allGroups, constantsOf, groupsFor } from './constants.ts';
import { didYouMean } from './nearest.ts';
import { type OpenedSyscall, openedSyscalls, type SyscallName, syscallTable } from './syscall-table.ts';

/** A number, or constants of the kernel's by name: `'AF_NETLINK'`, `'O_WRONLY|O_CREAT'`. */
export type ArgumentValue = number | bigint | string;

interface Comparisons {
  equals: ArgumentValue;
  not: ArgumentValue;
  oneOf: readonly ArgumentValue[];
  noneOf: readonly ArgumentValue[];
  /** Of the bits in `mask`, exactly those in `value` are set. */
  maskedEquals: { mask: ArgumentValue; value: ArgumentValue };
  maskedNot: { mask: ArgumentValue; value: ArgumentValue };
  less: ArgumentValue;
  lessOrEqual: ArgumentValue;
  greater: ArgumentValue;
  greaterOrEqual: ArgumentValue;
  /** Both included. */
  range: readonly [low: ArgumentValue, high: ArgumentValue];
  notRange: readonly [low: ArgumentValue, high: ArgumentValue];
}

/**
 * A comparison of one argument, as the kernel reads it: an `int` by its low 32 bits, whatever the register holds above
 * them; an address, a length or a `long` by all 64. Values are unsigned; a negative one stands for its bits.
 */
export type ArgumentComparison = {
  [K in keyof Comparisons]: {
    /** Place of the argument, from 0 on. */
    index: 0 | 1 | 2 | 3 | 4 | 5;
  } & { [P in K]: Comparisons[P] } & { [P in Exclude<keyof Comparisons, K>]?: never };
}[keyof Comparisons];

/** Which calls are meant. */
export interface SyscallFilter {
  /** All must hold. */
  args?: readonly ArgumentComparison[];
}

interface SyscallMatch extends SyscallFilter {
  /** The call's name, or its number on this machine. */
  call: SyscallName | number;
}

/** What becomes of a call that matches. */
export type SyscallRule =
  | (SyscallMatch & {
      /** It fails, and does not run. The default. */
      action?: 'errno';
      /** Name or positive number. Default: `'EPERM'`. */
      errno?: string | number;
    })
  | (SyscallMatch & {
      /**
       * `'kill'`: its process is ended by SIGKILL. `'trap'`: its thread gets SIGSYS, as by seccomp, and may handle it.
       * `'log'`: the event `syscall` tells of it, and it goes on as if there were no such rule.
       */
      action: 'kill' | 'trap' | 'log';
      errno?: never;
    });

/** Rules on raw system calls. But for `allow`, they only narrow what the policy gives otherwise. */
export interface SyscallPolicy {
  /** The first that matches and is no `'log'` decides. A call's name alone refuses it with `EPERM`. */
  deny?: readonly (SyscallName | number | SyscallRule)[];
  /** No other calls than these. What else the policy says of them holds as ever. The command's own exec is not asked. */
  only?: readonly SyscallName[];
  /** What becomes of calls that `only` does not name: an errno, or `'kill'`. Default: `'EPERM'`. */
  otherwise?: string;
  /**
   * Calls that the [table](docs/syscalls.md) refuses and that a policy may open: a short list, with what each means. What
   * `deny`, `only` and hooks say of them comes before.
   */
  allow?: readonly (OpenedSyscall | number | ({ call: OpenedSyscall | number } & SyscallFilter))[];
}

/** What libraries ask the vDSO in place of (native/policy/call_rules.cc). */
export const timeCalls: ReadonlySet<string> = new Set(['clock_gettime', 'getcpu', 'gettimeofday', 'time']);

/** native/policy/call_rules.h: CallAction. */
export const callActions = { errno: 1, trap: 2, kill: 3, log: 4, hook: 5, allow: 6 } as const;

/** As the supervisor takes it. */
export interface CallRule {
  call: string;
  action: number;
  /** 0: none. */
  errno: number;
  label: string;
  tests: Uint8Array;
  named?: true;
}

export interface SyscallRow {
  readonly name: SyscallName;
  /** On this machine; undefined where only the other architecture has it. */
  readonly number: number | undefined;
  readonly way: string;
  readonly kinds: readonly string[];
  /** Of each argument: whether all 64 bits count. */
  readonly wide: readonly boolean[];
}

let rows: Map<string, SyscallRow> | undefined;

/** The table by name, read when it is first needed. */
export function syscallRows(): ReadonlyMap<string, SyscallRow> {
  if (rows !== undefined) return rows;
  rows = new Map();
  const column = process.arch === 'arm64' ? 2 : 1;
  for (const line of syscallTable.trim().split('\n')) {
    const words = line.split(' ');
    const kinds = words.slice(4);
    const name = words[0] as SyscallName;
    const number = words[column] === '-' ? undefined : Number(words[column]);
    rows.set(name, {
      name,
      number,
      way: words[3] ?? '',
      kinds: kinds.map((kind) => kind.replace('*', '')),
      wide: kinds.map((kind) => kind.endsWith('*')),
    });
  }
  return rows;
}

/** Something is wrong with a rule or a filter; the field is below that of whoever asked. */
export class SyscallProblem extends Error {
  readonly field: string;
  readonly value: unknown;

  constructor(field: string, value: unknown, message: string) {
    super(message);
    this.field = field;
    this.value = value;
  }
}

export function rowOf(call: unknown, field: string): SyscallRow {
  const known = syscallRows();
  if (typeof call === 'number') {
    for (const row of known.values()) if (row.number === call) return row;
    throw new SyscallProblem(field, call, 'is the number of no system call of this machine');
  }
  const row = typeof call === 'string' ? known.get(call) : undefined;
  if (row === undefined) {
    throw new SyscallProblem(field, call, `is the name of no system call${didYouMean(call, known.keys())}`);
  }
  return row;
}

const WHOLE = 0xffff_ffff_ffff_ffffn;
const LOW = 0xffff_ffffn;

function constant(word: string, row: SyscallRow, index: number, field: string): bigint {
  const groups = groupsFor(row.name, index, row.kinds[index] ?? '');
  for (const group of groups) {
    const value = constantsOf(group).get(word);
    if (value !== undefined) return BigInt(value);
  }
  const sensible = groups.flatMap((group) => [...constantsOf(group).keys()]);
  if (sensible.length === 0) {
    const everywhere = allGroups().some((group) => constantsOf(group).has(word));
    throw new SyscallProblem(
      field,
      word,
      `is refused: argument ${index} of ${row.name} has no constants by name${everywhere ? '; give its number' : ''}`,
    );
  }
  throw new SyscallProblem(
    field,
    word,
    `is no constant of argument ${index} of ${row.name}${didYouMean(word, sensible)}`,
  );
}

/** The bits of a value, as wide as the argument. */
function bitsOf(value: unknown, row: SyscallRow, index: number, field: string, signed: boolean): bigint {
  const most = row.wide[index] ? WHOLE : LOW;
  const width = row.wide[index] ? 64 : 32;
  let bits: bigint;
  if (typeof value === 'string') {
    bits = 0n;
    for (const word of value.split('|')) bits |= constant(word.trim(), row, index, field);
  } else if (typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value))) {
    bits = BigInt(value);
  } else {
    const problem =
      typeof value === 'number'
        ? 'is no integer that a number holds exactly: give a bigint'
        : 'must be a number, a bigint or a constant by name';
    throw new SyscallProblem(field, value, problem);
  }
  if (bits < 0n) {
    if (!signed) throw new SyscallProblem(field, value, 'is refused: comparisons are unsigned, and it is below 0');
    if (bits >= -(1n << BigInt(width - 1))) return BigInt.asUintN(width, bits);
  } else if (bits <= most) return bits;
  throw new SyscallProblem(
    field,
    value,
    `does not fit: the kernel reads ${width} bits of argument ${index} of ${row.name}`,
  );
}

interface Test {
  negated: boolean;
  mask: bigint;
  ranges: [low: bigint, high: bigint][];
}

export const comparisons = [
  'equals',
  'not',
  'oneOf',
  'noneOf',
  'maskedEquals',
  'maskedNot',
  'less',
  'lessOrEqual',
  'greater',
  'greaterOrEqual',
  'range',
  'notRange',
] as const;
/** What a rule's parts may be called, for checks of what is inherited. */
export const syscallFields: readonly string[] = [
  'call',
  'args',
  'action',
  'errno',
  'index',
  'mask',
  'value',
  'only',
  'otherwise',
  'allow',
  ...comparisons,
];

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function onlyKeys(value: Record<string, unknown>, known: readonly string[], field: string): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    const here = field === '' ? key : `${field}.${key}`;
    throw new SyscallProblem(here, value[key], `is no key here: it has ${known.join(', ')}${didYouMean(key, known)}`);
  }
}

function testOf(row: SyscallRow, given: unknown, field: string): { index: number; test: Test } {
  if (!isObject(given)) throw new SyscallProblem(field, given, 'must be { index, and a comparison }');
  onlyKeys(given, ['index', ...comparisons], field);
  const { index } = given;
  if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index > 5) {
    throw new SyscallProblem(`${field}.index`, index, 'must be the place of an argument, 0 to 5');
  }
  if (index >= row.kinds.length) {
    const count = row.kinds.length === 0 ? 'no arguments' : `the arguments 0 to ${row.kinds.length - 1}`;
    throw new SyscallProblem(`${field}.index`, index, `is refused: ${row.name} has ${count}`);
  }
  const used = comparisons.filter((name) => given[name] !== undefined);
  const [name] = used;
  if (name === undefined || used.length > 1) {
    const what = name === undefined ? 'has no comparison' : `has several comparisons (${used.join(', ')})`;
    throw new SyscallProblem(field, given, `${what}: it takes one of ${comparisons.join(', ')}`);
  }
  const here = `${field}.${name}`;
  const most = row.wide[index] ? WHOLE : LOW;
  const value = (of: unknown, at = here, signed = true) => bitsOf(of, row, index, at, signed);
  const test: Test = { negated: false, mask: most, ranges: [] };
  const never = () => new SyscallProblem(here, given[name], 'never holds');
  switch (name) {
    case 'equals':
    case 'not': {
      const bits = value(given[name]);
      test.ranges.push([bits, bits]);
      test.negated = name === 'not';
      break;
    }
    case 'oneOf':
    case 'noneOf': {
      const list = given[name];
      if (!Array.isArray(list) || list.length === 0) throw new SyscallProblem(here, list, 'must be a list of values');
      for (const [i, of] of list.entries()) {
        const bits = value(of, `${here}[${i}]`);
        test.ranges.push([bits, bits]);
      }
      test.negated = name === 'noneOf';
      break;
    }
    case 'maskedEquals':
    case 'maskedNot': {
      const parts = given[name];
      if (!isObject(parts)) throw new SyscallProblem(here, parts, 'must be { mask, value }');
      onlyKeys(parts, ['mask', 'value'], here);
      test.mask = value(parts.mask, `${here}.mask`);
      const bits = value(parts.value, `${here}.value`);
      if (test.mask === 0n) throw new SyscallProblem(`${here}.mask`, parts.mask, 'has no bits');
      if ((bits & ~test.mask) !== 0n) {
        throw new SyscallProblem(`${here}.value`, parts.value, 'never holds: it has bits that are not in the mask');
      }
      test.ranges.push([bits, bits]);
      test.negated = name === 'maskedNot';
      break;
    }
    case 'less':
    case 'lessOrEqual': {
      const bits = value(given[name], here, false) - (name === 'less' ? 1n : 0n);
      if (bits < 0n) throw never();
      test.ranges.push([0n, bits]);
      break;
    }
    case 'greater':
    case 'greaterOrEqual': {
      const bits = value(given[name], here, false) + (name === 'greater' ? 1n : 0n);
      if (bits > most) throw never();
      test.ranges.push([bits, most]);
      break;
    }
    case 'range':
    case 'notRange': {
      const list = given[name];
      if (!Array.isArray(list) || list.length !== 2) throw new SyscallProblem(here, list, 'must be [low, high]');
      const low = value(list[0], `${here}[0]`);
      const high = value(list[1], `${here}[1]`);
      if (low > high)
        throw new SyscallProblem(here, list, 'is refused: the lower value comes first (they are unsigned)');
      test.ranges.push([low, high]);
      test.negated = name === 'notRange';
      break;
    }
  }
  return { index, test };
}

/** Comparisons as native/policy/config.cc reads them. */
export function testsOf(row: SyscallRow, args: unknown, field: string): Uint8Array {
  if (args === undefined) return new Uint8Array();
  if (!Array.isArray(args)) throw new SyscallProblem(field, args, 'must be a list of comparisons');
  const parts: Buffer[] = [];
  for (const [i, given] of args.entries()) {
    const { index, test } = testOf(row, given, `${field}[${i}]`);
    const bytes = Buffer.alloc(16 + test.ranges.length * 16);
    bytes.writeUInt8(index, 0);
    bytes.writeUInt8(Number(test.negated), 1);
    bytes.writeUInt32LE(test.ranges.length, 4);
    bytes.writeBigUInt64LE(test.mask, 8);
    for (const [j, [low, high]] of test.ranges.entries()) {
      bytes.writeBigUInt64LE(low, 16 + j * 16);
      bytes.writeBigUInt64LE(high, 24 + j * 16);
    }
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

/** The comparisons of a hook's filter. */
export function filterTests(row: SyscallRow, filter: unknown): Uint8Array {
  if (!isObject(filter)) throw new SyscallProblem('', filter, 'must be an object (it takes args)');
  onlyKeys(filter, ['args'], '');
  return testsOf(row, filter.args, 'args');
}

/** Calls that the supervisor makes a thread of the tree make (native/syscalls/rule.h). */
export const madeForTheTree: ReadonlySet<string> = new Set([
  'openat',
  'openat2',
  'mmap',
  'close',
  'sendmsg',
  'prctl',
  'seccomp',
]);
/** Those, and the command's own first one. */
const notTrapped: ReadonlySet<string> = new Set([...madeForTheTree, 'execve', 'execveat']);

function errnoOf(errno: unknown, field: string): number {
  const number = typeof errno === 'string' ? errnoNumber(errno) : errno;
  if (typeof number !== 'number' || !isKnownErrno(number)) {
    throw new SyscallProblem(field, errno, "is not an errno: give a name like 'ENOSYS' or its positive number");
  }
  return number;
}

const actions: readonly string[] = ['errno', 'kill', 'trap', 'log'];
const EPERM = 1;

function denial(given: unknown, label: string): CallRule {
  if (!isObject(given)) {
    return { call: rowOf(given, label).name, action: callActions.errno, errno: EPERM, label, tests: new Uint8Array() };
  }
  onlyKeys(given, ['call', 'args', 'action', 'errno'], label);
  const row = rowOf(given.call, `${label}.call`);
  const action = given.action === undefined ? 'errno' : given.action;
  if (typeof action !== 'string' || !actions.includes(action)) {
    const known = actions.map((name) => `'${name}'`).join(', ');
    throw new SyscallProblem(`${label}.action`, action, `must be one of ${known}${didYouMean(action, actions)}`);
  }
  if (action === 'trap' && notTrapped.has(row.name)) {
    const why = `is not possible for ${row.name}, which the supervisor makes for the tree, too: use 'errno' or 'kill'`;
    throw new SyscallProblem(`${label}.action`, action, why);
  }
  if (action !== 'errno' && given.errno !== undefined) {
    throw new SyscallProblem(`${label}.errno`, given.errno, `makes no sense with the action '${action}'`);
  }
  return {
    call: row.name,
    action: callActions[action as keyof typeof callActions],
    errno: action === 'errno' ? (given.errno === undefined ? EPERM : errnoOf(given.errno, `${label}.errno`)) : 0,
    label,
    tests: testsOf(row, given.args, `${label}.args`),
  };
}

/** Why no policy opens a call. */
const unopened: Readonly<Record<string, string>> = {
  let_by: 'is let by already: there is nothing to open',
  absent: 'is absent for every policy: libraries fall back by its errno',
  refuse: 'is refused for every policy: docs/syscalls.md says what could be reached by it',
};

function opening(given: unknown, label: string): CallRule {
  const long = isObject(given);
  if (long) onlyKeys(given, ['call', 'args'], label);
  const field = long ? `${label}.call` : label;
  const row = rowOf(long ? given.call : given, field);
  if (!(openedSyscalls as readonly string[]).includes(row.name)) {
    const why = unopened[row.way] ?? 'is decided by the rest of the policy (files, network, exec) and by hooks';
    throw new SyscallProblem(field, row.name, `${why}. Known is ${openedSyscalls.join(', ')}`);
  }
  const tests = long ? testsOf(row, given.args, `${label}.args`) : new Uint8Array();
  return { call: row.name, action: callActions.allow, errno: 0, label, tests };
}

/** A policy's own fields, from ownFields(), checked and made ready. The problem's field is below `policy`. */
export function callRules(given: unknown): CallRule[] {
  if (given === undefined) return [];
  if (!isObject(given))
    throw new SyscallProblem('syscalls', given, 'must be an object with deny, only, otherwise, allow');
  onlyKeys(given, ['deny', 'only', 'otherwise', 'allow'], 'syscalls');
  const { deny, only, otherwise, allow } = given;
  const made: CallRule[] = [];
  if (deny !== undefined && !Array.isArray(deny))
    throw new SyscallProblem('syscalls.deny', deny, 'must be a list of rules');
  for (const [i, rule] of (deny ?? []).entries()) made.push(denial(rule, `syscalls.deny[${i}]`));
  if (allow !== undefined && !Array.isArray(allow))
    throw new SyscallProblem('syscalls.allow', allow, 'must be a list of calls');
  for (const [i, rule] of (allow ?? []).entries()) made.push(opening(rule, `syscalls.allow[${i}]`));
  if (only === undefined) {
    if (otherwise !== undefined) throw new SyscallProblem('syscalls.otherwise', otherwise, 'says nothing without only');
    return made;
  }
  if (!Array.isArray(only)) throw new SyscallProblem('syscalls.only', only, 'must be a list of names of system calls');
  const named = new Set(only.map((name, i) => rowOf(name, `syscalls.only[${i}]`).name));
  const kills = otherwise === 'kill';
  const errno = kills ? 0 : otherwise === undefined ? EPERM : errnoOf(otherwise, 'syscalls.otherwise');
  const action = kills ? callActions.kill : callActions.errno;
  for (const { name, number, way } of syscallRows().values()) {
    // What is absent stays so: libraries fall back by its own errno.
    if (number === undefined || way === 'absent' || named.has(name)) continue;
    made.push({ call: name, action, errno, label: 'syscalls.only', tests: new Uint8Array() });
  }
  return made;
}

/**
 * Space that is taken without a write: no count of the kernel's has it. Programs take `EOPNOTSUPP` as a file system's word,
 * and write (posix_fallocate(3)); giving space back (`FALLOC_FL_PUNCH_HOLE`) stays.
 */
export function takingSpace(label: string): CallRule {
  const args = [{ index: 1, maskedEquals: { mask: 2, value: 0 } }];
  return denial({ call: 'fallocate', args, errno: 'EOPNOTSUPP' }, label);
}

/** What a problem says, for whoever names the field. */
export const problemText = ({ value, message }: SyscallProblem): string => `${shown(value)} ${message}`;
