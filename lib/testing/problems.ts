// How wrong use is said: with the field's name and its value.
import { inspect } from 'node:util';
import { HoldfastError } from '../index.ts';
import { didYouMean } from '../policy/nearest.ts';

/** A value for a message, shortened. */
export function shown(value: unknown): string {
  const text = inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY });
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

/** `field: 'value' problem`, with `ERR_HOLDFAST_INVALID_OPTION`. */
export function wrong(field: string, value: unknown, problem: string): HoldfastError {
  return new HoldfastError('ERR_HOLDFAST_INVALID_OPTION', `${field}: ${shown(value)} ${problem}`);
}

/** An object that has these fields only. Its own fields count, read once. */
export function fieldsOf(name: string, given: unknown, known: readonly string[]): Record<string, unknown> {
  if (given === undefined) return {};
  if (given === null || typeof given !== 'object' || Array.isArray(given))
    throw wrong(name, given, 'must be an object');
  const fields: Record<string, unknown> = { __proto__: null, ...given };
  for (const field of Object.keys(fields)) {
    if (known.includes(field)) continue;
    throw wrong(
      `${name}.${field}`,
      fields[field],
      `is not an option. Known are ${known.join(', ')}${didYouMean(field, known)}`,
    );
  }
  return fields;
}
