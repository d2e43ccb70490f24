// open(O_CREAT) of a name that is missing when it is judged, and there when it is made. The hook's thinking is the race's
// time: what it approved is a new file, and nothing else may be opened under that approval.
import { existsSync, linkSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

/** Appends to a missing name; the first time that the hook is asked about it, something is put there. */
async function swapped(put: (path: string, outside: string) => void, policy: object = {}) {
  const inside = temporaryFolder('inside');
  const outside = temporaryFolder('outside');
  const path = join(inside, 'name');
  writeFileSync(join(outside, 'secret'), 'secret\n');
  const asked: number[] = [];
  const outcome = await runSandboxed('sh', ['-c', 'echo written >> name && echo done'], {
    cwd: inside,
    policy: { files: { read: [inside], write: [inside], ...policy } },
    hooks: (child) =>
      child.onOpen({ path }, async (call) => {
        if (asked.push(call.mode ?? -1) === 1) put(path, outside);
      }),
  });
  return { path, outside, asked, outcome };
}

describe('a name that comes while its making is judged', () => {
  test('as a link is judged by what it leads to', async () => {
    const { path, outside, outcome } = await swapped((path, outside) => symlinkSync(join(outside, 'secret'), path));
    expect(outcome.stdout).toBe('');
    expect(outcome.violations).toContainEqual(
      expect.objectContaining({ path: join(outside, 'secret'), errno: 'EACCES' }),
    );
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('secret\n');
    expect(existsSync(path)).toBe(true);
  });

  test('as a link to nothing makes nothing where it leads', async () => {
    const { outside, outcome } = await swapped((path, outside) => symlinkSync(join(outside, 'new'), path));
    expect(outcome.stdout).toBe('');
    expect(existsSync(join(outside, 'new'))).toBe(false);
  });

  test('as another file is asked about once more', async () => {
    const { path, asked, outcome } = await swapped((path, outside) => linkSync(join(outside, 'secret'), path));
    expect(asked).toHaveLength(2);
    expect(outcome.stdout).toBe('done\n');
    expect(readFileSync(path, 'utf8')).toBe('secret\nwritten\n');
  });

  test('and nothing that comes is asked about once', async () => {
    const { path, asked, outcome } = await swapped(() => {});
    expect(asked).toHaveLength(1);
    expect(outcome.stdout).toBe('done\n');
    expect(readFileSync(path, 'utf8')).toBe('written\n');
  });
});
