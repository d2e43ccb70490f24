// freeze() and thaw(): nothing of a tree runs, whatever it was doing, and then everything goes on as if nothing had been.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { allow, type SandboxedProcess, spawnSandboxed } from 'holdfast';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { event, linesUntil, nothingLeft, policyFor, sleep, stateOf, textOf, treeFrom, until, within } from './tree.ts';

const kinds = ['spins', 'forks', 'vforks', 'threads', 'opens', 'writes', 'stopped', 'waits', 'cutShort'] as const;
type Counts = Record<(typeof kinds)[number], bigint>;
const run: readonly (keyof Counts)[] = ['spins', 'forks', 'vforks', 'threads', 'opens', 'writes', 'waits'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-freeze-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let places = 0;
async function everything(): Promise<{ child: SandboxedProcess; stops: number; counts: () => Counts }> {
  const page = join(folder, `page-${places++}`);
  const fifo = join(folder, `fifo-${places}`);
  writeFileSync(page, Buffer.alloc(4096));
  spawnSync('mkfifo', [fifo]);
  const child = spawnSandboxed(program('life_frozen'), [page, fifo], { policy: policyFor(folder) });
  const lines = await linesUntil(child.stdout, 'ready');
  const counts = () => {
    const bytes = readFileSync(page);
    return Object.fromEntries(kinds.map((kind, i) => [kind, bytes.readBigUInt64LE(8 * i)])) as Counts;
  };
  return { child, stops: Number(lines.at(-1)?.split(' ')[1]), counts };
}

async function allAdvance(counts: () => Counts, since: Counts): Promise<void> {
  await until(
    () => run.every((kind) => counts()[kind] > since[kind]),
    () => `everything goes on; ${kinds.filter((kind) => counts()[kind] === since[kind])} do not`,
  );
}

test('whatever it does: nothing moves while frozen, everything afterwards, and no call is cut short', async () => {
  const { child, stops, counts } = await everything();
  for (let i = 0; i < 8; i++) {
    await within(child.freeze(), 'the tree is frozen');
    const before = counts();
    const usage = await child.getUsage();
    // Nor does a signal from outside, or one that it had sent to itself, let anything go on.
    if (i % 2 === 1) process.kill(stops, 'SIGCONT');
    await sleep(40);
    expect(counts()).toEqual(before);
    const after = await child.getUsage();
    expect(after.userTime + after.systemTime).toBe(usage.userTime + usage.systemTime);
    expect(after.processes).toBe(usage.processes);
    await child.thaw();
    await allAdvance(counts, before);
    // It was stopped before, and is so again unless SIGCONT was sent meanwhile; then it stops itself anew.
    if (i % 2 === 1) await until(() => counts().stopped > before.stopped, 'the signal comes with the thaw');
    else expect(counts().stopped).toBe(before.stopped);
  }
  await until(() => ['T', 't'].includes(stateOf(stops)), 'it is stopped as before');
  expect(counts().cutShort).toBe(0n);
  child.kill('SIGKILL');
  await event(child, 'close');
  await nothingLeft();
});

test('SIGKILL ends what is frozen, and SIGTERM what is thawed', async () => {
  const { child } = await everything();
  await child.freeze();
  await child.freeze();
  child.kill('SIGTERM');
  await sleep(30);
  expect(child.signalCode).toBe(null);
  const closed = event(child, 'close');
  await child.thaw();
  expect(await closed).toEqual([null, 'SIGTERM']);
  const other = await everything();
  await other.child.freeze();
  const over = event(other.child, 'close');
  other.child.kill('SIGKILL');
  expect(await over).toEqual([null, 'SIGKILL']);
  await expect(other.child.freeze()).rejects.toMatchObject({ code: 'ERR_HOLDFAST_NOT_RUNNING' });
  await expect(other.child.thaw()).rejects.toMatchObject({ code: 'ERR_HOLDFAST_NOT_RUNNING' });
  await nothingLeft();
});

test('what a hook holds counts as frozen: its answer is given, and nothing comes of it before the thaw', async () => {
  const child = spawnSandboxed('sh', ['-c', 'read line < /etc/hostname; echo went on'], { policy: policyFor() });
  let answer = () => {};
  const asked = new Promise<void>((told) => {
    child.onOpen({ path: '/etc/hostname' }, () => {
      told();
      return new Promise((resolve) => {
        answer = () => resolve(allow());
      });
    });
  });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  await within(asked, 'the hook is asked');
  await within(child.freeze(), 'it is frozen while the hook thinks');
  answer();
  await sleep(50);
  expect(text).toBe('');
  await child.thaw();
  expect(await event(child, 'close')).toEqual([0, null]);
  expect(text).toBe('went on\n');
});

test('what is not frozen yet, or never was, can be thawed; a freeze that a thaw overtakes is told', async () => {
  const child = spawnSandboxed(program('life_tree'), ['exec-storm'], { policy: policyFor() });
  await treeFrom(child.stdout);
  await child.thaw();
  for (let i = 0; i < 50; i++) await Promise.all([child.freeze(), child.thaw(), child.freeze(), child.thaw()]);
  child.kill('SIGKILL');
  await event(child, 'close');
  await nothingLeft();
});

test('frozen, thawed and killed at random moments: no survivor, no promise that hangs', async () => {
  const storms = ['exec-storm', 'open-storm', 'pause'];
  const ends = Array.from({ length: 12 }, async (_, i) => {
    const child = spawnSandboxed(program('life_tree'), [storms[i % 3] as string], {
      policy: policyFor(),
      descendants: i % 2 === 0 ? 'wait' : 'kill',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const output = textOf(child.stdout);
    const closed = event(child, 'close', 60_000);
    const asked: Promise<unknown>[] = [];
    for (let turn = 0; turn < 10; turn++) {
      await sleep(Math.random() * 12);
      asked.push(turn % 3 === 2 ? child.thaw() : turn % 3 === 1 ? child.getUsage() : child.freeze());
      // The tree may end by itself: that is looked at below.
      asked.at(-1)?.catch(() => {});
    }
    await sleep(Math.random() * 5);
    child.kill('SIGKILL');
    await closed;
    for (const answer of await within(Promise.allSettled(asked), 'each promise is settled')) {
      if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: 'ERR_HOLDFAST_NOT_RUNNING' });
    }
    await output;
  });
  await Promise.all(ends);
  await nothingLeft();
});
