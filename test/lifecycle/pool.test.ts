// Supervisors that wait for their command: each promise of createSandboxPool, tried.
import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { createSandboxPool, deny, type SandboxedProcess, type SandboxPool, spawnSandboxed } from 'holdfast';
import { afterAll, describe, expect, test } from 'vitest';
import { FieldWriter } from '../../lib/native/fields.ts';
import { native, supervisorPath } from '../../lib/native/native.ts';
import { sanitizer } from '../helpers/sanitized.ts';
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
        readFileSync(`/proc/${pid}/cmdline`, 'utf8') === 'holdfast-supervisor\0' + '3\0ready\0' &&
        parentOf(pid) === root &&
        stateOf(pid) !== 'Z'
      );
    } catch {
      return false;
    }
  });
/** Those that are to become the command of one that waits. */
/** Not who leads a new group for the moment in which it is made: it is not traced. */
const isTraced = (pid: number) => {
  try {
    return !/^TracerPid:\s+0$/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
};
const childrenOf = (pids: number[]) => pids.flatMap(descendantsOf).filter(isTraced);
/** All that wait when each has its child. Who has just served a command may be among them until it has ended. */
async function withChildren(): Promise<number[]> {
  let waiting: number[] = [];
  const are = () => {
    waiting = waitingOf(process.pid);
    return waiting.length === pool.size && childrenOf(waiting).length === pool.size;
  };
  await until(are, 'each has its child');
  return waiting;
}
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

  test.skipIf(sanitizer /* its child has a memory of its own: none is made ahead */)(
    'nor is one whose child was killed',
    async () => {
      await full();
      const waiting = await withChildren();
      const killed = childrenOf(waiting);
      for (const pid of killed) process.kill(pid, 'SIGKILL');
      await until(() => waiting.every((pid) => !waitingOf(process.pid).includes(pid)), 'they have ended with them');
      expect(await outcome(pool.spawn('echo', ['still'], { policy }))).toMatchObject({
        out: 'still\n',
        end: [0, null],
      });
      await full();
    },
  );

  test.skipIf(sanitizer /* its child has a memory of its own: none is made ahead */)(
    'what is signalled while it waits is not what its command hears of',
    async () => {
      await full();
      const waiting = await withChildren();
      for (const pid of childrenOf(waiting))
        for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR1', 'SIGHUP', 'SIGTSTP', 'SIGSTOP', 40] as const)
          process.kill(pid, signal);
      for (let i = 0; i < waiting.length; i++) {
        const child = pool.spawn('sh', ['-c', 'echo heard nothing'], { policy });
        expect(await outcome(child)).toMatchObject({ out: 'heard nothing\n', end: [0, null] });
      }
      await full();
    },
  );

  test('what is signalled from the moment that it is there is heard', async () => {
    // Others are at work, and what is to become the command comes last.
    const busy = Array.from({ length: 2 }, () => spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }));
    const signals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGPIPE', 'SIGKILL'] as const;
    try {
      for (let i = 0; i < 24; i++) {
        const signal = signals[i % signals.length] as NodeJS.Signals;
        await full();
        for (const pid of childrenOf(sanitizer ? [] : await withChildren())) setPriority(pid, 19);
        const child = pool.spawn('sleep', ['60'], { policy, stdio: 'ignore', detached: i % 3 === 0 });
        if (i % 2 === 0) process.kill(child.pid ?? 0, signal);
        else child.kill(signal);
        expect(await event(child, 'close')).toEqual([null, signal]);
      }
    } finally {
      for (const process of busy) process.kill('SIGKILL');
    }
    await full();
  });

  test.skipIf(sanitizer /* its child has a memory of its own: none is made ahead */)(
    'what waits has no right that its command would not have',
    async () => {
      await full();
      const waiting = await withChildren();
      const own = (pid: number) => /^CapEff:\s+(\S+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
      const child = spawnSandboxed('grep', ['^CapEff', '/proc/self/status'], { policy });
      const command = (await outcome(child as never)).out.split(/\s+/)[1];
      expect(command).toMatch(/^[0-9a-f]{16}$/);
      for (const pid of childrenOf(waiting))
        await until(() => own(pid) === command, 'its rights are those of a command');
    },
  );

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
    // The one that ran the command is about to end.
    const waiting = () =>
      waitingOf(host.pid ?? 0)
        .sort()
        .join();
    const there = () =>
      pids
        .filter((pid) => !'Z gone'.includes(stateOf(pid)))
        .sort()
        .join();
    await until(
      () => waiting() === there() && there().split(',').length === 3,
      () => `${waiting()}, not ${there()}`,
    );
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

test('a pool in a worker thread is a pool, and ends with the thread', async () => {
  const host = startHost(`
const { Worker, isMainThread } = await import('node:worker_threads');
const own = () => fs.readdirSync('/proc/self/task').flatMap((tid) => {
  try { return fs.readFileSync('/proc/self/task/' + tid + '/children', 'latin1').trim().split(' ').filter(Boolean); } catch { return []; }
});
if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), { stdin: false });
  const messages = [];
  await new Promise((resolve) => worker.on('message', (message) => (messages.push(message), message === 'ready' && resolve())));
  say(messages.join());
  say(own().length);
  await worker.terminate();
  say('terminated', own().join());
  await new Promise((resolve) => process.stdin.once('data', resolve));
} else {
  const { parentPort } = await import('node:worker_threads');
  const pool = holdfast.createSandboxPool({ size: 2 });
  const full = async () => { while (pool.waiting < 2) await new Promise((resolve) => setImmediate(resolve)); };
  for (let i = 0; i < 3; i++) {
    await full();
    const child = pool.spawn('/bin/sh', ['-c', 'echo ' + i + '; cat /etc/shadow; exit ' + i], { policy: {}, cwd: '/' });
    const waited = pool.waiting === 1;
    const paths = [];
    child.on('violation', ({ path }) => path === '/etc/shadow' && paths.push(path));
    let out = '';
    child.stdout.on('data', (chunk) => (out += chunk));
    const code = await new Promise((resolve) => child.on('close', resolve));
    parentPort.postMessage([waited, out.trim(), code, paths].flat().join(' '));
  }
  await full();
  parentPort.postMessage('ready');
  setInterval(() => {}, 1000);
}`);
  const lines = await linesUntil(host.stdout, 'terminated');
  expect(lines[0]).toBe('true 0 0 /etc/shadow,true 1 1 /etc/shadow,true 2 2 /etc/shadow,ready');
  // One that has served may still be about to end.
  expect(Number(lines[1])).toBeGreaterThanOrEqual(2);
  // Those that waited have nobody left who could give them a command.
  await until(() => waitingOf(host.pid ?? 0).length === 0, 'those that waited have ended');
  const ended = event(host, 'exit');
  host.stdin?.end('go\n');
  expect(await ended).toEqual([0, null]);
});

describe('a supervisor that waits takes nothing that is not a command', () => {
  // Each case is a first and a second packet: bytes, and the descriptors that come with it.
  const sender = `
import fcntl, json, os, socket, subprocess, sys
supervisor, cases = sys.argv[1], json.load(sys.stdin)
def descriptor(kind):
    if kind == 'memory': fd = os.memfd_create('m'); os.ftruncate(fd, 4096); return fd
    return os.open(kind, os.O_RDONLY)
null = fcntl.fcntl(os.open('/dev/null', os.O_RDWR), fcntl.F_DUPFD_CLOEXEC, 100)
os.dup2(null, 3)  # taken, until a supervisor has it
for case in cases:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    os.dup2(theirs.fileno(), 3)
    child = subprocess.Popen(['holdfast-supervisor', '3', 'ready'], executable=supervisor, pass_fds=[3], env={},
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    theirs.close(); os.dup2(null, 3)
    for text, kinds in case['packets']:
        fds = [descriptor(kind) for kind in kinds]
        try: socket.send_fds(ours, [bytes.fromhex(text)], fds)
        except BrokenPipeError: pass
        for fd in fds: os.close(fd)
    if case.get('closes'): ours.shutdown(socket.SHUT_WR)
    out = child.communicate(timeout=20)[0].decode()
    answers = []
    try:
        while True:
            answer = ours.recv(4096)
            if not answer: break
            answers.append([int.from_bytes(answer[8:12], 'little'), int.from_bytes(answer[16:20], 'little')])
    except ConnectionResetError: pass
    ours.close()
    print(json.dumps([child.returncode, out, answers]), flush=True)
`;
  const [magic, version, hello, start, command] = [0x44464c48, 2, 1, 2, 10];
  const marker = join(folder, 'made-by-garbage');
  const header = (type: number, value = 0, [m, v] = [magic, version]) => {
    const bytes = Buffer.alloc(24);
    for (const [i, number] of [m, v, type].entries()) bytes.writeUInt32LE(number ?? 0, 4 * i);
    bytes.writeInt32LE(value, 12);
    return bytes;
  };
  type Packet = [bytes: string, descriptors: string[]];
  const first: Packet = [header(hello).toString('hex'), ['memory', '/dev/null']];
  const line = `touch\0/usr/bin/touch\0${marker}\0`;
  const told = (line: string, environment: string, places: number[], more = Buffer.alloc(0)) => {
    const fields = new FieldWriter(native().fields).text('arguments', line).text('environment', environment);
    return Buffer.concat([fields.bytes('places', Uint8Array.from(places)).finish(), more]);
  };
  const packet = (bytes: Buffer, descriptors: string[], type = command, size = bytes.length): Packet => [
    Buffer.concat([header(type, size), bytes]).toString('hex'),
    descriptors,
  ];
  const good = told(line, 'A=1\0', [0, 1, 1]);
  const fds = ['/', '/dev/null', '/dev/null'];
  const random = (size: number, seed: number) =>
    Buffer.from(Array.from({ length: size }, (_, i) => (Math.imul(i + 1, 2654435761 + 2 * seed) >>> 13) & 255));
  const cases: Record<string, Packet[]> = {
    'nothing at all': [],
    'a hello of random bytes': [[random(24, 1).toString('hex'), []]],
    'a hello that is too short': [[header(hello).subarray(0, 20).toString('hex'), ['memory', '/dev/null']]],
    'a hello that is too long': [[`${header(hello).toString('hex')}00`, ['memory', '/dev/null']]],
    'a hello without descriptors': [[header(hello).toString('hex'), []]],
    'a hello with too many of them': [[header(hello).toString('hex'), Array(9).fill('/dev/null')]],
    'another magic': [[header(hello, 0, [magic + 1, version]).toString('hex'), ['memory', '/dev/null']]],
    'another version': [[header(hello, 0, [magic, version + 1]).toString('hex'), ['memory', '/dev/null']]],
    'a command before the hello': [packet(good, fds)],
    'no command': [first],
    'a second hello': [first, first],
    'random bytes for a command': [first, [random(300, 2).toString('hex'), fds]],
    'fields of random bytes': [first, packet(random(400, 3), fds)],
    'a start in its place': [first, packet(good, fds, start)],
    'a size below what is there': [first, packet(good, fds, command, good.length - 8)],
    'a size above it': [first, packet(good, fds, command, good.length + 8)],
    'a negative size': [first, packet(good, fds, command, -1)],
    'fields that are cut off': [first, packet(good.subarray(0, good.length - 4), fds)],
    'a field that is longer than all': [
      first,
      packet(Buffer.concat([good, Buffer.from('2010000000ffffff', 'hex')]), fds),
    ],
    'no descriptors': [first, packet(good, [])],
    'fewer than it has places': [first, packet(good, fds.slice(0, 2))],
    'more than it has places': [first, packet(good, [...fds, '/dev/null'])],
    'a file for its directory': [first, packet(good, ['/etc/passwd', '/dev/null', '/dev/null'])],
    'more places than there are': [first, packet(told(line, '', Array(61).fill(0)), ['/'])],
    'arguments without an end': [first, packet(told(line.slice(0, -1), '', [0, 1, 1]), fds)],
    'no program': [first, packet(told('touch\0', '', [0, 1, 1]), fds)],
    'no arguments': [first, packet(told('', '', [0, 1, 1]), fds)],
    'an environment without an end': [first, packet(told(line, 'A=1', [0, 1, 1]), fds)],
  };
  const outcomes = async (all: { packets: Packet[]; closes?: boolean }[]) => {
    const child = spawn('/usr/bin/python3', ['-c', sender, supervisorPath()], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end(JSON.stringify(all));
    const lines = (await textOf(child.stdout)).trim().split('\n');
    return lines.map((line) => JSON.parse(line) as [number, string, [number, number][]]);
  };

  test('it ends without a word, and nothing of it has run', async () => {
    const ended = await outcomes(Object.values(cases).map((packets) => ({ packets, closes: true })));
    expect(ended).toEqual(Object.keys(cases).map(() => [0, '', []]));
    expect(existsSync(marker)).toBe(false);
  });

  test('and a command is one, though memory that is not shared as it must be ends it', async () => {
    // The same packets as above, all of them right: it tells where it failed, and has not run what it was given.
    const failed = 6;
    const channel = 3;
    expect(await outcomes([{ packets: [first, packet(good, fds)], closes: true }])).toEqual([
      [71, '', [[failed, channel]]],
    ]);
    expect(existsSync(marker)).toBe(false);
  });
});
