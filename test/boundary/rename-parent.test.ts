import { describe, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { attack, attackTwin, expectBitten, expectHeld, expectUntouched, movingScene } from './race.ts';

const timeout = patient(120_000);

describe.each(['open', 'stat', 'create'])(
  'a folder that moves up while `..` behind it is walked, during %s',
  (call) => {
    test('leads only to what was approved', { timeout }, async () => {
      const made = movingScene();
      expectHeld(
        await attack('race_exchange', ['dotdot', call, 1_000, made.inside], {
          policy: { files: { read: [made.inside], write: [made.inside] } },
        }),
      );
      expectUntouched(made);
    });

    test('leads out of the twin', { timeout }, async () => {
      const { inside, outside } = movingScene();
      const hold = 'open,openat,stat,newfstatat';
      expectBitten(await attackTwin('race_exchange', ['dotdot', call, 100_000, inside], { hold, denyPath: outside }));
    });
  },
);
