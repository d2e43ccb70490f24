import type { AskReader } from '../../native/asks.ts';

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

export function call(ask: AskReader): Call {
  const pid = ask.number('pid');
  return {
    syscall: ask.text('syscall'),
    pid,
    tid: ask.number('tid', pid),
    executable: ask.text('executable'),
  };
}

export function pathCall(ask: AskReader): PathCall {
  const pid = ask.number('pid');
  const made = {
    syscall: ask.text('syscall'),
    pid,
    tid: ask.number('tid', pid),
    executable: ask.text('executable'),
    path: ask.text('path'),
  };
  const exact = ask.bytes('path');
  return exact === undefined ? made : { ...made, pathBytes: exact };
}
