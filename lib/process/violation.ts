import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { errnoName } from '../errors.ts';
import type { NativeRecord } from '../native/native.ts';
import { bytes, number, optionalNumber, optionalText, own, text, texts } from '../native/records.ts';
import { signalName } from '../native/signals.ts';
import { parseAddress } from '../policy/addresses.ts';
import type { FileAccess, NetworkOperation } from '../policy/policy.ts';
import { openedSyscalls } from '../policy/syscall-table.ts';
import { type NamedArguments, namedArguments } from './named-arguments.ts';
import { isProbe } from './probe.ts';
import { visible } from './visible.ts';

export { visible };

/** What a refused call wanted and had not: of a path, or of an address. */
export type ViolationAccess = FileAccess | NetworkOperation;

/** What one would add to a policy, so that it allows the call. */
export interface Suggestion {
  /** Of the policy: a list. `exec` where the policy has none, or has it as a list; else `exec.allow`. */
  readonly field:
    | 'files.read'
    | 'files.write'
    | 'files.metadata'
    | 'exec'
    | 'exec.allow'
    | 'network.connect'
    | 'network.bind'
    | 'syscalls.allow';
  /** An entry of that list: a path (as a `file:` URL where it would be taken for a pattern), an address, a call's name. */
  readonly value: string;
}

/** A refusal: the argument of the `violation` event. */
export interface Violation {
  /** Name of the system call; `unknown` if this kernel has one that the table does not know. */
  readonly syscall: string;
  readonly pid: number;
  readonly tid: number;
  /** Canonical path of the program that the process runs. */
  readonly executable?: string;
  /** Canonical path, for calls on paths. */
  readonly path?: string;
  /** The same, exactly, where it is not valid UTF-8. */
  readonly pathBytes?: Buffer;
  /** The second path of rename and link. */
  readonly to?: string;
  /** Address as text, for network calls. */
  readonly address?: string;
  readonly port?: number;
  /** What the program saw, by name: `EACCES`. */
  readonly errno?: string;
  /** The policy field that decided, such as `files.deny[2]`. Undefined where nothing allowed it. */
  readonly rule?: string;
  /**
   * The right that was missing: of the path, the second path (if the suggestion names that one), or the address. Where several
   * are, the first of read, write, exec.
   */
  readonly access?: ViolationAccess;
  /**
   * What one would add to the policy to allow it, as far as this right goes. Missing where nothing would help: a `deny` rule, a
   * hook or `restrict()` has refused it, or no policy can allow it.
   */
  readonly suggestion?: Suggestion;
  /** The hook that is asked about such a call, `onOpen`: it refused this one, or could have allowed it. Missing where none could. */
  readonly hook?: string;
  /**
   * What the process was started with, argv[0] first: read when it had executed its program, before the first instruction of
   * that, so nothing in the tree can have changed it; its maker's, if it has executed nothing itself. At most 4 KiB of it:
   * `argvTruncated` says that there is more. The texts are the tree's own choice all the same: any program can be started with any.
   */
  readonly argv?: readonly string[];
  readonly argvTruncated?: true;
  /** Who has made the process, if that one is still there. Missing for the command. */
  readonly parent?: { readonly pid: number; readonly executable?: string };
  /** When it was refused, in milliseconds since 1970. */
  readonly time: number;
  /**
   * Whether it is only a look at what is there but not granted, that programs do without: stat, access, readlink and the like,
   * settings that are optional (lib/process/probe.ts has the list), and whatever was told `ENOENT`. Never where a `deny` rule or a
   * hook has refused it.
   */
  readonly probe: boolean;
  /**
   * Nothing was refused: the policy's `mode` is `'report'`, or its rule is `dry`. `errno` is what would have been answered. Missing where
   * it was refused.
   */
  readonly dry?: true;
  /** What was asked for, of calls that their arguments tell apart: `{ command: 'TIOCSTI' }`. */
  readonly arguments?: NamedArguments;
  /** All that matters in one line, to print: control characters in names are made visible. */
  readonly message: string;
  /** Why, where it was not a rule: what is never allowed, a hook, a read that failed. */
  readonly reason?: string;
  /** The signal that a process wanted to send. */
  readonly signal?: NodeJS.Signals;
  readonly targetPid?: number;
}

/** A call that a rule only logs: the argument of the `syscall` event. */
export interface LoggedCall {
  readonly syscall: string;
  readonly pid: number;
  readonly tid: number;
  /** Canonical path of the program that the process runs. */
  readonly executable?: string;
  /** The rule: `syscalls.deny[2]`. */
  readonly rule: string;
  /** What its arguments mean, where they have names. */
  readonly arguments?: NamedArguments;
  readonly registers: readonly bigint[];
}

/** Whether a policy takes it, and as what it is: a `*` in a name would be a pattern. */
function isAddress(rule: string, address: string): boolean {
  if (address.includes('*') || address.includes('\uFFFD')) return false;
  try {
    parseAddress(rule);
    return true;
  } catch {
    return false;
  }
}

/** What a record of a refusal is about. */
type Subject = Pick<Violation, 'path' | 'to' | 'address' | 'port'>;

