// The `limits` option against programs that want more: what ends them, when, and what is told of it.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  createSandboxPool,
  type LimitReached,
  type Limits,
  type SpawnSandboxedOptions,
  spawnSandboxed,
  type Violation,
} from 'holdfast';
import { describe, expect, test } from 'vitest';
import { findGroupPlace } from '../../lib/limits/control-group.ts';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { event, nothingLeft, policyFor, textOf } from './tree.ts';

const limited = program('limited');
const folder = temporaryFolder('limits');
mkdirSync(join(folder, 'work'));
const policy = policyFor(folder);
/** Where a control group can be made it counts memory, and exactly (control-group.test.ts); elsewhere it is sampled. */
const grouped = 'parent' in findGroupPlace({ memory: 64 * 2 ** 20 });

interface Ran {
  end: unknown[];
  out: string;
  limits: LimitReached[];
  violations: Violation[];
  /** Events in the order in which they came. */
  events: string[];
  limit: LimitReached | undefined;
}

async function run(
  args: (string | number)[],
  limits: Limits,
  more: SpawnSandboxedOptions = {},
  file = limited,
): Promise<Ran> {
  const child = spawnSandboxed(file, args.map(String), {
    policy,
    cwd: join(folder, 'work'),
    stdio: ['ignore', 'pipe', 'inherit'],
    limits,
    ...more,
  });
  const ran: Ran = { end: [], out: '', limits: [], violations: [], events: [], limit: undefined };
  child.stdout?.on('data', (data) => {
    ran.out += data;
  });
  child.on('limit', (reached) => {
    ran.limits.push(reached);
    ran.events.push('limit');
  });
  child.on('violation', (violation) => ran.violations.push(violation));
  for (const name of ['exit', 'close'] as const) child.on(name, () => ran.events.push(name));
  ran.end = await event(child, 'close', 30_000);
  ran.limit = child.limit;
  return ran;
}

const killed = [null, 'SIGKILL'];

describe('processes', () => {
  test('so many there are, and one more is refused with EAGAIN, told once and as a violation', async () => {
    const ran = await run(['room', 40], { processes: 6 });
    expect(ran).toMatchObject({ end: [0, null], out: '5\n', events: ['limit', 'exit', 'close'] });
    expect(ran.limits).toEqual([
      {
        name: 'processes',
        limit: 6,
        reached: 7,
        killed: false,
        errno: 'EAGAIN',
        pid: expect.any(Number),
        message: expect.stringContaining('limits.processes: 7, and 6 are allowed: EAGAIN'),
      },
    ]);
    expect(ran.limit).toBe(ran.limits[0]);
    expect(ran.violations).toEqual([
      expect.objectContaining({ rule: 'limits.processes', errno: 'EAGAIN', pid: ran.limits[0]?.pid }),
    ]);
  });

  test('1 is the command alone, whatever threads it has', async () => {
    expect(await run(['room', 3], { processes: 1 })).toMatchObject({ out: '0\n' });
    expect(await run(['threads', 8], { processes: 1 })).toMatchObject({ out: '8 \n', limits: [] });
  });

  test('a hundred threads that fork at once never make more, and nothing is lost of the count', async () => {
    const ran = await run(['threads-fork', 100, 5], { processes: 8 });
    // The command is one, so seven children at most lived at any moment, and as many can be made afterwards.
    const [, most, others, other, room] = /^most (\d+) all (\d+) other (\d+) room (\d+)$/m.exec(ran.out) ?? [];
    expect(Number(most)).toBeLessThanOrEqual(7);
    expect(Number(most)).toBeGreaterThan(0);
    expect([others, other, room]).toEqual(['500', '0', '7']);
  });

  test('a process that its parent has not waited for counts', async () => {
    expect(await run(['zombies', 50], { processes: 10 })).toMatchObject({ out: '9 again\n' });
  });

  test('a fork that a signal interrupts, and one whose maker is killed in it, leave nothing behind', async () => {
    expect(await run(['signals', 60], { processes: 4 })).toMatchObject({ out: 'room 3 other 0\n', end: [0, null] });
    expect(await run(['killed', 25, 4], { processes: 5 })).toMatchObject({ out: 'room 4\n', end: [0, null] });
  });

  test('a fork bomb grows to the limit, and ends', async () => {
    const ran = await run(['bomb', 8], { processes: 24, wallTime: '20s' });
    expect(ran.out).toMatch(/^made \d+ refused 1$/m);
    expect(ran.limits.map(({ name }) => name)).toEqual(['processes']);
    // The bomber, and what it has made: never more than 24 with the command, but who has ended makes room for another.
    expect(Number(/made (\d+)/.exec(ran.out)?.[1])).toBeGreaterThanOrEqual(22);
    await nothingLeft();
  });
});

