// What a tree has used.
import type { NativeRecord } from '../native/native.ts';
import { nested, number, text } from '../native/records.ts';

/** What a process has used by itself: its threads, those that have ended too, but not its children. */
export interface ProcessUsage {
  /** Processor time outside and inside the kernel, in milliseconds. */
  readonly userTime: number;
  readonly systemTime: number;
  /** The most memory that was resident at once, in bytes. */
  readonly peakMemory: number;
  /** Bytes that went through `read()` and `write()` and their like, whatever the descriptor is: file, pipe, socket. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/** What a tree has used: the command and all its descendants, the dead among them. */
export interface TreeUsage extends ProcessUsage {
  /** Of the one process that had the most. */
  readonly peakMemory: number;
  /** Since the start, in milliseconds. */
  readonly wallTime: number;
  /** How many processes there were: the command is the first. */
  readonly processes: number;
  /** How many threads were made, beside each process's first. */
  readonly threads: number;
  /** Calls that were held until they were decided; what is left to the kernel is not. */
  readonly callsHeld: number;
  /** Calls that the supervisor refused, each of which is a `violation`. */
  readonly callsRefused: number;
  /** With the option `usageByExecutable`: of the processes that have ended, by the program that each ran last. */
  readonly byExecutable?: Readonly<Record<string, ExecutableUsage>>;
}

/** What the processes that ran one program last have used together. */
export interface ExecutableUsage extends ProcessUsage {
  /** How many there were. */
  readonly processes: number;
}

const NANOSECONDS = 1e6;

export function processUsage(record: NativeRecord): ProcessUsage {
  return {
    userTime: number(record, 'userTime') / NANOSECONDS,
    systemTime: number(record, 'systemTime') / NANOSECONDS,
    peakMemory: number(record, 'peakMemory'),
    bytesRead: number(record, 'bytesRead'),
    bytesWritten: number(record, 'bytesWritten'),
  };
}

export function treeUsage(record: NativeRecord, byExecutable: boolean): TreeUsage {
  const usage: TreeUsage = {
    ...processUsage(record),
    wallTime: number(record, 'wallTime') / NANOSECONDS,
    processes: number(record, 'processes'),
    threads: number(record, 'threads'),
    callsHeld: number(record, 'callsHeld'),
    callsRefused: number(record, 'callsRefused'),
  };
  if (!byExecutable) return usage;
  const programs = nested(record, 'program').map((program): [string, ExecutableUsage] => [
    text(program, 'executable'),
    { ...processUsage(program), processes: number(program, 'processes') },
  ]);
  return { ...usage, byExecutable: Object.fromEntries(programs) };
}
