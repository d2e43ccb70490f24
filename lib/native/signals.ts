// Signals by number and by name, as Node knows them.
import { constants } from 'node:os';
import { format } from 'node:util';
import { coded } from '../errors.ts';

const signals: Readonly<Record<string, number>> = constants.signals;
const names = new Map<number, NodeJS.Signals>();
for (const [name, number] of Object.entries(signals)) {
  if (!names.has(number)) names.set(number, name as NodeJS.Signals);
}

/** The number of a signal given as name or number; throws as `ChildProcess.kill` does. */
export function signalNumber(value: unknown): number {
  if (typeof value === 'number' && names.has(value)) return value;
  if (typeof value === 'string') {
    const name = value.toUpperCase();
    const number = Object.hasOwn(signals, name) ? signals[name] : undefined;
    if (number !== undefined) return number;
  }
  throw coded(new TypeError(format('Unknown signal: %s', value)), 'ERR_UNKNOWN_SIGNAL');
}

/** `SIGTERM` for 15. Real-time signals have no names in Node: they become `SIG40`. */
export function signalName(number: number): NodeJS.Signals {
  return names.get(number) ?? (`SIG${number}` as NodeJS.Signals);
}
