import { describe, test } from 'vitest';
import { patience, patient } from '../helpers/patience.ts';
import { attack, attackTwin, expectBitten, expectHeld, expectUntouched, movingScene } from './race.ts';

const timeout = patient(120_000);

describe.each(['open', 'stat', 'create', 'mkdir', 'rename'])(
  'a folder and a link that change places during %s',
  (call) => {
    test('lead only to what was approved', { timeout }, async () => {
      const made = movingScene();
      expectHeld(
        await attack('race_exchange', ['symlink', call, Math.ceil(1_500 / patience), made.inside], {
          policy: { files: { read: [made.inside], write: [made.inside] } },
        }),
      );
      expectUntouched(made);
    });

    test('lead out of the twin', { timeout }, async () => {
      const { inside, outside } = movingScene();
      // Not renameat2, which makes the exchange.
      const hold = `open,openat,stat,newfstatat,mkdir,mkdirat${call === 'rename' ? ',rename,renameat' : ''}`;
      expectBitten(await attackTwin('race_exchange', ['symlink', call, 50_000, inside], { hold, denyPath: outside }));
    });
  },
);
