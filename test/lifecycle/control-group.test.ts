// Limits that a control group holds. Most machines give none away: `npm run test:guest` runs this file on one that does.
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  createSandboxPool,
  type LimitReached,
  type Limits,
  type SandboxedProcess,
  type SpawnSandboxedOptions,
  spawnSandboxed,
  type Violation,
} from 'holdfast';
import { describe, expect, test } from 'vitest';
import { findGroupPlace } from '../../lib/limits/control-group.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { startHost } from './host.ts';
import { event, nothingLeft, policyFor, textOf, until } from './tree.ts';

const MIB = 2 ** 20;
const place = findGroupPlace({ memory: 64 * MIB, cpus: 1 });
const parent = 'parent' in place ? place.parent : '';
const groups = (folder = parent): string[] => readdirSync(folder).filter((name) => name.startsWith('holdfast-'));

interface Ran {
  end: unknown[];
  out: string;
  limits: LimitReached[];
  violations: Violation[];
  held: unknown;
}

async function watch(child: SandboxedProcess): Promise<Ran> {
  const ran: Ran = { end: [], out: '', limits: [], violations: [], held: undefined };
  child.on('limit', (limit) => ran.limits.push(limit));
  child.on('violation', (violation) => ran.violations.push(violation));
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data) => {
      ran.out += data;
    });
  }
  const plan = child.plan().catch(() => undefined); // it may end before it is asked
  ran.end = await event(child, 'close', 30_000);
  ran.held = (await plan)?.limits.map(({ name, held, exact }) => ({ name, held, exact }));
  return ran;
}

const sh = (script: string, limits: Limits, more: SpawnSandboxedOptions = {}) =>
  watch(spawnSandboxed('sh', ['-c', script], { policy: policyFor(), limits, ...more }));

/** Where a shell finds its own group. */
const own = 'G=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)';
const killed = [null, 'SIGKILL'];
const byGroup = [{ name: 'memory', held: 'cgroup', exact: true }];

describe.skipIf('parent' in place)('without one (it may make one here)', () => {
  test('what only it can hold is refused, with the reason, before anything starts', () => {
    const start = (limits: Limits) => () => spawnSandboxed('true', [], { limits });
    const why = expect.stringMatching(/can be made here: .*(cgroup|group)/) as unknown as string;
    expect(start({ cpus: 1 })).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_LIMIT', message: why }));
    expect(start({ memory: '64MiB', exact: true })).toThrow(
      expect.objectContaining({ code: 'ERR_HOLDFAST_LIMIT_NOT_EXACT', message: why }),
    );
  });

  test('memory is sampled', async () => {
    const child = spawnSandboxed('true', [], { limits: { memory: '64MiB' } });
    const plan = await child.plan();
    expect(plan.limits).toMatchObject([{ name: 'memory', held: 'sampled', exact: false }]);
    await event(child, 'close');
  });
});

