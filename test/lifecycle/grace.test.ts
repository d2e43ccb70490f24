// timeout and signal hold for the whole tree where it may outlive the command; killGrace gives it time to end.

import { spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { event, policyFor, textOf } from './tree.ts';

const policy = policyFor();
/** A wrapper dies of SIGTERM by itself; its job writes a line first. */
const wrapper = "(trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.02; done) & wait";
/** Both are deaf to it. */
const deaf = "trap '' TERM; (echo ready; while :; do sleep 0.02; done) & while :; do sleep 0.02; done";

type Child = ReturnType<typeof start>;
const start = (script: string, options: object = {}) =>
  spawnSandboxed('sh', ['-c', script], { policy, stdio: ['ignore', 'pipe', 'ignore'], ...options });
const ready = (child: Child) => new Promise((resolve) => child.stdout.once('data', resolve));

describe("with descendants: 'wait'", () => {
  test('timeout ends what the command has left behind', async () => {
    const child = start('sleep 1000 & exit 3', { descendants: 'wait', timeout: patient(300) });
    expect(await event(child, 'close')).toEqual([3, null]);
    expect(child.killed).toBe(true);
  });

  test('timeout is for the whole tree while the command lives, too', async () => {
    const child = start('sleep 1000 & exec sleep 1000', { descendants: 'wait', timeout: patient(300) });
    expect(await event(child, 'close')).toEqual([null, 'SIGTERM']);
  });

  test('an abort after the end of the command ends the rest', async () => {
    const controller = new AbortController();
    const child = start('sleep 1000 & exit 0', { descendants: 'wait', signal: controller.signal });
    await event(child, 'exit');
    const error = event(child, 'error');
    const closed = event(child, 'close');
    controller.abort();
    expect(await error).toEqual([expect.objectContaining({ code: 'ABORT_ERR' })]);
    expect(await closed).toEqual([0, null]);
  });

  test('without them the rest goes on', async () => {
    const child = start('(sleep 0.3; echo late) & exit 0', { descendants: 'wait', timeout: patient(60_000) });
    const output = textOf(child.stdout);
    expect(await event(child, 'close')).toEqual([0, null]);
    expect(await output).toBe('late\n');
  });
});

describe('killGrace', () => {
  test.each([
    ['0', 0, 'ready\n'],
    ['a minute', 60_000, 'ready\nsaved\n'],
    ['Infinity', Number.POSITIVE_INFINITY, 'ready\nsaved\n'],
  ])('of %s: what a wrapper leaves behind', async (_, killGrace, expected) => {
    const child = start(wrapper, { killGrace });
    const output = textOf(child.stdout);
    await ready(child);
    expect(child.kill()).toBe(true);
    expect(await event(child, 'close')).toEqual([null, 'SIGTERM']);
    expect(await output).toBe(expected);
  });

  test.each([
    ['kill()', {}],
    ['a timeout', { timeout: patient(1000) }],
    ['an abort', {}],
  ])('ends what is deaf, after %s', async (how, options) => {
    const controller = new AbortController();
    const child = start(deaf, { killGrace: 100, signal: controller.signal, ...options });
    child.on('error', () => {});
    await ready(child);
    if (how === 'kill()') child.kill();
    if (how === 'an abort') controller.abort();
    expect(await event(child, 'close')).toEqual([null, 'SIGKILL']);
  });

  test('begins with a request to end, not with any signal', async () => {
    const child = start("trap 'echo heard' USR1; echo ready; sleep 0.4 & wait; wait; echo done", { killGrace: 1 });
    const output = textOf(child.stdout);
    await ready(child);
    child.kill('SIGUSR1');
    expect(await event(child, 'close')).toEqual([0, null]);
    expect(await output).toBe('ready\nheard\ndone\n');
  });

  test('that nobody asks for lets a command end as it does without', async () => {
    const child = start('sleep 1000 & exit 5', { killGrace: 60_000 });
    expect(await event(child, 'close')).toEqual([5, null]);
  });

  test.each([-1, Number.NaN, '5', null])('of %j is refused', (killGrace) => {
    expect(() => start('true', { killGrace })).toThrow(/options\.killGrace: .* must be milliseconds/);
  });
});
