// Who is in the tree.
import type { NativeRecord } from '../native/native.ts';
import { nested, number, optionalNumber, own, text } from '../native/records.ts';
import { type ProcessUsage, processUsage } from './usage.ts';

/**
 * What a process is doing: `waiting` is in the kernel where no signal wakes it (a held call is such), `stopped` by SIGSTOP or
 * its like, `frozen` by `freeze()`; `ended` has other threads that go on.
 */
export type ProcessState = 'running' | 'sleeping' | 'waiting' | 'stopped' | 'frozen' | 'ended';

/** A program that runs. */
export interface ProgramOfProcess {
  readonly pid: number;
  /** Canonical path of the program; empty if it could not be read. */
  readonly executable: string;
  /** As the process shows them now: as many of the first as fit into some 24 KiB. */
  readonly argv: readonly string[];
  /** Whether there are more. */
  readonly argvCut: boolean;
}

/** A process of the tree. */
export interface TreeProcess extends ProgramOfProcess {
  /** Undefined for the command, and for who has outlived its parent: what lies outside of the tree is not told. */
  readonly parent: number | undefined;
  readonly state: ProcessState;
  /** How many threads it has. */
  readonly threads: number;
  readonly startTime: Date;
  /** What it has used by itself. */
  readonly usage: ProcessUsage;
}

const states: Readonly<Record<string, ProcessState>> = {
  R: 'running',
  S: 'sleeping',
  D: 'waiting',
  T: 'stopped',
  t: 'stopped',
  Z: 'ended',
  X: 'ended',
};

function stateOf(record: NativeRecord): ProcessState {
  const state = states[String.fromCharCode(number(record, 'state'))] ?? 'sleeping';
  return number(record, 'frozen') === 1 && state !== 'ended' ? 'frozen' : state;
}

export function argvOf(record: NativeRecord): { argv: readonly string[]; argvCut: boolean } {
  const argv = own(record, 'argv');
  return { argv: Array.isArray(argv) ? (argv as string[]) : [], argvCut: number(record, 'more') === 1 };
}

export function programOf(record: NativeRecord): ProgramOfProcess {
  return { pid: number(record, 'pid'), executable: text(record, 'executable'), ...argvOf(record) };
}

export function ancestryOf(parts: readonly NativeRecord[]): ProgramOfProcess[] {
  return parts.flatMap((part) => nested(part, 'process').map(programOf));
}

export function processesOf(parts: readonly NativeRecord[]): TreeProcess[] {
  return parts.flatMap((part) =>
    nested(part, 'process').map((process) => ({
      ...programOf(process),
      parent: optionalNumber(process, 'parent'),
      state: stateOf(process),
      threads: number(process, 'threads'),
      startTime: new Date(number(process, 'startTime') / 1000),
      usage: processUsage(process),
    })),
  );
}
