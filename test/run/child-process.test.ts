// exec, execFile and fork as node:child_process has them: each thing is done by Node's own and in a sandbox, and compared.
import * as bare from 'node:child_process';
import { type EventEmitter, once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { execFileSandboxed, execSandboxed, forkSandboxed, HoldfastError, sandboxedChildProcess } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/temp.ts';

type Promised = (...args: unknown[]) => Promise<unknown>;
const promisedBy = (run: unknown) => promisify(run as typeof bare.execFile) as unknown as Promised;

type Told = { error: unknown; stdout: unknown; stderr: unknown };
/** What of an error has to be the same. */
function plain(error: unknown) {
  if (!(error instanceof Error)) return error;
  const { name, message, code, killed, signal, cmd, errno, syscall, path, spawnargs, stdout, stderr } = error as never;
  return { name, message, code, killed, signal, cmd, errno, syscall, path, spawnargs, stdout, stderr };
}

const called = (start: (callback: (...told: unknown[]) => void) => unknown): Promise<Told> =>
  new Promise((resolve) => {
    start((error, stdout, stderr) => resolve({ error: plain(error), stdout, stderr }));
  });

const promised = async (start: () => Promise<unknown>) => {
  try {
    return { value: await start() };
  } catch (error) {
    return { error: plain(error) };
  }
};

const thrown = (call: () => unknown) => {
  try {
    return call();
  } catch (error) {
    return { isType: error instanceof TypeError, isRange: error instanceof RangeError, ...(plain(error) as object) };
  }
};

const files: [string, ...unknown[]][] = [
  ['sh', ['-c', 'echo out; echo err >&2']],
  ['true'],
  ['true', undefined],
  ['true', null, { encoding: 'buffer' }],
  ['sh', ['-c', 'printf "\\303\\251"'], { encoding: 'buffer' }],
  ['sh', ['-c', 'printf "\\303\\251"'], { encoding: null }],
  ['sh', ['-c', 'printf "\\303\\251"'], { encoding: 'latin1' }],
  ['sh', ['-c', 'echo out; echo err >&2; exit 3']],
  ['sh', ['-c', 'kill -9 $$']],
  ['no-such-program', ['a']],
  ['echo a b', { shell: true }],
  ['sleep', ['300'], { timeout: 50 }],
  ['sleep', ['300'], { timeout: 50, killSignal: 'SIGINT' }],
  ['sleep', ['300'], { signal: AbortSignal.abort() }],
  ['printf', ['12345'], { maxBuffer: 4 }],
  ['printf', ['12345'], { maxBuffer: 4, encoding: 'buffer' }],
  ['printf', ['12345'], { maxBuffer: 5 }],
  ['printf', ['12345'], { maxBuffer: Number.POSITIVE_INFINITY }],
  ['sh', ['-c', 'printf "\\303\\251\\303\\251"'], { maxBuffer: 3 }],
  ['sh', ['-c', 'printf 12345 >&2'], { maxBuffer: 4 }],
];

describe('execFileSandboxed', () => {
  test.each(files)('%s %j %j as in Node', async (...args) => {
    const own = await called((callback) => execFileSandboxed(...([...args, callback] as never as [string])));
    expect(own).toEqual(await called((callback) => bare.execFile(...([...args, callback] as never as [string]))));
    const [ours, nodes] = [execFileSandboxed, bare.execFile].map(promisedBy) as [Promised, Promised];
    expect(await promised(() => ours(...args))).toEqual(await promised(() => nodes(...args)));
  });

  test.each([
    [[7]],
    [['']],
    [['a\0']],
    [['true', 'x']],
    [['true', [], 'x']],
    [['true', [], {}, 'x']],
    [['true', [], { maxBuffer: -1 }]],
    [['true', [], { maxBuffer: '1' }]],
    [['true', [], { timeout: -1 }]],
    [['true', [], { killSignal: 'SIGNOT' }]],
    [['true', [], { shell: 3 }]],
  ])('%j is refused as in Node', (args) => {
    const ours = thrown(() => execFileSandboxed(...(args as [string])));
    const nodes = thrown(() => bare.execFile(...(args as [string])));
    expect(ours).toMatchObject({ name: (nodes as Error).name, code: (nodes as NodeJS.ErrnoException).code });
  });

  test('has the process at once, and its promise too', async () => {
    const promise = promisify(execFileSandboxed)('cat');
    promise.child.stdin.end('in');
    expect(await promise).toEqual({ stdout: 'in', stderr: '' });
    expect(promise.child.exitCode).toBe(0);
  });

  test('is confined; too much output ends the whole tree', async () => {
    await expect(promisify(execFileSandboxed)('cat', ['/etc/shadow'])).rejects.toMatchObject({
      code: 1,
      stderr: 'cat: /etc/shadow: Permission denied\n',
    });
    const promise = promisify(execFileSandboxed)('sh', ['-c', 'sleep 300 & yes'], { maxBuffer: 10 });
    await expect(promise).rejects.toMatchObject({ code: 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER' });
    await promise.child.killTree();
    expect(() => execFileSandboxed('true', [], { polcy: {} } as never)).toThrow('options.polcy');
  });
});

const commands: [string, ...unknown[]][] = [
  ['echo "$0"; echo err >&2'],
  ['exit 3', undefined],
  ['exit 3', {}],
  ['echo $A', { env: { A: 'b', PATH: process.env.PATH }, encoding: 'buffer' }],
  // Where SHLVL is below 2, bash takes a socket at its stdin for rshd's, and reads ~/.bashrc (bash(1), INVOCATION).
  ['echo "$0"', { shell: '/bin/bash', env: { PATH: process.env.PATH, SHLVL: '2' } }],
  ['no-such-program'],
];

describe('execSandboxed', () => {
  test.each(commands)('%j %j as in Node', async (...args) => {
    const own = await called((callback) => execSandboxed(...([...args, callback] as never as [string])));
    expect(own).toEqual(await called((callback) => bare.exec(...([...args, callback] as never as [string]))));
    const [ours, nodes] = [execSandboxed, bare.exec].map(promisedBy) as [Promised, Promised];
    expect(await promised(() => ours(...args))).toEqual(await promised(() => nodes(...args)));
  });
});

/** What Node itself reads when it starts is no part of what is tried here. */
const policyFor = (folder: string) => ({ files: { read: [folder, process.execPath], metadata: ['/'] } });

describe('forkSandboxed', () => {
  const folder = temporaryFolder('fork');
  const module = join(folder, 'module.cjs');
  writeFileSync(
    module,
    "process.on('message', (m) => { process.send({ m, argv: process.argv.slice(2), execArgv: process.execArgv }, () => process.disconnect()); });",
  );
  const talk = async (child: EventEmitter & { send?: (message: { hello: number }) => boolean }) => {
    child.send?.({ hello: 1 });
    const [message] = await once(child, 'message');
    const [code] = await once(child, 'close');
    return { message, code };
  };

  test.each([
    [module, ['a', 'b'], { execArgv: ['--no-warnings'] }],
    [pathToFileURL(module), { silent: true, execArgv: [] }],
    [Buffer.from(module), undefined, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] }],
    [module, null, { stdio: 'pipe', serialization: 'advanced' }],
  ])('%s %j %j as in Node', async (...args) => {
    const [path, ...rest] = args as unknown as [string, object];
    const withPolicy = rest.map((arg) => (arg && !Array.isArray(arg) ? { ...arg, policy: policyFor(folder) } : arg));
    const ours = forkSandboxed(path, ...(withPolicy as never as []));
    const nodes = bare.fork(path, ...(rest as never as []));
    expect([ours.spawnargs.map(String), ours.stdio.map((s) => s === null)]).toEqual([
      nodes.spawnargs.map(String),
      nodes.stdio.map((s) => s === null),
    ]);
    expect(await talk(ours)).toEqual(await talk(nodes));
  });

  test('is confined', async () => {
    writeFileSync(
      join(folder, 'spy.cjs'),
      "try { process.send(require('fs').readFileSync('/etc/shadow', 'utf8')) } catch (e) { process.send(e.code) } process.disconnect()",
    );
    const child = forkSandboxed(join(folder, 'spy.cjs'), [], { policy: policyFor(folder) });
    expect((await once(child, 'message'))[0]).toBe('EACCES');
    await once(child, 'close');
  });

  test.each([
    [[7]],
    [['a\0']],
    [['x', 'y']],
    [['x', [], 'y']],
    [['x', [], { stdio: ['pipe'] }]],
    [['x', [], { stdio: 'nonsense' }]],
  ])('%j is refused as in Node', (args) => {
    const ours = thrown(() => forkSandboxed(...(args as unknown as [string])));
    const nodes = thrown(() => bare.fork(...(args as unknown as [string])));
    expect(ours).toMatchObject({ name: (nodes as Error).name, code: (nodes as NodeJS.ErrnoException).code });
  });
});

describe('sandboxedChildProcess', () => {
  const folder = temporaryFolder('library');
  const dist = new URL('../../dist/index.js', import.meta.url);

  /** A program of this user's, with its child_process replaced before the library is loaded. */
  function program(name: string, source: string, settings = '{ policy }'): string {
    mkdirSync(folder, { recursive: true });
    const file = join(folder, name);
    writeFileSync(
      file,
      `import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
import { sandboxedChildProcess } from '${dist}';
const policy = { files: { read: ${JSON.stringify([folder, process.execPath])}, metadata: ['/'] } };
Object.assign(childProcess, sandboxedChildProcess(${settings}));
syncBuiltinESMExports();
${source}`,
    );
    return file;
  }

  const outputOf = (file: string) => {
    const { stdout, stderr, status } = bare.spawnSync(process.execPath, [file], { encoding: 'utf8' });
    expect([stderr, status]).toEqual(['', 0]);
    return JSON.parse(stdout);
  };

  test('execa, with options of its own', () => {
    const told = outputOf(
      program(
        'execa.mjs',
        `const { execa, $ } = await import('${new URL('../../node_modules/execa/index.js', import.meta.url)}');
const told = [];
told.push((await execa('sh', ['-c', 'cat; echo err >&2'], { input: 'in', all: true, lines: true, preferLocal: true, localDir: '/', extendEnv: true, reject: false,
  cleanup: true, buffer: true, forceKillAfterDelay: 1000, maxBuffer: 1e6, encoding: 'utf8', stripFinalNewline: true, verbose: 'none', timeout: 60000, windowsHide: true })).stdout);
told.push(await execa('cat', ['/etc/shadow']).catch((error) => [error.exitCode, error.stderr]));
told.push(await execa('/no/such/program').catch((error) => error.code));
told.push((await execa('sleep', ['300'], { cancelSignal: AbortSignal.timeout(50), reject: false })).isCanceled);
told.push((await execa('sleep', ['300'], { timeout: 50, reject: false })).timedOut);
told.push((await execa('yes', { maxBuffer: 10, reject: false })).isMaxBuffer);
told.push((await $({ input: 'piped' })\`cat\`.pipe\`tr a-z A-Z\`).stdout);
told.push((await execa({ node: true })('-p', ['1 + 1'], { reject: false })).failed);
const lines = [];
for await (const line of execa('printf', ['a\\nb\\n'])) lines.push(line);
told.push(lines);
console.log(JSON.stringify(told));`,
      ),
    );
    expect(told).toEqual([
      ['in'],
      [1, 'cat: /etc/shadow: Permission denied'],
      'ENOENT',
      true,
      true,
      true,
      'PIPED',
      expect.any(Boolean),
      ['a', 'b'],
    ]);
  });

  test("execa's messages between Nodes", () => {
    writeFileSync(
      join(folder, 'child.mjs'),
      `import { sendMessage, getOneMessage } from '${new URL('../../node_modules/execa/index.js', import.meta.url)}';
await sendMessage({ got: await getOneMessage() });`,
    );
    const modules = new URL('../../node_modules', import.meta.url).pathname;
    const told = outputOf(
      program(
        'ipc.mjs',
        `const { execaNode } = await import('${new URL('../../node_modules/execa/index.js', import.meta.url)}');
const child = execaNode({ ipc: true })('${join(folder, 'child.mjs')}');
await child.sendMessage('hello');
console.log(JSON.stringify([await child.getOneMessage(), (await child).exitCode]));`,
        `{ policy: { ...policy, files: { ...policy.files, read: [...policy.files.read, '${modules}'] } } }`,
      ),
    );
    expect(told).toEqual([{ got: 'hello' }, 0]);
  });

  test("Node's cluster: its workers are confined, and serve", () => {
    const told = outputOf(
      program(
        'cluster.mjs',
        `const { default: cluster } = await import('node:cluster');
const { writeFileSync } = await import('node:fs');
writeFileSync('${join(folder, 'worker.cjs')}', \`
const net = require('node:net');
let secret; try { secret = require('fs').readFileSync('/etc/shadow', 'utf8') } catch (e) { secret = e.code }
net.createServer((socket) => socket.end(secret)).listen(0, '127.0.0.1');\`);
cluster.setupPrimary({ exec: '${join(folder, 'worker.cjs')}', execArgv: [], silent: true });
const worker = cluster.fork();
const { connect } = await import('node:net');
worker.on('listening', ({ port }) => {
  let text = '';
  connect(port, '127.0.0.1').setEncoding('utf8').on('data', (chunk) => { text += chunk; }).on('end', () => worker.disconnect());
  worker.on('exit', (code) => console.log(JSON.stringify([text, code, Object.hasOwn(worker.process, 'onOpen') || 'onOpen' in worker.process])));
});`,
      ),
    );
    expect(told).toEqual(['EACCES', 0, true]);
  });

  test('gives Node’s four, each with what is fixed', async () => {
    const heard: string[] = [];
    const { spawn, exec, execFile } = sandboxedChildProcess({
      policy: { files: { read: ['/etc/shadow'] } },
      hooks: (child) => child.on('violation', ({ path }) => heard.push(path ?? '')),
    });
    const child = spawn('cat', ['/etc/gshadow'], { policy: { files: { read: ['/'] } }, preferLocal: true } as never);
    const [code] = await once(child, 'close');
    expect([code, heard]).toEqual([1, ['/etc/gshadow']]);
    expect((await promisify(exec)('cat /etc/gshadow || echo no')).stdout).toBe('no\n');
    expect((await promisify(execFile)('echo', ['hi'])).stdout).toBe('hi\n');
    expect(heard).toHaveLength(2);
  });

  test('a policy that the library gives does not count where none is given either', async () => {
    const policy = { files: { read: ['/etc/shadow'] } };
    for (const options of [{}, { limits: { processes: 50 } }, undefined]) {
      const { spawn, execFile } = sandboxedChildProcess(options);
      const [code] = await once(spawn('cat', ['/etc/shadow'], { policy, stdio: 'ignore' } as never), 'close');
      expect(code).toBe(1);
      await expect(promisify(execFile)('cat', ['/etc/shadow'], { policy } as never)).rejects.toMatchObject({ code: 1 });
    }
  });

  test('what is nobody’s is refused, for one and for all', () => {
    const refused = expect.objectContaining({ code: 'ERR_HOLDFAST_INVALID_OPTION' });
    const { spawn } = sandboxedChildProcess();
    expect(() => spawn('true', [], { polcy: {} } as never)).toThrow(refused);
    expect(() => spawn('true', [], { polcy: {} } as never)).toThrow('options.polcy');
    for (const options of [{ polcy: {} }, { cwd: '/' }, { hooks: 1 }, { pool: {} }]) {
      expect(() => sandboxedChildProcess(options as never)).toThrow(refused);
    }
    expect(() => sandboxedChildProcess(7 as never)).toThrow(TypeError);
    expect(() => sandboxedChildProcess({ policy: { fiels: {} } } as never)).toThrow(HoldfastError);
  });
});
