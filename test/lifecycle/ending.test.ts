// kill(), dispose, AbortSignal, timeout, ref and unref, at every moment.

import { spawn } from 'node:child_process';
import { type SandboxedProcess, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { startHost } from './host.ts';
import { alive, allGone, event, policyFor, type Seen, startOf, textOf, treeFrom, until } from './tree.ts';

const policy = policyFor();
const seen = (child: { pid?: number | undefined }): Seen => ({
  role: 'command',
  pid: child.pid ?? 0,
  start: startOf(child.pid ?? 0),
});
const ignoreAbort = (child: SandboxedProcess) => child.on('error', () => {});

describe('kill()', () => {
  test('before the spawn event: the command never runs a line, exit and close come', async () => {
    for (const signal of ['SIGKILL', 'SIGTERM', 'SIGINT'] as const) {
      const child = spawnSandboxed('sh', ['-c', 'echo ran; sleep 100'], { policy });
      const command = seen(child);
      const output = textOf(child.stdout);
      expect(child.kill(signal)).toBe(true);
      expect(await event(child, 'close')).toEqual([null, signal]);
      expect(child).toMatchObject({ exitCode: null, signalCode: signal, killed: true });
      expect(await output).toBe('');
      await allGone([command]);
    }
  });

  test('with 0 asks only, and an unknown signal throws as in Node', async () => {
    const child = spawnSandboxed('sleep', ['100'], { policy });
    const bare = spawn('sleep', ['100']);
    for (const each of [child, bare]) {
      expect(each.kill(0)).toBe(true);
      expect(() => each.kill('SIGNOTHING' as never)).toThrow(expect.objectContaining({ code: 'ERR_UNKNOWN_SIGNAL' }));
      expect(() => each.kill(1234)).toThrow(expect.objectContaining({ code: 'ERR_UNKNOWN_SIGNAL' }));
      const closed = event(each, 'close');
      each.kill();
      await closed;
      expect(each.kill(0)).toBe(false);
    }
  });

  test('SIGKILL takes everything with it, deaf and stopped ones and daemons too', async () => {
    const child = spawnSandboxed(program('life_tree'), ['pause'], { policy, descendants: 'wait' });
    const tree = await treeFrom(child.stdout);
    const closed = event(child, 'close');
    child.kill('SIGKILL');
    expect(await closed).toEqual([null, 'SIGKILL']);
    await allGone(tree.values());
  });

  test('a hundred times at once, at random moments', { timeout: patient(60_000) }, async () => {
    const ends = Array.from({ length: 100 }, async (_, i) => {
      await new Promise((resolve) => setTimeout(resolve, i * 10));
      const child = spawnSandboxed('sh', ['-c', 'sleep 100'], { policy, stdio: 'ignore' });
      const command = seen(child);
      const closed = event(child, 'close');
      setTimeout(() => child.kill('SIGKILL'), i % 13);
      expect(await closed).toEqual([null, 'SIGKILL']);
      expect(alive(command)).toBe(false);
    });
    await Promise.all(ends);
  });
});

describe('dispose', () => {
  test('kills what runs, and does nothing to what has ended', async () => {
    const child = spawnSandboxed(program('life_tree'), ['pause'], { policy });
    const tree = await treeFrom(child.stdout);
    const closed = event(child, 'close');
    child[Symbol.dispose]();
    expect(await closed).toEqual([null, 'SIGTERM']);
    await allGone(tree.values());
    child[Symbol.dispose]();
    const ended = spawnSandboxed('true', { policy });
    await event(ended, 'close');
    ended[Symbol.dispose]();
    expect(ended).toMatchObject({ exitCode: 0, signalCode: null });
  });

  test('in the tick of the spawn', async () => {
    const child = spawnSandboxed('sleep', ['100'], { policy });
    child[Symbol.dispose]();
    expect(await event(child, 'close')).toEqual([null, 'SIGTERM']);
  });
});

describe('an AbortSignal', () => {
  test('ends the command, with the error that Node gives', async () => {
    const outcomes = [];
    for (const start of [
      (signal: AbortSignal) => spawn('sleep', ['100'], { signal }),
      (signal: AbortSignal) => spawnSandboxed('sleep', ['100'], { signal, policy }),
    ]) {
      const controller = new AbortController();
      const child = start(controller.signal);
      await event(child, 'spawn');
      const error = event(child, 'error');
      const closed = event(child, 'close');
      controller.abort(new Error('enough'));
      const [{ name, code, cause, message }] = (await error) as [Error & { code: string }];
      outcomes.push({ name, code, cause: (cause as Error).message, message, closed: await closed });
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
  });

  test('that is aborted already ends it at once', async () => {
    const child = spawnSandboxed('sh', ['-c', 'echo ran; sleep 100'], { signal: AbortSignal.abort(), policy });
    ignoreAbort(child);
    expect(await event(child, 'close')).toEqual([null, 'SIGTERM']);
  });

  test('with a killSignal, takes the tree', async () => {
    const controller = new AbortController();
    const child = spawnSandboxed(program('life_tree'), ['pause'], {
      signal: controller.signal,
      killSignal: 'SIGKILL',
      policy,
    });
    ignoreAbort(child);
    const tree = await treeFrom(child.stdout);
    const closed = event(child, 'close');
    controller.abort();
    expect(await closed).toEqual([null, 'SIGKILL']);
    await allGone(tree.values());
  });
});

describe('timeout', () => {
  test('ends a command that takes longer, with its killSignal, and lets a faster one be', async () => {
    const slow = spawnSandboxed(program('life_tree'), ['pause'], {
      timeout: patient(500),
      killSignal: 'SIGUSR1',
      policy,
    });
    const closed = event(slow, 'close');
    const tree = await treeFrom(slow.stdout);
    expect(await closed).toEqual([null, 'SIGUSR1']);
    await allGone(tree.values());
    const fast = spawnSandboxed('true', { timeout: patient(10_000), policy });
    expect(await event(fast, 'close')).toEqual([0, null]);
    const early = spawnSandboxed('sleep', ['100'], { timeout: 1, policy });
    expect(await event(early, 'close')).toEqual([null, 'SIGTERM']);
  });
});

describe('ref and unref', { timeout: patient(60_000) }, () => {
  test('Node waits for a command, and its events', async () => {
    const host = startHost(
      "spawnSandboxed('sleep', ['0.3'], { policy, stdio: 'ignore' }).on('close', (...end) => say('closed', ...end));",
    );
    const output = textOf(host.stdout);
    expect((await event(host, 'close'))[0]).toBe(0);
    expect(await output).toBe('closed 0 \n');
  });

  test('after unref() Node ends before the command, and the tree dies with it', async () => {
    const host = startHost(
      `const child = spawnSandboxed(args[0], ['pause'], { policy, stdio: ['ignore', 'inherit', 'inherit'] });
       child.onOpen(() => {});
       child.on('close', () => say('closed'));
       process.once('SIGUSR2', () => child.unref());`,
      [program('life_tree')],
    );
    const closed = event(host, 'exit');
    const tree = await treeFrom(host.stdout);
    expect(host.exitCode).toBeNull();
    host.kill('SIGUSR2');
    expect((await closed)[0]).toBe(0);
    await allGone(tree.values());
  });

  test('unref() in the tick of the spawn, and ref() again', async () => {
    const gone = startHost(
      "const child = spawnSandboxed('sleep', ['100'], { policy, stdio: 'ignore' }); child.unref(); say(child.pid);",
    );
    const output = textOf(gone.stdout);
    expect((await event(gone, 'close'))[0]).toBe(0);
    const pid = Number(await output);
    expect(pid).toBeGreaterThan(1);
    await until(() => !alive({ role: 'command', pid, start: startOf(pid) }), 'the command is gone');

    const stays = startHost(
      "const child = spawnSandboxed('sleep', ['0.2'], { policy, stdio: 'ignore' }); child.unref(); child.ref(); child.on('close', (code) => say('closed', code));",
    );
    const said = textOf(stays.stdout);
    expect((await event(stays, 'close'))[0]).toBe(0);
    expect(await said).toBe('closed 0\n');
  });
});
