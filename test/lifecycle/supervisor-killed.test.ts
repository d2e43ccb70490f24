import { execFileSync } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type SandboxedProcess, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { engine } from '../helpers/engine.ts';
import { sanitizer } from '../helpers/sanitized.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { allGone, event, parentOf, policyFor, running, sleep, startOf, treeFrom, until } from './tree.ts';

/** Everything that it emits, in order; `close` ends the list. */
function told(child: SandboxedProcess): { events: string[]; errors: (Error & { code?: string })[] } {
  const events: string[] = [];
  const errors: Error[] = [];
  child.on('spawn', () => events.push('spawn'));
  child.on('error', (error) => {
    events.push('error');
    errors.push(error);
  });
  child.on('exit', (code, signal) => events.push(`exit ${code} ${signal}`));
  child.on('close', (code, signal) => events.push(`close ${code} ${signal}`));
  return { events, errors };
}

const lost = ['error', 'exit null SIGKILL', 'close null SIGKILL'];

describe('the supervisor is killed', () => {
  test.each([
    ['while the tree is idle', ['pause']],
    ['in a storm of execs', ['exec-storm']],
    ['in a storm of held calls', ['open-storm']],
  ])('%s: the whole tree dies, and the API says so', async (_, args) => {
    const child = spawnSandboxed(program('life_tree'), args, { policy: policyFor() });
    child.onOpen({ path: '/nothing/matches' }, () => undefined);
    const { events, errors } = told(child);
    const tree = await treeFrom(child.stdout);
    expect(tree.size).toBeGreaterThan(7);
    const supervisor = parentOf(child.pid ?? 0);
    expect(supervisor).not.toBe(process.pid);
    expect(parentOf(supervisor)).toBe(process.pid);
    await sleep(100);
    const closed = event(child, 'close');
    process.kill(supervisor, 'SIGKILL');
    await closed;
    expect(events).toEqual(['spawn', ...lost]);
    expect(errors[0]).toMatchObject({ name: 'HoldfastError', code: 'ERR_HOLDFAST_SUPERVISOR_LOST', engine });
    expect(child).toMatchObject({ exitCode: null, signalCode: 'SIGKILL' });
    expect(child.kill()).toBe(false);
    await allGone(tree.values());
  });

  test.skipIf(sanitizer)('for want of memory: it says so by a code (a sanitizer ends it first)', async () => {
    const child = spawnSandboxed('sh', ['-c', 'read line; set -- $(seq 100000); /bin/echo "$@"'], {
      policy: policyFor(),
    });
    child.onExec({ path: '/bin/echo' }, () => undefined);
    const { events, errors } = told(child);
    await event(child, 'spawn');
    const closed = event(child, 'close');
    // No more than it has by now, and the hook is told all arguments.
    execFileSync('prlimit', ['--pid', String(parentOf(child.pid ?? 0)), '--as=1:']);
    child.stdin?.end('go\n');
    await closed;
    expect(events).toEqual(['spawn', ...lost]);
    expect(errors[0]).toMatchObject({ name: 'HoldfastError', code: 'ERR_HOLDFAST_LIMIT' });
    expect(errors[0]?.message).toContain('memory');
  });

  test('while a call is held in a hook: the hook may still answer, to nobody', async () => {
    const folder = temporaryFolder('lost');
    writeFileSync(join(folder, 'slow'), '');
    const child = spawnSandboxed(program('life_tree'), ['open', join(folder, 'slow')], { policy: policyFor(folder) });
    let answer: () => void = () => {};
    let held = false;
    child.onOpen({ path: join(folder, 'slow') }, () => {
      held = true;
      return new Promise<undefined>((resolve) => {
        answer = () => resolve(undefined);
      });
    });
    const { events } = told(child);
    const tree = await treeFrom(child.stdout);
    await until(() => held, 'the call is held');
    const closed = event(child, 'close');
    process.kill(parentOf(child.pid ?? 0), 'SIGKILL');
    await closed;
    answer();
    await sleep(20);
    expect(events).toEqual(['spawn', ...lost]);
    await allGone(tree.values());
  });

  test('in the tick of the spawn, before it has its configuration', async () => {
    const child = spawnSandboxed(program('life_tree'), ['pause'], { policy: policyFor() });
    const { events } = told(child);
    const command = { role: 'command', pid: child.pid ?? 0, start: startOf(child.pid ?? 0) };
    process.kill(parentOf(command.pid), 'SIGKILL');
    await event(child, 'close');
    expect(events).toEqual(lost);
    await allGone([command]);
  });

  test.each([0, 1, 2, 4, 8, 16, 32])('%i ms after the spawn', async (delay) => {
    const folder = temporaryFolder('lost');
    const marked = join(folder, 'tree');
    copyFileSync(program('life_tree'), marked);
    const child = spawnSandboxed(marked, ['exec-storm'], { policy: policyFor(folder) });
    const { events } = told(child);
    const command = { role: 'command', pid: child.pid ?? 0, start: startOf(child.pid ?? 0) };
    const supervisor = parentOf(command.pid);
    const closed = event(child, 'close');
    await sleep(delay);
    process.kill(supervisor, 'SIGKILL');
    await closed;
    expect(events.filter((name) => name !== 'spawn')).toEqual(lost);
    await allGone([command]);
    await until(
      () => running(marked).length === 0,
      () => `nothing of it runs any more: ${running(marked)}`,
    );
  });

  test('with descendants that may outlive the command, after it ended', async () => {
    const child = spawnSandboxed(program('life_tree'), ['exit', '5'], { policy: policyFor(), descendants: 'wait' });
    const { events } = told(child);
    const exited = event(child, 'exit');
    const command = child.pid ?? 0;
    const supervisor = parentOf(command);
    const tree = await treeFrom(child.stdout);
    expect(await exited).toEqual([5, null]);
    tree.delete('command');
    const closed = event(child, 'close');
    process.kill(supervisor, 'SIGKILL');
    await closed;
    expect(events).toEqual(['spawn', 'exit 5 null', 'error', 'close 5 null']);
    await allGone(tree.values());
  });

  test('SIGTERM, SIGINT and SIGHUP from outside do not end it', async () => {
    const child = spawnSandboxed('sh', ['-c', 'echo ready; read -r line; echo "$line"; exit 3'], {
      policy: policyFor(),
    });
    const closed = event(child, 'close');
    await event(child.stdout, 'data');
    const supervisor = parentOf(child.pid ?? 0);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE', 'SIGCHLD'] as const)
      process.kill(supervisor, signal);
    await sleep(50);
    child.stdin.end('go on\n');
    expect(await closed).toEqual([3, null]);
  });
});
