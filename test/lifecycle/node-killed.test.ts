// However the Node process ends, nothing of its sandboxes lives on: the kernel and the supervisor see to that.

import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { startHost } from './host.ts';
import { alive, allGone, event, parentOf, running, sleep, startOf, treeFrom, until } from './tree.ts';

const timeout = patient(60_000);

// The tree writes straight to the host's standard output, so its members are known even when the host dies soon.
const startTree = `
const child = spawnSandboxed(args[0], args.slice(1), { policy, stdio: ['ignore', 'inherit', 'inherit'] });
child.on('error', (error) => say('error', error.code));
child.on('close', () => say('closed'));
`;

describe('Node ends', () => {
  test.each([
    ['killed by SIGKILL', 'pause', "process.once('SIGUSR2', () => process.kill(process.pid, 'SIGKILL'));", null],
    [
      'killed by SIGKILL in a storm of execs',
      'exec-storm',
      "process.once('SIGUSR2', () => process.kill(process.pid, 'SIGKILL'));",
      null,
    ],
    [
      'killed by SIGKILL in a storm of held calls',
      'open-storm',
      "child.onOpen(() => {}); process.once('SIGUSR2', () => process.kill(process.pid, 'SIGKILL'));",
      null,
    ],
    ['by SIGTERM', 'pause', "process.once('SIGUSR2', () => process.kill(process.pid, 'SIGTERM'));", null],
    ['by abort()', 'pause', "process.once('SIGUSR2', () => process.abort());", null],
    ['by process.exit()', 'pause', "process.once('SIGUSR2', () => process.exit(7));", 7],
    ['by process.exit() in a storm of execs', 'exec-storm', "process.once('SIGUSR2', () => process.exit(7));", 7],
    [
      'by an exception that nobody catches',
      'pause',
      "process.once('SIGUSR2', () => { process.setUncaughtExceptionCaptureCallback(() => process.exit(8)); throw new Error('nobody'); });",
      8,
    ],
    [
      'by a rejection that nobody catches',
      'pause',
      "process.once('uncaughtException', () => process.exit(9)); process.once('SIGUSR2', () => { Promise.reject(new Error('nobody')); });",
      9,
    ],
    [
      'by an exception in a hook event',
      'pause',
      "process.once('uncaughtException', () => process.exit(9)); child.on('treeEmpty', () => {}); process.once('SIGUSR2', () => process.emit('uncaughtException'));",
      9,
    ],
  ])('%s: the whole tree dies', { timeout }, async (_, what, ending, code) => {
    const host = startHost(`${startTree}${ending}`, [program('life_tree'), what]);
    const ended = event(host, 'exit');
    const tree = await treeFrom(host.stdout);
    const command = tree.get('command');
    const supervisor = {
      role: 'supervisor',
      pid: parentOf(command?.pid ?? 0),
      start: startOf(parentOf(command?.pid ?? 0)),
    };
    expect(parentOf(supervisor.pid)).toBe(host.pid);
    expect([...tree.values()].filter(alive)).toHaveLength(tree.size);
    host.kill('SIGUSR2');
    const [ownCode] = await ended;
    if (code !== null) expect(ownCode).toBe(code);
    await allGone([...tree.values(), supervisor]);
  });

  test('while a call is held in a hook', { timeout }, async () => {
    const folder = temporaryFolder('held');
    writeFileSync(join(folder, 'slow'), '');
    const host = startHost(
      `policy.files.read.push(${JSON.stringify(folder)});
       ${startTree}
       child.onOpen({ path: '**/slow' }, () => { process.kill(process.pid, 'SIGKILL'); return new Promise(() => {}); });`,
      [program('life_tree'), 'open', join(folder, 'slow')],
    );
    const ended = event(host, 'exit');
    const tree = await treeFrom(host.stdout);
    expect((await ended)[1]).toBe('SIGKILL');
    await allGone(tree.values());
  });

  test.each([
    ['in the tick of the spawn', "say('pid', child.pid); process.kill(process.pid, 'SIGKILL');"],
    ['in the tick of the spawn, by process.exit()', "say('pid', child.pid); process.exit(0);"],
    [
      'in the next tick',
      "say('pid', child.pid); process.nextTick(() => process.nextTick(() => process.kill(process.pid, 'SIGKILL')));",
    ],
    ['before the spawn event', "say('pid', child.pid); setImmediate(() => process.kill(process.pid, 'SIGKILL'));"],
    [
      'at the spawn event',
      "child.on('spawn', () => { say('pid', child.pid); process.kill(process.pid, 'SIGKILL'); });",
    ],
    [
      'a moment after the spawn event',
      "child.on('spawn', () => { say('pid', child.pid); setTimeout(() => process.exit(0), 3); });",
    ],
  ])('%s', { timeout }, async (_, ending) => {
    const folder = temporaryFolder('early');
    const marked = join(folder, 'tree');
    copyFileSync(program('life_tree'), marked);
    const host = startHost(
      `policy.files.read.push(${JSON.stringify(folder)}); ${startTree.replaceAll("'inherit'", "'ignore'")} ${ending}`,
      [marked, 'exec-storm'],
    );
    let text = '';
    host.stdout?.on('data', (chunk) => {
      text += chunk;
    });
    await event(host, 'close');
    const pid = Number(/^pid (\d+)$/m.exec(text)?.[1]);
    expect(pid).toBeGreaterThan(1);
    await until(
      () => running(marked).length === 0,
      () => `nothing of it runs any more: ${running(marked)}`,
    );
    await until(() => !alive({ role: 'command', pid, start: startOf(pid) }), 'the command is gone');
  });

  test('stopped, continued and killed: as any parent', { timeout }, async () => {
    const host = startHost(`${startTree} child.onOpen(() => {});`, [program('life_tree'), 'open-storm']);
    const ended = event(host, 'exit');
    const tree = await treeFrom(host.stdout);
    host.kill('SIGSTOP');
    await sleep(100);
    expect([...tree.values()].filter(alive)).toHaveLength(tree.size);
    host.kill('SIGCONT');
    await sleep(50);
    expect([...tree.values()].filter(alive)).toHaveLength(tree.size);
    host.kill('SIGKILL');
    await ended;
    await allGone(tree.values());
  });

  test('all sandboxes of one process die with it', { timeout }, async () => {
    const host = startHost(
      `let ready = 0;
       for (let i = 0; i < 5; i++) {
         const child = spawnSandboxed(args[0], ['pause'], { policy });
         child.stdout.on('data', (chunk) => { for (const line of String(chunk).split('\\n')) if (line.startsWith('ready')) { if (++ready === 5) say('ready'); } else if (line) say(i + line); });
       }`,
      [program('life_tree')],
    );
    const tree = await treeFrom(host.stdout);
    expect(tree.size).toBe(5 * 8);
    const ended = event(host, 'exit');
    host.kill('SIGKILL');
    await ended;
    await allGone(tree.values());
  });
});

