// Amounts as people write them: '256MiB', '2s'. Strict: what is not understood as a whole is refused, never guessed.

import { nearest } from './nearest.ts';

const byteUnits = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
} as const;

const timeUnits = { ms: 1, s: 1e3, min: 60e3, h: 3600e3 } as const;

/** Bytes, as a whole number or with a unit: `65536`, `'64KiB'`, `'1.5GB'`. `kB` is 1000 bytes, `KiB` is 1024. */
export type ByteSize = number | `${number}${keyof typeof byteUnits}`;

/** Milliseconds, as in `timeout`, or a time with its unit: `1500`, `'1.5s'`, `'2min'`. */
export type Duration = number | `${number}${keyof typeof timeUnits}`;

export type Parsed = { value: number } | { problem: string };

/** A hundred years in milliseconds, and more bytes than any machine has, are no limits any more. */
const MOST_MILLISECONDS = 1e12;
const MOST_BYTES = 2 ** 50;

/** What people write for these, where nothing is left to be asked. */
const otherWords: Readonly<Record<string, string | readonly string[]>> = {
  b: 'B',
  byte: 'B',
  bytes: 'B',
  k: 'KiB',
  K: 'KiB',
  KB: 'kB',
  m: ['MiB', 'min'],
  M: 'MiB',
  g: 'GiB',
  G: 'GiB',
  t: 'TiB',
  T: 'TiB',
  sec: 's',
  second: 's',
  seconds: 's',
  minute: 'min',
  minutes: 'min',
  hour: 'h',
  hours: 'h',
};

function parse(
  value: unknown,
  units: Readonly<Record<string, number>>,
  least: number,
  most: number,
  what: string,
): Parsed {
  const known = Object.keys(units).join(', ');
  const form = `must be ${what} as a whole number, or text with a unit: ${known}`;
  if (typeof value === 'number') return within(value, Number.isInteger(value), least, most, form);
  if (typeof value !== 'string') return { problem: form };
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(value) ?? [];
  if (digits === '') return { problem: form };
  if (unit === '')
    return { problem: `has no unit: write ${digits}${Object.keys(units)[0]}, or a number. Units are ${known}` };
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  if (factor === undefined) {
    const others = Object.hasOwn(otherWords, unit) ? [otherWords[unit] ?? []].flat() : [];
    // Of more than a thousand terabytes nobody has meant a smaller unit that looks alike.
    const near = /^[PEZY]/.test(unit) ? undefined : nearest(unit, Object.keys(units));
    const meant = others.find((other) => Object.hasOwn(units, other)) ?? near;
    const hint = meant === undefined ? '' : ` Did you mean '${digits}${meant}'?`;
    return { problem: `has a unit that is not known: ${unit}. Units are ${known}.${hint}` };
  }
  // Of a part of a byte, or of a millisecond, nothing is left; 1.1 times 1000 is 1100 all the same.
  const whole = Math.floor(Number(digits) * factor + 1e-3);
  return within(whole, true, least, most, form);
}

function within(value: number, whole: boolean, least: number, most: number, form: string): Parsed {
  if (!whole || !Number.isFinite(value)) return { problem: form };
  if (value < least) return { problem: `must be ${least} or more` };
  if (value > most) return { problem: `must be ${most} or less. Leave it out for no limit` };
  return { value };
}

export const parseBytes = (value: unknown, least = 0): Parsed => parse(value, byteUnits, least, MOST_BYTES, 'bytes');

export const parseDuration = (value: unknown, least = 1): Parsed =>
  parse(value, timeUnits, least, MOST_MILLISECONDS, 'milliseconds');

export function parseCount(value: unknown, least = 1): Parsed {
  const form = `must be a whole number, ${least} or more`;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least) return { problem: form };
  return value > 2 ** 30 ? { problem: `must be ${2 ** 30} or less. Leave it out for no limit` } : { value };
}

/** Processors, as those who divide one write them. The kernel counts in hundredths: no group gets less than 1 ms of 100. */
export function parseProcessors(value: unknown): Parsed {
  const form = 'must be a number of processors, 0.01 or more, as 1 or 0.5';
  if (typeof value !== 'number' || !(value >= 0.01)) return { problem: form };
  return value > 1e4 ? { problem: 'must be 10000 or less. Leave it out for no limit' } : { value };
}
