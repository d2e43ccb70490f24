import { describe, expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { unusedPort } from '../helpers/ports.ts';
import { attack, attackTwin, expectBitten, expectHeld } from './race.ts';

const timeout = patient(120_000);
const hold = 'connect,sendto,sendmsg,sendmmsg';

describe.each(['connect', 'sendto', 'sendmsg', 'sendmmsg', 'pointer', 'mapped'])(
  'an address that changes during %s',
  (call) => {
    test.each(['thread', 'vm', 'shared'])('by %s reaches only what was approved', { timeout }, async (mode) => {
      const [port, other] = [await unusedPort(), await unusedPort()];
      const attacked = await attack('race_sockaddr', [mode, call, 1_000, port, other], {
        policy: { network: { connect: [`127.0.0.1:${port}`], bind: [`127.0.0.1:${port}`, `127.0.0.1:${other}`] } },
      });
      expectHeld(attacked);
      expect(attacked.violations.some((violation) => violation.port === other)).toBe(true);
    });

    test.each(['thread', 'vm', 'shared'])('by %s escapes from the twin', { timeout }, async (mode) => {
      const [port, other] = [await unusedPort(), await unusedPort()];
      expectBitten(await attackTwin('race_sockaddr', [mode, call, 20_000, port, other], { hold, denyPort: other }));
    });
  },
);
