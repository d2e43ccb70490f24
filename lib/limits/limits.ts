// The `limits` option: what it may say, and what of it is held where.
import { existsSync, readFileSync } from 'node:fs';
import { HoldfastError } from '../errors.ts';
import { InheritedField, ownFields, shown } from '../policy/check.ts';
import { findGroupPlace, type GroupSettings } from './control-group.ts';
import { nearest } from './nearest.ts';
import {
  type ByteSize,
  type Duration,
  type Parsed,
  parseBytes,
  parseCount,
  parseDuration,
  parseProcessors,
} from './units.ts';

/** Limits for the command and all its descendants. docs/limits.md says of each what happens at it, and how exactly. */
export interface Limits {
  /** Memory of the whole tree. At the limit the tree is killed. */
  memory?: ByteSize;
  /** Processor time of the whole tree, of those that have ended, too. At the limit the tree is killed. */
  cpuTime?: Duration;
  /**
   * How many processors' time the whole tree may take at most: 1.5 is all the time of one and half of another's. It is
   * slowed down, and nothing fails. Only a control group holds that: without one, `ERR_HOLDFAST_LIMIT`.
   */
  cpus?: number;
  /** From the start until nothing of the tree is left. At the limit the tree is killed. */
  wallTime?: Duration;
  /** How many processes there may be at once, the command among them. A fork beyond that fails with `EAGAIN`. */
  processes?: number;
  /** How many threads all processes may have together; each has at least one. One more fails with `EAGAIN`. */
  threads?: number;
  /** Descriptors of each process (`RLIMIT_NOFILE`): `EMFILE`. */
  openFiles?: number;
  /** To what size each process may let a file grow (`RLIMIT_FSIZE`): `SIGXFSZ`, and `EFBIG` for who ignores that. */
  fileSize?: ByteSize;
  /** Bytes that the whole tree writes to files. At the limit the tree is killed. `fallocate` of space is refused (`EOPNOTSUPP`). */
  written?: ByteSize;
  /** Bytes of standard output and error together that Node gets. Not one more is handed out, and the tree is killed. */
  output?: ByteSize;
  /** Of each core file (`RLIMIT_CORE`): it is cut off; with 0 none is made. */
  coreSize?: ByteSize;
  /** Of each process (`RLIMIT_AS`): `ENOMEM`. */
  addressSpace?: ByteSize;
  /** Refuse the start where one of them cannot be held exactly (`ERR_HOLDFAST_LIMIT_NOT_EXACT`). Default: false. */
  exact?: boolean;
}

export type LimitName = Exclude<keyof Limits, 'exact'>;

/** Numbers of the limits that are there: bytes, milliseconds, or how many. */
export type CheckedLimits = Readonly<Partial<Record<LimitName, number>> & { exact?: boolean }>;

/**
 * Who holds a limit: the kernel in each process, or by a control group; the supervisor at the call; Node where it reads;
 * or the supervisor by looking again and again.
 */
export type LimitHolder = 'kernel' | 'cgroup' | 'supervisor' | 'node' | 'sampled';

/** How one limit is held, in {@link SandboxPlan}. */
export interface LimitPlan {
  readonly name: LimitName;
  /** Bytes, milliseconds, or how many. */
  readonly limit: number;
  /** Of the whole tree, or of each process. */
  readonly of: 'tree' | 'process';
  readonly held: LimitHolder;
  /** Whether it is held at that very figure: never passed, or, of `wallTime`, as a timer holds it. */
  readonly exact: boolean;
  /** Of what is sampled: milliseconds between two looks, the least and the most. The nearer the limit, the shorter. */
  readonly interval?: { readonly least: number; readonly most: number };
}

interface Kind {
  parse(value: unknown): Parsed;
  of: LimitPlan['of'];
  held: LimitHolder;
  /** Milliseconds between two looks (native/limits/meter.cc). */
  interval?: { least: number; most: number };
  /** What the kernel calls it, in /proc/self/limits, and what that counts in. */
  rlimit?: string;
  /** Why it is not exact, if it is not. */
  inexact?: string;
  /** A control group holds it, where one can be made: exactly. */
  group?: true;
}

