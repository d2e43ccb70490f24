import type { AskReader } from '../../native/asks.ts';

/** A program that runs. */
export interface Ancestor {
  readonly pid: number;
  /** Canonical path of the program; empty if it could not be read. */
  readonly executable: string;
  /** As the process shows them now: as many of the first as fit into some 24 KiB. */
  readonly argv: readonly string[];
  /** Whether there are more. */
  readonly argvCut: boolean;
}

/** What a hook can ask about who makes its call. Each is read when it is asked for. */
export interface Caller {
  /**
   * Where the thread is: its working directory.
   * @throws `ERR_HOLDFAST_CALL_GONE` (by the promise) if it is not there any more.
   */
  cwd(): Promise<string>;
  /**
   * Who has made the process, who has made that one, and so on up to the command: the nearest first, as far as they are
   * there. Empty for the command.
   * @throws `ERR_HOLDFAST_CALL_GONE` (by the promise) if the process is not there any more.
   */
  ancestry(): Promise<Ancestor[]>;
  /**
   * What stands in the caller's memory, while its call is held. Its other threads may change it meanwhile, so nothing that a
   * verdict rests on should be read this way.
   * @param address Where, as a number or (above 2^53) a bigint.
   * @param length How many bytes: 1 to 1048576. All of them or none.
   * @throws `ERR_HOLDFAST_CALL_GONE` (by the promise) if the call is not held any more: it was answered, or its thread has ended.
   * @throws `ERR_HOLDFAST_MEMORY` (by the promise) if nothing is there that can be read.
   * @throws `ERR_HOLDFAST_INVALID_OPTION` (by the promise) if address or length are no such thing.
   */
  readMemory(address: number | bigint, length: number): Promise<Buffer>;
}

/** What every call that a hook hears of has. */
export interface Call extends Caller {
  /** The process that has made the caller's, if it is still there; undefined for the command. */
  readonly ppid: number | undefined;
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

// The dispatcher adds what every call can be asked.
export function call(ask: AskReader): Call {
  const pid = ask.number('pid');
  const made: Omit<Call, keyof Caller> = {
    syscall: ask.text('syscall'),
    pid,
    tid: ask.number('tid', pid),
    executable: ask.text('executable'),
    ppid: ask.optionalNumber('parent'),
  };
  return made as Call;
}

export function pathCall(ask: AskReader): PathCall {
  const pid = ask.number('pid');
  const made: Omit<PathCall, keyof Caller> = {
    syscall: ask.text('syscall'),
    pid,
    tid: ask.number('tid', pid),
    executable: ask.text('executable'),
    ppid: ask.optionalNumber('parent'),
    path: ask.text('path'),
  };
  const exact = ask.bytes('path');
  return (exact === undefined ? made : { ...made, pathBytes: exact }) as PathCall;
}
