// Node checks the arguments of spawn() before it starts anything. Ours go to another program first, so they are checked
// here, with the same classes, codes and wording.
import { inspect } from 'node:util';
import { type Coded, coded } from '../errors.ts';
import { signalNumber } from '../native/signals.ts';

/** `argument` or `property`, as Node words it. */
const noun = (name: string): string => (name.includes('.') ? 'property' : 'argument');

function received(value: unknown): string {
  if (value === null || value === undefined) return ` Received ${value}`;
  if (typeof value === 'function') return ` Received function ${value.name}`;
  if (typeof value === 'object') {
    return value.constructor?.name
      ? ` Received an instance of ${value.constructor.name}`
      : ` Received ${inspect(value)}`;
  }
  const text = inspect(value, { colors: false });
  return ` Received type ${typeof value} (${text.length > 28 ? `${text.slice(0, 25)}...` : text})`;
}

export function wrongType(name: string, expected: string, value: unknown): Coded<TypeError> {
  return coded(
    new TypeError(`The "${name}" ${noun(name)} must be ${expected}.${received(value)}`),
    'ERR_INVALID_ARG_TYPE',
  );
}

export function wrongValue(name: string, reason: string, value: unknown): Coded<TypeError> {
  const text = inspect(value);
  return coded(
    new TypeError(
      `The ${noun(name)} '${name}' ${reason}. Received ${text.length > 128 ? `${text.slice(0, 128)}...` : text}`,
    ),
    'ERR_INVALID_ARG_VALUE',
  );
}

export function checkString(value: unknown, name: string): asserts value is string {
  if (typeof value !== 'string') throw wrongType(name, 'of type string', value);
}

export function checkNoNul(value: unknown, name: string): void {
  if (typeof value === 'string' && value.includes('\0')) {
    throw wrongValue(name, 'must be a string without null bytes', value);
  }
}

export function checkTimeout(value: unknown): void {
  if (value !== undefined && value !== null && !(Number.isInteger(value) && (value as number) >= 0)) {
    throw coded(
      new RangeError(
        `The value of "timeout" is out of range. It must be an unsigned integer. Received ${inspect(value)}`,
      ),
      'ERR_OUT_OF_RANGE',
    );
  }
}

export function checkAbortSignal(value: unknown): void {
  if (value === undefined) return;
  // Node finds out about the listener after it has started the program, and then nobody can end that.
  const usable =
    typeof value === 'object' &&
    value !== null &&
    'aborted' in value &&
    typeof (value as Partial<AbortSignal>).addEventListener === 'function';
  if (!usable) {
    throw wrongType('options.signal', 'an instance of AbortSignal', value);
  }
}

/** The same for the `killSignal` option, whose type Node looks at first. */
export function killSignalNumber(value: unknown): number {
  if (value === undefined || value === null) return signalNumber('SIGTERM');
  if (typeof value !== 'string' && typeof value !== 'number') {
    throw wrongType('options.killSignal', 'one of type string or number', value);
  }
  return signalNumber(value);
}
