// Where a relative path starts can be changed by another thread while the path is used.

import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { attack, expectHeld, scene } from './race.ts';

const timeout = patient(120_000);

function folders() {
  const made = scene();
  symlinkSync('ours, and longer', join(made.inside, 'link'));
  symlinkSync('secret', join(made.outside, 'link'));
  writeFileSync(join(made.outside, 'gone'), 'secret');
  return made;
}

describe.each(['cwd', 'descriptor'])('a folder that changes (%s)', (way) => {
  test.each(['open', 'stat', 'readlink', 'create', 'unlink'])('during %s', { timeout }, async (call) => {
    const { folder, inside, outside } = folders();
    // What lies in the other folder is denied, each by its name; the folder itself may be the working directory.
    const deny = ['file', 'link', 'made', 'gone'].map((name) => join(outside, name));
    const attacked = await attack('race_folder', [way, call, 2_000, inside, outside], {
      policy: { files: { read: [folder], write: [inside], deny } },
    });
    expectHeld(attacked);
    expect(attacked.race.refusals).toBeGreaterThan(0);
    expect(attacked.violations.some(({ path }) => path?.startsWith(`${outside}/`))).toBe(true);
  });
});
