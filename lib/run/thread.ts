// What runSandboxedSync() and the thread that it waits for say to each other: everything is data.
import { HoldfastError, type HoldfastErrorCode } from '../errors.ts';
import type { HookEvent } from '../hooks/families/index.ts';
import type { KeptHooks } from '../hooks/hooks.ts';
import type { KeptVerdict } from '../hooks/verdict.ts';
import type { Spawn } from '../process/plan.ts';
import type { Ended, RunOutput } from './result.ts';
import type { Followed } from './run.ts';

/** To the thread: a command to be run. */
export interface Job {
  readonly spawn: Omit<Spawn, 'signal' | 'hooks' | 'ready' | 'group'>;
  readonly command: string;
  readonly args: readonly string[];
  readonly plan: Omit<Followed, 'verbose' | 'hooks' | 'begun'>;
  readonly tells: boolean;
  readonly hooks: KeptHooks;
}

/** To the thread: what a hook has answered; `undefined` for no opinion. */
export interface Answer {
  readonly asked: number;
  readonly verdict: KeptVerdict | undefined;
  /** It threw, or answered what is no verdict: the call is denied and the tree ended. */
  readonly failed: boolean;
}

/** From the thread. */
export type Told =
  /** It is there: its number in the kernel. */
  | { readonly kind: 'ready'; readonly thread: string }
  | { readonly kind: 'started'; readonly pid: number | undefined; readonly supervisor: number | undefined }
  | {
      readonly kind: 'asked';
      readonly asked: number;
      readonly hook: number;
      readonly event: HookEvent;
      readonly call: object;
    }
  | { readonly kind: 'line'; readonly line: string }
  | {
      readonly kind: 'over';
      readonly ended: Ended<RunOutput, RunOutput, RunOutput>;
      readonly hookError: KeptError | undefined;
    }
  | { readonly kind: 'broken'; readonly error: KeptError };

/** An error, which would lose its class and its code on the way. */
export interface KeptError {
  readonly own: boolean;
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly cause: KeptError | undefined;
}

const carried = ['code', 'errno', 'event', 'syscall', 'path', 'spawnargs'] as const;

export function keepError(error: unknown): KeptError {
  const { name, message, stack, cause, ...rest } = (error instanceof Error ? error : new Error(String(error))) as Error;
  const all = { ...rest, ...(error as object) } as Record<string, unknown>;
  const fields = Object.fromEntries(
    carried.filter((field) => all[field] !== undefined).map((field) => [field, all[field]]),
  );
  return {
    own: error instanceof HoldfastError,
    name,
    message,
    stack,
    fields,
    cause: cause instanceof Error ? keepError(cause) : undefined,
  };
}

export function keptError({ own, name, message, stack, fields, cause }: KeptError): Error {
  const kept = cause === undefined ? {} : { cause: keptError(cause) };
  const { code, errno, event } = fields as { code: HoldfastErrorCode; errno?: number; event?: string };
  if (own) return new HoldfastError(code, message, { errno, event, ...kept });
  const error = Object.assign(new Error(message, kept), fields);
  Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true, enumerable: false });
  if (stack !== undefined) error.stack = stack;
  return error;
}
