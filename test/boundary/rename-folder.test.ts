import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/temp.ts';
import { attack, expectHeld } from './race.ts';

test('a folder that takes a file’s place is not renamed to where a rule speaks of its inside', async () => {
  const folder = temporaryFolder('rename');
  mkdirSync(join(folder, 'folder/inner'), { recursive: true });
  writeFileSync(join(folder, 'folder/inner/secret'), 'secret\n');
  writeFileSync(join(folder, 'file'), '');
  expectHeld(
    await attack('race_rename', [folder, 1_000], {
      policy: { files: { read: [join(folder, 'ruled/inner')], write: [folder] } },
    }),
  );
  expect(existsSync(join(folder, 'ruled/inner'))).toBe(false);
});
