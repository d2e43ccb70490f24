import { realpathSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { kill, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { event, policyFor, python } from './tree.ts';

const policy = policyFor();
const timeout = patient(120_000);

async function inLanes<T>(items: readonly T[], lanes: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
    }),
  );
}

test('every exit code from 0 to 255 arrives', { timeout }, async () => {
  const codes = Array.from({ length: 256 }, (_, code) => code);
  const got: [number, number | null, string | null][] = [];
  await inLanes(codes, 4, async (code) => {
    const child = spawnSandboxed('sh', ['-c', `exit ${code}`], { policy, stdio: 'ignore' });
    const [gotCode, signal] = await event(child, 'close');
    expect(child).toMatchObject({ exitCode: gotCode, signalCode: signal });
    got.push([code, gotCode as number | null, signal as string | null]);
  });
  expect(got.sort((a, b) => a[0] - b[0])).toEqual(codes.map((code) => [code, code, null]));
});

describe('a signal ends the command', () => {
  const deadly = [
    ...([
      'SIGHUP',
      'SIGINT',
      'SIGQUIT',
      'SIGILL',
      'SIGTRAP',
      'SIGABRT',
      'SIGBUS',
      'SIGFPE',
      'SIGKILL',
      'SIGUSR1',
    ] as const),
    ...([
      'SIGSEGV',
      'SIGUSR2',
      'SIGPIPE',
      'SIGALRM',
      'SIGTERM',
      'SIGXCPU',
      'SIGXFSZ',
      'SIGVTALRM',
      'SIGPROF',
      'SIGIO',
    ] as const),
    ...(['SIGPWR', 'SIGSYS'] as const),
  ];

  test.each(deadly)('%s, sent by itself', async (signal) => {
    const script = `ulimit -c 0; kill -${constants.signals[signal]} $$; echo not reached`;
    const bare = await runBare('dash', ['-c', script]);
    const held = await runSandboxed('dash', ['-c', script], { policy });
    expect(bare).toMatchObject({ code: null, signal, stdout: '' });
    expect({ ...held, violations: [] }).toEqual(bare);
  });

  test.each(['SIGTERM', 'SIGKILL', 'SIGINT', 'SIGSEGV', 'SIGABRT', 9, 15, 'SIGUSR1'] as const)(
    '%s, sent by kill()',
    async (signal) => {
      const child = spawnSandboxed('sleep', ['100'], { policy });
      await event(child, 'spawn');
      expect(child.kill(signal)).toBe(true);
      expect(child.killed).toBe(true);
      const name = typeof signal === 'string' ? signal : { 9: 'SIGKILL', 15: 'SIGTERM' }[signal];
      expect(await event(child, 'close')).toEqual([null, name]);
      expect(child.kill(signal)).toBe(false);
    },
  );

  test('a segmentation fault and an abort dump core as the limits have it', async () => {
    const script = `ulimit -c 0; ${python} -c "import ctypes; ctypes.string_at(8)"; echo $?; ${python} -c "import os; os.abort()"; echo $?`;
    const held = await runSandboxed('bash', ['-c', script], { policy });
    expect(held).toMatchObject({ code: 0, stdout: '139\n134\n' });
  });

  test('a handler may turn it into an exit code', async () => {
    const child = spawnSandboxed('bash', ['-c', 'trap "exit 21" TERM; echo ready; while :; do sleep 0.01; done'], {
      policy,
    });
    await event(child.stdout, 'data');
    child.kill();
    expect(await event(child, 'close')).toEqual([21, null]);
  });
});

test('200 commands that end at once: each has its exit', { timeout }, async () => {
  let ended = 0;
  await inLanes(
    Array.from({ length: 200 }, (_, i) => i),
    5,
    async (i) => {
      const child = spawnSandboxed(i % 2 === 0 ? 'true' : 'false', { policy, stdio: 'ignore' });
      const events: string[] = [];
      for (const name of ['spawn', 'exit', 'treeEmpty', 'close'] as const) child.on(name, () => events.push(name));
      expect(await event(child, 'close')).toEqual([i % 2, null]);
      expect(events.filter((name) => name !== 'treeEmpty')).toEqual(['spawn', 'exit', 'close']);
      ended += 1;
    },
  );
  expect(ended).toBe(200);
});

test('200 commands that end at once while a hook is asked about them', { timeout }, async () => {
  let asked = 0;
  await inLanes(
    Array.from({ length: 200 }, (_, i) => i),
    5,
    async () => {
      const child = spawnSandboxed('true', { policy, stdio: 'ignore' });
      child.onExec(async () => {
        asked += 1;
      });
      expect(await event(child, 'close')).toEqual([0, null]);
    },
  );
  expect(asked).toBe(200);
});

test("a hook's kill() ends the process that made the call, and no other", async () => {
  const folder = temporaryFolder('kill');
  writeFileSync(join(folder, 'trap'), 'never read\n');
  const outcome = await runSandboxed('sh', ['-c', `cat ${folder}/trap; echo $?; exit 4`], {
    policy: policyFor(folder),
    hooks: (child) => child.onOpen({ path: join(folder, 'trap') }, () => kill('SIGTERM')),
  });
  expect(outcome).toMatchObject({ code: 4, signal: null, stdout: '143\n' });
});

test('who is killed in the middle of an exec that takes its leader’s number has an end', { timeout }, async () => {
  const ran = await runSandboxed(program('killed_in_exec'), ['10', realpathSync('/bin/true')], {
    policy: { files: { read: ['/'] } },
  });
  expect(ran).toMatchObject({ code: 0, signal: null });
});

test('children that are killed as soon as they are made have an end, and so has the tree', { timeout }, async () => {
  const runs = await Promise.all(
    [1, 2, 3, 4].map(() => runSandboxed(program('killed_at_birth'), ['2000'], { policy: { files: { read: ['/'] } } })),
  );
  for (const run of runs) expect(run).toMatchObject({ code: 0, signal: null });
});
