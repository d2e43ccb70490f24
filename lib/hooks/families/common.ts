import type { NativeRecord } from '../../native/native.ts';

/** What every call that a hook hears of has. */
export interface Call {
  /** Name of the system call: `openat`, `rename`, … */
  readonly syscall: string;
  /** The process that made it. */
  readonly pid: number;
  /** The thread that made it. */
  readonly tid: number;
  /** Canonical path of the program that the process runs. */
  readonly executable: string;
}

/** A call on a path. */
export interface PathCall extends Call {
  /** Canonical and absolute: links and `..` are resolved. */
  readonly path: string;
  /** The same, exactly, where it is not valid UTF-8. */
  readonly pathBytes?: Buffer;
}

/** A record's own field: it is an object like any other, and Object.prototype may have anything. */
export function own(record: NativeRecord, field: string): unknown {
  return Object.hasOwn(record, field) ? record[field] : undefined;
}

export function number(record: NativeRecord, field: string, otherwise = 0): number {
  const value = own(record, field);
  return typeof value === 'number' ? value : typeof value === 'bigint' ? Number(value) : otherwise;
}

export function optionalNumber(record: NativeRecord, field: string): number | undefined {
  return own(record, field) === undefined ? undefined : number(record, field);
}

export function text(record: NativeRecord, field: string): string {
  const value = own(record, field);
  return typeof value === 'string' ? value : '';
}

export function optionalText(record: NativeRecord, field: string): string | undefined {
  const value = own(record, field);
  return typeof value === 'string' ? value : undefined;
}

export function bytes(record: NativeRecord, field: string): Buffer | undefined {
  return own(record, `${field}Bytes`) as Buffer | undefined;
}

export function call(record: NativeRecord): Call {
  const pid = number(record, 'pid');
  return {
    syscall: text(record, 'syscall'),
    pid,
    tid: number(record, 'tid', pid),
    executable: text(record, 'executable'),
  };
}

export function pathCall(record: NativeRecord): PathCall {
  const pid = number(record, 'pid');
  const made = {
    syscall: text(record, 'syscall'),
    pid,
    tid: number(record, 'tid', pid),
    executable: text(record, 'executable'),
    path: text(record, 'path'),
  };
  const exact = bytes(record, 'path');
  return exact === undefined ? made : { ...made, pathBytes: exact };
}
