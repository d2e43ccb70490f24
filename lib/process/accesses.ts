// What a tree has asked for, as the supervisor has counted it.
import { errnoName } from '../errors.ts';
import type { NativeRecord } from '../native/native.ts';
import { bytes, nested, number, optionalNumber, optionalText, text } from '../native/records.ts';
import { signalName } from '../native/signals.ts';

/**
 * A right that a call asks for. `'write'` is any change: contents, attributes, making, removing, renaming. `'metadata'` is a
 * look at attributes, links, or whether something is there. `'connect'` is sending to an address, too. `'syscall'` is a call
 * as a whole, which was refused whatever it is about.
 */
export type AccessKind = 'read' | 'write' | 'exec' | 'metadata' | 'connect' | 'bind' | 'signal' | 'syscall';

/** Calls that asked for the same right to the same thing, by the same program, with the same outcome. */
export interface Access {
  readonly access: AccessKind;
  /** Canonical: where links lead. */
  readonly path?: string;
  /** Of a path that is not UTF-8: its exact bytes. */
  readonly pathBytes?: Buffer;
  /** `127.0.0.1`, `::1`, `/path` or `@name` of a unix socket. */
  readonly address?: string;
  readonly port?: number;
  readonly signal?: NodeJS.Signals;
  /** Of access `'syscall'`: its name. */
  readonly syscall?: string;
  /** What the process ran that asked. Empty if that could not be found out. */
  readonly program: string;
  /** How many calls there were. */
  readonly count: number;
  /** When it was first and last asked for, in milliseconds since the start of the tree. */
  readonly first: number;
  readonly last: number;
  /**
   * `'allowed'` and it succeeded, or the kernel goes on with it by itself (exec, and where a stop holds them connect, bind and
   * send); `'refused'` by a rule, a hook, or because it is never allowed; `'failed'` where nobody refused it: not there, there already, no
   * connection, the user's own rights.
   */
  readonly outcome: 'allowed' | 'refused' | 'failed';
  /** Of what was refused or has failed. */
  readonly errno?: string;
  /**
   * The policy's field that decided: gave it, or refused it (or `'hook'`). None where nothing allows it, or where it is only
   * looked at what lies on the way to something that is given.
   */
  readonly rule?: string;
  /** A rule on the path does not give this right, one on the folder that it stands in does: the name is changed. */
  readonly ofFolder?: true;
  /** It was only looked whether something is there or may be used, or looked for what is not there. */
  readonly probe: boolean;
}

/** A list of them, and what is not in it. */
export type Accesses = readonly Access[] & {
  /**
   * Calls that are in no line, as there were more different ones than there is room for (20000, or 16 MiB of names). Above 0 a `warning` was
   * emitted, too.
   */
  readonly truncated: number;
};

const outcomes = ['allowed', 'refused', 'failed'] as const;
const NANOSECONDS = 1e6;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function accessOf(record: NativeRecord): Access {
  const access: Mutable<Access> = {
    access: text(record, 'right') as AccessKind,
    program: text(record, 'executable'),
    count: number(record, 'count'),
    first: number(record, 'firstTime') / NANOSECONDS,
    last: number(record, 'lastTime') / NANOSECONDS,
    outcome: outcomes[number(record, 'outcome')] ?? 'refused',
    probe: number(record, 'probe') === 1,
  };
  for (const field of ['path', 'address', 'syscall', 'rule'] as const) {
    const value = optionalText(record, field);
    if (value !== undefined) access[field] = value;
  }
  const exact = bytes(record, 'path');
  if (exact !== undefined) access.pathBytes = exact;
  const port = optionalNumber(record, 'port');
  if (port !== undefined) access.port = port;
  const signal = number(record, 'signal');
  if (signal > 0) access.signal = signalName(signal);
  const errno = number(record, 'errno');
  if (errno !== 0) access.errno = errnoName(errno);
  if (number(record, 'ofFolder') === 1) access.ofFolder = true;
  return access;
}

/** From the parts of an answer, or of what is told at the end: what came first stands first. */
export function accessesOf(parts: readonly NativeRecord[]): Accesses {
  const all = parts.flatMap((part) => nested(part, 'accessed')).map(accessOf);
  all.sort((a, b) => a.first - b.first);
  const truncated = parts.reduce((sum, part) => sum + number(part, 'leftOut'), 0);
  return Object.assign(all, { truncated });
}
