import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { supervisorPath } from '../../lib/native/native.ts';

export type Architecture = 'x86_64' | 'aarch64';

/** A row of native/syscalls/table.def as `holdfast-supervisor --table` prints it. */
export interface Row {
  readonly name: string;
  readonly x86_64: number | null;
  readonly aarch64: number | null;
  readonly family: string;
  readonly event: string;
  readonly way: 'let_by' | 'perform' | 'bounce' | 'verify' | 'observe' | 'refuse' | 'absent';
  readonly error: string;
  readonly guard: string;
  readonly handler: string;
  readonly args: readonly string[];
  readonly reason: string;
}

export function readTable(): Row[] {
  const printed = execFileSync(supervisorPath(), ['--table'], { encoding: 'utf8' });
  return printed
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);
}

/** Names and numbers that a kernel header defines as numbers, `__NR_name` and `__NR3264_name` alike. */
export function readHeader(path: string): Map<string, number> {
  const defined = readFileSync(path, 'utf8').matchAll(/^#define __NR(?:3264)?_(\w+) (\d+)\s*$/gm);
  return new Map(Array.from(defined, ([, name, number]) => [name as string, Number(number)]));
}

/** The snapshot of the newest kernel's headers that is kept beside the tests. */
export function readSnapshot(architecture: Architecture): Map<string, number> {
  const text = readFileSync(new URL(`../table/linux-6.18-${architecture}.txt`, import.meta.url), 'utf8');
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.split(' ')[1] as string, Number(line.split(' ')[0])]));
}
