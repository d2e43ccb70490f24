import type { AskReader } from '../../native/asks.ts';
import { signalName } from '../../native/signals.ts';
import { constantsOf } from '../../policy/constants.ts';
import { type Call, type Caller, call } from './common.ts';

/**
 * What a call makes: a process, a thread of the caller's process, or (`vfork`) a process for which the caller waits until it
 * has executed a program or ended. posix_spawn(3) makes the last.
 */
export type ForkKind = 'process' | 'thread' | 'vfork';

/** protocol.h: kProcess, kThread, kVfork. */
export const forkKindBits: Readonly<Record<ForkKind, number>> = { process: 1, thread: 2, vfork: 4 };

/** fork, vfork, clone. (clone3 is not there: libc falls back to clone.) */
export interface ForkCall extends Call {
  readonly kind: ForkKind;
  /** What is shared with the caller and how, by the names of clone(2): `'CLONE_VM'`, … Those that fork and vfork stand for, too. */
  readonly flags: readonly string[];
}

/** The end of a process, at its last moment: its memory and registers are still there. */
export interface ExitCall extends Omit<Call, 'syscall'> {
  /** What it ends with; null if by a signal. */
  readonly code: number | null;
  /** By which it ends, or null. */
  readonly signal: NodeJS.Signals | null;
}

/** CSIGNAL, linux/sched.h: below it stands the signal for the parent. */
const SIGNAL_BITS = 0xff;

function flagNames(flags: number): string[] {
  const names: string[] = [];
  for (const [name, bit] of constantsOf('cloneFlags')) {
    if (bit > SIGNAL_BITS && (BigInt(flags) & BigInt(bit)) !== 0n) names.push(name);
  }
  return names;
}

export const processCalls = {
  fork: (ask: AskReader): ForkCall => {
    const flags = flagNames(ask.number('flags'));
    const kind = flags.includes('CLONE_THREAD') ? 'thread' : flags.includes('CLONE_VFORK') ? 'vfork' : 'process';
    return { ...call(ask), kind, flags };
  },
  exit: (ask: AskReader): ExitCall => {
    const signal = ask.optionalNumber('signal');
    const pid = ask.number('pid');
    const made: Omit<ExitCall, keyof Caller> = {
      pid,
      tid: ask.number('tid', pid),
      executable: ask.text('executable'),
      ppid: ask.optionalNumber('parent'),
      code: signal === undefined ? ask.number('code') : null,
      signal: signal === undefined ? null : signalName(signal),
    };
    return made as ExitCall;
  },
};
