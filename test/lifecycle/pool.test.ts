// Supervisors that wait for their command: each promise of createSandboxPool, tried.
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSandboxPool, deny, type SandboxedProcess, type SandboxPool, spawnSandboxed } from 'holdfast';
import { afterAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/temp.ts';
import { startHost } from './host.ts';
import { descendantsOf, event, linesUntil, parentOf, policyFor, stateOf, textOf, until } from './tree.ts';

const folder = temporaryFolder('pool');
const policy = policyFor(folder);
const plain = join(folder, 'plain');
writeFileSync(plain, 'not a program\n', { mode: 0o644 });
const pool = createSandboxPool({ size: 2 });
afterAll(() => pool.close());

const waitingOf = (root: number) =>
  descendantsOf(root).filter((pid) => {
    try {
      return (
        readFileSync(`/proc/${pid}/cmdline`, 'utf8') === 'holdfast-supervisor\0' + '3\0ready\0' && stateOf(pid) !== 'Z'
      );
    } catch {
      return false;
    }
  });
const full = (of: SandboxPool = pool) => until(() => of.waiting === of.size, 'the pool is full');

type Options = Parameters<typeof spawnSandboxed>[1] & object;

/** Takes care that it is one that waited. */
async function fromPool(command: string, args: string[], options: Options): Promise<SandboxedProcess> {
  await full();
  const child: SandboxedProcess = pool.spawn(command, args, options);
  expect(pool.waiting).toBe(pool.size - 1);
  return child;
}

async function outcome(child: SandboxedProcess) {
  const [out, err, end] = await Promise.all([textOf(child.stdout), textOf(child.stderr), event(child, 'close')]);
  return { out, err, end, file: child.spawnfile, args: child.spawnargs, streams: child.stdio.length };
}

describe('a spawn of the pool is a spawn', () => {
  const script = 'pwd; umask; echo "$0 $*"; tr a-z A-Z; echo err >&2; exit 3';
  test.each<[string, string, string[], object]>([
    ['plain', 'sh', ['-c', script, 'zero', 'one', ''], {}],
    [
      'cwd, env, argv0',
      'sh',
      ['-c', script],
      { cwd: '/usr/lib', env: { PATH: '/usr/bin:/bin', A: 'ü' }, argv0: 'other' },
    ],
    ['a relative cwd', 'pwd', [], { cwd: 'test' }],
    ['a shell', 'echo $((1 + 1)); env', [], { shell: true, env: { PATH: '/usr/bin:/bin', ONE: '1' } }],
    [
      'a session of its own',
      'sh',
      ['-c', 'read -r l < /proc/$$/stat; set -- $l; [ $6 = $$ ] && echo leader'],
      { detached: true },
    ],
    ['none of its own', 'sh', ['-c', `read -r l < /proc/$$/stat; set -- $l; echo $6`], {}],
    ['what it ignores and blocks', 'grep', ['^Sig[BI]', '/proc/self/status'], {}],
    ['a signal', 'sh', ['-c', 'kill -TERM $$'], {}],
    ['its limits', 'sh', ['-c', 'ulimit -a'], {}],
  ])('%s', async (_, command, args, options) => {
    const run = (child: SandboxedProcess) => {
      child.stdin?.on('error', () => {}).end('text');
      return outcome(child);
    };
    expect(await run(await fromPool(command, args, { policy, ...options }))).toEqual(
      await run(spawnSandboxed(command, args, { policy, ...options })),
    );
  });

  test('descriptors, at their places', async () => {
    const log = openSync(join(folder, 'log'), 'w');
    const list = 'for fd in /proc/self/fd/*; do readlink $fd; done | sed "s/[0-9]*]//" | head -9';
    const stdio = ['ignore', 'pipe', log, 'ignore', 'pipe', log, 'overlapped'] as const;
    const texts = [];
    for (const start of [fromPool, spawnSandboxed]) {
      const child = await start('bash', ['--norc', '-c', list], { policy, stdio: [...stdio] });
      texts.push(await textOf(child.stdout));
      (child.stdio[4] as NodeJS.WritableStream).end();
    }
    closeSync(log);
    expect(texts[0]).toBe(texts[1]);
    expect(texts[0]).toContain('/log\n');
  });

  test('hooks, violations, kill and abort', async () => {
    const child = await fromPool('cat', ['/etc/hostname', '/etc/passwd'], { policy: { files: { read: ['/etc'] } } });
    const asked: string[] = [];
    child.onOpen({ path: '/etc/passwd' }, ({ path }) => {
      asked.push(path);
      return deny('ENOENT');
    });
    const { err, end } = await outcome(child);
    expect([err, end, asked]).toEqual(['cat: /etc/passwd: No such file or directory\n', [1, null], ['/etc/passwd']]);

    const killed = await fromPool('sleep', ['30'], { policy });
    expect(killed.kill('SIGINT')).toBe(true);
    expect(await event(killed, 'close')).toEqual([null, 'SIGINT']);

    const refused = await fromPool('cat', ['/etc/shadow'], { policy: {} });
    const violations: string[] = [];
    refused.on('violation', ({ path }) => violations.push(path ?? ''));
    await outcome(refused);
    expect(violations).toEqual(['/etc/shadow']);
  });

  test('what cannot be started is told as ever', async () => {
    const told = async (child: SandboxedProcess) => {
      const error = await new Promise<NodeJS.ErrnoException>((resolve) => child.on('error', resolve));
      return [error.code, error.errno, error.syscall, error.path, error.message];
    };
    for (const [command, options] of [
      ['/no/such', {}],
      ['no-such', {}],
      [plain, {}],
      ['true', { cwd: '/no/such' }],
    ] as const) {
      await full();
      expect(await told(pool.spawn(command, [], { policy, ...options }))).toEqual(
        await told(spawnSandboxed(command, [], { policy, ...options })),
      );
    }
    for (const options of [
      { stdio: ['pipe', 'pipe', 999_999] },
      { cwd: plain },
      { env: { A: 'a\0' } },
      { nonsense: 1 },
      { policy: 7 },
    ]) {
      const thrown = [pool.spawn, spawnSandboxed].map((start) => {
        try {
          (start as (...line: unknown[]) => unknown)('true', [], options);
        } catch (error) {
          return [(error as NodeJS.ErrnoException).code, (error as Error).message];
        }
        return undefined;
      });
      expect(thrown[0]).toBeDefined();
      expect(thrown[0]).toEqual(thrown[1]);
    }
    // None of these has cost one that waited.
    await full();
  });

  test('what only Node can start goes its way: messages, sockets, many places', async () => {
    const script = "process.on('message', (m) => process.send(m, () => process.disconnect()))";
    const child = pool.spawn(process.execPath, ['-e', script], {
      policy,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const answer = event(child, 'message');
    child.send?.('hello');
    expect((await answer)[0]).toBe('hello');
    const first = pool.spawn('echo', ['through'], { policy });
    const second = pool.spawn('cat', [], { policy, stdio: [first.stdout, 'pipe', 'inherit'] });
    expect(await textOf(second.stdout)).toBe('through\n');
    const many = pool.spawn('bash', ['--norc', '-c', 'echo x >&69'], {
      policy,
      stdio: [...Array(69).fill('ignore'), 'pipe'],
    });
    expect(await textOf(many.stdio[69] as never)).toBe('x\n');
  });
});

describe('nothing of one command reaches the next', () => {
  test('each has a supervisor of its own, which waited with nothing', async () => {
    await full();
    const waiting = waitingOf(process.pid);
    expect(waiting).toHaveLength(2);
    for (const pid of waiting) {
      expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).toBe('');
      expect(readlinkSync(`/proc/${pid}/cwd`)).toBe('/');
      const open = readdirSync(`/proc/${pid}/fd`).map((fd) =>
        readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/\d+/g, ''),
      );
      const own = ['/dev/null', 'socket:[]', '/memfd:holdfast-channel (deleted)', 'anon_inode:[eventfd]'];
      // What this process has open itself for every child is not the pool's.
      const bare = readdirSync('/proc/self/fd').filter(
        (fd) => !statSync(`/proc/self/fd/${fd}`, { throwIfNoEntry: false })?.isSocket(),
      );
      expect(open.filter((name) => !own.includes(name)).length).toBeLessThanOrEqual(bare.length);
      expect(open.filter((name) => name === 'socket:[]')).toHaveLength(1);
    }
    const used = new Set<number>();
    for (let i = 0; i < 4; i++) {
      const child = await fromPool('cat', [], { policy });
      used.add(parentOf(child.pid ?? 0));
      child.stdin?.end();
      await event(child, 'close');
    }
    expect(used.size).toBe(4);
    for (const pid of waiting) expect(used.has(pid)).toBe(true);
  });

  test('environment, directory, umask, streams and policy', async () => {
    const before = process.umask(0o027);
    const secret = await fromPool('sh', ['-c', 'umask; cat'], {
      policy: { files: { read: ['/'] } },
      cwd: folder,
      env: { PATH: process.env.PATH, SECRET: 'yes' },
      stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
    });
    process.umask(before);
    secret.stdin?.end('kept');
    expect((await outcome(secret)).out).toBe('0027\nkept');
    for (let i = 0; i < 3; i++) {
      const script = 'env; umask; pwd; ls /proc/self/fd | wc -l; cat /etc/shadow';
      const child = await fromPool('sh', ['-c', script], {
        policy: { files: { read: [folder] } },
        env: { PATH: process.env.PATH },
        cwd: '/usr',
      });
      const { out, err } = await outcome(child);
      expect(out).not.toContain('SECRET');
      expect(out).toMatch(new RegExp(`\n0${before.toString(8).padStart(3, '0')}\n/usr\n`));
      expect(err).toContain('Permission denied');
      const bare = await outcome(
        spawnSandboxed('sh', ['-c', script], {
          policy: { files: { read: [folder] } },
          env: { PATH: process.env.PATH },
          cwd: '/usr',
        }),
      );
      expect(out).toBe(bare.out);
    }
  });
});

describe('the pool itself', () => {
  test('more at once than wait: each is started, and the pool is full again', async () => {
    await full();
    const children = Array.from({ length: 8 }, (_, i) => pool.spawn('sh', ['-c', `echo ${i}; exit ${i}`], { policy }));
    expect(pool.waiting).toBe(0);
    const ends = await Promise.all(children.map(outcome));
    expect(ends.map(({ out, end }) => [out, end[0]])).toEqual(children.map((_, i) => [`${i}\n`, i]));
    await full();
  });

  test('one that was killed while it waited is missed by nobody', async () => {
    await full();
    for (const pid of waitingOf(process.pid)) process.kill(pid, 'SIGKILL');
    // Known to be gone, or not yet.
    for (let i = 0; i < 3; i++) {
      expect(await outcome(pool.spawn('echo', ['still'], { policy }))).toMatchObject({
        out: 'still\n',
        end: [0, null],
      });
    }
    await full();
  });

  test('close ends what waits, and no command', async () => {
    await full();
    const before = waitingOf(process.pid).length;
    const own = createSandboxPool({ size: 3 });
    expect(waitingOf(process.pid)).toHaveLength(before + 3);
    const child = own.spawn('cat', [], { policy });
    await own[Symbol.asyncDispose]();
    expect(own.waiting).toBe(0);
    // The one that has become the supervisor of `cat` has the same name still.
    await until(() => waitingOf(process.pid).length === before + 1, 'those that waited have ended');
    expect(() => own.spawn('true')).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_POOL_CLOSED' }));
    await own.close();
    child.stdin.end('alive');
    expect((await outcome(child as never)).out).toBe('alive');
    expect(own.waiting).toBe(0);
  });

  test('wrong options', () => {
    for (const options of [
      undefined,
      null,
      {},
      { size: 0 },
      { size: 65 },
      { size: 1.5 },
      { size: '2' },
      { size: 1, policy: {} },
    ]) {
      expect(() => createSandboxPool(options as never)).toThrow(
        expect.objectContaining({ code: 'ERR_HOLDFAST_INVALID_OPTION' }),
      );
    }
  });

  test.each([
    ['has nothing more to do', ''],
    ['exits', 'process.exit(0)'],
    ['is killed', "process.kill(process.pid, 'SIGKILL')"],
    ['closes it and waits', 'await pool.close()'],
  ])('it ends with Node, when Node %s', async (_, last) => {
    const host = startHost(`
const pool = holdfast.createSandboxPool({ size: 3 });
const child = pool.spawn('true', { policy });
await new Promise((resolve) => child.on('close', resolve));
while (pool.waiting < 3) await new Promise((resolve) => setImmediate(resolve));
say(fs.readFileSync('/proc/thread-self/children', 'latin1').trim());
say('ready');
await new Promise((resolve) => process.stdin.once('data', resolve));
process.stdin.destroy();
${last}`);
    const lines = await linesUntil(host.stdout, 'ready');
    const pids = (lines[0] ?? '').split(' ').map(Number);
    expect(waitingOf(host.pid ?? 0).sort()).toEqual(pids.filter((pid) => stateOf(pid) !== 'gone').sort());
    const ended = event(host, 'exit');
    host.stdin?.write('go\n');
    await ended;
    await until(() => pids.every((pid) => 'Z gone'.includes(stateOf(pid))), 'those that waited have ended');
  });

  test.runIf(process.getuid?.() === 0)(
    'a command has the rights that Node has when it is spawned (only root can change them)',
    async () => {
      const host = startHost(`
const pool = holdfast.createSandboxPool({ size: 2 });
const whoami = async () => {
  const child = pool.spawn('id', ['-u'], { policy: { files: { read: ['/etc'] } }, cwd: '/', stdio: ['ignore', 'inherit', 'inherit'] });
  await new Promise((resolve) => child.on('close', resolve));
};
await whoami();
process.setgid(65534);
process.setuid(65534);
await whoami();
await pool.close();`);
      expect((await textOf(host.stdout)).split('\n')).toEqual(['0', '65534', '']);
    },
  );
});