describe('threads', () => {
  test('of all processes together; one more is refused with EAGAIN', async () => {
    const ran = await run(['threads', 50], { threads: 10 });
    expect(ran).toMatchObject({ out: '9 EAGAIN\n', limits: [{ name: 'threads', limit: 10, errno: 'EAGAIN' }] });
    expect(ran.violations[0]).toMatchObject({ rule: 'limits.threads', syscall: 'clone' });
    expect(await run(['room', 50], { threads: 4 })).toMatchObject({ out: '3\n' });
  });

  test('whoever has joined a thread may make another one', async () => {
    expect(await run(['join', 300], { threads: 2 })).toMatchObject({ out: 'failed 0\n', limits: [] });
  });
});

describe('wallTime', () => {
  test('ends the tree, and says so before its end', async () => {
    const ran = await run([10], { wallTime: '150ms' }, {}, 'sleep');
    expect(ran).toMatchObject({ end: killed, events: ['limit', 'exit', 'close'] });
    expect(ran.limits).toMatchObject([{ name: 'wallTime', limit: 150, killed: true }]);
    expect(ran.limits[0]?.reached).toBeGreaterThanOrEqual(150);
  });

  test('counts until nothing of the tree is left', async () => {
    const ran = await run(['-c', 'sleep 10 & exit 3'], { wallTime: patient(200) }, { descendants: 'wait' }, 'sh');
    expect(ran).toMatchObject({ end: [3, null], events: ['exit', 'limit', 'close'] });
  });

  test('that is not reached is told nobody', async () => {
    expect(await run([], { wallTime: '20s' }, {}, 'true')).toMatchObject({ end: [0, null], events: ['exit', 'close'] });
  });
});

describe('cpuTime', () => {
  test('of one process that spins', async () => {
    const ran = await run(['spin', 1, 20_000], { cpuTime: '200ms' });
    expect(ran).toMatchObject({ end: killed, events: ['limit', 'exit', 'close'], limit: { name: 'cpuTime' } });
    expect(ran.limit?.reached).toBeGreaterThanOrEqual(200);
  });

  test('of many at once, and of those that have ended', async () => {
    expect(await run(['spin', 10, 20_000], { cpuTime: '200ms' })).toMatchObject({ end: killed, limit: { limit: 200 } });
    const inTurn = await run(['spin-in-turn', 200, 10], { cpuTime: '200ms' });
    expect(inTurn).toMatchObject({ end: killed, out: '', limit: { name: 'cpuTime', killed: true } });
    // Each of them used ten milliseconds or a little more: no one alone has done it.
    expect(inTurn.limit?.reached).toBeGreaterThanOrEqual(200);
  });

  test('is not that of time that passes', async () => {
    expect(await run([0.5], { cpuTime: '250ms' }, {}, 'sleep')).toMatchObject({ end: [0, null], limits: [] });
  });
});

