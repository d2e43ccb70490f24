import { errnoName } from '../errors.ts';
import { bytes, number, optionalNumber, optionalText, text } from '../hooks/families/common.ts';
import type { NativeRecord } from '../native/native.ts';
import { signalName } from '../native/signals.ts';

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
  /** Why, where it was not a rule: what is never allowed, a hook, a read that failed. */
  readonly reason?: string;
  /** The signal that a process wanted to send. */
  readonly signal?: NodeJS.Signals;
  readonly targetPid?: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export function violationOf(record: NativeRecord): Violation {
  const pid = number(record, 'pid');
  const violation: Mutable<Violation> = { syscall: text(record, 'syscall'), pid, tid: number(record, 'tid', pid) };
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
  return violation;
}
