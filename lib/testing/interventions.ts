// What a test changes about the calls of a tree: faults, delays, answers, and listening.
import { readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import {
  deny,
  type HookEvent,
  redirect,
  type SandboxedProcess,
  type SyscallName,
  type Verdict,
  type Violation,
} from '../index.ts';
import { didYouMean } from '../policy/nearest.ts';
import { isPattern, matcherOf } from './pattern.ts';
import { fieldsOf, wrong } from './problems.ts';

/** Calls that hooks know by an event of their own: with all their relatives, and with the paths and addresses that they are about. */
const events = [
  'open',
  'stat',
  'access',
  'readlink',
  'rename',
  'link',
  'symlink',
  'unlink',
  'mkdir',
  'mknod',
  'chmod',
  'chown',
  'utimes',
  'truncate',
  'statfs',
  'getxattr',
  'setxattr',
  'chdir',
  'exec',
  'fork',
  'connect',
  'bind',
] as const satisfies HookEvent[];
type InterveningEvent = (typeof events)[number];

/** One word for calls that do the same, whichever a program's libraries take. */
const families = {
  read: ['read', 'readv', 'pread64', 'preadv', 'preadv2'],
  write: ['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2'],
  fsync: ['fsync', 'fdatasync'],
  send: ['sendto', 'sendmsg', 'sendmmsg'],
  recv: ['recvfrom', 'recvmsg', 'recvmmsg'],
  accept: ['accept', 'accept4'],
} as const satisfies Record<string, readonly SyscallName[]>;

/** Of these, what is not a file is left alone: programs wake their own threads by pipes and the like. */
const onFiles: ReadonlySet<string> = new Set([...families.read, ...families.write, ...families.fsync]);

/** What can be made to fail or wait: `open`, `write`, `connect`, …; or any system call by its own name. */
export type InterveningCall = InterveningEvent | keyof typeof families | SyscallName;

/** Of which calls a test speaks. */
export interface CallFilter {
  /**
   * Of what path, or of a descriptor for it: a pattern (`*`, `?`, `**`, `[a-z]`, `{a,b}`). Without a `/` it is for the last
   * component; a relative one with a `/` starts at the private folder. A path without wildcards stands for what is below, too.
   */
  path?: string;
  /** To which port: for `connect` and `bind`. */
  port?: number;
  /** By which program: a pattern, as in `path`. */
  program?: string;
}

/** Which calls fail, and how. */
export interface Fault extends CallFilter {
  /** With what they fail: `'ENOSPC'`, or its number. */
  errno: string | number;
  /** The first that fails, counted from 1 among those that match, in each run anew. Default: 1. */
  nth?: number;
  /** How many fail. Default: with `nth` one, else all. */
  times?: number;
}

/** Which calls wait. */
export type Delay = CallFilter & Pick<Fault, 'nth' | 'times'>;

/** A call that {@link Fault} has made fail. */
export interface InjectedFault {
  /** The name of the system call, such as `openat`. */
  readonly syscall: string;
  readonly errno: string | number;
  readonly pid: number;
  /** Of calls about a path or a descriptor of a file. */
  readonly path?: string;
  /** Of `connect` and `bind`. */
  readonly address?: string;
  readonly port?: number;
}

/** A call that a spy has seen. */
export interface SpiedCall {
  readonly syscall: string;
  readonly pid: number;
  /** Canonical path of the program. */
  readonly program: string;
  /** Of calls about a path or a descriptor of a file. */
  readonly path?: string;
  /** Of calls about two. */
  readonly from?: string;
  readonly to?: string;
  /** Of `connect` and `bind`. */
  readonly address?: string;
  readonly port?: number;
  /** Of `exec`. */
  readonly argv?: readonly string[];
}

/** What hooks are given, as far as it matters here. */
interface HeardCall {
  syscall: string;
  pid: number;
  tid: number;
  executable: string;
  path?: string;
  from?: string;
  to?: string;
  address?: string;
  port?: number;
  argv?: readonly string[];
  access?: string;
  initial?: boolean;
  kind?: string;
  args?: readonly { readonly kind: string; readonly value: bigint; readonly text?: string }[];
}

/** A call, told of once for all who ask. */
interface Heard {
  readonly call: HeardCall;
  readonly paths: readonly string[];
}

type Matches = (heard: Heard) => boolean;
type Answer = Verdict | undefined;

/** Something that a test wants of calls. `begin` is called for each run. */
export interface Intervention {
  readonly events: readonly InterveningEvent[];
  readonly syscalls: readonly SyscallName[];
  /** How long it may take to answer, in milliseconds. */
  readonly waits?: number;
  begin(run: RunState): (heard: Heard) => Answer | Promise<Answer>;
}

/** What belongs to one run. */
export interface RunState {
  readonly faults: InjectedFault[];
  /** Refusals that are a fault's, and nobody's violation. */
  readonly expected: { syscall: string; tid: number }[];
  /** Waits, and ends early when the sandbox does. */
  wait(milliseconds: number): Promise<void>;
}

function pattern(value: unknown, field: string, folder: string): (path: string) => boolean {
  if (typeof value !== 'string' || value === '' || value.includes('\0')) throw wrong(field, value, 'must be a pattern');
  if (value.startsWith('~')) throw wrong(field, value, 'begins with ~, which only shells expand');
  const floats = value.startsWith('**/');
  const last = !value.includes('/');
  const start = folder.replace(/[\\*?[\]{}()!+@|]/g, '\\$&');
  const absolute = value.startsWith('/') || floats || last ? value : `${start}/${value.replace(/^\.\//, '')}`;
  const plain = !isPattern(absolute);
  const matches = matcherOf(plain && !last ? [absolute, `${absolute}/**`] : absolute);
  return (path) => matches(last ? basename(path) : path);
}

const isWhole = (value: unknown) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 1;

function counting(fields: Record<string, unknown>, field: string): { first: number; times: number } {
  for (const name of ['nth', 'times']) {
    if (fields[name] !== undefined && !isWhole(fields[name]) && !(name === 'times' && fields[name] === Infinity)) {
      throw wrong(`${field}.${name}`, fields[name], 'must be a whole number, 1 or more');
    }
  }
  const { nth, times } = fields as { nth?: number; times?: number };
  return { first: nth ?? 1, times: times ?? (nth === undefined ? Number.POSITIVE_INFINITY : 1) };
}

/** Whether a call is one of those that are meant, counted within one run. */
function countedFrom(matches: (heard: Heard) => boolean, first: number, times: number): (heard: Heard) => boolean {
  let seen = 0;
  return (heard) => {
    if (!matches(heard)) return false;
    seen++;
    return seen >= first && seen < first + times;
  };
}

interface Target {
  events: readonly InterveningEvent[];
  syscalls: readonly SyscallName[];
}

function targetOf(call: unknown, isSyscall: (name: string) => boolean): Target {
  if ((events as readonly unknown[]).includes(call)) return { events: [call as InterveningEvent], syscalls: [] };
  if (typeof call === 'string' && Object.hasOwn(families, call)) {
    return { events: [], syscalls: families[call as keyof typeof families] };
  }
  if (typeof call !== 'string' || !isSyscall(call)) {
    const all = [...events, ...Object.keys(families)];
    throw wrong('call', call, `is no call. Known are ${all.join(', ')}, and system calls${didYouMean(call, all)}`);
  }
  return { events: [], syscalls: [call as SyscallName] };
}

function filterOf(target: Target, fields: Record<string, unknown>, field: string, folder: string): Matches {
  const tests: Matches[] = [];
  if (fields.path !== undefined) {
    const matches = pattern(fields.path, `${field}.path`, folder);
    tests.push(({ paths }) => paths.some(matches));
  } else if (target.syscalls.some((name) => onFiles.has(name))) {
    tests.push(({ paths }) => paths.length > 0);
  }
  if (fields.program !== undefined) {
    const matches = pattern(fields.program, `${field}.program`, folder);
    tests.push(({ call }) => matches(call.executable));
  }
  if (fields.port !== undefined) {
    const { port } = fields;
    if (!isWhole(port) || Number(port) > 65535) throw wrong(`${field}.port`, port, 'must be a port, 1 to 65535');
    if (!target.events.some((event) => event === 'connect' || event === 'bind')) {
      throw wrong(`${field}.port`, port, 'is only for connect and bind');
    }
    tests.push(({ call }) => call.port === port);
  }
  return (heard) => tests.every((test) => test(heard));
}

/** The file behind a descriptor; undefined for what is none. The thread stands still in its call. */
function fileBehind(tid: number, descriptor: bigint): string | undefined {
  const link = `/proc/${tid}/fd/${descriptor}`;
  try {
    return statSync(link).isFile() ? readlinkSync(link) : undefined;
  } catch {
    return undefined;
  }
}

function pathsOf(call: HeardCall): string[] {
  const { path, from, to, address, args } = call;
  // The address of a unix socket is a path; an abstract one begins with an @.
  const paths = [path, from, to, address?.startsWith('/') ? address : undefined].filter((each) => each !== undefined);
  for (const { kind, value, text } of args ?? []) {
    if (kind === 'fd') {
      const file = fileBehind(call.tid, value);
      if (file !== undefined) paths.push(file);
    } else if (text?.startsWith('/')) paths.push(text);
  }
  return paths;
}

/** What of it is there. */
function known<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

export interface Place {
  /** Where relative patterns start. */
  folder: string;
  /** Whether a system call has this name. */
  isSyscall: (name: string) => boolean;
}

export function fault(call: unknown, given: unknown, { folder, isSyscall }: Place): Intervention {
  const target = targetOf(call, isSyscall);
  const fields = fieldsOf('fault', given, ['errno', 'nth', 'times', 'path', 'port', 'program']);
  const matches = filterOf(target, fields, 'fault', folder);
  const { first, times } = counting(fields, 'fault');
  const { errno } = fields as { errno: string | number };
  if (errno === undefined) throw wrong('fault.errno', errno, "is missing: with what it fails, as 'ENOSPC'");
  let refusal: ReturnType<typeof deny>;
  try {
    refusal = deny(errno as 'EACCES');
  } catch {
    throw wrong('fault.errno', errno, 'is no error that a system call has');
  }
  return {
    ...target,
    begin(run) {
      const isMeant = countedFrom(matches, first, times);
      return (heard) => {
        if (!isMeant(heard)) return undefined;
        const { syscall, pid, tid, address, port } = heard.call;
        run.faults.push({ syscall, errno, pid, ...known({ path: heard.paths[0], address, port }) });
        run.expected.push({ syscall, tid });
        return refusal;
      };
    },
  };
}

export function delay(
  call: unknown,
  milliseconds: unknown,
  given: unknown,
  { folder, isSyscall }: Place,
): Intervention {
  const target = targetOf(call, isSyscall);
  if (typeof milliseconds !== 'number' || !(milliseconds >= 0) || milliseconds > 2 ** 31 - 1) {
    throw wrong('milliseconds', milliseconds, 'must be a number from 0 to 2147483647');
  }
  const fields = fieldsOf('delay', given, ['nth', 'times', 'path', 'port', 'program']);
  const matches = filterOf(target, fields, 'delay', folder);
  const { first, times } = counting(fields, 'delay');
  return {
    ...target,
    waits: milliseconds,
    begin(run) {
      const isMeant = countedFrom(matches, first, times);
      return (heard) => {
        if (!isMeant(heard)) return undefined;
        return run.wait(milliseconds).then(() => undefined);
      };
    },
  };
}

/** Opens of a path, to read it, get a file of ours in its place. */
export function answer(path: string, file: string): Intervention {
  const verdict = redirect(file);
  return {
    events: ['open'],
    syscalls: [],
    begin: () => (heard) => (heard.call.path === path && heard.call.access === 'read' ? verdict : undefined),
  };
}

export function spy(call: unknown, given: unknown, calls: SpiedCall[], { folder, isSyscall }: Place): Intervention {
  const target = targetOf(call, isSyscall);
  const fields = fieldsOf('filter', given, ['path', 'port', 'program']);
  const matches = filterOf(target, fields, 'filter', folder);
  return {
    ...target,
    begin: () => (heard) => {
      if (!matches(heard)) return undefined;
      const { syscall, pid, executable, from, to, address, port, argv } = heard.call;
      const path = from === undefined ? heard.paths[0] : undefined;
      calls.push({ syscall, pid, program: executable, ...known({ path, from, to, address, port, argv }) });
      return undefined;
    },
  };
}

/** Asks one after the other, as hooks are asked; without a promise as long as none answers one. */
function ask(
  askers: readonly ((heard: Heard) => Answer | Promise<Answer>)[],
  heard: Heard,
  from = 0,
): Answer | Promise<Answer> {
  for (let i = from; i < askers.length; i++) {
    const said = askers[i]?.(heard);
    if (said instanceof Promise) return said.then((answer) => answer ?? ask(askers, heard, i + 1));
    if (said !== undefined) return said;
  }
  return undefined;
}

/** Registers the hooks for a run, one for each call. */
export function intervene(child: SandboxedProcess, interventions: readonly Intervention[], run: RunState): void {
  const askers = interventions.map((each) => ({ ...each, asker: each.begin(run) }));
  for (const event of new Set(askers.flatMap((each) => each.events))) {
    const asked = askers.filter((each) => each.events.includes(event)).map(({ asker }) => asker);
    const hook = (call: HeardCall) => {
      if (call.initial === true || (event === 'fork' && call.kind === 'thread')) return undefined;
      return ask(asked, { call, paths: pathsOf(call) });
    };
    const setter = `on${event[0]?.toUpperCase()}${event.slice(1)}` as 'onUnlink';
    child[setter](hook as never);
  }
  for (const name of new Set(askers.flatMap((each) => each.syscalls))) {
    const asked = askers.filter((each) => each.syscalls.includes(name)).map(({ asker }) => asker);
    child.onSyscall(name, ((call: HeardCall) => ask(asked, { call, paths: pathsOf(call) })) as never);
  }
}

/** Those that are no fault's. */
export function unexpected(violations: readonly Violation[], expected: RunState['expected']): Violation[] {
  const left = [...expected];
  return violations.filter(({ rule, syscall, tid }) => {
    if (rule !== 'hook') return true;
    const i = left.findIndex((each) => each.syscall === syscall && each.tid === tid);
    if (i < 0) return true;
    left.splice(i, 1);
    return false;
  });
}
