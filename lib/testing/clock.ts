// Another time for a tree.
import { types } from 'node:util';
import { respond, type SandboxedProcess } from '../index.ts';
import { fieldsOf, wrong } from './problems.ts';

/** A date as `new Date()` takes it: text, milliseconds since 1970, or a `Date`. */
export type Instant = string | number | Date;

/**
 * What time it is for a program. A date: it is that at the start of the run, and goes on from there. `{ at, frozen: true }`: it
 * stays so. `{ offset }`: the real time and so many milliseconds (below 0: earlier).
 */
export type FakeTime = Instant | { at: Instant; frozen?: boolean } | { offset: number; frozen?: boolean };

/** As they are when this is loaded: tests put others in their place. */
const RealDate = Date;
const monotonic = performance.now.bind(performance);

const { isDate } = types;

const takes = "must be a date ('2030-01-01', a Date, milliseconds), { at, frozen? } or { offset, frozen? }";

function instant(value: unknown, field: string): number {
  const date =
    typeof value === 'string' || typeof value === 'number' ? new RealDate(value) : isDate(value) ? value : undefined;
  if (date === undefined || Number.isNaN(date.getTime())) throw wrong(field, value, takes);
  if (date.getTime() < 0) throw wrong(field, value, 'lies before 1970, where no clock goes');
  return date.getTime();
}

/** Milliseconds since 1970, when it is asked. */
export type Clock = () => number;

/** A clock that starts now. */
export function clockOf(time: unknown, field: string): Clock {
  const started = monotonic();
  let at: number;
  let frozen: unknown = false;
  if (typeof time === 'object' && time !== null && !isDate(time)) {
    const fields = fieldsOf(field, time, ['at', 'offset', 'frozen']);
    frozen = fields.frozen ?? false;
    if (typeof frozen !== 'boolean') throw wrong(`${field}.frozen`, frozen, 'must be true or false');
    if ((fields.at === undefined) === (fields.offset === undefined)) throw wrong(field, time, takes);
    if (fields.at !== undefined) at = instant(fields.at, `${field}.at`);
    else if (typeof fields.offset === 'number' && Number.isFinite(fields.offset)) {
      at = instant(RealDate.now() + fields.offset, `${field}.offset`);
    } else throw wrong(`${field}.offset`, fields.offset, 'must be a number of milliseconds');
  } else at = instant(time, field);
  return frozen === true ? () => at : () => at + (monotonic() - started);
}

/** CLOCK_REALTIME, _COARSE, _ALARM and CLOCK_TAI (linux/time.h); the others tell how long something took. */
const wallClocks = [0, 5, 8, 11];

/** Every way to ask the kernel for the time of day: docs/api.md, onSyscall, says why no vDSO is left to ask. */
export function setClock(child: SandboxedProcess, clock: Clock): void {
  const now = () => {
    const micros = Math.floor(clock() * 1000);
    return { seconds: Math.floor(micros / 1e6), microseconds: micros % 1e6 };
  };
  child.onSyscall('clock_gettime', { args: [{ index: 0, oneOf: wallClocks }] }, () => {
    const { seconds, microseconds } = now();
    return respond({ seconds, nanoseconds: microseconds * 1000 });
  });
  child.onSyscall('gettimeofday', () => respond(now()));
  // aarch64 has no such call, and takes the name all the same where a policy speaks of it.
  if (process.arch === 'x64') child.onSyscall('time', () => respond(now().seconds));
}
