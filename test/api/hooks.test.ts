import { copyFileSync, linkSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import {
  allow,
  type Call,
  deny,
  type HoldfastError,
  kill,
  type OpenCall,
  redirect,
  respond,
  spawnSandboxed,
} from 'holdfast';
import { describe, expect, test } from 'vitest';
import { listen } from '../helpers/ports.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

function scene() {
  const folder = temporaryFolder('hooks');
  const file = join(folder, 'file');
  writeFileSync(file, 'contents\n');
  return { folder, file, policy: { files: { read: [folder], write: [folder] } } };
}

describe('a hook on open', () => {
  test('is told who opens what, and how', async () => {
    const { file, policy } = scene();
    const calls: OpenCall[] = [];
    const { stdout } = await runSandboxed('cat', [file], {
      policy,
      hooks: (child) => child.onOpen({ path: file }, (call) => void calls.push(call)),
    });
    expect(stdout).toBe('contents\n');
    expect(calls).toEqual([expect.objectContaining({ path: file, access: 'read', syscall: 'openat' })]);
    expect(calls[0]?.executable).toMatch(/cat$|coreutils$/);
    expect(calls[0]?.pid).toBeGreaterThan(0);
  });

  test('without an answer leaves the decision to the rules', async () => {
    const { file } = scene();
    const { code, violations } = await runSandboxed('cat', [file], {
      policy: {},
      hooks: (child) => child.onOpen(() => {}),
    });
    expect(code).toBe(1);
    expect(violations).toContainEqual(expect.objectContaining({ path: file, errno: 'EACCES' }));
  });

  test('that allows is stronger than no rule', async () => {
    const { folder, file } = scene();
    const { stdout } = await runSandboxed('cat', [file], {
      policy: {},
      hooks: (child) =>
        child.onOpen({ path: `${folder}/**` }, () => allow()).onStat({ path: `${folder}/**` }, () => allow()),
    });
    expect(stdout).toBe('contents\n');
  });

  test('that allows is weaker than a deny rule, and is not asked', async () => {
    const { file, folder } = scene();
    let asked = 0;
    const { code, violations } = await runSandboxed('cat', [file], {
      policy: { files: { read: [folder], deny: [file] } },
      hooks: (child) =>
        child.onOpen({ path: file }, () => {
          asked++;
          return allow();
        }),
    });
    expect([code, asked]).toEqual([1, 0]);
    expect(violations).toContainEqual(expect.objectContaining({ path: file, rule: 'files.deny[0]' }));
  });

  test('denies with its errno, and that is a violation', async () => {
    const { file, policy } = scene();
    const { code, stderr, violations } = await runSandboxed('cat', [file], {
      policy,
      hooks: (child) => child.onOpen({ path: file }, () => deny('EIO')),
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/Input\/output error/);
    expect(violations).toContainEqual(expect.objectContaining({ path: file, errno: 'EIO' }));
  });

  test('kills', async () => {
    const { file, policy } = scene();
    const { signal } = await runSandboxed('cat', [file], {
      policy,
      hooks: (child) => child.onOpen({ path: file }, () => kill('SIGUSR1')),
    });
    expect(signal).toBe('SIGUSR1');
  });

  test('redirects', async () => {
    const { folder, file, policy } = scene();
    writeFileSync(join(folder, 'other'), 'other\n');
    const { stdout } = await runSandboxed('sh', ['-c', `read line < ${file}; echo $line`], {
      policy,
      hooks: (child) => child.onOpen({ path: file }, () => redirect(join(folder, 'other'))),
    });
    expect(stdout).toBe('other\n');
  });

  test('responds', async () => {
    const { file, policy } = scene();
    const { stdout } = await runSandboxed('sh', ['-c', `read line < ${file}; echo $line`], {
      policy,
      hooks: (child) => child.onOpen({ path: file }, () => respond('made up\n')),
    });
    expect(stdout).toBe('made up\n');
    expect(readFileSync(file, 'utf8')).toBe('contents\n');
  });

  test('answers later, and only its own thread waits', async () => {
    const { file, policy } = scene();
    const { stdout } = await runSandboxed('sh', ['-c', `cat ${file} & echo first; wait`], {
      policy,
      hooks: (child) =>
        child.onOpen({ path: file }, async () => {
          await setTimeout(300);
          return allow();
        }),
    });
    expect(stdout).toBe('first\ncontents\n');
  });
});

describe('several hooks', () => {
  test('are asked in the order of registration until one has an opinion', async () => {
    const { file, policy } = scene();
    const asked: number[] = [];
    const { code } = await runSandboxed('cat', [file], {
      policy,
      hooks: (child) =>
        child
          .onOpen({ path: file }, () => void asked.push(1))
          .onOpen({ path: '/nowhere' }, () => void asked.push(2))
          .onOpen({ path: file }, async () => void asked.push(3))
          .onOpen({ path: ['/nowhere', file] }, () => {
            asked.push(4);
            return deny();
          })
          .onOpen({ path: file }, () => {
            asked.push(5);
            return allow();
          }),
    });
    expect(code).toBe(1);
    expect(asked).toEqual([1, 3, 4]);
  });
});

describe('filters are evaluated before JavaScript hears of a call', () => {
  test('access', async () => {
    const { folder, file, policy } = scene();
    const seen: [string, string][] = [];
    await runSandboxed('sh', ['-c', `cat ${file} > ${folder}/copy`], {
      policy,
      hooks: (child) => {
        child.onOpen({ path: `${folder}/*`, access: 'write' }, (call) => void seen.push(['write', call.path]));
        child.onOpen({ path: `${folder}/*`, access: 'read' }, (call) => void seen.push(['read', call.path]));
      },
    });
    expect(seen).toContainEqual(['write', join(folder, 'copy')]);
    expect(seen).toContainEqual(['read', file]);
    expect(seen.length).toBe(2);
  });

  test('patterns: a last component, and one relative to cwd', async () => {
    const { folder } = scene();
    mkdirSync(join(folder, 'sub'));
    for (const name of ['a.json', 'sub/b.json', 'sub/c.txt']) writeFileSync(join(folder, name), '');
    const seen: string[] = [];
    await runSandboxed('cat', ['a.json', 'sub/b.json', 'sub/c.txt'], {
      cwd: folder,
      hooks: (child) =>
        child
          .onOpen({ path: '*.json' }, ({ path }) => void seen.push(`json ${path}`))
          .onOpen({ path: 'sub/*' }, ({ path }) => void seen.push(`sub ${path}`)),
    });
    expect(seen).toEqual([
      `json ${folder}/a.json`,
      `json ${folder}/sub/b.json`,
      `sub ${folder}/sub/b.json`,
      `sub ${folder}/sub/c.txt`,
    ]);
  });

  test('ports', async () => {
    const listener = await listen();
    const other = await listen();
    const seen: number[] = [];
    await runSandboxed(
      'bash',
      ['-c', `: < /dev/tcp/127.0.0.1/${listener.port}; : < /dev/tcp/127.0.0.1/${other.port}`],
      {
        policy: { network: { connect: ['127.0.0.1'] } },
        hooks: (child) => child.onConnect({ port: listener.port }, (call) => void seen.push(call.port ?? 0)),
      },
    );
    expect(seen).toEqual([listener.port]);
    expect([listener.seen, other.seen]).toEqual([1, 1]);
  });

  test.each<[string, unknown, RegExp]>([
    [
      'onOpen',
      { paths: '/x' },
      /^filter of onOpen\.paths: '\/x' is not a key of this filter \(it takes path, access, under\)/,
    ],
    ['onRename', { access: 'read' }, /filter of onRename\.access.*it takes path/],
    ['onConnect', { path: '/x' }, /it takes port/],
    ['onSignal', { path: '/x' }, /it takes under/],
    ['onOpen', { path: '' }, /filter of onOpen\.path: '' is empty/],
    ['onOpen', { path: ['/a', '/b['] }, /filter of onOpen\.path\[1\]: '\/b\[' has a \[ without its \]/],
    ['onOpen', { path: '/a*/' }, /ends with \//],
    ['onOpen', { path: '/[z-a]' }, /range in brackets that runs backwards/],
    ['onOpen', { path: '/[a-é]x[é-a]' }, /runs backwards/],
    ['onOpen', { path: '/[a/b]' }, /has a \/ in brackets/],
    [
      'onOpen',
      { path: `a/${'x'.repeat(4087)}` },
      /longer than a path may be \(4095 bytes\) behind the working directory/,
    ],
    ['onOpen', { path: '/a\ud800' }, /cannot be written as UTF-8/],
    ['onOpen', { path: '/a\0' }, /NUL/],
    ['onOpen', { path: '/a\\' }, /quotes nothing/],
    ['onOpen', { path: '~somebody/x' }, /only shells expand/],
    ['onOpen', { access: 'exec' }, /filter of onOpen\.access: 'exec' is refused/],
    ['onConnect', { port: 70000 }, /must be a port/],
    ['onConnect', { port: [9, 8] }, /lowest port comes first/],
    ['onOpen', null, /filter of onOpen: null is refused/],
  ])('%s(%j) is refused', async (setter, filter, message) => {
    const child = spawnSandboxed('true') as unknown as Record<string, (...args: unknown[]) => unknown>;
    expect(() => child[setter]?.(filter, () => {})).toThrow(message);
    expect(() => child[setter]?.(filter, () => {})).toThrow(
      expect.objectContaining({ code: 'ERR_HOLDFAST_INVALID_FILTER' }),
    );
    await new Promise((resolve) => child.on?.('close', resolve));
  });
});

describe('whatever goes wrong in a hook denies the call and is an event', () => {
  const cases: [string, () => never, string, unknown?][] = [
    ['throws', () => fail(new Error('boom')), 'ERR_HOLDFAST_HOOK_FAILED'],
    ['throws null', () => fail(null), 'ERR_HOLDFAST_HOOK_FAILED'],
    ['throws undefined', () => fail(undefined), 'ERR_HOLDFAST_HOOK_FAILED'],
    ['rejects', () => Promise.reject(new Error('boom')) as never, 'ERR_HOLDFAST_HOOK_FAILED'],
    ['rejects with null', () => Promise.reject(null) as never, 'ERR_HOLDFAST_HOOK_FAILED'],
    ['answers a boolean', () => true as never, 'ERR_HOLDFAST_INVALID_VERDICT'],
    ['answers null', () => null as never, 'ERR_HOLDFAST_INVALID_VERDICT'],
    ['answers an object like a verdict', () => ({ kind: 'allow' }) as never, 'ERR_HOLDFAST_INVALID_VERDICT'],
    ['answers a promise of nonsense', () => Promise.resolve(5) as never, 'ERR_HOLDFAST_INVALID_VERDICT'],
    [
      'answers what is for another call',
      () => redirect({ address: '::1', port: 1 }) as never,
      'ERR_HOLDFAST_INVALID_VERDICT',
    ],
    [
      'has a then that throws',
      () =>
        ({
          // biome-ignore lint/suspicious/noThenProperty: that is the point
          get then() {
            throw 5;
          },
        }) as never,
      'ERR_HOLDFAST_HOOK_FAILED',
    ],
    ['never answers', () => new Promise(() => {}) as never, 'ERR_HOLDFAST_HOOK_TIMEOUT'],
  ];

  function fail(error: unknown): never {
    throw error;
  }

  test.each(cases)('%s', async (_, hook, code) => {
    const { file, policy } = scene();
    const errors: HoldfastError[] = [];
    const { code: exit, stderr } = await runSandboxed('cat', [file], {
      policy,
      hookTimeout: 300,
      hooks: (child) => {
        child.onOpen({ path: file }, hook);
        child.on('hookError', (error) => errors.push(error));
      },
    });
    expect(exit).toBe(1);
    expect(stderr).toMatch(/Permission denied/);
    expect(errors.map((error) => error.code)).toEqual([code]);
    expect(errors[0]?.event).toBe('open');
    expect(errors[0]?.call).toMatchObject({ path: file });
  });

  test('the cause is kept', async () => {
    const { file, policy } = scene();
    const cause = new Error('boom');
    const errors: HoldfastError[] = [];
    await runSandboxed('cat', [file], {
      policy,
      hooks: (child) => {
        child.onOpen({ path: file }, () => fail(cause));
        child.on('hookError', (error) => errors.push(error));
      },
    });
    expect(errors[0]?.cause).toBe(cause);
  });
});

describe('calls that are asked about together', () => {
  // While the first hook thinks, all the others are asked, so Node finds their questions in one go.
  const script = `
import os, sys, threading
names = [os.fsencode(sys.argv[1]) + b'/' + name for name in (b'plain', b'\\xc3\\xa9', b'\\xff\\xfe', b'\\xf0\\x9f\\x98\\x80 x')]
names += [b'%s/%d' % (os.fsencode(sys.argv[1]), i) + b'n' * i for i in range(28)]
def make(name, i): os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o600 + i))
threads = [threading.Thread(target=make, args=(name, i)) for i, name in enumerate(names)]
for thread in threads: thread.start()
for thread in threads: thread.join()
`;

  async function burst(hook: (call: OpenCall) => undefined | Promise<undefined>) {
    const { folder } = scene();
    const calls: OpenCall[] = [];
    const { code, stderr } = await runSandboxed('/usr/bin/python3', ['-c', script, folder], {
      policy: { files: { write: [folder] } },
      hooks: (child) =>
        child.onOpen({ path: `${folder}/**`, access: 'write' }, (call) => {
          if (calls.push(call) === 1) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
          return hook(call);
        }),
    });
    expect([code, stderr]).toEqual([0, '']);
    return { folder, calls: calls.sort((a, b) => a.mode - b.mode) };
  }

  const rest = Array.from({ length: 28 }, (_, i) => `${i}${'n'.repeat(i)}`);
  const names = ['plain', 'é', '\ufffd\ufffd', '😀 x', ...rest];

  test.each<[string, (call: OpenCall) => undefined | Promise<undefined>]>([
    ['at once', () => undefined],
    ['later', () => setTimeout(1)],
  ])('are each told as they are, and stay so: answered %s', async (_, hook) => {
    const { folder, calls } = await burst(hook);
    expect(calls.map((call) => call.path)).toEqual(names.map((name) => join(folder, name)));
    expect(calls.map((call) => call.mode)).toEqual(names.map((_, i) => 0o600 + i));
    expect(new Set(calls.map((call) => call.tid)).size).toBe(names.length);
    expect(new Set(calls.map((call) => call.pid)).size).toBe(1);
    expect(calls.flatMap((call) => call.pathBytes ?? [])).toEqual([
      Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xfe])]),
    ]);
  });

  test('are plain objects: copied, compared and written as JSON', async () => {
    const { calls } = await burst(() => undefined);
    const keys = ['syscall', 'pid', 'tid', 'executable', 'ppid', 'path', 'access', 'flags', 'mode'];
    for (const call of calls.filter(({ pathBytes }) => pathBytes === undefined)) {
      expect(Object.keys(call)).toEqual(keys);
      expect(JSON.parse(JSON.stringify(call))).toEqual(call);
      expect({ ...call }).toEqual(call);
      expect(Object.getPrototypeOf(call)).toBe(Object.prototype);
    }
  });
});

