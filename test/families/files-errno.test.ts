// Every path call in every odd way it has, bare and sandboxed: what the kernel answers must be the same to the letter.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Policy, SandboxedProcess } from 'holdfast';
import { beforeAll, describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { type Outcome, runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

// Nothing is refused by rule, so whatever differs is a difference of ours.
const everything: Policy = { files: { read: ['/'], write: ['/'] } };

function folderFor(name: string): string {
  const folder = join(temporaryFolder('errno'), name);
  mkdirSync(folder);
  return folder;
}

describe('what path calls answer', () => {
  let bare: Outcome;

  beforeAll(async () => {
    bare = await runBare(program('errno_probe'), [folderFor('probe')]);
    expect(bare.code).toBe(0);
    expect(bare.stdout.split('\n').length).toBeGreaterThan(4000);
  });

  async function expectSame(hooks?: (child: SandboxedProcess) => void): Promise<void> {
    const held = await runSandboxed(program('errno_probe'), [folderFor('probe')], { policy: everything, hooks });
    expect(held.stdout.split('\n')).toEqual(bare.stdout.split('\n'));
    expect(held.code).toBe(0);
    expect(held.violations).toEqual([]);
  }

  test('is what the bare kernel answers', { timeout: patient(180_000) }, () => expectSame());

  test('is the same with a hook that hears of every open and rename', { timeout: patient(180_000) }, async () => {
    let heard = 0;
    await expectSame((child) => {
      child.onOpen(() => {
        heard += 1;
      });
      child.onRename(() => {
        heard += 1;
      });
    });
    expect(heard).toBeGreaterThan(1000);
  });
});
