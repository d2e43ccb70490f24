// What users of ChildProcess know: each test runs the same thing bare and in a sandbox, and compares.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type SandboxedProcess, type SpawnSandboxedOptions, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/temp.ts';

const everything = { files: { read: ['/'], write: ['/'] }, network: { connect: ['*'], bind: ['*'] } };

type Either = Pick<
  ChildProcess,
  | 'pid'
  | 'exitCode'
  | 'signalCode'
  | 'killed'
  | 'spawnargs'
  | 'spawnfile'
  | 'kill'
  | 'stdout'
  | 'stderr'
  | 'stdin'
  | 'stdio'
> & { on(event: string, listener: (...args: never[]) => void): unknown };

interface Told {
  events: unknown[];
  stdout: string;
  stderr: string;
  end: unknown[];
}

/** Everything that a child tells until its close, with what is different each time left out. */
function listen(child: Either): Promise<Told> {
  const told: Told = { events: [], stdout: '', stderr: '', end: [] };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.on('data', (chunk: Buffer) => {
      told[stream] += chunk;
    });
  }
  for (const event of ['spawn', 'exit', 'disconnect']) {
    child.on(event, (...args: unknown[]) => told.events.push([event, ...args, typeof child.pid]));
  }
  child.on('message', (message: unknown) => told.events.push(['message', message]));
  child.on('error', (error: NodeJS.ErrnoException & { spawnargs?: string[] }) => {
    const { name, message, code, errno, syscall, path, spawnargs } = error;
    told.events.push(['error', { name, message, code, errno, syscall, path, spawnargs }, typeof child.pid]);
  });
  return new Promise((resolve) => {
    child.on('close', (...args: unknown[]) => {
      told.events.push(['close', ...args]);
      const { exitCode, signalCode, killed, spawnargs, spawnfile } = child;
      told.end = [exitCode, signalCode, killed, spawnargs, spawnfile, child.stdio.length];
      resolve(told);
    });
  });
}

async function both(
  command: string,
  args: string[],
  options: SpawnOptions = {},
  act: (child: Either) => void = () => {},
): Promise<Told> {
  const bare = spawn(command, args, options) as Either;
  act(bare);
  const expected = await listen(bare);
  const sandboxed = spawnSandboxed(command, args, { ...options, policy: everything } as SpawnSandboxedOptions);
  act(sandboxed as unknown as Either);
  expect(await listen(sandboxed as unknown as Either)).toEqual(expected);
  return expected;
}

const node = (script: string): [string, string[]] => [process.execPath, ['-e', script]];

