// The supervisor is started by the addon, not by Node's own spawn: no difference shows, but in what a start costs.
import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { type SandboxedProcess, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/temp.ts';
import { startHost } from './host.ts';
import { descendantsOf, event, policyFor, stateOf, textOf, until } from './tree.ts';

const policy = policyFor();
const everything = { files: { read: ['/'], write: ['/'] } };

type Start = (command: string, args: string[], options?: object) => SandboxedProcess;
const bare: Start = (command, args, options = {}) => spawn(command, args, options) as never;
const held: Start = (command, args, options = {}) =>
  spawnSandboxed(command, args, { policy: everything, ...options }) as never;

/** What a command prints, bare and held. */
async function outputs(command: string, args: string[], options: object = {}): Promise<string[]> {
  const output = async (start: Start) => {
    const child = start(command, args, options);
    const [text] = await Promise.all([textOf(child.stdout), event(child, 'close')]);
    return text;
  };
  return [await output(bare), await output(held)];
}

/** Node's own spawn makes a resource of this name, which keeps the loop alive until the child has ended. */
const byNode = () => process.getActiveResourcesInfo().filter((name) => name === 'ProcessWrap').length;

describe('who starts it', () => {
  test.each<[string, unknown, number]>([
    ['pipes', 'pipe', 0],
    ['nothing', 'ignore', 0],
    ['what is inherited', ['inherit', 'ignore', 'inherit'], 0],
    ['descriptors', ['ignore', 1, process.stderr], 0],
    ['more places', ['ignore', 'pipe', null, 'overlapped', undefined, 'pipe'], 0],
    ['messages', ['ignore', 'ignore', 'ignore', 'ipc'], 1],
  ])('%s', async (_, stdio, count) => {
    const before = byNode();
    const child = spawnSandboxed('true', [], { policy, stdio: stdio as 'pipe' });
    expect(byNode() - before).toBe(count);
    expect(await event(child, 'close')).toEqual([0, null]);
  });

  test('a stream of Node that has no descriptor of its own goes the other way, and arrives', async () => {
    const first = spawnSandboxed('echo', ['through'], { policy });
    const before = byNode();
    const second = spawnSandboxed('cat', [], { policy, stdio: [first.stdout, 'pipe', 'inherit'] });
    expect(byNode() - before).toBe(1);
    expect(await textOf(second.stdout)).toBe('through\n');
  });
});

describe('as Node starts a child', () => {
  test('the environment: order, values of every kind, inherited ones, none of undefined', async () => {
    const env = Object.assign(Object.create({ INHERITED: 'yes', NODE_V8_COVERAGE: 'theirs' }), {
      PATH: process.env.PATH,
      NUMBER: 7,
      NOTHING: undefined,
      NULL: null,
      EMPTY: '',
      '': 'no name',
      'a=b': 'c',
      UNICODE: 'ü\ud800',
      LINES: 'a\nb',
    });
    for (const coverage of [undefined, temporaryFolder('coverage')]) {
      if (coverage === undefined) delete process.env.NODE_V8_COVERAGE;
      else process.env.NODE_V8_COVERAGE = coverage;
      const [expected, got] = await outputs('env', ['-0'], {
        env: Object.assign(Object.create(env), { OWN: '1', PATH: process.env.PATH }),
      });
      expect(got?.split('\0').sort()).toEqual(expected?.split('\0').sort());
      const [all, ours] = await outputs('env', ['-0'], { env });
      expect(ours?.split('\0').sort()).toEqual(all?.split('\0').sort());
      expect(ours?.includes('NODE_V8_COVERAGE')).toBe(true);
    }
    delete process.env.NODE_V8_COVERAGE;
    const [expected, got] = await outputs('env', ['-0']);
    expect(got).toBe(expected);
    expect(await outputs('/usr/bin/env', ['-0'], { env: {} })).toEqual(['', '']);
  });

  test('a value that cannot be said throws as there', () => {
    for (const env of [{ A: 'a\0b' }, { 'A\0': 'b' }, { A: Symbol('a') }]) {
      const thrown = [bare, held].map((start) => {
        try {
          start('true', [], { env });
        } catch (error) {
          const { name, message, code } = error as NodeJS.ErrnoException;
          return [name, message, code];
        }
        return undefined;
      });
      expect(thrown[1]).toBeDefined();
      expect(thrown[1]).toEqual(thrown[0]);
    }
  });

  test('arguments that do not fit throw E2BIG', () => {
    const long = 'x'.repeat(1 << 20);
    for (const start of [bare, held]) {
      expect(() => start('true', [long, long, long])).toThrow(
        expect.objectContaining({ code: 'E2BIG', syscall: 'spawn' }),
      );
    }
  });

  test('signals: none blocked, none ignored, whatever Node does with them', async () => {
    const listener = () => {};
    process.on('SIGUSR2', listener);
    const [expected, got] = await outputs('grep', ['-E', '^Sig(Blk|Ign|Cgt)', '/proc/self/status']);
    process.off('SIGUSR2', listener);
    expect(got).toBe(expected);
    expect(got).toContain('SigBlk:\t0000000000000000\n');
  });

  test('descriptors: those that it is given, at their places, in the mode of their kind', async () => {
    const script = `for fd in /proc/self/fd/*; do read -r _ flags < <(grep flags "\${fd/fd/fdinfo}") 2>&-; echo "\${fd##*/} $flags"; done`;
    const stdio = ['pipe', 'pipe', 'ignore', 'ignore', 'pipe', 1, 'overlapped'];
    const [expected, got] = await outputs('bash', ['--norc', '-c', `${script} | head -8`], { stdio });
    expect(got).toBe(expected);
    expect(got).toMatch(/^4 /m);
  });

  test('the streams are Node’s own, with the same marks', async () => {
    const marks = [bare, held].map((start) => {
      const child = start('cat', [], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
      const streams = child.stdio.map((stream) => {
        const { readable, writable, readableHighWaterMark, writableHighWaterMark, allowHalfOpen } = stream as Socket;
        return [
          stream instanceof Socket,
          readable,
          writable,
          readableHighWaterMark,
          writableHighWaterMark,
          allowHalfOpen,
        ];
      });
      child.kill();
      return streams;
    });
    expect(marks[1]).toEqual(marks[0]);
  });
});

test('Node hears of each end by itself, though libuv does not know the child', async () => {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const child = spawnSandboxed('sleep', ['30'], { policy });
    child.on('spawn', () => child.kill(signal));
    expect(await event(child, 'close')).toEqual([null, signal]);
  }
  await until(
    () => descendantsOf(process.pid).every((pid) => stateOf(pid) !== 'Z'),
    () => 'no zombie is left',
  );
});

test('what a worker thread has started and not seen the end of is no zombie for ever', async () => {
  const host = startHost(`
import { Worker, isMainThread, parentPort } from 'node:worker_threads';
const started = (child) => new Promise((resolve) => child.on('spawn', resolve));
if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url));
  const [supervisor] = await new Promise((resolve) => worker.on('message', resolve));
  await worker.terminate();
  const state = () => { try { return fs.readFileSync('/proc/' + supervisor + '/stat', 'latin1').split(') ')[1][0]; } catch { return 'gone'; } };
  // The next start takes it away, or the one after: it may be on its way still.
  while (state() !== 'gone') {
    const child = spawnSandboxed('true', { policy });
    await new Promise((resolve) => child.on('close', resolve));
  }
  say(state());
} else {
  const child = spawnSandboxed('sleep', ['30'], { policy });
  await started(child);
  parentPort.postMessage([Number(fs.readFileSync('/proc/' + child.pid + '/stat', 'latin1').split(') ')[1].split(' ')[1])]);
}`);
  const output = textOf(host.stdout);
  expect(await event(host, 'exit')).toEqual([0, null]);
  expect(await output).toBe('gone\n');
});
