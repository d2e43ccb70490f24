import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const demo = (...args: string[]) => {
  const main = fileURLToPath(new URL('main.js', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
  });
  return { status, stdout, stderr };
};

test('the honest work is done, the rest is not', () => {
  const { status, stdout, stderr } = demo();
  expect({ status, stdout, stderr }).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('10 of 10 checks hold'),
  });
}, 120_000);

test('without the sandbox, the script does everything that it tries', () => {
  const { status, stdout, stderr } = demo('--unprotected');
  expect({ status, stdout, stderr }).toMatchObject({
    status: 1,
    stdout: expect.stringContaining('7 of 10 checks do not hold'),
  });
}, 120_000);
