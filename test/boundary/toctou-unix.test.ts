import { unlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { attack, attackTwin, expectBitten, expectHeld, expectUntouched, movingScene, scene } from './race.ts';

const timeout = 120_000;
const modes = ['thread', 'vm', 'shared'];
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A socket that nobody inside may reach; counts who does. */
async function forbiddenSocket(folder: string): Promise<{ seen: number }> {
  const counted = { seen: 0 };
  const server = createServer((socket) => {
    counted.seen += 1;
    socket.on('error', () => {}).destroy();
  });
  await new Promise<void>((resolve) => server.listen(join(folder, 'socket'), resolve));
  servers.push(server);
  return counted;
}

describe('the path of a socket that changes during connect', () => {
  test.each(modes)('by %s reaches only what was approved', { timeout }, async (mode) => {
    const made = scene();
    const forbidden = await forbiddenSocket(made.outside);
    const attacked = await attack('race_path', [mode, 'connect', 1_500, made.inside, made.outside], {
      policy: { files: { read: [made.inside], write: [made.inside] } },
    });
    expectHeld(attacked);
    expect(forbidden.seen).toBe(0);
    expect(attacked.violations.some((violation) => violation.path === join(made.outside, 'socket'))).toBe(true);
  });

  test.each(modes)('by %s reaches the other under the twin', { timeout }, async (mode) => {
    const { inside, outside } = scene();
    await forbiddenSocket(outside);
    const options = { hold: 'connect', denyPath: outside };
    expectBitten(await attackTwin('race_path', [mode, 'connect', 20_000, inside, outside], options));
  });
});

describe('the path of a socket that changes during bind', () => {
  test.each(modes)('by %s makes only what was approved', { timeout }, async (mode) => {
    const made = scene();
    const attacked = await attack('race_path', [mode, 'bind', 1_500, made.inside, made.outside], {
      policy: { files: { read: [made.inside], write: [made.inside] } },
    });
    expectHeld(attacked);
    expectUntouched(made);
  });

  test.each(modes)('by %s makes the other under the twin', { timeout }, async (mode) => {
    const { inside, outside } = scene();
    const options = { hold: 'bind', denyPath: outside };
    expectBitten(await attackTwin('race_path', [mode, 'bind', 20_000, inside, outside], options));
    unlinkSync(join(outside, 'socket'));
  });
});

describe('a folder and a link that change places during bind', () => {
  test('lead only to what was approved', { timeout }, async () => {
    const made = movingScene();
    expectHeld(
      await attack('race_exchange', ['symlink', 'bind', 2_000, made.inside], {
        policy: { files: { read: [made.inside], write: [made.inside] } },
      }),
    );
    expectUntouched(made);
  });

  test('lead out of the twin', { timeout }, async () => {
    const { inside, outside } = movingScene();
    const options = { hold: 'bind', denyPath: outside };
    expectBitten(await attackTwin('race_exchange', ['symlink', 'bind', 50_000, inside], options));
  });
});