describe('as child_process', () => {
  test('output and exit code', async () => {
    const { stdout, stderr, end } = await both('sh', ['-c', 'echo out; echo err >&2; exit 7']);
    expect([stdout, stderr, end[0]]).toEqual(['out\n', 'err\n', 7]);
  });

  test('a command that a signal ends', async () => {
    const { end } = await both('sh', ['-c', 'kill -TERM $$']);
    expect(end[1]).toBe('SIGTERM');
  });

  test.each([
    ['does not exist in PATH', 'holdfast-no-such-command', []],
    ['does not exist at its path', '/holdfast/no/such', ['a', 'b']],
    ['is not executable', '/etc/passwd', []],
    ['is a directory', '/etc', []],
  ])('a command that %s', async (_, command, args) => {
    const { events } = await both(command, args);
    expect(events.map((event) => (event as unknown[])[0])).toEqual(['error', 'close']);
  });

  test('a cwd that does not exist', async () => {
    await both('true', [], { cwd: '/holdfast/no/such' });
  });

  test('cwd, env and argv0', async () => {
    const { stdout } = await both('sh', ['-c', 'pwd; echo $HF; echo $0'], {
      cwd: '/usr/lib',
      env: { PATH: process.env.PATH, HF: 'value' },
      argv0: 'other name',
    });
    expect(stdout).toBe('/usr/lib\nvalue\nother name\n');
  });

  test('a cwd that is a URL', async () => {
    expect((await both('pwd', [], { cwd: new URL('file:///usr/lib') })).stdout).toBe('/usr/lib\n');
  });

  test("a command is looked up in the child's own PATH", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'own-command'), '#!/bin/sh\necho found\n', { mode: 0o755 });
    expect((await both('own-command', [], { env: { PATH: folder } })).stdout).toBe('found\n');
  });

  test('shell: true', async () => {
    const { stdout, end } = await both('echo a | tr a', ['b'], { shell: true });
    expect(stdout).toBe('b\n');
    expect(end[4]).toBe('/bin/sh');
  });

  test('shell: a program', async () => {
    expect((await both('echo', ['$BASH_VERSION', '|', 'grep', '-c', '.'], { shell: '/bin/bash' })).stdout).toBe('1\n');
  });

  test('arguments of every kind arrive as they are', async () => {
    const args = ['', ' ', 'ü', '"', '-n', '\n', '$HOME', 'x'.repeat(10_000)];
    await both(process.execPath, ['-p', 'JSON.stringify(process.argv)', '--', ...args]);
  });

  test.each<[string, SpawnOptions['stdio']]>([
    ['ignore', 'ignore'],
    ['pipe', 'pipe'],
    ['overlapped', 'overlapped'],
    ['a short list', ['ignore']],
    ['null and undefined', [null, undefined, 'ignore']],
    ['more pipes', ['ignore', 'pipe', 'pipe', 'pipe', 'ignore', 'pipe']],
  ])('stdio: %s', async (_, stdio) => {
    await both('sh', ['-c', 'ls /proc/self/fd | wc -l; echo x'], { stdio });
  });

  test('descriptors, at their own numbers and no others', async () => {
    const fd = openSync('/dev/null', 'r');
    const { stdout } = await both(
      'sh',
      ['-c', 'for i in 0 1 2 3 4 5 6 7 8; do [ -e /proc/self/fd/$i ] && echo $i; done'],
      {
        stdio: ['ignore', 'pipe', 'pipe', 'ignore', fd],
      },
    );
    expect(stdout).toContain('4\n');
  });

  test('a stream for stdio', async () => {
    const folder = temporaryFolder();
    const run = async (start: (fd: number) => { on(event: string, listener: () => void): unknown }, name: string) => {
      await new Promise<void>((resolve) => start(openSync(join(folder, name), 'w')).on('close', resolve));
      return readFileSync(join(folder, name), 'utf8');
    };
    const stdio = (fd: number) => ['ignore', fd, 'ignore'] as ['ignore', number, 'ignore'];
    expect(
      await run((fd) => spawnSandboxed('echo', ['to a file'], { stdio: stdio(fd), policy: everything }), 'sandboxed'),
    ).toBe('to a file\n');
  });

  test('stdin is a pipe that can be written', async () => {
    const { stdout } = await both('tr', ['a-z', 'A-Z'], {}, (child) => child.stdin?.end('shout'));
    expect(stdout).toBe('SHOUT');
  });

  test.each<[string, SpawnOptions['stdio']]>([
    ['at 3', ['ignore', 'pipe', 'pipe', 'ipc']],
    ['at 0', ['ipc', 'pipe', 'pipe']],
    ['behind others', ['ignore', 'pipe', 'pipe', 'ignore', 'ipc']],
  ])('ipc %s: messages both ways, and disconnect', async (_, stdio) => {
    const script = `process.on('message', (m) => process.send({ got: m }, () => process.disconnect()))`;
    const { events } = await both(...node(script), { stdio }, (child) => {
      (child as ChildProcess).send?.({ hello: [1, 2] });
    });
    expect(events).toContainEqual(['message', { got: { hello: [1, 2] } }]);
    expect(events).toContainEqual(['disconnect', 'number']);
  });

  test('ipc with advanced serialization', async () => {
    const script = "process.on('message', (m) => process.send({ got: m.get('k') }, () => process.disconnect()))";
    const { events } = await both(
      ...node(script),
      { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], serialization: 'advanced' },
      (child) => {
        (child as ChildProcess).send?.(new Map([['k', 5n]]) as never);
      },
    );
    expect(events).toContainEqual(['message', { got: 5n }]);
  });

  test('a worker of node:cluster is heard, and its channel is found by its old name', async () => {
    const script = join(temporaryFolder('worker'), 'worker.cjs');
    writeFileSync(script, "require('node:cluster').isWorker && process.send('ready', () => process.disconnect())");
    const options = { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env: { ...process.env, NODE_UNIQUE_ID: '1' } } as const;
    const heard: unknown[] = [];
    await both(process.execPath, [script], { ...options, stdio: [...options.stdio] }, (child) => {
      expect((child as ChildProcess & { _channel: unknown })._channel).toBe((child as ChildProcess).channel);
      (child as ChildProcess).on('internalMessage' as 'message', ({ act }: { act: string }) => heard.push(act));
    });
    expect(heard).toEqual(['online', 'online']);
  });

  test('messages wait for their first listener', async () => {
    const child = spawnSandboxed(...node("process.send('early'); setTimeout(() => {}, 500)"), {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      policy: everything,
    });
    expect(child.connected).toBe(true);
    await setTimeout(300);
    expect(await once(child as never, 'message')).toContain('early');
    await once(child as never, 'close');
    expect(child.connected).toBe(false);
  });

  test('what is killed before its first instruction has a start and an end, too', async () => {
    const { events } = await both('sleep', ['30'], {}, (child) => {
      child.kill();
    });
    expect(events).toEqual([
      ['spawn', 'number'],
      ['exit', null, 'SIGTERM', 'number'],
      ['close', null, 'SIGTERM'],
    ]);
  });

  test('timeout and killSignal', async () => {
    const { end } = await both('sleep', ['30'], { timeout: 200, killSignal: 'SIGINT' });
    expect(end.slice(0, 3)).toEqual([null, 'SIGINT', true]);
  });

  test('an AbortSignal', async () => {
    const controllers = [new AbortController(), new AbortController()];
    const reason = new Error('enough');
    const told = [];
    for (const [i, start] of ([spawn, spawnSandboxed] as const).entries()) {
      const child = (start as typeof spawn)('sleep', ['30'], { signal: controllers[i]?.signal }) as Either;
      const causes: unknown[] = [];
      child.on('error', (error: Error) => causes.push(error.cause));
      child.on('spawn', () => controllers[i]?.abort(reason));
      told.push({ ...(await listen(child)), causes });
    }
    expect(told[1]).toEqual(told[0]);
    expect(told[1]?.causes).toEqual([reason]);
  });

  test('an AbortSignal that is aborted already', async () => {
    const child = spawnSandboxed('sleep', ['30'], { signal: AbortSignal.abort() });
    const { events, end } = await listen(child as unknown as Either);
    // Unlike there, it may be over before the command's first instruction: then there is no `spawn`.
    const names = events.map((event) => (event as unknown[])[0]).filter((name) => name !== 'spawn');
    expect(names).toEqual(['error', 'exit', 'close']);
    expect(end.slice(0, 3)).toEqual([null, 'SIGTERM', true]);
  });

  test('kill', async () => {
    const results: unknown[] = [];
    const { end } = await both('sleep', ['30'], {}, (child) => {
      results.push(child.kill(0));
      child.on('spawn', () => results.push(child.kill('sigterm' as NodeJS.Signals)));
      child.on('close', () => results.push(child.kill(), child.kill(0)));
    });
    expect(end.slice(0, 3)).toEqual([null, 'SIGTERM', true]);
    expect(results.slice(0, results.length / 2)).toEqual(results.slice(results.length / 2));
  });

  test('kill in the tick of the spawn', async () => {
    const child = spawnSandboxed('sleep', ['30'], { policy: everything });
    expect(child.kill()).toBe(true);
    const [code, signal] = (await once(child as never, 'close')) as [number | null, string | null];
    expect([code, signal]).toEqual([null, 'SIGTERM']);
  });

  test.each([['SIGNOPE'], [77], [{}]])('kill(%j) throws as there', async (signal) => {
    const child = spawnSandboxed('true');
    const bare = spawn('true');
    const caught = (act: () => void) => {
      try {
        act();
      } catch (error) {
        return [(error as Error).name, (error as NodeJS.ErrnoException).code, (error as Error).message];
      }
      return [];
    };
    expect(caught(() => child.kill(signal as never))).toEqual(caught(() => bare.kill(signal as never)));
    await Promise.all([once(child as never, 'close'), once(bare, 'close')]);
  });

  test('detached gives a session of its own', async () => {
    const script = 'read -r line < /proc/$$/stat; set -- $line; [ "$6" = "$$" ] && echo leader';
    expect((await both('sh', ['-c', script], { detached: true })).stdout).toBe('leader\n');
  });

  test.runIf(process.getuid?.() === 0)('uid and gid', async () => {
    const { stdout } = await both('sh', ['-c', 'id -u; id -g'], { uid: 65534, gid: 65534, cwd: '/' });
    expect(stdout).toBe('65534\n65534\n');
  });

  test('a long output arrives whole', async () => {
    const { stdout } = await both('head', ['-c', '3000000', '/dev/zero']);
    expect(stdout.length).toBe(3_000_000);
  });

  test('an error that nobody listens to is thrown', async () => {
    const script = `import { spawnSandboxed } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)};
      process.on('uncaughtException', (error) => console.log('uncaught', error.code, error.syscall));
      spawnSandboxed('holdfast-no-such-command', { env: { PATH: '/usr/bin' } });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
    expect((await listen(child as Either)).stdout).toBe('uncaught ENOENT spawn holdfast-no-such-command\n');
  });

  test('unref lets Node end, and the command ends with it', async () => {
    const script = `import { spawnSandboxed } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)};
      const child = spawnSandboxed('sleep', ['30'], { stdio: 'ignore' });
      child.on('spawn', () => { console.log(child.pid); child.unref(); });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
    const { stdout, end } = await listen(child as Either);
    expect(end[0]).toBe(0);
    await expect.poll(() => alive(Number(stdout))).toBe(false);
  });

  test('Symbol.dispose kills', async () => {
    const child: SandboxedProcess = spawnSandboxed('sleep', ['30']);
    const closed = once(child as never, 'close');
    child[Symbol.dispose]();
    expect(child.killed).toBe(true);
    expect((await closed)[1]).toBe('SIGTERM');
  });
});

