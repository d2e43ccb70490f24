import { expect, test } from 'vitest';
import { spawnSandboxed } from '../../lib/index.ts';

const ended = { code: 'ERR_HOLDFAST_NOT_RUNNING' };

test('what is asked in the tick of the spawn is answered when the command runs', async () => {
  const child = spawnSandboxed('/bin/sleep', ['100']);
  const closed = new Promise((resolve) => child.once('close', resolve));
  expect(await child.processes()).toMatchObject([{ pid: child.pid }]);
  // More than are asked at once.
  const many = await Promise.all(Array.from({ length: 200 }, () => child.processes()));
  expect(many).toHaveLength(200);
  for (const answer of many) expect(answer).toMatchObject([{ pid: child.pid }]);
  child.kill('SIGKILL');
  await closed;
  await expect(child.processes()).rejects.toMatchObject(ended);
});

test('nobody waits for an answer of a tree that is gone, or never was', async () => {
  const child = spawnSandboxed('/bin/sleep', ['100']);
  await new Promise<void>((resolve) => child.once('spawn', resolve));
  child.kill('SIGKILL');
  const answers = await Promise.allSettled(Array.from({ length: 300 }, () => child.processes()));
  for (const answer of answers) if (answer.status === 'rejected') expect(answer.reason).toMatchObject(ended);
  const none = spawnSandboxed('/nonexistent/program');
  none.on('error', () => {});
  await expect(none.processes()).rejects.toMatchObject(ended);
});
