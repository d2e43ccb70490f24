import type { SendHandle, Serializable } from 'node:child_process';
import type { HoldfastError } from '../errors.ts';
import type { LimitReached } from '../limits/reached.ts';
import type { PolicyWarning } from '../policy/idle.ts';
import type { ExecEvent, ForkEvent, ProcessExitEvent } from './lifecycle.ts';
import type { LoggedCall, Violation } from './violation.ts';

/** The events of a {@link SandboxedProcess}: those of `ChildProcess` with Node's meaning, and holdfast's own. */
export interface SandboxedProcessEvents {
  /** The command runs: its first instruction is next. */
  spawn: () => void;
  /** The command ended, by itself (`code`) or by a signal. Its descendants and streams may still be there. */
  exit: (code: number | null, signal: NodeJS.Signals | null) => void;
  /** The command has ended, its streams have closed, and nothing of the tree is left. The supervisor may still be ending. */
  close: (code: number | null, signal: NodeJS.Signals | null) => void;
  /** The command could not be started or killed, or its supervisor was lost. Thrown if nobody listens. */
  error: (error: Error) => void;
  /** From the command's `process.send()`, with `'ipc'` in `stdio`. */
  message: (message: Serializable, handle: SendHandle) => void;
  disconnect: () => void;
  /** @internal Messages of Node's own (their `cmd` begins with `NODE_`), which node:cluster and its like listen to. */
  internalMessage: (message: Serializable, handle: SendHandle) => void;
  /** A call was refused by a rule, a hook, or because it is never allowed. */
  violation: (violation: Violation) => void;
  /** A call that a rule of `syscalls.deny` with the action `'log'` matched. It has not run yet. Listen in the spawn's tick. */
  syscall: (call: LoggedCall) => void;
  /** A hook threw, rejected, answered nonsense, or was late; the call was denied. `cause`, `event` and `call` tell more. */
  hookError: (error: HoldfastError) => void;
  /**
   * A rule of the policy does nothing here (its path is not there, and nothing in the sandbox may make it), or stands for
   * less than it seems (a link on its way, or on the command's, may have been planted); or a listener for `violation` came
   * after the tick of the spawn, and does not hear of what the kernel alone decides.
   */
  warning: (warning: PolicyWarning) => void;
  /**
   * A limit was reached: the tree was killed for it, or (`processes`, `threads`) forks are refused from now on, which is told
   * once for each. Before `exit` and `close` of what it has ended; of `output` before `close`.
   */
  limit: (reached: LimitReached) => void;
  /**
   * The command was stopped: SIGSTOP, or by job control SIGTSTP, SIGTTIN or SIGTTOU. Who runs it for somebody at a terminal has to stop as
   * well, so that the shell hears of it. Of several in quick succession one may be all that is told.
   */
  stop: (signal: NodeJS.Signals) => void;
  /** What was stopped goes on. */
  continue: () => void;
  /** A process of the tree was made, runs another program, or has ended; told if anybody listens (docs/api.md). */
  fork: (event: ForkEvent) => void;
  exec: (event: ExecEvent) => void;
  processExit: (event: ProcessExitEvent) => void;
  /** Nothing of the tree is left. */
  treeEmpty: () => void;
}