describe.skipIf('problem' in place)('with one (only where this process may make one: npm run test:guest)', () => {
  test('the kernel ends a tree at its memory, to the page, however many processes it is', async () => {
    for (const script of ['tail /dev/zero', 'for i in 1 2 3 4 5 6 7 8 9 10; do tail /dev/zero & done; wait']) {
      const ran = await sh(script, { memory: '64MiB', exact: true });
      expect(ran.end).toEqual(killed);
      expect(ran.limits).toMatchObject([{ name: 'memory', limit: 64 * MIB, killed: true }]);
      expect(ran.limits[0]?.reached).toBeLessThanOrEqual(64 * MIB);
      expect(ran.limits[0]?.reached).toBeGreaterThan(60 * MIB);
      expect(ran.held).toEqual(byGroup);
    }
    await nothingLeft();
    expect(groups()).toEqual([]);
  });

  test('files in memory count, whoever has mapped them or not', async () => {
    const policy = policyFor('/dev/shm');
    const file = `/dev/shm/holdfast-${process.pid}`;
    const ran = await sh(`head -c 200000000 /dev/zero > ${file}`, { memory: '64MiB' }, { policy });
    const cleaned = await sh(`rm -f ${file}`, {}, { policy });
    expect(cleaned.end).toEqual([0, null]);
    expect(ran.end).toEqual(killed);
    expect(ran.limits).toMatchObject([{ name: 'memory', killed: true }]);
  });

  test('where it is too little even for the start, that is told', async () => {
    for (const memory of [1, 4096, 65536]) {
      const ran = await watch(spawnSandboxed('true', [], { limits: { memory } }));
      expect(ran).toMatchObject({ end: killed, limits: [{ name: 'memory', limit: memory, killed: true }] });
    }
  });

  test('what stays below its limit is let be, and reads it where programs look', async () => {
    const ran = await sh(`${own}; cat $G/memory.max $G/cpu.max`, { memory: '64MiB', cpus: 0.5 });
    expect(ran).toMatchObject({ end: [0, null], limits: [] });
    expect(ran.out.trim().split('\n')).toEqual([String(64 * MIB), '50000 100000']);
    expect(groups()).toEqual([]);
  });

  test('nobody leaves the group, raises its limit or divides it, whatever may be written', async () => {
    const ran = await sh(
      `${own}; echo 0 > /sys/fs/cgroup/cgroup.procs; echo max > $G/memory.max; echo 0 > $G/memory.oom.group
       mkdir $G/below; rmdir /sys/fs/cgroup/none; mv $G /sys/fs/cgroup/other; ln -s /sys/fs/cgroup /tmp/cg-$$
       echo 0 > /tmp/cg-$$/cgroup.procs; rm /tmp/cg-$$; cd /sys/fs/cgroup && echo 0 > cgroup.procs
       cat /proc/self/cgroup; cat $G/memory.max; tail /dev/zero`,
      { memory: '64MiB' },
      { policy: { files: { read: ['/'], write: ['/'] } } },
    );
    expect(ran.end).toEqual(killed);
    expect(ran.limits).toMatchObject([{ name: 'memory', killed: true }]);
    expect(ran.out).toMatch(/^0::\/.*holdfast-\d+-\d+-\d+$/m);
    expect(ran.out).toMatch(new RegExp(`^${64 * MIB}$`, 'm'));
    expect(ran.violations.filter(({ rule }) => rule === 'limits').length).toBeGreaterThanOrEqual(7);
  });

  test('processors: the tree is slowed down, and told nothing', async () => {
    const child = spawnSandboxed('sh', ['-c', 'while :; do :; done & while :; do :; done'], { limits: { cpus: 0.2 } });
    const closed = watch(child);
    const stat = () => readFileSync(join(parent, groups()[0] ?? '', 'cpu.stat'), 'latin1');
    await until(() => Number(/^nr_throttled (\d+)/m.exec(stat())?.[1]) > 3, stat);
    const [periods, used] = [/^nr_periods (\d+)/m, /^usage_usec (\d+)/m].map((name) => Number(name.exec(stat())?.[1]));
    // A fifth of each period, and what a processor may borrow of the next (sched-bwc.rst: a slice of 5 ms each).
    expect(used).toBeLessThan(((periods ?? 0) + 2) * 20_000 + 100_000);
    await child.killTree();
    expect(await closed).toMatchObject({ end: killed, limits: [], held: [{ name: 'cpus', held: 'cgroup' }] });
  });

  test('a pool, a failed start, a tree that outlives its command: no group is left', async () => {
    const pool = createSandboxPool({ size: 1 });
    await until(() => pool.waiting === 1, 'ready');
    const pooled = await watch(pool.spawn('tail', ['/dev/zero'], { policy: policyFor(), limits: { memory: '32MiB' } }));
    expect(pooled).toMatchObject({ end: killed, limits: [{ name: 'memory' }], held: byGroup });
    await pool.close();
    const none = spawnSandboxed('/nonexistent', [], { limits: { memory: '32MiB' } });
    expect(await event(none, 'error')).toMatchObject([{ code: 'ENOENT' }]);
    const ran = await sh('(tail /dev/zero &) ; exit 3', { memory: '32MiB' }, { descendants: 'wait' });
    expect(ran).toMatchObject({ end: [3, null], limits: [{ name: 'memory' }] });
    await until(
      () => groups().length === 0,
      () => groups().join(),
    );
  });

  test('a killed supervisor, and a killed Node, leave none for long', async () => {
    const host = startHost(`
const child = spawnSandboxed('sleep', ['1000'], { policy, limits: { memory: '64MiB' } });
child.on('error', (error) => say(error.code));
child.on('close', () => say('closed'));
child.on('spawn', () => say(fs.readFileSync('/proc/' + child.pid + '/status', 'latin1').match(/^TracerPid:\\s*(\\d+)/m)[1]));
setInterval(() => {}, 1000);`);
    const lines: string[] = [];
    host.stdout?.on('data', (data) => lines.push(...String(data).trim().split('\n')));
    await until(() => lines.length > 0, 'started');
    expect(groups()).toHaveLength(1);
    process.kill(Number(lines[0]), 'SIGKILL');
    await until(
      () => lines.includes('closed'),
      () => lines.join(),
    );
    expect(groups()).toEqual([]);
    host.kill('SIGKILL');
    await event(host, 'exit');

    const both = startHost(`
const child = spawnSandboxed('sleep', ['1000'], { policy, limits: { memory: '64MiB' } });
child.on('spawn', () => say(fs.readFileSync('/proc/' + child.pid + '/status', 'latin1').match(/^TracerPid:\\s*(\\d+)/m)[1]));
setInterval(() => {}, 1000);`);
    const started = await new Promise<string>((told) => both.stdout?.once('data', (data) => told(String(data))));
    both.kill('SIGSTOP');
    process.kill(Number(started), 'SIGKILL');
    both.kill('SIGKILL');
    await event(both, 'exit');
    expect(groups()).toHaveLength(1);
    await until(
      () => /^populated 0/m.test(readFileSync(join(parent, groups()[0] ?? '', 'cgroup.events'), 'latin1')),
      'empty',
    );
    expect(await sh('exit 0', { memory: '64MiB' })).toMatchObject({ end: [0, null] });
    expect(groups()).toEqual([]);
  });

  // Root gives a part of the hierarchy to another user, as a service manager does.
  test.skipIf(process.getuid?.() !== 0)('an ordinary user has what was delegated to it', async () => {
    const given = join(parent, `delegated-${process.pid}`);
    mkdirSync(join(given, 'app'), { recursive: true });
    for (const path of ['', 'cgroup.procs', 'cgroup.subtree_control', 'app', 'app/cgroup.procs']) {
      chownSync(join(given, path), 65534, 65534);
    }
    try {
      const host = startHost(
        `
const child = spawnSandboxed('tail', ['/dev/zero'], { policy, limits: { memory: '64MiB', exact: true } });
child.on('limit', ({ name, reached }) => say(name, reached <= 64 * 2 ** 20));
child.on('close', (code, signal) => say(signal));
child.on('error', (error) => say(error.message));`,
        [],
        {},
        [
          'sh',
          '-c',
          `echo $$ > ${given}/app/cgroup.procs; exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"`,
          'sh',
        ],
      );
      const output = textOf(host.stdout);
      expect(await event(host, 'exit')).toEqual([0, null]);
      expect((await output).trim().split('\n')).toEqual(['memory true', 'SIGKILL']);
      expect(groups(given)).toEqual([]);
      expect(readFileSync(join(given, 'cgroup.subtree_control'), 'latin1')).toContain('memory');
    } finally {
      rmdirSync(join(given, 'app'));
      rmdirSync(given);
    }
  });

  test.skipIf(process.getuid?.() !== 0)("systemd's own groups are not touched", async () => {
    const marker = '/run/systemd/system';
    const had = existsSync(marker);
    if (!had) mkdirSync(marker, { recursive: true });
    try {
      expect(() => spawnSandboxed('true', [], { limits: { memory: '1GiB', exact: true } })).toThrow(/systemd's own/);
    } finally {
      if (!had) rmdirSync(marker);
    }
  });
});

test('what is no number of processors is refused by name', () => {
  for (const cpus of [0, -1, Number.NaN, 0.001, '1', 1e9]) {
    expect(() => spawnSandboxed('true', [], { limits: { cpus: cpus as number } })).toThrow(
      expect.objectContaining({
        code: 'ERR_HOLDFAST_INVALID_OPTION',
        message: expect.stringContaining('options.limits.cpus') as unknown as string,
      }),
    );
  }
});

test('all limits together', async () => {
  const folder = temporaryFolder('all-limits');
  writeFileSync(join(folder, 'x'), '');
  const limits: Limits = {
    ...{ memory: '1GiB', cpuTime: '1min', wallTime: '1min', processes: 10, threads: 20, openFiles: 100 },
    ...{ fileSize: '1MiB', written: '1GiB', output: '1MiB', coreSize: 0, addressSpace: '10GiB' },
  };
  const ran = await sh('ulimit -n', limits, { stdio: ['ignore', 'pipe', 'pipe'] });
  expect(ran).toMatchObject({ end: [0, null], out: '100\n', limits: [] });
});
