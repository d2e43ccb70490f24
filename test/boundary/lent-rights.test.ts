import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const { EPERM, EACCES, EOPNOTSUPP } = constants.errno;

test('the supervisor does nothing for the tree that takes a capability which the tree has lost', async () => {
  const folder = temporaryFolder('rights');
  writeFileSync(join(folder, 'file'), '');
  const outcome = await runSandboxed(program('lent_rights'), [join(folder, 'file')], {
    policy: { files: { read: ['/'], write: [folder] } },
  });
  expect(outcome.stderr).toBe('');
  const [log, ...attributes] = JSON.parse(outcome.stdout) as number[];
  expect([EPERM, EACCES]).toContain(log); // as an ordinary user, its mode says no
  for (const error of attributes) expect([EPERM, EOPNOTSUPP]).toContain(error);
});
