import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Architecture, readHeader, readSnapshot, readTable } from '../helpers/table.ts';

const rows = readTable();
const architectures: Architecture[] = ['x86_64', 'aarch64'];

function numbersOf(architecture: Architecture): Map<string, number> {
  return new Map(rows.flatMap((row) => (row[architecture] === null ? [] : [[row.name, row[architecture]] as const])));
}

const sorted = (numbers: Map<string, number>) => Array.from(numbers).sort(([, a], [, b]) => a - b);

describe.each(architectures)('numbers on %s', (architecture) => {
  test('are those of Linux 6.18, all of them and no others', () => {
    expect(sorted(numbersOf(architecture))).toEqual(sorted(readSnapshot(architecture)));
  });

  test('stand for one call each', () => {
    const numbers = Array.from(numbersOf(architecture).values());
    expect(new Set(numbers).size).toBe(numbers.length);
  });
});

// The headers that are installed here: often older than the snapshot, so they may lack calls but never disagree.
const x86Headers = ['/usr/include/x86_64-linux-gnu/asm/unistd_64.h', '/usr/include/asm/unistd_64.h'].filter(existsSync);
const genericHeader = '/usr/include/asm-generic/unistd.h';

test.skipIf(x86Headers.length === 0)('the installed header of x86_64 agrees', () => {
  const installed = readHeader(x86Headers[0] as string);
  expect(installed.size).toBeGreaterThan(300);
  const table = numbersOf('x86_64');
  for (const [name, number] of installed) {
    // A header that is newer than the table may know more; such numbers are answered with ENOSYS.
    if (number > 469) continue;
    expect([name, table.get(name)]).toEqual([name, number]);
  }
});

// What the generic header names for 32-bit architectures, for ranges, and under another name.
const notCallsOfAarch64 = new Set(['syscalls', 'arch_specific_syscall', 'fstatat', 'sync_file_range2']);

test.skipIf(!existsSync(genericHeader))('the installed generic header, which aarch64 uses, agrees', () => {
  const installed = readHeader(genericHeader);
  expect(installed.size).toBeGreaterThan(250);
  const table = numbersOf('aarch64');
  expect(table.get('newfstatat')).toBe(installed.get('fstatat') ?? installed.get('newfstatat'));
  for (const [name, number] of installed) {
    if (number > 469 || /time64$|^clock_\w+64$|^timer(fd)?_\w+64$/.test(name) || notCallsOfAarch64.has(name)) continue;
    expect([name, table.get(name)]).toEqual([name, number]);
  }
});

test('each call stands once, sorted by name', () => {
  const names = rows.map((row) => row.name);
  expect(names).toEqual(Array.from(new Set(names)).sort());
});

test('each call exists on one of the architectures at least', () => {
  expect(rows.filter((row) => row.x86_64 === null && row.aarch64 === null)).toEqual([]);
});
