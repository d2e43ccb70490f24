// Every held call with arguments that are none, bare and held: the same errno, whichever check finds it.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

function folder(): string {
  const made = join(temporaryFolder('bad'), 'folder');
  mkdirSync(made);
  return made;
}

test('bad pointers, flags, sizes and descriptors answer as they do bare', { timeout: 60_000 }, async () => {
  const bare = await runBare(program('bad_arguments'), [folder()]);
  expect(bare).toMatchObject({ code: 0, stderr: '' });
  const held = await runSandboxed(program('bad_arguments'), [folder()], {
    policy: {
      files: { read: ['/'], write: ['/'] },
      network: { connect: ['*', 'unix:/', 'unix:@*'], bind: ['*', 'unix:/', 'unix:@*'] },
    },
  });
  expect(held.stdout.split('\n')).toEqual(bare.stdout.split('\n'));
  expect(held).toMatchObject({ code: 0, stderr: '' });
});
