// runSandboxedSync(): a command run to its end while this thread waits.
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import {
  compilePolicy,
  createSandboxPool,
  deny,
  fake,
  HoldfastError,
  redirect,
  respond,
  runSandboxed,
  runSandboxedSync,
  SandboxedError,
} from 'holdfast';
import { describe, expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const dist = new URL('../../dist/index.js', import.meta.url);

function thrown(call: () => unknown): HoldfastError & SandboxedError {
  try {
    call();
  } catch (error) {
    return error as never;
  }
  throw new Error('nothing was thrown');
}

describe('runSandboxedSync', () => {
  test('gives what runSandboxed gives', async () => {
    const folder = temporaryFolder('sync');
    for (const [command, args, options] of [
      ['sh', ['-c', 'cat; echo err >&2; cat /etc/shadow || exit 3'], { input: 'in\n', all: true }],
      ['sh', ['-c', 'printf "a\\nb\\n"'], { lines: true }],
      ['sh', ['-c', 'printf "\\303\\251"'], { encoding: 'buffer' }],
      ['cat', [], { input: new Uint8Array([1, 2, 3]), encoding: 'buffer' }],
      ['sh', ['-c', 'kill -SEGV $$'], {}],
      ['no-such-program', ['a'], {}],
      ['yes', [], { maxBuffer: 100 }],
      ['sleep', ['300'], { timeout: 50 }],
      ['sleep', ['300'], { limits: { wallTime: 50 } }],
      ['pwd', [], { cwd: pathToFileURL(folder), env: { PATH: process.env.PATH }, argv0: 'other' }],
      ['echo a; echo "$0"', [], { shell: true }],
      ['cat', ['/etc/shadow'], { violations: false }],
      ['cat', ['/etc/shadow'], { policy: compilePolicy({ files: { read: ['/etc/shadow'] } }) }],
      ['cat', ['/etc/hosts'], { policy: 'strict' }],
    ] as [string, string[], object][]) {
      const asked = { ...options, reject: false };
      const told = (result: Awaited<ReturnType<typeof runSandboxed>>) => ({
        ...result,
        durationMs: 0,
        usage: result.usage?.processes,
        all: typeof result.all === 'string' ? [...(result.all as string)].sort() : result.all,
        limit: result.limit?.name,
        violations: result.violations.map(({ path, errno, suggestion }) => [path, errno, suggestion]),
        error: result.error && [
          result.error.code,
          result.error.shortMessage.replace(/\d+ ms,/, ''),
          result.error.cause,
        ],
      });
      const own = runSandboxedSync(command, args, asked);
      expect(told(own as never)).toEqual(told((await runSandboxed(command, args, asked)) as never));
      if (own.failed) expect(thrown(() => runSandboxedSync(command, args, options))).toBeInstanceOf(SandboxedError);
    }
  });

  test('its error has the frames of who has run the command', () => {
    function mine() {
      runSandboxedSync('sh', ['-c', 'echo a >&2; echo b >&2; exit 1']);
    }
    const { stack = '', message } = thrown(mine);
    expect(stack.startsWith(`SandboxedError [ERR_HOLDFAST_COMMAND]: ${message}\n    at mine (`)).toBe(true);
  });

  test('nothing of the tree is left, and nothing else ran meanwhile', async () => {
    let ran = false;
    setImmediate(() => {
      ran = true;
    });
    const { stdout } = runSandboxedSync('sh', ['-c', 'sleep 300 & echo $!']);
    expect([existsSync(`/proc/${stdout}`), ran]).toEqual([false, false]);
  });

  test('has the environment and the streams of this process, as they are now', () => {
    const file = join(temporaryFolder('sync'), 'out');
    process.env.HOLDFAST_SYNC = 'now';
    const fd = openSync(file, 'w');
    const { stdout, stderr } = runSandboxedSync('sh', ['-c', 'echo $HOLDFAST_SYNC; echo err >&2'], {
      stdio: ['ignore', fd, 'pipe'],
    });
    closeSync(fd);
    delete process.env.HOLDFAST_SYNC;
    expect([stdout, stderr, readFileSync(file, 'utf8')]).toEqual([undefined, 'err', 'now\n']);
    expect(runSandboxedSync('sh', ['-c', 'echo $HOLDFAST_SYNC']).stdout).toBe('');
  });

  test('hooks that answer at once are asked, on this thread', () => {
    const folder = temporaryFolder('sync');
    const asked: unknown[] = [];
    const { stdout } = runSandboxedSync('sh', ['-c', 'cat /etc/passwd; cat /etc/group; cat /etc/shells; date +%s'], {
      cwd: folder,
      reject: false,
      env: { ...process.env, PWD: folder },
      hooks: (sandbox) =>
        sandbox
          .onOpen({ path: '/etc/passwd' }, ({ path, pid, pathBytes }) => {
            asked.push([path, typeof pid, pathBytes]);
            return respond('mine\n');
          })
          .onOpen({ path: '/etc/group' }, () => redirect('/etc/hostname'))
          .onOpen({ path: '/etc/shells' }, () => deny('ENOENT'))
          .onSyscall('clock_gettime', () => respond({ seconds: 7n })),
    });
    expect(stdout).toBe(`mine\n${readFileSync('/etc/hostname', 'utf8')}7`);
    expect(asked).toEqual([['/etc/passwd', 'number', undefined]]);
  });

  test('a hook may run a command itself', () => {
    const inner: string[] = [];
    runSandboxedSync('true', {
      hooks: (sandbox) => {
        sandbox.onExec(() => {
          inner.push(runSandboxedSync('echo', ['inner']).stdout);
        });
      },
    });
    expect(inner).toEqual(['inner']);
  });

  test.each([
    ['throws', () => { throw new TypeError('mine'); }, /^a hook of onOpen threw TypeError: mine/], // biome-ignore format: one line each
    ['answers by a promise', async () => deny(), /^a hook of onOpen answered by a promise, which cannot be waited for/],
    ['rejects', () => Promise.reject(new Error('late')), /answered by a promise/],
    ['answers nonsense', () => 'no', /^a hook of onOpen answered 'no', which is no verdict/],
    [
      'answers what makes no sense',
      () => fake(),
      /^a hook of onOpen answered fake\(\), which makes no sense for this call/,
    ],
  ])('a hook that %s ends the tree, and is told', (_, hook, message) => {
    let asked = 0;
    const error = thrown(() =>
      runSandboxedSync('sh', ['-c', 'cat /etc/passwd; sleep 300'], {
        hooks: (sandbox) =>
          sandbox.onOpen({ path: '/etc/passwd' }, (() => {
            asked++;
            return hook();
          }) as never),
      }),
    );
    expect(error).toBeInstanceOf(HoldfastError);
    expect(error.message).toMatch(message);
    expect(error.code).toMatch(/^ERR_HOLDFAST_(HOOK_FAILED|INVALID_VERDICT)$/);
    expect(asked).toBe(1);
    if (message.source.includes('TypeError')) expect(error.cause).toMatchObject({ message: 'mine' });
    // The next one is none the worse for it.
    expect(runSandboxedSync('echo', ['on']).stdout).toBe('on');
  });

  test('hooks are registered before the start only', () => {
    let kept: { onOpen(hook: () => undefined): unknown } | undefined;
    runSandboxedSync('true', {
      hooks: (sandbox) => {
        kept = sandbox;
      },
    });
    expect(() => kept?.onOpen(() => undefined)).toThrow(
      expect.objectContaining({ code: 'ERR_HOLDFAST_HOOK_TOO_LATE' }),
    );
  });

  test('an end of Node in the middle ends the tree', () => {
    const script = `import { runSandboxedSync } from '${dist}';
runSandboxedSync('sh', ['-c', 'echo $$; cat /etc/passwd; sleep 300'], { stdio: 'inherit', hooks: (s) => s.onOpen({ path: '/etc/passwd' }, () => process.exit(5)) });`;
    const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(status).toBe(5);
    const pid = stdout.trim();
    while (existsSync(`/proc/${pid}`)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
  });

  test('Node ends when its work is done, and verbose lines are there', () => {
    const script = `import { runSandboxedSync } from '${dist}'; runSandboxedSync('true', { verbose: true });`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, expect.stringMatching(/^\$ true\n {2}exit code 0 after \d+ ms\n$/)]);
  });

  test('hooks are registered at once, and nothing else is', () => {
    for (const hooks of [
      (sandbox: { on(event: string, listener: () => void): void }) => sandbox.on('violation', () => {}),
      (sandbox: { pid: number }) => sandbox.pid,
      async () => {},
    ]) {
      const refused = { code: 'ERR_HOLDFAST_INVALID_OPTION', message: expect.stringMatching(/^options\.hooks: /) };
      expect(() => runSandboxedSync('true', { hooks: hooks as never })).toThrow(expect.objectContaining(refused));
    }
  });

  test('a pipe that nobody could write to is at its end', () => {
    for (const stdio of ['pipe', ['pipe', 'pipe', 'ignore']] as const)
      expect(runSandboxedSync('cat', { stdio, timeout: patient(20_000) }).stdout).toBe('');
  });

  test('what means nothing while this thread waits is refused', async () => {
    await using pool = createSandboxPool({ size: 1 });
    for (const [name, options] of [
      ['signal', { signal: new AbortController().signal }],
      ['pool', { pool }],
      ['serialization', { serialization: 'json' }],
      ['input', { input: Readable.from(['a']) }],
      ['input', { input: ['a'] }],
      ['stdio[3]', { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] }],
      ['stdio[3]', { stdio: ['pipe', 'pipe', 'pipe', 'ipc'] }],
      ['polcy', { polcy: {} }],
    ] as [string, object][]) {
      const error = thrown(() => runSandboxedSync('true', options));
      expect(error).toMatchObject({ code: 'ERR_HOLDFAST_INVALID_OPTION' });
      expect(error.message).toContain(`options.${name}`);
    }
    expect(() => runSandboxedSync('')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }));
    expect(() => runSandboxedSync('true', { policy: { fiels: {} } } as never)).toThrow('policy.fiels');
  });
});

test('verbose lines come to the function that is given; what it throws is thrown when the tree has ended', () => {
  const lines: string[] = [];
  runSandboxedSync('cat', ['/etc/shadow'], { reject: false, verbose: (line) => lines.push(line) });
  expect(lines).toEqual([
    '$ cat /etc/shadow',
    expect.stringContaining('/etc/shadow'),
    expect.stringContaining('exit code 1'),
  ]);
  const error = new Error('of the function');
  const verbose = () => {
    throw error;
  };
  expect(thrown(() => runSandboxedSync('true', { verbose }))).toBe(error);
});

test.each([
  ['answers', (value: object) => value],
  [
    'throws',
    (value: object) => {
      throw value;
    },
  ],
])('a hook that %s what throws at each look has failed as others do', (_, hook) => {
  const trap = () => {
    throw new Error('looked at');
  };
  const value = new Proxy({}, { get: trap, getPrototypeOf: trap, has: trap });
  const error = thrown(() =>
    runSandboxedSync('cat', ['/etc/shadow'], { hooks: (sandbox) => sandbox.onOpen(() => hook(value) as never) }),
  );
  expect([error.name, error.code]).toEqual(['HoldfastError', 'ERR_HOLDFAST_HOOK_FAILED']);
});
