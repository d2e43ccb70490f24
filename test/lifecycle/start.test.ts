// What a start that fails leaves behind, and a start that is only tried.
import { checkSupport, spawnSandboxed } from 'holdfast';
import { expect, test } from 'vitest';

test('a hook in the tick of a start that fails is no error of its own', async () => {
  const child = spawnSandboxed('/no/such/command', { stdio: 'ignore' });
  expect(() => child.onOpen(() => undefined)).not.toThrow();
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => child.on('error', resolve));
  expect(error.code).toBe('ENOENT');
  await new Promise((resolve) => setImmediate(resolve));
  expect(() => child.onOpen(() => undefined)).toThrow(/tick of the spawn/);
});

test('checkSupport tries a start', async () => {
  const support = checkSupport();
  expect(support.supported).toBe(true);
  expect(await checkSupport({ start: true })).toEqual(support);
});
