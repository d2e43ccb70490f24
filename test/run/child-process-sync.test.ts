// spawnSync, execFileSync and execSync as node:child_process has them, in a sandbox: each is done by Node's own, too, and compared.
import * as bare from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  createSandboxPool,
  deny,
  HoldfastError,
  respond,
  type SandboxedProcess,
  type SandboxHooks,
  sandboxedChildProcess,
} from 'holdfast';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { temporaryFolder } from '../helpers/temp.ts';

type Functions = Pick<typeof bare, 'spawnSync' | 'execFileSync' | 'execSync'>;
const ours = sandboxedChildProcess({ policy: { files: { read: ['/usr'] } } });

/** All of it that has to be the same, in its order. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value;
  const { pid, error, ...rest } = value as { pid?: number; error?: unknown };
  const { name, message } = value instanceof Error ? value : { name: undefined, message: undefined };
  return [
    value instanceof Error && {
      name,
      message,
      isType: value instanceof TypeError,
      isRange: value instanceof RangeError,
    },
    Object.keys(value),
    pid === undefined ? undefined : pid > 0,
    error === undefined ? undefined : error === value ? 'itself' : plain(error),
    rest,
  ];
}

const outcome = (call: () => unknown): unknown => {
  try {
    return { returned: plain(call()) };
  } catch (error) {
    return { thrown: plain(error) };
  }
};

describe('as Node has them', () => {
  const written = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  afterAll(() => written.mockRestore());
  // Where SHLVL is below 2, bash takes a socket at its stdin for rshd's, and reads ~/.bashrc (bash(1), INVOCATION).
  const quietBash = { PATH: process.env.PATH, SHLVL: '2' };
  const dataView = new DataView(Uint8Array.from([97, 98, 99]).buffer, 1, 1);
  const timeout = patient(300);

  test.each<[string, (of: Functions) => unknown]>([
    ['no options', (of) => of.spawnSync('true')],
    ['bytes', (of) => of.spawnSync('printf', ['a\\377'])],
    ['text, and an exit code', (of) => of.spawnSync('sh', ['-c', 'echo a; echo b >&2; exit 3'], { encoding: 'utf8' })],
    ['another encoding', (of) => of.spawnSync('printf', ['\\303\\251'], { encoding: 'latin1' })],
    ['bytes by name', (of) => of.spawnSync('printf', ['a'], { encoding: 'buffer' })],
    ['a signal', (of) => of.spawnSync('sh', ['-c', 'kill -9 $$'])],
    ['no such program', (of) => of.spawnSync('no-such-program', ['a'])],
    ['no such folder', (of) => of.spawnSync('true', { cwd: '/no/such/folder' })],
    ['no program', (of) => of.spawnSync('/etc/hostname')],
    ['input', (of) => of.spawnSync('cat', { input: 'x' })],
    ['input of an encoding', (of) => of.spawnSync('cat', { input: '\u00e9', encoding: 'latin1' })],
    ['a view as input', (of) => of.spawnSync('cat', { input: dataView })],
    ['no input', (of) => of.spawnSync('cat')],
    [
      'input for whom it does not reach',
      (of) => of.spawnSync('cat', { input: 'x', stdio: ['ignore', 'pipe', 'pipe'] }),
    ],
    ['streams that are ignored', (of) => of.spawnSync('echo', ['a'], { stdio: 'ignore', encoding: 'utf8' })],
    ['some streams', (of) => of.spawnSync('echo', ['a'], { stdio: [null, 'pipe'], encoding: 'utf8' } as never)],
    ['a time limit', (of) => of.spawnSync('sleep', ['300'], { timeout })],
    ['a time limit and a signal', (of) => of.spawnSync('sleep', ['300'], { timeout, killSignal: 'SIGKILL' })],
    [
      'too much output',
      (of) => {
        const { error, signal, status, stdout } = of.spawnSync('yes', { maxBuffer: 10 });
        return { error: plain(error), signal, status, isMore: stdout.length > 10 };
      },
    ],
    ['too much output, and a signal', (of) => of.spawnSync('yes', { maxBuffer: 10, killSignal: 'SIGINT' }).signal],
    ['argv[0] and an environment', (of) => of.spawnSync('sh', ['-c', 'echo $0 $A'], { argv0: 'me', env: { A: 'a' } })],
    ['a shell', (of) => of.spawnSync('echo "$0" a | cat', { shell: true })],
    ['execFileSync', (of) => of.execFileSync('sh', ['-c', 'echo out; echo err >&2'])],
    ['execFileSync: text', (of) => of.execFileSync('echo', ['a'], { encoding: 'utf8' })],
    ['execFileSync: an exit code', (of) => of.execFileSync('sh', ['-c', 'echo out; echo err >&2; exit 4'])],
    [
      'execFileSync: argv[0]',
      (of) => of.execFileSync('sh', ['-c', 'exit 4'], { argv0: 'me', stdio: 'pipe' } as object),
    ],
    ['execFileSync: a signal', (of) => of.execFileSync('sh', ['-c', 'kill -9 $$'], { encoding: 'utf8' })],
    ['execFileSync: no such program', (of) => of.execFileSync('no-such-program')],
    ['execFileSync: nothing of all', (of) => of.execFileSync('true', null as never, null as never)],
    ['execSync', (of) => of.execSync('echo "$0" | cat', { encoding: 'utf8' })],
    [
      'execSync: another shell',
      (of) => of.execSync('echo "$0"', { shell: '/bin/bash', encoding: 'utf8', env: quietBash }),
    ],
    ['execSync: an exit code', (of) => of.execSync('echo out; echo err >&2; exit 5', { encoding: 'utf8' })],
    ['execSync: a time limit', (of) => of.execSync('exec sleep 300', { timeout })],
    ['execSync: ignored', (of) => of.execSync('echo a', { stdio: 'ignore' })],
    ['execSync: no options', (of) => of.execSync('echo a', null as never)],
    ['a command that is none', (of) => of.spawnSync(5 as never)],
    ['an empty command', (of) => of.execSync('')],
    ['arguments that are none', (of) => of.spawnSync('true', 'x' as never)],
    ['execFileSync: arguments that are none', (of) => of.execFileSync('true', 'x' as never)],
    ['a time limit that is none', (of) => of.spawnSync('true', { timeout: -1 })],
    ['a signal that is none', (of) => of.spawnSync('true', { killSignal: 'nope' as never })],
    ['a bound that is none', (of) => of.spawnSync('true', { maxBuffer: -1 })],
  ])('%s', (_, call) => {
    written.mockClear();
    const nodes = outcome(() => call(bare));
    const nodesWords = written.mock.calls.map(([text]) => String(text));
    written.mockClear();
    expect(outcome(() => call(ours))).toEqual(nodes);
    expect(written.mock.calls.map(([text]) => String(text))).toEqual(nodesWords);
  });
});

describe('what they start is in the sandbox', () => {
  const secret = temporaryFolder('sync-secret');
  writeFileSync(join(secret, 'key'), 'secret');
  const path = join(secret, 'key');
  const wide = { policy: { files: { read: ['/'] } } } as object;

  test('whatever a library gives', () => {
    const { spawnSync, execFileSync, execSync } = ours;
    expect(bare.execSync(`cat ${path}`, { encoding: 'utf8' })).toBe('secret');
    for (const options of [{}, wide, { ...wide, shell: true }]) {
      const quiet = { ...options, encoding: 'utf8', stdio: 'pipe' } as const;
      const { status, stdout, stderr } = spawnSync('cat', [path], quiet);
      expect([status, stdout, stderr]).toEqual([1, '', `cat: ${path}: Permission denied\n`]);
      expect(() => execFileSync('cat', [path], quiet)).toThrow(expect.objectContaining({ status: 1, stdout: '' }));
      expect(() => execSync(`cat ${path}`, { ...quiet, shell: '/bin/sh' })).toThrow('Permission denied');
    }
    const { status } = ours.spawnSync('sh', ['-c', `echo > ${secret}/made`], { stdio: 'ignore' });
    expect(status).not.toBe(0);
    for (const options of [undefined, { limits: { processes: 50 } }])
      expect(sandboxedChildProcess(options).spawnSync('cat', [path], wide).status).toBe(1);
  });

  test('with hooks, which can be registered and nothing else', () => {
    const asked: string[] = [];
    const hooks = (sandbox: SandboxedProcess) => {
      sandbox.onOpen({ path: '/srv/answer' }, ({ path }) => {
        asked.push(path as string);
        return respond('answered');
      });
      sandbox.onExec({ path: '/**/true' }, () => deny('EPERM'));
    };
    const { spawnSync, execSync, execFileSync } = sandboxedChildProcess({ hooks });
    expect(spawnSync('cat', ['/srv/answer'], { encoding: 'utf8' }).stdout).toBe('answered');
    expect(execFileSync('cat', ['/srv/answer'], { encoding: 'utf8' })).toBe('answered');
    expect(execSync('cat /srv/answer; env true || echo no', { encoding: 'utf8', stdio: 'pipe' })).toBe('answeredno\n');
    expect(asked).toHaveLength(3);
    for (const [wrong, name] of [
      [(child: { on(event: string, listener: () => void): void }) => child.on('violation', () => {}), 'on'],
      [(child: { pid: number }) => child.pid, 'pid'],
      [async (child: SandboxHooks) => child.onOpen(() => {}), 'promise'],
    ] as const) {
      const { spawnSync } = sandboxedChildProcess({ hooks: wrong as never });
      const refused = {
        code: 'ERR_HOLDFAST_INVALID_OPTION',
        message: expect.stringMatching(`^options\\.hooks: .*${name}`),
      };
      expect(() => spawnSync('touch', [join(secret, 'ran')])).toThrow(expect.objectContaining(refused));
    }
    const failing = sandboxedChildProcess({
      hooks: (child) =>
        child.onOpen(() => {
          throw new Error('no');
        }),
    });
    expect(() => failing.execFileSync('cat', ['/etc/hostname'])).toThrow(
      expect.objectContaining({ code: 'ERR_HOLDFAST_HOOK_FAILED' }),
    );
  });

  test('what cannot be had is refused by its name, and nothing is run', async () => {
    const refusals: [string, object][] = [
      ['stdio[3]', { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] }],
      ['stdio[3]', { stdio: ['pipe', 'pipe', 'pipe', 'ipc'] }],
      ['signal', { signal: AbortSignal.timeout(1000) }],
      ['polcy', { polcy: {} }],
    ];
    for (const [name, options] of refusals)
      for (const call of [
        () => ours.spawnSync('true', [], options),
        () => ours.execFileSync('true', [], options),
        () => ours.execSync('true', options),
      ]) {
        const refused = { code: 'ERR_HOLDFAST_INVALID_OPTION', message: expect.stringContaining(`options.${name}: `) };
        expect(call).toThrow(expect.objectContaining(refused));
      }
    expect(() => ours.spawnSync('true', { encoding: 'nope' as never })).toThrow(
      expect.objectContaining({ code: 'ERR_UNKNOWN_ENCODING' }),
    );
    expect(() => ours.spawnSync('true', { input: 5 as never })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
    // A pool is for those that nobody waits for.
    await using pool = createSandboxPool({ size: 1 });
    expect(sandboxedChildProcess({ pool }).execSync('echo a').toString()).toBe('a\n');
  });

  test('a limit that ends it is told', () => {
    const { spawnSync, execFileSync } = sandboxedChildProcess({ limits: { wallTime: patient(1000) } });
    const { error, signal, status, stdout } = spawnSync('sh', ['-c', 'echo a; exec sleep 300'], { encoding: 'utf8' });
    expect([signal, status, stdout]).toEqual(['SIGKILL', null, 'a\n']);
    expect(error).toBeInstanceOf(HoldfastError);
    expect(error?.message).toContain('wallTime');
    expect(() => execFileSync('sleep', ['300'])).toThrow('wallTime');
  });
});

