// killTree() and await using: everything ends, whatever it does, and the promise says so when nothing is left.
import { allow, type SandboxedProcess, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { alive, allGone, event, nothingLeft, policyFor, sleep, textOf, treeFrom, within } from './tree.ts';

const policy = policyFor();
const start = (script: string, options: object = {}) =>
  spawnSandboxed('sh', ['-c', script], { policy, stdio: ['ignore', 'pipe', 'ignore'], ...options });
const ready = (child: SandboxedProcess) => new Promise((resolve) => child.stdout?.once('data', resolve));
/** Both the command and what it leaves are deaf to SIGTERM. */
const deaf = "trap '' TERM; (echo ready; while :; do sleep 0.02; done) & while :; do sleep 0.02; done";

describe.each(['kill', 'wait'] as const)("with descendants: '%s'", (descendants) => {
  test.each(['pause', 'exec-storm', 'open-storm'])('SIGKILL: nothing is left when it resolves (%s)', async (what) => {
    const child = spawnSandboxed(program('life_tree'), [what], { policy, descendants });
    const tree = await treeFrom(child.stdout);
    await within(child.killTree(), 'the tree has ended');
    expect([...tree.values()].filter(alive)).toEqual([]);
    expect(child.usage?.processes).toBeGreaterThanOrEqual(tree.size);
    await nothingLeft();
  });

  test('another signal: what hears it ends by it, and the rest by SIGKILL', async () => {
    const child = start(deaf, { descendants });
    const closed = event(child, 'close');
    await ready(child);
    await within(child.killTree('SIGTERM', { forceKillAfter: 60 }), 'the tree has ended');
    expect(await closed).toEqual([null, 'SIGKILL']);
    expect(child.killed).toBe(true);
  });

  test('each process hears it once, and has its time though the command has ended', async () => {
    const child = start(
      "(trap 'echo heard; sleep 0.2; echo saved; exit 0' TERM; echo ready; while :; do sleep 0.02; done) & wait",
      { descendants },
    );
    const output = textOf(child.stdout);
    const closed = event(child, 'close');
    await ready(child);
    await within(child.killTree('SIGTERM', { forceKillAfter: 60_000 }), 'the tree has ended');
    expect(await output).toBe('ready\nheard\nsaved\n');
    expect(await closed).toEqual([null, 'SIGTERM']);
  });
});

test('after the end of the command: what it has left behind ends', async () => {
  const child = spawnSandboxed(program('life_tree'), ['exit', '7'], { policy, descendants: 'wait' });
  const tree = await treeFrom(child.stdout);
  if (child.exitCode === null) await event(child, 'exit');
  await within(child.killTree('SIGTERM', { forceKillAfter: 50 }), 'the rest has ended');
  await allGone(tree.values());
  expect(child.exitCode).toBe(7);
});

test('held by a hook that never answers, blocked in a FIFO, waiting in vfork, frozen', async () => {
  const held = start('echo ready; cat /etc/hostname');
  held.onOpen({ path: '/etc/hostname' }, () => new Promise(() => {}));
  await ready(held);
  await within(held.killTree(), 'what a hook holds has ended');

  const fifo = spawnSandboxed('sh', ['-c', 'mkfifo f; echo ready; (cat f) & (setsid cat f) & cat f'], {
    policy: { ...policy, scratch: true },
    stdio: ['ignore', 'pipe', 'ignore'],
    cwd: undefined,
  });
  await ready(fifo).catch(() => {});
  await within(fifo.killTree(), 'who waits for the other end of a FIFO has ended');

  const frozen = start(deaf);
  await ready(frozen);
  await frozen.freeze();
  const closed = event(frozen, 'close');
  await within(frozen.killTree('SIGTERM', { forceKillAfter: 30 }), 'what is frozen has ended');
  expect(await closed).toEqual([null, 'SIGKILL']);
  await nothingLeft();
});

test('before it runs, when it has ended, when it never began, twice at once', async () => {
  const early = start('sleep 100');
  await within(Promise.all([early.killTree(), early.killTree('SIGINT')]), 'it ends before it has begun');
  await early.killTree();
  const none = spawnSandboxed('/nonexistent/program');
  none.on('error', () => {});
  await none.killTree();
  await expect(none.getUsage()).rejects.toMatchObject({ code: 'ERR_HOLDFAST_NOT_RUNNING' });
  await nothingLeft();
});

test('wrong signals and times are refused', async () => {
  const child = start('sleep 100');
  for (const signal of ['SIGNOTHING', 0, 1234, null]) {
    await expect(child.killTree(signal as never)).rejects.toMatchObject({ code: 'ERR_UNKNOWN_SIGNAL' });
  }
  for (const forceKillAfter of [-1, Number.NaN, '5', null]) {
    await expect(child.killTree('SIGTERM', { forceKillAfter } as never)).rejects.toThrow(
      /killTree\(\): options\.forceKillAfter: .* must be milliseconds/,
    );
    expect(() => start('true', { forceKillAfter })).toThrow(/options\.forceKillAfter: .* must be milliseconds/);
  }
  await expect(child.killTree('SIGTERM', { grace: 5 } as never)).rejects.toThrow(/Known is forceKillAfter/);
  expect(() => start('true', { forceKillAfter: 1, killGrace: 1 })).toThrow(/the former name of forceKillAfter/);
  await child.killTree();
});

test('await using ends the tree, and waits for its end', async () => {
  const left: SandboxedProcess[] = [];
  let tree: Awaited<ReturnType<typeof treeFrom>>;
  {
    const child = spawnSandboxed(program('life_tree'), ['pause'], { policy, descendants: 'wait' });
    tree = await treeFrom(child.stdout);
    left.push(child);
    await child[Symbol.asyncDispose]();
  }
  expect([...tree.values()].filter(alive)).toEqual([]);
  const polite = start("trap 'echo asked; exit 4' TERM; echo ready; while :; do sleep 0.02; done", {
    forceKillAfter: 60_000,
  });
  const output = textOf(polite.stdout);
  await ready(polite);
  await polite[Symbol.asyncDispose]();
  expect(await output).toBe('ready\nasked\n');
  expect(polite.exitCode).toBe(4);
});

test('timeout counts until the tree is gone', async () => {
  const child = start('sleep 1000 & exit 3', { descendants: 'wait', timeout: patient(200), forceKillAfter: 60_000 });
  expect(await event(child, 'close')).toEqual([3, null]);
  expect(child.killed).toBe(true);
  await sleep(0);
  await nothingLeft();
});

test('an answer that comes when the tree is gone is nobody’s', async () => {
  const child = start('echo ready; cat /etc/hostname');
  let answer = () => {};
  child.onOpen({ path: '/etc/hostname' }, () => new Promise((resolve) => (answer = () => resolve(allow()))));
  await ready(child);
  await child.killTree();
  answer();
  await nothingLeft();
});
