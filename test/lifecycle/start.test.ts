// What a start that fails leaves behind, and a start that is only tried.
import { readFileSync } from 'node:fs';
import { checkSupport, spawnSandboxed } from 'holdfast';
import { expect, test } from 'vitest';
import { engine } from '../helpers/engine.ts';
import { event, parentOf } from './tree.ts';

test('a hook in the tick of a start that fails is no error of its own', async () => {
  const child = spawnSandboxed('/no/such/command', { stdio: 'ignore' });
  expect(() => child.onOpen(() => undefined)).not.toThrow();
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => child.on('error', resolve));
  expect(error.code).toBe('ENOENT');
  await new Promise((resolve) => setImmediate(resolve));
  expect(() => child.onOpen(() => undefined)).toThrow(/tick of the spawn/);
});

test('its table of descriptors need not grow while others share it', async () => {
  const child = spawnSandboxed('cat', [], { stdio: ['pipe', 'ignore', 'ignore'] });
  await event(child, 'spawn');
  const status = readFileSync(`/proc/${parentOf(child.pid ?? 0)}/status`, 'utf8');
  expect(Number(/^FDSize:\s+(\d+)$/m.exec(status)?.[1])).toBeGreaterThanOrEqual(1024);
  child.stdin?.end();
  expect(await event(child, 'close')).toEqual([0, null]);
});

test('checkSupport tries a start', async () => {
  const support = checkSupport();
  expect(support.supported).toBe(true);
  expect(await checkSupport({ start: true })).toMatchObject({ ...support, engine });
});
