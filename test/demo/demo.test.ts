import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { essence, linesOf, picturePath } from './picture.js';

const demo = (...args: string[]) => {
  const main = fileURLToPath(new URL('main.js', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
  });
  return { status, stdout, stderr };
};

test(
  'the honest work is done, the rest is not',
  () => {
    const { status, stdout, stderr } = demo();
    expect({ status, stdout, stderr }).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('10 of 10 checks hold'),
    });
    // Of x86_64, where it is drawn: node test/demo/picture.js
    if (process.arch === 'x64')
      expect(essence(linesOf(readFileSync(picturePath, 'utf8')))).toEqual(essence(stdout.split('\n')));
  },
  patient(120_000),
);

test(
  'without the sandbox, the script does everything that it tries',
  () => {
    const { status, stdout, stderr } = demo('--unprotected');
    expect({ status, stdout, stderr }).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('7 of 10 checks do not hold'),
    });
  },
  patient(120_000),
);
