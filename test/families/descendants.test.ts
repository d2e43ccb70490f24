// What a command leaves behind: killed with it, or waited for.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type SandboxedProcess, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { runBare } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import {
  alive,
  allGone,
  descendantsOf,
  event,
  nothingLeft,
  parentOf,
  policyFor,
  sleep,
  textOf,
  treeFrom,
  until,
} from '../lifecycle/tree.ts';

const policy = policyFor();

/** Double-forks a daemon with a session of its own, which tells that it lives until it is killed, and ends. */
const daemonize = (folder: string) => `
  (setsid sh -c '(while :; do echo alive >> ${folder}/beats; sleep 0.02; done) > /dev/null 2>&1 < /dev/null &' &) ; until [ -s ${folder}/beats ]; do sleep 0.01; done; exit 3`;
const beats = (folder: string) => (existsSync(join(folder, 'beats')) ? readFileSync(join(folder, 'beats')).length : 0);

describe("descendants: 'kill'", () => {
  test('a daemon dies when the command ends (and lives on without the sandbox)', async () => {
    const bareFolder = temporaryFolder('daemon');
    const marker = `${daemonize(bareFolder).replace('while :', 'for i in $(seq 50)')}`;
    expect((await runBare('sh', ['-c', marker])).code).toBe(3);
    const before = beats(bareFolder);
    await until(() => beats(bareFolder) > before, 'the daemon lives on');

    const folder = temporaryFolder('daemon');
    const child = spawnSandboxed('sh', ['-c', daemonize(folder)], { policy: policyFor(folder) });
    expect(await event(child, 'close')).toEqual([3, null]);
    const after = beats(folder);
    expect(after).toBeGreaterThan(0);
    await sleep(200);
    expect(beats(folder)).toBe(after);
  });

  test.each([
    ['ends by itself', ['exit', '4'], (_: SandboxedProcess) => {}, [4, null]],
    ['is ended by SIGTERM', ['pause'], (child: SandboxedProcess) => child.kill(), [null, 'SIGTERM']],
    ['is ended by SIGKILL', ['pause'], (child: SandboxedProcess) => child.kill('SIGKILL'), [null, 'SIGKILL']],
    [
      'is killed from outside',
      ['pause'],
      (child: SandboxedProcess) => process.kill(child.pid ?? 0, 'SIGKILL'),
      [null, 'SIGKILL'],
    ],
  ])('every kind of process is gone at close when the command %s', async (_, args, end, expected) => {
    const child = spawnSandboxed(program('life_tree'), args, { policy });
    const closed = event(child, 'close');
    const tree = await treeFrom(child.stdout);
    end(child);
    expect(await closed).toEqual(expected);
    expect([...tree.values()].filter(alive)).toEqual([]);
    await nothingLeft();
  });

  test('exit, treeEmpty and close come in this order', async () => {
    const child = spawnSandboxed(program('life_tree'), ['exit', '0'], { policy });
    const events: string[] = [];
    for (const name of ['spawn', 'exit', 'treeEmpty', 'close'] as const) child.on(name, () => events.push(name));
    child.stdout.resume();
    await event(child, 'close');
    expect(events).toEqual(['spawn', 'exit', 'treeEmpty', 'close']);
  });

  test('output that descendants still hold open does not keep close waiting', async () => {
    const child = spawnSandboxed('bash', ['-c', 'sleep 1000 & echo out; exit 5'], { policy });
    const output = textOf(child.stdout);
    expect(await event(child, 'close')).toEqual([5, null]);
    expect(await output).toBe('out\n');
  });
});

