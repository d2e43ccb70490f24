import type { NativeRecord } from '../../native/native.ts';
import { number, optionalText, own, type PathCall, pathCall } from './common.ts';

/** execve, execveat. The command's own start is one too. */
export interface ExecCall extends PathCall {
  /** At most the first 64 KiB of them: see {@link argc}. */
  readonly argv: readonly string[];
  /** How many arguments there are, even where `argv` was cut. */
  readonly argc: number;
  /** For a script: the program that its `#!` line names. */
  readonly interpreter: string | undefined;
}

export const execCalls = {
  exec: (record: NativeRecord): ExecCall => {
    const argv = (own(record, 'argv') as string[] | undefined) ?? [];
    return {
      ...pathCall(record),
      argv,
      argc: number(record, 'count', argv.length),
      interpreter: optionalText(record, 'interpreter'),
    };
  },
};
