import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { errnoName } from '../errors.ts';
import type { NativeRecord } from '../native/native.ts';
import { bytes, number, optionalNumber, optionalText, own, text } from '../native/records.ts';
import { signalName } from '../native/signals.ts';
import { parseAddress } from '../policy/addresses.ts';
import { type NamedArguments, namedArguments } from './named-arguments.ts';

/** A right that a rule can give. `metadata` comes with reading what is there or something below it. */
export type MissingRight = 'read' | 'write' | 'exec' | 'metadata' | 'connect' | 'bind';

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
  /** The right that was missing: of the path, the second path (if `allowedBy` names that one), or the address. */
  readonly right?: MissingRight;
  /** What in a policy would allow it, such as `files.read: "/etc/hosts"`. Not where a `deny` rule or a hook refused it. */
  readonly allowedBy?: string;
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

// C0, DEL and C1, line and paragraph separators, and what changes the direction of text: none of it may reach a terminal.
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/** As it can be printed. */
export function visible(text: string): string {
  return text.replace(unprintable, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
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

/** What a policy would say to allow it; undefined where it cannot be written as text. */
function rule(record: NativeRecord, violation: Violation): string | undefined {
  const field = optionalText(record, 'field');
  if (field === undefined) return undefined;
  let value: string | undefined;
  if (field.startsWith('network.')) {
    const { address, port } = violation;
    if (address === undefined) return undefined;
    if (port === undefined) value = address === '@' ? 'unix:@*' : `unix:${address}`;
    // Joining a group, or sending to port 0, is about any port: such a rule names none.
    else if (port === 0 && field === 'network.connect') value = address;
    else value = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    if (!isAddress(value, address)) return undefined;
  } else {
    const second = number(record, 'second') === 1;
    if (bytes(record, second ? 'to' : 'path') === undefined) value = second ? violation.to : violation.path;
    if (value !== undefined && number(record, 'ofFolder') === 1) value = dirname(value);
    // What a policy would take for a pattern, a variable or a slip can be given as a URL.
    if (value !== undefined && /[*$]|\s$/.test(value)) value = pathToFileURL(value).href;
  }
  return value === undefined ? undefined : `${field}: ${visible(JSON.stringify(value))}`;
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
    violation.right !== undefined && `${violation.right} is missing`,
    violation.allowedBy !== undefined && `${violation.allowedBy} would allow it`,
  ].filter((part) => typeof part === 'string' && part !== '');
  const who = `${executable ?? 'a process'} (${pid})`;
  return visible(`${who}: ${[syscall, ...about].join(' ')}: ${[errno ?? 'refused', ...why].join(', ')}`);
}

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

export function violationOf(record: NativeRecord): Violation {
  const pid = number(record, 'pid');
  const violation: Mutable<Violation> = {
    syscall: text(record, 'syscall'),
    pid,
    tid: number(record, 'tid', pid),
    message: '',
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
  if (right !== undefined) violation.right = right as MissingRight;
  const allowedBy = rule(record, violation);
  if (allowedBy !== undefined) violation.allowedBy = allowedBy;
  const registers = registersOf(record);
  const named = registers.length === 0 ? undefined : namedArguments(violation.syscall, registers);
  if (named !== undefined) violation.arguments = named;
  violation.message = messageOf(violation);
  return violation;
}
