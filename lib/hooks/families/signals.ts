import type { AskReader } from '../../native/asks.ts';
import { signalName } from '../../native/signals.ts';
import { type Call, call } from './common.ts';

/** kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_send_signal, to a process of the same tree. */
export interface SignalCall extends Call {
  /** Name; `SIG40` for a real-time signal. 0 asks only whether the process is there. */
  readonly signal: NodeJS.Signals | 0;
  /** As the call gave it: below 0 for a process group. */
  readonly targetPid: number;
}

export const signalCalls = {
  signal: (ask: AskReader): SignalCall => {
    const signal = ask.number('signal');
    return { ...call(ask), signal: signal === 0 ? 0 : signalName(signal), targetPid: ask.number('targetPid') };
  },
};