function alive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('the pid', () => {
  test("is the command's own", async () => {
    const child = spawnSandboxed('sh', ['-c', 'echo $$'], { policy: everything });
    const { stdout } = await listen(child as unknown as Either);
    expect(Number(stdout)).toBe(child.pid);
  });
});

describe('descendants', () => {
  const script = '(sleep 0.5; echo late) & echo $!';

  test('are killed with the command', async () => {
    const child = spawnSandboxed('sh', ['-c', 'sleep 30 & echo $!'], { policy: everything });
    const { stdout } = await listen(child as unknown as Either);
    expect(alive(Number(stdout))).toBe(false);
  });

  test("go on with descendants: 'wait', and close comes after them", async () => {
    const child = spawnSandboxed('sh', ['-c', script], { policy: everything, descendants: 'wait' });
    const order: string[] = [];
    for (const event of ['exit', 'treeEmpty', 'close'] as const) child.on(event, () => order.push(event));
    const { stdout } = await listen(child as unknown as Either);
    expect(stdout).toMatch(/late\n$/);
    expect(order).toEqual(['exit', 'treeEmpty', 'close']);
  });

  test("die of SIGKILL with descendants: 'wait' too", async () => {
    const child = spawnSandboxed('sh', ['-c', 'sleep 30 & echo $!; wait'], { policy: everything, descendants: 'wait' });
    child.stdout.once('data', () => child.kill('SIGKILL'));
    const { stdout, end } = await listen(child as unknown as Either);
    expect(end[1]).toBe('SIGKILL');
    expect(alive(Number(stdout))).toBe(false);
  });
});