test('more programs than Node remembers the names of are told apart', async () => {
  const { folder } = scene();
  const programs = Array.from({ length: 1100 }, (_, i) => join(folder, `program-${i}`));
  copyFileSync('/bin/true', programs[0] as string);
  for (const program of programs.slice(1)) linkSync(programs[0] as string, program);
  const asked: string[] = [];
  const { code } = await runSandboxed('sh', ['-c', `for p in ${folder}/program-*; do $p; ${programs[7]}; done`], {
    policy: { files: { read: ['/'], write: [folder] }, exec: ['/'] },
    hooks: (child) => child.onOpen({ path: '/etc/ld.so.cache' }, (call) => void asked.push(call.executable)),
  });
  expect(code).toBe(0);
  const shell = asked.shift();
  expect(shell).toMatch(/sh$/);
  expect(asked).toEqual([...programs].sort().flatMap((program) => [program, programs[7]]));
});

describe('registration', () => {
  test('after the tick of the spawn throws', async () => {
    const child = spawnSandboxed('sleep', ['0.2']);
    const closed = new Promise((resolve) => child.on('close', resolve));
    await setTimeout(1);
    expect(() => child.onOpen(() => {})).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_HOOK_TOO_LATE' }));
    await closed;
    expect(() => child.onOpen(() => {})).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_HOOK_TOO_LATE' }));
  });

  test('takes functions only', async () => {
    const child = spawnSandboxed('true');
    expect(() => child.onOpen(5 as never)).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_INVALID_OPTION' }));
    await new Promise((resolve) => child.on('close', resolve));
  });
});

