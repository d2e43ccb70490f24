import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { type Outcome, type RunOptions, runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

/** What a race program (test/programs/race_*.c) prints. */
export interface Race {
  rounds: number;
  approvals: number;
  refusals: number;
  /** Rounds in which something was flipped between the start of the call and its end. */
  flips: number;
  /** Calls that were approved for one thing and reached another. */
  escapes: number;
  /** Why flipping stopped, an errno; 0 if it did not. */
  flipError: number;
}

export type Attacked = Outcome & { race: Race };

function read(outcome: Outcome): Attacked {
  expect(outcome.stderr).toBe('');
  expect({ code: outcome.code, signal: outcome.signal }).toEqual({ code: 0, signal: null });
  return { ...outcome, race: JSON.parse(outcome.stdout) as Race };
}

/** The attack against holdfast. */
export async function attack(name: string, args: readonly (string | number)[], options: RunOptions): Promise<Attacked> {
  return read(await runSandboxed(program(name), args.map(String), options));
}

export interface TwinOptions {
  /** Syscalls that it holds. */
  hold: string;
  denyPath?: string;
  denyPort?: number;
  denyArgument?: string;
}

/** The same attack against a supervisor that checks and lets the call go on: it must succeed, or the test proves nothing. */
export async function attackTwin(
  name: string,
  args: readonly (string | number)[],
  { hold, denyPath, denyPort, denyArgument }: TwinOptions,
  stdio?: RunOptions['stdio'],
): Promise<Attacked> {
  const twin = ['--hold', hold];
  if (denyPath !== undefined) twin.push('--deny-path', denyPath);
  if (denyPort !== undefined) twin.push('--deny-port', String(denyPort));
  if (denyArgument !== undefined) twin.push('--deny-argument', denyArgument);
  const all = [...twin, '--', program(name), ...args.map(String)];
  return read(await runBare(program('naive_twin'), all, stdio === undefined ? {} : { stdio: stdio as never }));
}

export function expectHeld({ race }: Pick<Attacked, 'race'>): void {
  expect(race.escapes, 'escapes').toBe(0);
  expect(race.flips, 'real flips').toBeGreaterThan(0);
  expect(race.approvals, 'approvals').toBeGreaterThan(0);
}

export function expectBitten({ race }: Attacked): void {
  expect(race.escapes, 'escapes from the unprotected twin').toBeGreaterThan(0);
}

export interface Scene {
  folder: string;
  /** May be used. */
  inside: string;
  /** Must not be: its name differs from the other's in the last letter. */
  outside: string;
}

/** Two folders with a `file` each; what is outside says `secret`. */
export function scene(): Scene {
  const folder = temporaryFolder('race');
  const inside = join(folder, 'A');
  const outside = join(folder, 'B');
  for (const path of [inside, outside]) mkdirSync(path);
  writeFileSync(join(inside, 'file'), 'ours, and longer');
  for (const path of [outside, folder]) writeFileSync(join(path, 'file'), 'secret');
  return { folder, inside, outside };
}

/** For race_exchange: a folder and a link to the outside that change places, and a folder that moves up and down. */
export function movingScene(): Scene {
  const made = scene();
  mkdirSync(join(made.inside, 'x'));
  mkdirSync(join(made.inside, 'p/q'), { recursive: true });
  writeFileSync(join(made.inside, 'x/file'), 'ours, and longer');
  symlinkSync(made.outside, join(made.inside, 'l'));
  return made;
}

export function expectUntouched({ folder, outside }: Scene): void {
  expect(readdirSync(outside)).toEqual(['file']);
  expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('secret');
  expect(readdirSync(folder).sort()).toEqual(['A', 'B', 'file']);
}