describe('memory', () => {
  test('of one process, and of many small ones', async () => {
    const one = await run(['fill', 1, 1500], { memory: '64MiB' });
    expect(one).toMatchObject({ end: killed, events: ['limit', 'exit', 'close'], limit: { name: 'memory' } });
    const many = await run(['fill', 40, 8], { memory: '100MiB' });
    expect(many).toMatchObject({ end: killed, limit: { name: 'memory', limit: 100 * 2 ** 20 } });
    if (grouped) expect(many.limit?.reached).toBeLessThanOrEqual(100 * 2 ** 20);
    else expect(many.limit?.reached).toBeGreaterThan(100 * 2 ** 20);
  });

  test('what several share counts once', async () => {
    // They end together, some of them while they are weighed.
    for (let i = 0; i < 8; i++) {
      expect(await run(['share', 60, 12], { memory: '120MiB' })).toMatchObject({ out: 'done\n', limits: [] });
    }
    expect(await run(['vfork', 60, 8], { memory: '100MiB' })).toMatchObject({ out: 'done\n', limits: [] });
  });

  const holders = ['left', 'orphaned', 'memfd-apart', 'memfd-thread', 'memfd-unshared'];
  test.each(holders)('counts whoever has it still (%s)', async (how) => {
    expect(await run([how, 300], { memory: '100MiB', wallTime: '20s' }, { descendants: 'wait' })).toMatchObject({
      out: '',
      limit: { name: 'memory', killed: true },
    });
  });

  test('is looked at often, however many descriptors the tree has', async () => {
    const ran = await run(['descriptors', 24, 2000], { memory: '100MiB' });
    expect(ran).toMatchObject({ out: '', end: killed, limit: { name: 'memory' } });
  });

  test('a file in memory counts, whether anybody has mapped it or not', async () => {
    expect(await run(['memfd', 1500], { memory: '64MiB' })).toMatchObject({ end: killed, limit: { name: 'memory' } });
    expect(await run(['memfd', 30], { memory: '64MiB' })).toMatchObject({ out: 'done\n', limits: [] });
  });
});

describe('written', () => {
  test.each([
    ['one', ['write', 1, 3000]],
    ['many at once', ['write', 20, 200]],
    ['many, one after the other', ['write-in-turn', 300, 2]],
    ['threads whose process goes on as another program', ['write-and-go', 3, 30]],
  ])('by %s', async (_, args) => {
    const ran = await run(args, { written: '30MiB' });
    expect(ran).toMatchObject({ end: killed, out: '', limit: { name: 'written', limit: 30 * 2 ** 20, killed: true } });
    expect(ran.limit?.reached).toBeGreaterThan(30 * 2 ** 20);
  });

  test('no space is taken that nobody counts', async () => {
    const ran = await run(['allocate', 100], { written: '30MiB' });
    expect(ran).toMatchObject({ end: [0, null], out: 'unsupported, unsupported, written 0, given back 0\n' });
    expect(ran.violations).toMatchObject([
      { syscall: 'fallocate', errno: 'ENOTSUP', rule: 'limits.written' },
      { syscall: 'fallocate', rule: 'limits.written' },
      { syscall: 'fallocate', rule: 'limits.written' },
    ]);
  });

  test('as much as that may be written', async () => {
    expect(await run(['write-in-turn', 10, 2], { written: '21MiB' })).toMatchObject({ out: 'done\n', limits: [] });
    expect(await run(['write-and-go', 2, 10], { written: '21MiB' })).toMatchObject({ out: 'done\n', limits: [] });
  });
});