describe("descendants: 'wait'", () => {
  test('a daemon lives on after exit and keeps close waiting', async () => {
    const folder = temporaryFolder('daemon');
    const child = spawnSandboxed('sh', ['-c', daemonize(folder)], {
      policy: policyFor(folder),
      descendants: 'wait',
      stdio: 'ignore',
    });
    let closed = false;
    const close = event(child, 'close').then((end) => {
      closed = true;
      return end;
    });
    expect(await event(child, 'exit')).toEqual([3, null]);
    const before = beats(folder);
    await until(() => beats(folder) > before + 20, 'the daemon lives on');
    expect(closed).toBe(false);
    expect(child.exitCode).toBe(3);
    // kill() is for the command, which has ended: the tree is ended by whoever knows its members.
    const [daemon] = descendantsOf(process.pid).filter((pid) => parentOf(pid) !== process.pid);
    expect(daemon).toBeGreaterThan(1);
    const killing = setInterval(() => {
      for (const pid of descendantsOf(process.pid)) {
        try {
          if (parentOf(pid) !== process.pid) process.kill(pid, 'SIGKILL');
        } catch {
          // It ended by itself.
        }
      }
    }, 20);
    close.finally(() => clearInterval(killing)).catch(() => {});
    expect(await close).toEqual([3, null]);
  });

  test.each(['kill', 'dispose'] as const)('%s ends what is left, also when the command has ended', async (how) => {
    const child = spawnSandboxed(program('life_tree'), ['exit', '0'], { policy, descendants: 'wait' });
    const exited = event(child, 'exit');
    const tree = await treeFrom(child.stdout);
    await exited;
    tree.delete('command');
    expect([...tree.values()].filter(alive)).toHaveLength(tree.size);
    expect([child.kill(), child.kill(0)]).toEqual([false, false]);
    const closed = event(child, 'close');
    if (how === 'kill') expect(child.kill('SIGKILL')).toBe(true);
    else child[Symbol.dispose]();
    expect(await closed).toEqual([0, null]);
    expect([...tree.values()].filter(alive)).toEqual([]);
    expect(child.kill('SIGKILL')).toBe(false);
  });

  test('close comes when the last of them has ended', async () => {
    const folder = temporaryFolder('daemon');
    const script = `for i in 1 2 3; do (setsid sh -c "sleep 0.$i; echo $i >> ${folder}/ended" > /dev/null 2>&1 &); done; exit 6`;
    const child = spawnSandboxed('bash', ['-c', script], { policy: policyFor(folder), descendants: 'wait' });
    const events: string[] = [];
    for (const name of ['exit', 'treeEmpty', 'close'] as const) child.on(name, () => events.push(name));
    expect(await event(child, 'close')).toEqual([6, null]);
    expect(readFileSync(join(folder, 'ended'), 'utf8')).toBe('1\n2\n3\n');
    expect(events).toEqual(['exit', 'treeEmpty', 'close']);
  });

  test('hooks and rules hold for what goes on', async () => {
    const folder = temporaryFolder('daemon');
    const outside = temporaryFolder('outside');
    writeFileSync(join(outside, 'secret'), 'secret');
    const child = spawnSandboxed(
      'bash',
      ['-c', `(sleep 0.2; cat /etc/hostname; cat ${outside}/secret; echo $?) & exit 0`],
      {
        policy: policyFor(folder),
        descendants: 'wait',
      },
    );
    const opened: string[] = [];
    const violations: string[] = [];
    child.onOpen({ path: '/etc/hostname' }, (call) => {
      opened.push(`${call.path} after ${child.exitCode}`);
    });
    child.on('violation', (violation) => violations.push(`${violation.syscall} ${violation.path}`));
    child.stderr.resume();
    const output = textOf(child.stdout);
    await event(child, 'close');
    expect(opened).toEqual(['/etc/hostname after 0']);
    expect(await output).toMatch(/\n1\n$/);
    expect(violations).toContain(`openat ${outside}/secret`);
  });

  test('the tree is ended by Node, too, whatever is left of it', async () => {
    const child = spawnSandboxed(program('life_tree'), ['exit', '0'], { policy, descendants: 'wait' });
    const exited = event(child, 'exit');
    const tree = await treeFrom(child.stdout);
    await exited;
    tree.delete('command');
    expect([...tree.values()].filter(alive)).toHaveLength(tree.size);
    const supervisor =
      [...new Set([...tree.values()].map(({ pid }) => parentOf(pid)))].find((pid) => parentOf(pid) === process.pid) ??
      0;
    expect(supervisor).toBeGreaterThan(1);
    const failed = event(child, 'error');
    const closed = event(child, 'close');
    process.kill(supervisor, 'SIGKILL');
    await failed;
    await closed;
    await allGone(tree.values());
  });
});

test('orphans are the supervisor’s children, and their number is nobody’s concern', async () => {
  const child = spawnSandboxed(program('life_tree'), ['pause'], { policy });
  const tree = await treeFrom(child.stdout);
  const supervisor = parentOf(child.pid ?? 0);
  for (const role of ['orphan', 'daemon'])
    await until(() => parentOf(tree.get(role)?.pid ?? 0) === supervisor, `the ${role} has a new parent`);
  const closed = event(child, 'close');
  child.kill('SIGKILL');
  await closed;
  await allGone(tree.values());
});
