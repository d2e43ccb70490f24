// runSandboxed(): a command run to its end.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createSandboxPool,
  definePolicy,
  deny,
  HoldfastError,
  type RunSandboxedOptions,
  runSandboxed,
  SandboxedError,
} from 'holdfast';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/temp.ts';
import { testWith } from '../helpers/tools.ts';

/** What a promise is rejected with. */
async function failure(run: Promise<unknown>): Promise<SandboxedError<string, string, string>> {
  const error = await run.then(
    () => undefined,
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(SandboxedError);
  return error;
}

type Options = Omit<RunSandboxedOptions, 'stdio' | 'encoding' | 'lines' | 'all'>;
const sh = <const A extends boolean = false>(script: string, options: Options & { all?: A } = {}) =>
  runSandboxed('sh', ['-c', script], options);

describe('a result', () => {
  test('has what was printed, how it ended, what it used', async () => {
    const result = await runSandboxed('sh', ['-c', 'echo out; echo err >&2; echo more'], { all: true });
    expect(result).toMatchObject({
      command: 'sh',
      args: ['-c', 'echo out; echo err >&2; echo more'],
      stdout: 'out\nmore',
      stderr: 'err',
      exitCode: 0,
      signal: null,
      timedOut: false,
      canceled: false,
      limit: undefined,
      maxBufferExceeded: undefined,
      violations: [],
      violationsOmitted: 0,
      failed: false,
      error: undefined,
    });
    expect(result.all.split('\n').sort()).toEqual(['err', 'more', 'out']);
    expect(result.durationMs).toBeGreaterThan(0);
    expect(result.usage?.processes).toBe(1);
  });

  test('both streams come in the order in which they were written', async () => {
    // Each waits until the other was read here.
    const { all, child } = { ...(await turns()) };
    expect(all).toBe('1\n2\n3\n4');
    expect(child.exitCode).toBe(0);

    async function turns() {
      const run = runSandboxed('sh', ['-c', 'echo 1; read x; echo 2 >&2; read x; echo 3; read x; echo 4 >&2; read x'], {
        all: true,
        stdio: 'pipe',
      });
      const { stdin, stdout, stderr } = run.child;
      for (const stream of [stdout, stderr]) stream.on('data', () => stdin.write('\n'));
      return { ...(await run), child: run.child };
    }
  });

  test('is text, lines or bytes', async () => {
    const printf = (format: string, options: object) => runSandboxed('printf', [format], options);
    expect((await printf('a\\nb\\n\\n', {})).stdout).toBe('a\nb\n');
    expect((await printf('a\\nb\\n', { stripFinalNewline: false })).stdout).toBe('a\nb\n');
    expect((await printf('a\\r\\nb\\n\\nc', { lines: true })).stdout).toEqual(['a', 'b', '', 'c']);
    expect((await printf('a\\r\\nb\\n', { lines: true, stripFinalNewline: false })).stdout).toEqual(['a\r\n', 'b\n']);
    expect((await printf('', { lines: true })).stdout).toEqual([]);
    expect((await printf('\\303\\251\\n', { encoding: 'buffer' })).stdout).toEqual(Buffer.from([0xc3, 0xa9, 10]));
    expect((await printf('\\303\\251\\n', { encoding: 'hex' })).stdout).toBe('c3a90a');
    expect((await printf('\\351\\n', { encoding: 'latin1' })).stdout).toBe('é');
  });

  test('text that comes in pieces is put together before it is read', async () => {
    const { stdout } = await sh('printf "\\303"; sleep 0.1; printf "\\251"');
    expect(stdout).toBe('é');
  });

  test('has no stream that leads elsewhere', async () => {
    const folder = temporaryFolder('run');
    const { stdout, stderr, all, child } = await (async () => {
      const run = runSandboxed('sh', ['-c', 'echo out; echo err >&2'], {
        stdio: ['ignore', 'ignore', 'pipe'],
        all: true,
        cwd: folder,
      });
      return { ...(await run), child: run.child };
    })();
    expect([stdout, stderr, all]).toEqual([undefined, 'err', 'err']);
    expect(child.stdout).toBeNull();
  });

  test('comes when nothing of the tree is left', async () => {
    const run = sh('sleep 300 & sleep 300 & echo $!');
    const { stdout } = await run;
    expect(existsSync(`/proc/${stdout}`)).toBe(false);
    await expect(run.child.processes()).rejects.toMatchObject({ code: 'ERR_HOLDFAST_NOT_RUNNING' });
  });

  test('has what was refused; that alone is no failure', async () => {
    const { violations, failed } = await sh('cat /etc/shadow || true', {
      policy: { files: { read: ['/etc/passwd'] } },
    });
    expect(violations.map(({ path }) => path)).toContain('/etc/shadow');
    expect(failed).toBe(false);
  });

  test('without reports nothing is told, and calls are left to the kernel', async () => {
    const run = runSandboxed('cat', ['/etc/shadow'], { violations: false, reject: false });
    const plan = run.child.plan();
    const { violations, failed } = await run;
    expect([violations, failed]).toEqual([[], true]);
    expect((await plan).classes).toEqual(expect.anything());
  });
});

describe('input', () => {
  const bytes = new Uint8Array(300_000).map((_, i) => i % 251);

  test('may be text, bytes, a stream, or parts one after the other', async () => {
    async function* parts() {
      yield 'a';
      await sleep(1);
      yield Buffer.from('b');
    }
    const cat = (input: never) => runSandboxed('cat', { input });
    for (const [input, expected] of [
      ['text\n', 'text'],
      ['', ''],
      [new TextEncoder().encode('bytes'), 'bytes'],
      [Readable.from(['s', 't']), 'st'],
      [['l', 'i', 's', 't'], 'list'],
      [parts(), 'ab'],
    ]) {
      expect((await cat(input as never)).stdout).toBe(expected);
    }
    expect((await runSandboxed('cat', { input: bytes, encoding: 'buffer' })).stdout.equals(bytes)).toBe(true);
  });

  test('without it there is nothing to be read', async () => {
    expect((await runSandboxed('cat')).stdout).toBe('');
  });

  test('need not be read', async () => {
    let close = () => {};
    const closed = new Promise<void>((resolve) => {
      close = resolve;
    });
    async function* endless() {
      try {
        for (;;) yield 'x'.repeat(100_000);
      } finally {
        close();
      }
    }
    expect((await runSandboxed('true', { input: bytes })).failed).toBe(false);
    expect((await runSandboxed('head', ['-c', '1'], { input: endless() })).stdout).toBe('x');
    // Soon after: the pipe's end is told to the stream, and by that to the generator.
    await closed;
  });

  test('that fails is a failure, and no part of it counts as the whole', async () => {
    function* broken() {
      yield 'half';
      throw new Error('the source broke');
    }
    const error = await failure(runSandboxed('sh', ['-c', 'cat; sleep 300'], { input: broken() }));
    expect(error.message).toMatch(/^Command failed, the source broke: sh -c/);
    expect(error.cause).toMatchObject({ message: 'the source broke' });
  });
});

describe('a failure', () => {
  test('says in one message what, how, which refusal, and the last words', async () => {
    const error = await failure(
      sh('cat /etc/hostname >/dev/null; cat /etc/shadow', { policy: { files: { read: ['/etc/hostname'] } } }),
    );
    expect(error.message.split('\n')).toEqual([
      "Command failed with exit code 1: sh -c 'cat /etc/hostname >/dev/null; cat /etc/shadow'",
      expect.stringMatching(/^Refused: .*cat \(\d+\): openat \/etc\/shadow: EACCES, .*files\.read: "\/etc\/shadow"/),
      'cat: /etc/shadow: Permission denied',
    ]);
    expect(error).toMatchObject({ exitCode: 1, signal: null, failed: true, code: 'ERR_HOLDFAST_COMMAND' });
    expect(error.stderr).toBe('cat: /etc/shadow: Permission denied');
    expect(error.shortMessage).toBe(error.message.split('\n')[0]);
    expect(error).toBeInstanceOf(HoldfastError);
    expect(String(error)).toMatch(/^SandboxedError \[ERR_HOLDFAST_COMMAND\]: Command failed/);
    expect(error.stack).toContain('SandboxedError [ERR_HOLDFAST_COMMAND]');
    expect(Object.keys(error)).not.toContain('stdout');
  });

  test('has the frames of who has run the command', async () => {
    async function mine() {
      await runSandboxed('false');
    }
    const { stack, message } = await failure(mine());
    expect(stack?.startsWith(`SandboxedError [ERR_HOLDFAST_COMMAND]: ${message}\n    at `)).toBe(true);
    expect(stack?.slice(stack.indexOf(' at ')).split('\n')[0]).toMatch(/ at mine \(.*run\.test\.ts:/);
  });

  test('does not blame mere looks, unless the command speaks of them', async () => {
    const looked = await failure(sh('test -e /etc/shadow; exit 1'));
    expect(looked.violations).not.toEqual([]);
    expect(looked.message).toBe("Command failed with exit code 1: sh -c 'test -e /etc/shadow; exit 1'");
    const spoken = await failure(sh('stat /etc/shadow'));
    expect(spoken.message).toContain('Refused: ');
  });

  test('with reject: false is in the result', async () => {
    const result = await sh('exit 3', { reject: false });
    expect(result).toMatchObject({ exitCode: 3, failed: true });
    expect(result.error?.message).toBe("Command failed with exit code 3: sh -c 'exit 3'");
  });

  test('a signal', async () => {
    const error = await failure(sh('kill -SEGV $$'));
    expect(error).toMatchObject({ exitCode: null, signal: 'SIGSEGV' });
    expect(error.message).toContain('Command was killed by SIGSEGV');
  });

  test('a program that is not there', async () => {
    const error = await failure(runSandboxed('/no/such/program', ['x']));
    expect(error).toMatchObject({ exitCode: null, signal: null, usage: undefined, cause: { code: 'ENOENT' } });
    expect(error.errno).toBe(-2);
    expect(error.message).toBe('Command could not be started, spawn /no/such/program ENOENT: /no/such/program x');
  });

  test("the library's own failure keeps its code", async () => {
    const supervisorOf = (pid: number) => Number(readFileSync(`/proc/${pid}/stat`, 'latin1').split(' ')[3]);
    const run = runSandboxed('sleep', ['300']);
    run.child.on('spawn', () => process.kill(supervisorOf(run.child.pid as number), 'SIGKILL'));
    const error = await failure(run);
    expect(error.code).toBe('ERR_HOLDFAST_SUPERVISOR_LOST');
    expect(error.cause).toMatchObject({ code: 'ERR_HOLDFAST_SUPERVISOR_LOST' });
    expect(error.message).toMatch(/^Command failed, the supervisor .*: sleep 300/);
  });

  test('a timeout, also of what ends well when it is asked to', async () => {
    const error = await failure(runSandboxed('sleep', ['300'], { timeout: 50 }));
    expect(error).toMatchObject({ timedOut: true, signal: 'SIGTERM' });
    expect(error.message).toBe('Command timed out after 50 ms: sleep 300');
    const polite = await failure(
      sh('trap "exit 0" TERM; while :; do sleep 0.05; done', { timeout: 500, forceKillAfter: 10_000 }),
    );
    expect(polite).toMatchObject({ timedOut: true, exitCode: 0, signal: null, failed: true });
  });

  test('an abort, before and while it runs', async () => {
    const running = await failure(runSandboxed('sleep', ['300'], { signal: AbortSignal.timeout(50) }));
    expect(running).toMatchObject({ canceled: true, timedOut: false, cause: { code: 'ABORT_ERR' } });
    expect(running.message).toBe('Command was canceled: sleep 300');
    const before = await failure(runSandboxed('sleep', ['300'], { signal: AbortSignal.abort('enough') }));
    expect(before).toMatchObject({ canceled: true, cause: { cause: 'enough' } });
  });

  test('a limit', async () => {
    const error = await failure(runSandboxed('sleep', ['300'], { limits: { wallTime: 100 } }));
    expect(error.limit).toMatchObject({ name: 'wallTime', killed: true });
    expect(error.message).toContain('limits.wallTime');
  });

  test('too much output ends the whole tree, and not one byte more is kept', async () => {
    const script = '(trap "" TERM PIPE; sleep 300) & yes';
    for (const stream of ['stdout', 'stderr'] as const) {
      const error = await failure(
        sh(stream === 'stdout' ? script : `${script} >&2`, { maxBuffer: 1000, all: true, stripFinalNewline: false }),
      );
      expect(error.maxBufferExceeded).toBe(stream);
      expect(error[stream]).toHaveLength(1000);
      expect(error.all).toHaveLength(1000);
      expect(error.message).toMatch(`Command printed more than 1000 bytes to ${stream} (maxBuffer)`);
    }
    expect((await runSandboxed('printf', ['12345'], { maxBuffer: 5 })).stdout).toBe('12345');
    expect((await failure(runSandboxed('printf', ['12345'], { maxBuffer: 4 }))).stdout).toBe('1234');
    expect((await failure(runSandboxed('yes', { maxBuffer: '1KiB', stripFinalNewline: false }))).stdout).toHaveLength(
      1024,
    );
  });

  test('what the command writes cannot speak to a terminal through the message', async () => {
    const error = await failure(sh('printf "\\033]0;title\\007\\033[31mred\\rback\\0\\n" >&2; exit 1'));
    expect(error.message).not.toMatch(/[^\P{Cc}\n]/u);
    expect(error.message).toContain('red');
  });

  test('of very many last words the end is kept', async () => {
    const error = await failure(sh('seq 100000 >&2; exit 1'));
    expect(error.message.split('\n')).toHaveLength(21);
    expect(error.message).toMatch(/\n100000$/);
  });

  test('so many refusals are kept, and how many more there were', async () => {
    const folder = temporaryFolder('run');
    writeFileSync(join(folder, 'many.pl'), 'for (1..10020) { open(F, "<", "/etc/shadow") }');
    const result = await runSandboxed('perl', ['many.pl'], { cwd: folder, reject: false });
    expect(result.violations).toHaveLength(10_000);
    expect(result.violationsOmitted).toBeGreaterThanOrEqual(20);
  });
});

describe('hooks', () => {
  test('are asked from the first instruction on', async () => {
    const { stderr, failed } = await runSandboxed('cat', ['/etc/passwd'], {
      reject: false,
      hooks: (child) => child.onOpen(({ path }) => (path === '/etc/passwd' ? deny('EIO') : undefined)),
    });
    expect([failed, stderr]).toEqual([true, 'cat: /etc/passwd: Input/output error']);
  });

  test('that cannot be registered end the command', async () => {
    let pid: number | undefined;
    const wrong = () =>
      runSandboxed('sleep', ['300'], {
        hooks: (child) => {
          pid = child.pid;
          throw new Error('no hooks');
        },
      });
    expect(wrong).toThrow('no hooks');
    while (existsSync(`/proc/${pid}`)) await sleep(10);
    const later = await failure(
      runSandboxed('sleep', ['300'], {
        hooks: (async () => {
          await sleep(1);
          throw new Error('late');
        }) as never,
      }),
    );
    expect(later.message).toContain('Command failed, late: sleep 300');
  });
});

describe('options', () => {
  test('are those of a spawn too', async () => {
    const folder = temporaryFolder('run');
    const { stdout } = await runSandboxed('echo $A; pwd', {
      shell: true,
      cwd: folder,
      env: { ...process.env, A: 'b' },
    });
    expect(stdout).toBe(`b\n${folder}`);
  });

  test('a pool', async () => {
    const pool = createSandboxPool({ size: 1 });
    expect((await runSandboxed('echo', ['hi'], { pool })).stdout).toBe('hi');
    await pool.close();
    expect(() => runSandboxed('true', { pool })).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_POOL_CLOSED' }));
  });

  test('verbose prints the command, refusals and the end', async () => {
    const lines: string[] = [];
    await runSandboxed('cat', ['/etc/shadow', 'a b'], { reject: false, verbose: (line) => lines.push(line) });
    expect(lines[0]).toBe("$ cat /etc/shadow 'a b'");
    expect(lines).toContainEqual(expect.stringMatching(/^ {2}refused: .*\/etc\/shadow/));
    expect(lines.at(-1)).toMatch(/^ {2}exit code 1 after \d+ ms$/);
  });

  test.each([
    ['encoding', 'utf9'],
    ['maxBuffer', -1],
    ['maxBuffer', '1 parsec'],
    ['lines', 'yes'],
    ['all', 1],
    ['stripFinalNewline', 0],
    ['reject', 'no'],
    ['violations', null],
    ['input', 7],
    ['input', null],
    ['verbose', 'short'],
    ['hooks', {}],
    ['pool', {}],
    ['polcy', {}],
  ])('%s: %j is refused, by name', (name, value) => {
    expect(() => runSandboxed('true', { [name]: value })).toThrow(
      expect.objectContaining({
        code: 'ERR_HOLDFAST_INVALID_OPTION',
        message: expect.stringContaining(`options.${name}`),
      }),
    );
  });

  test('that contradict each other are refused', () => {
    expect(() => runSandboxed('cat', { input: 'x', stdio: 'inherit' })).toThrow("options.input: 'x' has no use");
    expect(() => runSandboxed('cat', { encoding: 'buffer', lines: true })).toThrow('options.lines');
    expect(() => runSandboxed('cat', [], 'x' as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
  });

  test('an error that nobody waits for ends Node, as any rejection', () => {
    const script = `import { runSandboxed } from '${new URL('../../dist/index.js', import.meta.url)}'; runSandboxed('false');`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toContain('SandboxedError [ERR_HOLDFAST_COMMAND]: Command failed with exit code 1: false');
  });
});

testWith('git')('git status by a preset and a folder to write', async () => {
  const cwd = temporaryFolder('git-status');
  expect(spawnSync('git', ['init', '-q', cwd]).status).toBe(0);
  const { stdout, exitCode, violations, usage } = await runSandboxed('git', ['status'], {
    cwd,
    policy: definePolicy({ extends: ['build'], files: { write: ['dist'] } }),
  });
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining('nothing to commit')]);
  expect(violations.filter(({ access, path }) => access === 'write' && path?.startsWith(cwd) !== true)).toEqual([]);
  expect(usage?.wallTime).toBeGreaterThan(0);
});