const kinds: Readonly<Record<LimitName, Kind>> = {
  memory: {
    parse: (value) => parseBytes(value, 1),
    of: 'tree',
    held: 'sampled',
    interval: { least: 2, most: 250 },
    inexact:
      'without a control group the kernel holds no memory of several processes, and it is summed up again and again',
    group: true,
  },
  cpuTime: {
    parse: parseDuration,
    of: 'tree',
    held: 'sampled',
    interval: { least: 1, most: 60_000 },
    inexact:
      'the kernel limits the processor time of each process by itself, in seconds: that of the tree is summed up again and again',
  },
  cpus: { parse: parseProcessors, of: 'tree', held: 'cgroup', group: true },
  wallTime: { parse: parseDuration, of: 'tree', held: 'supervisor' },
  processes: { parse: parseCount, of: 'tree', held: 'supervisor' },
  threads: { parse: parseCount, of: 'tree', held: 'supervisor' },
  openFiles: { parse: parseCount, of: 'process', held: 'kernel', rlimit: 'Max open files' },
  fileSize: { parse: parseBytes, of: 'process', held: 'kernel', rlimit: 'Max file size' },
  written: {
    parse: parseBytes,
    of: 'tree',
    held: 'sampled',
    interval: { least: 2, most: 250 },
    inexact: 'the kernel counts what a process writes, and limits it nowhere: the counts are summed up again and again',
  },
  output: { parse: parseBytes, of: 'tree', held: 'node' },
  coreSize: { parse: parseBytes, of: 'process', held: 'kernel', rlimit: 'Max core file size' },
  addressSpace: {
    parse: (value) => parseBytes(value, 1),
    of: 'process',
    held: 'kernel',
    rlimit: 'Max address space',
  },
};

export const limitNames = Object.keys(kinds) as readonly LimitName[];

const known = [...limitNames, 'exact'];

/** Of other tools and of setrlimit(2). */
const otherNames: Readonly<Record<string, LimitName>> = {
  ram: 'memory',
  rss: 'memory',
  memoryMax: 'memory',
  cpu: 'cpuTime',
  cpuMax: 'cpus',
  processors: 'cpus',
  cores: 'cpus',
  time: 'wallTime',
  timeout: 'wallTime',
  realTime: 'wallTime',
  pids: 'processes',
  nproc: 'processes',
  tasks: 'threads',
  files: 'openFiles',
  descriptors: 'openFiles',
  nofile: 'openFiles',
  fds: 'openFiles',
  fsize: 'fileSize',
  writes: 'written',
  stdout: 'output',
  stderr: 'output',
  maxBuffer: 'output',
  core: 'coreSize',
  as: 'addressSpace',
  virtualMemory: 'addressSpace',
};

const invalid = (text: string) => new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', text);

function unknownName(name: string, value: unknown): HoldfastError {
  const meant = Object.hasOwn(otherNames, name) ? otherNames[name] : nearest(name, known);
  const hint = meant === undefined ? '' : ` Did you mean ${meant}?`;
  return invalid(`options.limits.${name}: ${shown(value)} is not a limit. Known are ${known.join(', ')}.${hint}`);
}

/** The hard limits of this process, by their names there. */
function hardLimits(): ReadonlyMap<string, number> {
  const limits = new Map<string, number>();
  for (const [, name = '', hard] of readFileSync('/proc/self/limits', 'latin1').matchAll(/^(.+?) {2,}\S+ +(\S+)/gm)) {
    if (hard !== 'unlimited') limits.set(name, Number(hard));
  }
  return limits;
}

/** No process gets more than this one has: what was asked for would silently be another limit. */
function checkAgainstOwn(limits: CheckedLimits): void {
  let hard: ReadonlyMap<string, number> | undefined;
  for (const name of limitNames) {
    const { rlimit } = kinds[name];
    const wanted = limits[name];
    if (rlimit === undefined || wanted === undefined) continue;
    hard ??= hardLimits();
    const most = hard.get(rlimit);
    if (most === undefined || wanted <= most) continue;
    throw new HoldfastError(
      'ERR_HOLDFAST_LIMIT',
      `options.limits.${name}: ${wanted} is more than this process may have itself, ${most}: no child gets more than that (setrlimit(2)). Ask for at most ${most}, or raise the hard limit of Node`,
    );
  }
}

const nothingOfIt = 'of which Node gets nothing: the kernel writes it elsewhere, and nobody could count it there';

/** Whether Node reads what the command writes there; nothing at all is written to what is ignored. */
function isCountable(entry: unknown): boolean {
  return entry === undefined || entry === null || ['pipe', 'overlapped', 'ignore'].includes(entry as string);
}

function checkOutput(stdio: readonly unknown[]): void {
  for (const place of [1, 2]) {
    const entry = stdio[place];
    if (isCountable(entry)) continue;
    throw invalid(
      `options.limits.output: cannot be held with ${shown(entry)} as stdio[${place}], ${nothingOfIt}. Use 'pipe' there`,
    );
  }
}

function checkExact(limits: CheckedLimits): void {
  for (const name of limitNames) {
    const { inexact, group } = kinds[name];
    if (limits[name] === undefined || inexact === undefined) continue;
    const place = group ? findGroupPlace(groupSettings(limits)) : undefined;
    if (place !== undefined && !('problem' in place)) continue;
    throw notExact(
      name,
      `${inexact}${place === undefined ? '' : ` (no control group can be made here: ${place.problem})`}`,
    );
  }
}

