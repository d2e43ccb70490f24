// How long what is asked to end may take.
import { HoldfastError } from '../errors.ts';
import { shown } from '../policy/check.ts';

/** What is wrong with a time between being asked to end and being killed. */
export const graceProblem = (value: unknown) =>
  typeof value === 'number' && value >= 0 ? undefined : 'must be milliseconds, 0 or more, or Infinity';

/** Of `killTree()`: its second argument. */
export function forceKillAfterOf(options: unknown): number | undefined {
  const refuse = (what: string, value: unknown, problem: string) =>
    new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', `killTree(): ${what}: ${shown(value)} ${problem}`);
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw refuse('options', options, 'must be an object');
  }
  const { forceKillAfter, ...others } = { __proto__: null, ...options } as Record<string, unknown>;
  for (const [name, value] of Object.entries(others)) {
    throw refuse(`options.${name}`, value, 'is not an option. Known is forceKillAfter');
  }
  if (forceKillAfter === undefined) return undefined;
  const problem = graceProblem(forceKillAfter);
  if (problem !== undefined) throw refuse('options.forceKillAfter', forceKillAfter, problem);
  return forceKillAfter as number;
}