test('in place of node:child_process itself: execaSync, and holdfast’s own work', { timeout: patient(30_000) }, () => {
  const folder = temporaryFolder('sync-library');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'program.mjs');
  const execa = new URL('../../node_modules/execa/index.js', import.meta.url);
  writeFileSync(join(folder, 'secret'), 'secret');
  writeFileSync(
    file,
    `import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
import { explain, runSandboxedSync, sandboxedChildProcess } from '${new URL('../../dist/index.js', import.meta.url)}';
Object.assign(childProcess, sandboxedChildProcess({ policy: { files: { read: ['/usr'] }, defaults: { cwd: false } } }));
syncBuiltinESMExports();
const { execaSync } = await import('${execa}');
const { execSync } = await import('node:child_process');
const told = [];
told.push(execaSync('cat', { input: 'in', preferLocal: true, localDir: '/', lines: true, all: true, verbose: 'none', cleanup: true }).stdout);
told.push(execaSync('cat', ['${folder}/secret'], { reject: false, encoding: 'utf8' }).stderr);
told.push(execaSync('sleep', ['300'], { timeout: ${patient(300)}, reject: false }).timedOut);
told.push(execaSync('yes', { maxBuffer: 10, reject: false }).isMaxBuffer);
told.push(execaSync('/no/such/program', { reject: false }).code);
try { execSync('cat ${folder}/secret', { stdio: 'pipe' }); told.push('read'); } catch (error) { told.push(error.status); }
told.push(runSandboxedSync('echo', ['own']).stdout);
told.push(explain({}, { path: '/etc/shadow', cwd: '/usr' }).allowed);
console.log(JSON.stringify(told));`,
  );
  const { stdout, stderr, status } = bare.spawnSync(process.execPath, [file], { encoding: 'utf8' });
  expect([stderr, status]).toEqual(['', 0]);
  expect(JSON.parse(stdout)).toEqual([
    ['in'],
    `cat: ${folder}/secret: Permission denied`,
    true,
    true,
    'ENOENT',
    1,
    'own',
    false,
  ]);
});