describe('a worker thread ends', () => {
  const inWorker = (rest: string) => `
import { Worker, isMainThread, workerData, parentPort } from 'node:worker_threads';
if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), { argv: args });
  worker.on('message', () => worker.terminate());
  worker.on('exit', (code) => { say('worker-ended', code); });
  process.once('SIGUSR2', () => worker.postMessage('end'));
  process.stdin.on('end', () => process.exit(0)).resume();
} else {
  ${startTree}
  ${rest}
}`;

  test.each([
    ['terminated', "parentPort.once('message', () => parentPort.postMessage('terminate me')); child.onOpen(() => {});"],
    ['by process.exit() in the worker', "parentPort.once('message', () => process.exit(3));"],
    ['by an exception', "parentPort.once('message', () => { process.exitCode = 4; process.exit(); });"],
  ])('%s: the tree that it started dies, the process lives', { timeout }, async (_, rest) => {
    const host = startHost(inWorker(rest), [program('life_tree'), 'open-storm']);
    let text = '';
    host.stdout?.on('data', (chunk) => {
      text += chunk;
    });
    const tree = await treeFrom(host.stdout);
    host.kill('SIGUSR2');
    await until(() => text.includes('worker-ended'), 'the worker has ended');
    await allGone(tree.values());
    expect(host.exitCode).toBeNull();
    const ended = event(host, 'exit');
    host.stdin?.end();
    expect((await ended)[0]).toBe(0);
  });
});