describe('output', () => {
  test('Node gets what was allowed and not a byte more', async () => {
    const ran = await run([], { output: 100_000 }, { stdio: 'pipe' }, 'yes');
    expect(ran.out.length).toBe(100_000);
    expect(ran).toMatchObject({ end: killed, limit: { name: 'output', limit: 100_000, killed: true } });
    expect(ran.events.indexOf('limit')).toBeLessThan(ran.events.indexOf('close'));
  });

  test('standard error counts too, and a text that is just as long is no matter', async () => {
    const both = ['-c', 'printf 12345; printf 12345 >&2'];
    const exact = await run(both, { output: 10 }, { stdio: 'pipe' }, 'sh');
    expect(exact).toMatchObject({ end: [0, null], limits: [] });
    const more = await run(both, { output: 9 }, { stdio: 'pipe' }, 'sh');
    expect(more.limits).toMatchObject([{ name: 'output', limit: 9, reached: 10 }]);
    expect(await run(['x'], { output: 0 }, { stdio: 'pipe' }, 'echo')).toMatchObject({
      out: '',
      limits: [{ name: 'output' }],
    });
  });

  test('text that is decoded is cut at its bytes', async () => {
    const child = spawnSandboxed('sh', ['-c', 'echo ääää'], { policy, limits: { output: 4 } });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (data) => {
      text += data;
    });
    await event(child, 'close');
    expect(text).toBe('ää');
  });
});

describe('limits of each process', () => {
  // A sanitizer's own memory does not fit into a small address space; the command has none of it.
  test('are the kernel’s, soft and hard', async () => {
    const asked =
      'ulimit -Sn; ulimit -Hn; ulimit -Sf; ulimit -Hf; ulimit -Sc; ulimit -Hc; ulimit -Sv; ulimit -Hv; ulimit -Ht';
    const limits = { openFiles: 20, fileSize: '1MiB', coreSize: 0, addressSpace: '1GiB', cpuTime: '2500ms' } as const;
    const ran = await run(['-c', asked], limits, {}, 'bash');
    expect(ran.out.split('\n').slice(0, -1)).toEqual('20 20 1024 1024 0 0 1048576 1048576 4'.split(' '));
  });

  test('no process can raise its own or another one’s', async () => {
    expect(await run(['raise'], { openFiles: 30 })).toMatchObject({ out: 'EPERM EPERM 30\n' });
  });

  test('a file that grows ends its writer by SIGXFSZ, before that nothing does', async () => {
    const dd = (count: number) => ['if=/dev/zero', 'of=grows', 'bs=64k', `count=${count}`, 'status=none'];
    expect(await run(dd(17), { fileSize: '1MiB' }, {}, 'dd')).toMatchObject({ end: [null, 'SIGXFSZ'], limits: [] });
    expect(await run(dd(16), { fileSize: '1MiB' }, {}, 'dd')).toMatchObject({ end: [0, null] });
  });
});

test('several at once: the first that is reached is told, and the tree ends once', async () => {
  const ran = await run(['spin', 4, 20_000], { cpuTime: '150ms', wallTime: '20s', memory: '1GiB', processes: 20 });
  expect(ran.limits.map(({ name }) => name)).toEqual(['cpuTime']);
  await nothingLeft();
});

test('a pool’s spawn holds them too, and the next one has its own', async () => {
  await using pool = createSandboxPool({ size: 1 });
  for (const limits of [{ processes: 3, openFiles: 20 }, { processes: 4 }]) {
    const child = pool.spawn(limited, ['room', '20'], { policy, limits, stdio: ['ignore', 'pipe', 'inherit'] });
    const out = textOf(child.stdout);
    await event(child, 'close');
    expect([Number(await out), child.limit?.limit]).toEqual([limits.processes - 1, limits.processes]);
  }
});

test('the plan says how each is held', async () => {
  const limits = { memory: '64MiB', processes: 4, output: 5, openFiles: 20 } as const;
  const child = spawnSandboxed('true', [], { policy, limits });
  expect((await child.plan()).limits).toEqual([
    {
      name: 'memory',
      limit: 64 * 2 ** 20,
      of: 'tree',
      ...(grouped
        ? { held: 'cgroup', exact: true }
        : { held: 'sampled', exact: false, interval: { least: 2, most: 250 } }),
    },
    { name: 'processes', limit: 4, of: 'tree', held: 'supervisor', exact: true },
    { name: 'openFiles', limit: 20, of: 'process', held: 'kernel', exact: true },
    { name: 'output', limit: 5, of: 'tree', held: 'node', exact: true },
  ]);
  await event(child, 'close');
});
