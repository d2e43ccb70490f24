// Who holds the calls that the kernel cannot decide by itself (native/protocol/protocol.h: Engine).
import { type Engine, HoldfastError } from '../errors.ts';
import type { NativeRecord } from '../native/native.ts';
import { number, own } from '../native/records.ts';
import { shown } from '../policy/check.ts';
import type { Need } from './stages.ts';

export type { Engine } from '../errors.ts';

/** The number of each is its place. */
const names = ['auto', 'notify', 'ptrace', 'kernel'] as const;

export const engineProblem = (value: unknown): string | undefined =>
  (names as readonly unknown[]).includes(value) ? undefined : `must be one of ${names.map(shown).join(', ')}`;

/** Names an engine where no option does: for tests, and to find out what another one would do. */
const VARIABLE = 'HOLDFAST_ENGINE';

/**
 * What was asked for, as its number.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_OPTION`: the environment names none.
 */
export function engineWanted(option: unknown): number {
  const given = option ?? process.env[VARIABLE] ?? 'auto';
  const problem = engineProblem(given === '' ? 'auto' : given);
  if (problem !== undefined) {
    throw new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', `${VARIABLE} (environment): ${shown(given)} ${problem}`);
  }
  return Math.max(0, (names as readonly unknown[]).indexOf(given));
}

/** What that number asks for; undefined if nobody asked. */
export const engineAsked = (wanted: number): Engine | undefined =>
  wanted === 0 ? undefined : (names[wanted] as Engine | undefined);

/** The engine that a record names. */
export const engineOf = (record: NativeRecord): Engine => (names[number(record, 'engine')] ?? 'notify') as Engine;

/** What a `needs` record tells. */
export function needsOf(record: NativeRecord): Need[] {
  const texts = (own(record, 'plan') ?? []) as readonly string[];
  const needs: Need[] = [];
  for (let at = 0; at + 2 < texts.length; at += 3) {
    const [what = '', why = '', change = ''] = texts.slice(at, at + 3);
    needs.push({ what, why, change });
  }
  return needs;
}

/** What is asked of a tree that nobody follows. */
export const notFollowed = (file: string, asked: string): HoldfastError =>
  new HoldfastError(
    'ERR_HOLDFAST_NEEDS_HOLD',
    `${file}: '${asked}' cannot be asked: its engine is 'kernel', which holds no call and does not follow the tree`,
    { engine: 'kernel' },
  );