describe('every kind of call', () => {
  test('reaches its hook with what it is about', async () => {
    const { folder, policy } = scene();
    const seen = new Map<string, unknown>();
    const note = (event: string) => (call: Call) => {
      if (!seen.has(event)) seen.set(event, call);
    };
    const filter = { path: `${folder}/**` };
    const script = `cd ${folder}; mkdir d; touch d/t; mv file moved; ln moved hard; ln -s text soft; rm hard; mkfifo pipe;
      chmod 600 moved; readlink soft; truncate -s 3 moved; rmdir nothing 2>/dev/null; test -r moved; stat -f . >/dev/null;
      touch -d @5 moved; sleep 5 & kill $!`;
    const { code } = await runSandboxed('bash', ['-c', script], {
      policy,
      hooks: (child) => {
        child.onMkdir(filter, note('mkdir')).onRename(filter, note('rename')).onLink(filter, note('link'));
        child.onSymlink(filter, note('symlink')).onUnlink(filter, note('unlink')).onMknod(filter, note('mknod'));
        child.onChmod(filter, note('chmod')).onReadlink(filter, note('readlink')).onStat(filter, note('stat'));
        child
          .onAccess(filter, note('access'))
          .onStatfs({ path: folder }, note('statfs'))
          .onUtimes({ path: 'moved' }, note('utimes'));
        child.onChdir({ path: folder }, note('chdir')).onExec({ path: 'mkdir' }, note('exec')).onSignal(note('signal'));
        child.onUtimes({ path: `${folder}/moved` }, note('times'));
      },
    });
    expect(code).toBe(0);
    expect(seen.get('mkdir')).toMatchObject({ path: `${folder}/d`, mode: 0o777 });
    expect(seen.get('rename')).toMatchObject({ from: `${folder}/file`, to: `${folder}/moved`, path: `${folder}/file` });
    expect(seen.get('link')).toMatchObject({ from: `${folder}/moved`, to: `${folder}/hard` });
    expect(seen.get('symlink')).toMatchObject({ path: `${folder}/soft`, target: 'text' });
    expect(seen.get('unlink')).toMatchObject({ path: `${folder}/hard`, directory: false });
    expect(seen.get('mknod')).toMatchObject({ path: `${folder}/pipe` });
    expect(seen.get('chmod')).toMatchObject({ path: `${folder}/moved`, mode: 0o600 });
    expect(seen.get('readlink')).toMatchObject({ path: `${folder}/soft` });
    expect(seen.get('stat')).toMatchObject({ path: expect.stringContaining(folder) });
    expect(seen.get('access')).toMatchObject({ path: `${folder}/moved`, mode: 4 });
    expect(seen.get('statfs')).toMatchObject({ path: folder });
    expect(seen.get('times')).toMatchObject({ path: `${folder}/moved`, mtime: 5 });
    expect(seen.get('chdir')).toMatchObject({ path: folder });
    expect(seen.get('exec')).toMatchObject({ argv: ['mkdir', 'd'], argc: 2 });
    expect(seen.get('signal')).toMatchObject({ signal: 'SIGTERM' });
  });

  test('connect and bind', async () => {
    const folder = temporaryFolder('hooks');
    const socket = join(folder, 'socket');
    const server = createServer((connection) => connection.end()).listen(socket);
    const listener = await listen();
    const seen: unknown[] = [];
    const script = `const net = require('node:net');
      net.connect(${JSON.stringify(socket)}).on('error', () => {}).resume();
      net.connect(${listener.port}, '127.0.0.1').on('error', () => {}).resume();
      const s = net.createServer().listen(0, '127.0.0.1', () => s.close());`;
    await runSandboxed(process.execPath, ['-e', script], {
      policy: {
        files: { read: ['/'], write: [folder] },
        network: { connect: ['127.0.0.1', `unix:${socket}`], bind: ['127.0.0.1'] },
      },
      hooks: (child) => {
        child.onConnect(({ family, address, port }) => void seen.push(['connect', family, address, port]));
        child.onBind(({ family, address, port }) => void seen.push(['bind', family, address, port]));
      },
    });
    server.close();
    expect(seen).toContainEqual(['connect', 'unix', socket, undefined]);
    expect(seen).toContainEqual(['connect', 'IPv4', '127.0.0.1', listener.port]);
    expect(seen).toContainEqual(['bind', 'IPv4', '127.0.0.1', 0]);
  });

  test('a connection can be redirected', async () => {
    const listener = await listen({ greeting: 'redirected\n' });
    const { stdout } = await runSandboxed('bash', ['-c', 'read line < /dev/tcp/192.0.2.1/80; echo $line'], {
      policy: {},
      hooks: (child) => child.onConnect(() => redirect({ address: '127.0.0.1', port: listener.port })),
    });
    expect(stdout).toBe('redirected\n');
  });
});