function notExact(name: LimitName, why: string): HoldfastError {
  return new HoldfastError(
    'ERR_HOLDFAST_LIMIT_NOT_EXACT',
    `options.limits.${name}: cannot be held exactly here: ${why}. Leave out exact: true, or this limit`,
  );
}

/** What nothing but a control group can hold. */
function checkGroup(limits: CheckedLimits): void {
  if (limits.cpus === undefined) return;
  const place = findGroupPlace(groupSettings(limits));
  if ('problem' in place) throw withoutGroup(place.problem);
}

const withoutGroup = (why: string) =>
  new HoldfastError(
    'ERR_HOLDFAST_LIMIT',
    `options.limits.cpus: only a control group holds that, and none can be made here: ${why}. Leave it out, or see docs/limits.md for what Node needs`,
  );

/** What a control group would have to hold. */
export const groupSettings = ({ memory, cpus }: CheckedLimits): GroupSettings => ({
  ...(memory !== undefined && { memory }),
  ...(cpus !== undefined && { cpus }),
});

/**
 * The kernel has refused to make the group that there seemed to be a place for.
 * @throws {HoldfastError} `ERR_HOLDFAST_LIMIT`, `ERR_HOLDFAST_LIMIT_NOT_EXACT`: what cannot be held otherwise.
 */
export function checkWithoutGroup(limits: CheckedLimits): void {
  const why = 'the kernel has refused to make it';
  if (limits.cpus !== undefined) throw withoutGroup(why);
  if (limits.exact && limits.memory !== undefined) throw notExact('memory', `${kinds.memory.inexact} (${why})`);
}

/**
 * What was given as `limits`, as numbers.
 * @param stdio As it is passed on: where the output goes.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_OPTION`, `ERR_HOLDFAST_LIMIT`, `ERR_HOLDFAST_LIMIT_NOT_EXACT`.
 */
export function checkLimits(given: unknown, stdio: readonly unknown[]): CheckedLimits {
  if (given === undefined) return {};
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalid(`options.limits: ${shown(given)} must be an object, as { memory: '256MiB', wallTime: '10s' }`);
  }
  const limits: Partial<Record<LimitName, number>> = {};
  const own = ownLimits(given);
  for (const [name, value] of Object.entries(own)) {
    if (!known.includes(name)) throw unknownName(name, value);
    if (value === undefined || name === 'exact') continue;
    const parsed = kinds[name as LimitName].parse(value);
    if ('problem' in parsed) throw invalid(`options.limits.${name}: ${shown(value)} ${parsed.problem}`);
    limits[name as LimitName] = parsed.value;
  }
  const { exact } = own;
  if (exact !== undefined && typeof exact !== 'boolean') {
    throw invalid(`options.limits.exact: ${shown(exact)} must be true or false`);
  }
  if (limits.output !== undefined) checkOutput(stdio);
  checkGroup(limits);
  if (exact) checkExact(limits);
  if (limits.written !== undefined && !existsSync('/proc/self/io')) {
    throw new HoldfastError(
      'ERR_HOLDFAST_LIMIT',
      'options.limits.written: this kernel does not count what a process writes: /proc/self/io is missing (CONFIG_TASK_IO_ACCOUNTING)',
    );
  }
  checkAgainstOwn(limits);
  return Object.freeze({ ...limits, ...(exact && { exact }) });
}

function ownLimits(given: object): Record<string, unknown> {
  try {
    return ownFields(given, new Set(known)) as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof InheritedField)) throw error;
    throw invalid(`options.limits.${error.keys.map(String).join('.')}: ${error.message}`);
  }
}

/** What the supervisor is told (native/protocol/fields.def); what Node holds, or a group does by itself, it need not know. */
export function limitFields(limits: CheckedLimits): [field: string, limit: number][] {
  const fields: [string, number][] = [];
  for (const name of limitNames) {
    const limit = limits[name];
    if (limit !== undefined && !['node', 'cgroup'].includes(kinds[name].held)) {
      fields.push([`limit${name[0]?.toUpperCase()}${name.slice(1)}`, limit]);
    }
  }
  return fields;
}

/** How each of them is held. `group`: whether there is a control group. */
export function plansOf(limits: CheckedLimits, group: boolean): readonly LimitPlan[] {
  const plans: LimitPlan[] = [];
  for (const name of limitNames) {
    const limit = limits[name];
    if (limit === undefined) continue;
    const { of, held, interval, inexact, group: holds } = kinds[name];
    if (holds && group) {
      plans.push(Object.freeze({ name, limit, of, held: 'cgroup', exact: true }));
      continue;
    }
    const plan = { name, limit, of, held, exact: inexact === undefined };
    plans.push(Object.freeze(interval === undefined ? plan : { ...plan, interval: Object.freeze({ ...interval }) }));
  }
  return Object.freeze(plans);
}
