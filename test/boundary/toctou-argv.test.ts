import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { deny } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { attack, attackTwin, expectBitten, expectHeld, type Scene, scene } from './race.ts';

const timeout = 120_000;
const rounds = 150;
const modes = ['thread', 'vm', 'shared'];

function programs(): Scene {
  const made = scene();
  for (const folder of [made.inside, made.outside]) copyFileSync(program('race_exec'), join(folder, 'program'));
  return made;
}

describe('the path of a program that changes during execve', () => {
  test.each(modes)('by %s runs only what was approved', { timeout }, async (mode) => {
    const { inside, outside } = programs();
    const attacked = await attack('race_exec', [mode, 'path', rounds, inside, outside], {
      policy: { files: { read: [inside] } },
    });
    expectHeld(attacked);
    expect(attacked.violations.some((violation) => violation.path === join(outside, 'program'))).toBe(true);
  });

  test.each(modes)('by %s runs the other under the twin', { timeout }, async (mode) => {
    const { inside, outside } = programs();
    expectBitten(
      await attackTwin('race_exec', [mode, 'path', 5_000, inside, outside], { hold: 'execve', denyPath: outside }),
    );
  });
});

describe('an argument that changes during execve', () => {
  test.each(modes)('by %s is seen by the program as the hook saw it', { timeout }, async (mode) => {
    const { inside, outside } = programs();
    const attacked = await attack('race_exec', [mode, 'argument', rounds, inside, outside], {
      policy: { files: { read: [inside] } },
      hooks: (child) =>
        child.onExec((call) => {
          if (call.argv.includes('goof')) return deny('EACCES');
        }),
    });
    expectHeld(attacked);
    expect(attacked.race.refusals).toBeGreaterThan(0);
  });

  test.each(modes)('by %s is another under the twin', { timeout }, async (mode) => {
    const { inside, outside } = programs();
    const options = { hold: 'execve', denyArgument: 'goof' };
    expectBitten(await attackTwin('race_exec', [mode, 'argument', 5_000, inside, outside], options));
  });
});
