import { constants } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { allow, deny } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { patience, patient } from '../helpers/patience.ts';
import { attack, attackTwin, expectBitten, expectHeld, expectUntouched, scene } from './race.ts';

const timeout = patient(120_000);
const rounds = Math.ceil(2_000 / patience);
const twinRounds = 20_000;
const hold = 'open,openat,stat,newfstatat,rename,renameat,renameat2,unlink,unlinkat,chdir';

describe.each(['open', 'stat', 'rename', 'unlink', 'chdir'])('a path that changes during %s', (call) => {
  // What may be written to a page while the call that reads it is held.
  test.each(['thread', 'vm', 'shared', 'procmem'])(
    'by %s reaches only what was approved',
    { timeout },
    async (mode) => {
      const made = scene();
      const memory = mode === 'procmem' ? ['/proc/self/mem'] : [];
      const other = call === 'chdir' ? made.outside : join(made.outside, 'file');
      // As often as it takes until the other path was seen: who changes it may have had no processor.
      let bites = false;
      for (let tries = 0; tries < 20 && !bites; tries++) {
        const attacked = await attack('race_path', [mode, call, rounds, made.inside, made.outside], {
          policy: { files: { read: [made.inside, ...memory], write: [made.inside, ...memory] } },
        });
        expectHeld(attacked);
        expectUntouched(made);
        bites = attacked.violations.some(({ path }) => path === other);
      }
      expect(bites).toBe(true);
    },
  );

  test.each(['thread', 'vm', 'shared', 'procmem', 'processvm'])(
    'by %s escapes from the twin',
    { timeout },
    async (mode) => {
      const { inside, outside } = scene();
      expectBitten(
        await attackTwin('race_path', [mode, call, twinRounds, inside, outside], { hold, denyPath: outside }),
      );
    },
  );

  test('cannot be changed by process_vm_writev', { timeout }, async () => {
    const made = scene();
    const { race, violations } = await attack('race_path', ['processvm', call, 100, made.inside, made.outside], {
      policy: { files: { read: [made.inside], write: [made.inside] } },
    });
    expect(race.flipError).toBe(constants.errno.EPERM);
    expect(race.escapes).toBe(0);
    expect(violations).toContainEqual(expect.objectContaining({ syscall: 'process_vm_writev' }));
    expectUntouched(made);
  });
});

test('what a slow hook has approved is what is opened', { timeout }, async () => {
  const made = scene();
  const approved = join(made.inside, 'file');
  let approvals = 0;
  const attacked = await attack('race_path', ['thread', 'open', 500, made.inside, made.outside], {
    policy: { files: { write: [made.inside] } },
    hooks: (child) =>
      child.onOpen({ path: join(made.folder, '**') }, async (call) => {
        await setImmediate();
        if (call.path !== approved) return deny('EACCES');
        if (call.access.includes('read')) approvals += 1;
        return allow();
      }),
  });
  expectHeld(attacked);
  expect(attacked.race.approvals).toBe(approvals);
  expectUntouched(made);
});
