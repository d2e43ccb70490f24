import type { AskReader } from '../../native/asks.ts';
import { type PathCall, pathCall } from './common.ts';

/** execve, execveat. The command's own start is one too. */
export interface ExecCall extends PathCall {
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
    return {
      ...pathCall(ask),
      argv,
      argc: ask.number('count', argv.length),
      initial: ask.number('initial') === 1,
      interpreter: ask.optionalText('interpreter'),
    };
  },
};
