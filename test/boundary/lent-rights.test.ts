import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const { EPERM, EACCES, EOPNOTSUPP } = constants.errno;

test('the supervisor does nothing for the tree that takes a capability which the tree has lost', async () => {
  const folder = temporaryFolder('rights');
  for (const name of ['bare', 'held']) writeFileSync(join(folder, name), '');
  const line = [program('lent_rights'), join(folder, 'bare')];
  // What a kernel lets anybody do (6.1: attributes in security's name space) is no right that was lent.
  const kept = process.getuid?.() === 0 ? ['--bounding-set=-all,+chown,+dac_override,+fowner,+fsetid'] : [];
  const bare = await runBare('setpriv', ['--no-new-privs', '--inh-caps=-all', ...kept, ...line]);
  const outcome = await runSandboxed(program('lent_rights'), [join(folder, 'held')], {
    policy: { files: { read: ['/'], write: [folder] } },
  });
  expect(outcome.stderr).toBe('');
  const [log, ...attributes] = JSON.parse(outcome.stdout) as number[];
  expect([EPERM, EACCES]).toContain(log); // as an ordinary user, its mode says no
  expect(attributes).toEqual((JSON.parse(bare.stdout) as number[]).slice(1));
  expect([EPERM, EOPNOTSUPP]).toContain(attributes[0]);
});