/** What a policy would say to allow it; undefined where it cannot be written as text. */
export function suggestionFor(record: NativeRecord, subject: Subject, exec: ExecField): Suggestion | undefined {
  const named = optionalText(record, 'field');
  if (named === undefined) return undefined;
  const field = (named === 'exec' ? exec : named) as Suggestion['field'];
  let value: string | undefined;
  if (field.startsWith('network.')) {
    const { address, port } = subject;
    if (address === undefined) return undefined;
    if (port === undefined) value = address === '@' ? 'unix:@*' : `unix:${address}`;
    // Joining a group, or sending to port 0, is about any port: such a rule names none.
    else if (port === 0 && field === 'network.connect') value = address;
    else value = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    if (!isAddress(value, address)) return undefined;
  } else {
    const second = number(record, 'second') === 1;
    if (bytes(record, second ? 'to' : 'path') === undefined) value = second ? subject.to : subject.path;
    if (value !== undefined && number(record, 'ofFolder') === 1) value = dirname(value);
    // What a policy would take for a pattern, a variable or a slip can be given as a URL.
    if (value !== undefined && /[*?[\]{}!$\\]|\s$/.test(value)) value = pathToFileURL(value).href;
  }
  return value === undefined ? undefined : { field, value };
}

function suggestionOf(record: NativeRecord, violation: Violation, exec: ExecField): Suggestion | undefined {
  const { syscall, rule, access } = violation;
  if (rule === undefined && access === undefined && (openedSyscalls as readonly string[]).includes(syscall))
    return { field: 'syscalls.allow', value: syscall };
  return suggestionFor(record, violation, exec);
}

function messageOf(violation: Omit<Violation, 'message'>): string {
  const { executable, pid, syscall, path, to, address, port, errno, signal, targetPid } = violation;
  const named = Object.entries(violation.arguments ?? {}).map(([name, value]) => `${name} ${value}`);
  const about = [
    path,
    to !== undefined && `to ${to}`,
    path === undefined && address !== undefined && (port === undefined ? address : `${address} port ${port}`),
    signal !== undefined && `${signal} to ${targetPid}`,
    named.length > 0 && `(${named.join(', ')})`,
  ].filter((part) => typeof part === 'string');
  const why = [
    violation.rule,
    violation.reason,
    violation.access !== undefined && `${violation.access} is missing`,
    violation.suggestion !== undefined &&
      `${violation.suggestion.field}: ${JSON.stringify(violation.suggestion.value)} would allow it`,
  ].filter((part) => typeof part === 'string' && part !== '');
  const what = violation.dry ? `let by (${errno ?? 'refused'} if it were enforced)` : (errno ?? 'refused');
  const who = `${executable ?? 'a process'} (${pid})`;
  return visible(`${who}: ${[syscall, ...about].join(' ')}: ${[what, ...why].join(', ')}`);
}

/** `onOpen` of `open`. */
export const hookName = (event: string): string => `on${event[0]?.toUpperCase()}${event.slice(1)}`;

function registersOf(record: NativeRecord): bigint[] {
  const registers = own(record, 'registers') as readonly (number | bigint)[] | undefined;
  return (registers ?? []).map((value) => BigInt.asUintN(64, BigInt(value)));
}

export function loggedOf(record: NativeRecord): LoggedCall {
  const pid = number(record, 'pid');
  const registers = registersOf(record);
  const executable = optionalText(record, 'executable');
  const named = namedArguments(text(record, 'syscall'), registers);
  return {
    syscall: text(record, 'syscall'),
    pid,
    tid: number(record, 'tid', pid),
    ...(executable !== undefined && executable !== '' && { executable }),
    rule: text(record, 'rule'),
    ...(named !== undefined && { arguments: named }),
    registers,
  };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** How a policy names what may be executed: as a list, or at length. */
export type ExecField = 'exec' | 'exec.allow';

/** @param events Names of hooks' events, by their numbers. */
export function violationOf(record: NativeRecord, events: readonly string[], exec: ExecField): Violation {
  const pid = number(record, 'pid');
  const violation: Mutable<Violation> = {
    syscall: text(record, 'syscall'),
    pid,
    tid: number(record, 'tid', pid),
    message: '',
    time: number(record, 'time'),
    probe: false,
  };
  for (const field of ['executable', 'path', 'to', 'address', 'rule', 'reason'] as const) {
    const value = optionalText(record, field);
    if (value !== undefined && value !== '') violation[field] = value;
  }
  const exact = bytes(record, 'path');
  if (exact !== undefined) violation.pathBytes = exact;
  const port = optionalNumber(record, 'port');
  if (port !== undefined) violation.port = port;
  const errno = optionalNumber(record, 'errno');
  if (errno !== undefined && errno !== 0) violation.errno = errnoName(Math.abs(errno));
  const signal = optionalNumber(record, 'signal');
  if (signal !== undefined && signal > 0) violation.signal = signalName(signal);
  const target = optionalNumber(record, 'targetPid');
  if (target !== undefined) violation.targetPid = target;
  const right = optionalText(record, 'right');
  if (right !== undefined) violation.access = right as ViolationAccess;
  const suggestion = suggestionOf(record, violation, exec);
  if (suggestion !== undefined) violation.suggestion = suggestion;
  const event = events[optionalNumber(record, 'event') ?? events.length];
  const byHook = violation.rule === 'hook';
  if (byHook || (event !== undefined && violation.rule === undefined)) violation.hook = hookName(event ?? 'syscall');
  const argv = texts(record, 'argv');
  if (argv.length > 0) violation.argv = argv;
  if (number(record, 'more') === 1) violation.argvTruncated = true;
  const parent = optionalNumber(record, 'parent');
  if (parent !== undefined) {
    const program = optionalText(record, 'parentExecutable');
    violation.parent = { pid: parent, ...(program !== undefined && { executable: program }) };
  }
  violation.probe = isProbe(violation);
  if (number(record, 'dry') === 1) violation.dry = true;
  const registers = registersOf(record);
  const named = registers.length === 0 ? undefined : namedArguments(violation.syscall, registers);
  if (named !== undefined) violation.arguments = named;
  violation.message = messageOf(violation);
  return violation;
}
