import type { AskReader } from '../../native/asks.ts';
import { type PathCall, pathCall } from './common.ts';

/** What an exec's call can be asked besides. */
export interface ExecCaller {
  /**
   * The environment that the program is to have, read from the caller's memory when it is asked for. Its other threads may
   * change it meanwhile, so nothing that a verdict rests on should be read this way; `redirect({ env })` sets it for sure.
   * @throws `ERR_HOLDFAST_CALL_GONE`, `ERR_HOLDFAST_MEMORY` (by the promise), as `readMemory`.
   */
  env(): Promise<Record<string, string>>;
}

/** execve, execveat. The command's own start is one too. */
export interface ExecCall extends PathCall, ExecCaller {
  /** At most the first 64 KiB of them: see {@link argc}. */
  readonly argv: readonly string[];
  /** How many arguments there are, even where `argv` was cut. */
  readonly argc: number;
  /** The command's own start. */
  readonly initial: boolean;
  /** For a script: the program that its `#!` line names. */
  readonly interpreter: string | undefined;
}

export const execCalls = {
  exec: (ask: AskReader): ExecCall => {
    const argv = ask.argv();
    const made: Omit<ExecCall, keyof ExecCaller> = {
      ...pathCall(ask),
      argv,
      argc: ask.number('count', argv.length),
      initial: ask.number('initial') === 1,
      interpreter: ask.optionalText('interpreter'),
    };
    return made as ExecCall;
  },
};
