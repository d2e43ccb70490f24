import { closeSync, openSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { unusedPort } from '../helpers/ports.ts';
import { attack, attackTwin, expectBitten, expectHeld, expectUntouched, scene } from './race.ts';

const timeout = patient(120_000);
const opened: number[] = [];

afterEach(() => {
  for (const fd of opened.splice(0)) closeSync(fd);
});

/** Standard streams, and a folder as descriptor 3. */
function withFolder(path: string): ['ignore', 'pipe', 'pipe', number] {
  const fd = openSync(path, 'r');
  opened.push(fd);
  return ['ignore', 'pipe', 'pipe', fd];
}

describe('a folder descriptor that changes during openat', () => {
  test('leads only to what was approved', { timeout }, async () => {
    const made = scene();
    expectHeld(
      await attack('race_fd', ['open', 2_000, made.inside, 3], {
        policy: { files: { read: [made.inside] } },
        stdio: withFolder(made.outside),
      }),
    );
    expectUntouched(made);
  });

  test('leads out of the twin', { timeout }, async () => {
    const { inside, outside } = scene();
    const options = { hold: 'openat', denyPath: outside };
    expectBitten(await attackTwin('race_fd', ['open', 20_000, inside, 3], options, withFolder(outside)));
  });
});

describe('a socket that changes during listen', () => {
  test('never listens on a port that nobody approved', { timeout }, async () => {
    const port = await unusedPort();
    const attacked = await attack('race_fd', ['listen', 2_000, port], {
      policy: { network: { bind: [`127.0.0.1:${port}`] } },
    });
    expectHeld(attacked);
    expect(attacked.violations.some(({ syscall }) => syscall === 'listen')).toBe(true);
  });

  test('listens anywhere under the twin', { timeout }, async () => {
    expectBitten(await attackTwin('race_fd', ['listen', 20_000, await unusedPort()], { hold: 'listen' }));
  });
});
