// A sandbox for a test, without a test framework: holdfast/testing.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createSandbox, expectRun, type Sandbox, type SandboxOptions } from 'holdfast/testing';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { listen } from '../helpers/ports.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const made: Sandbox[] = [];
const sandboxOf = (options?: SandboxOptions): Sandbox => {
  const sandbox = createSandbox(options);
  made.push(sandbox);
  return sandbox;
};
afterEach(async () => {
  await Promise.all(made.splice(0).map((sandbox) => sandbox.close()));
});

const sh = (script: string) => ['-c', script];
const python = '/usr/bin/python3';

describe('the private folder', () => {
  test('is made from data, is where programs start, and is gone at the end', async () => {
    const sandbox = sandboxOf({
      files: {
        'a.txt': 'one',
        'deep/er/b.txt': 'two',
        folder: { 'c.bin': new Uint8Array([1, 2]), empty: {} },
        run: '#!/bin/sh\necho ran',
      },
    });
    const run = await sandbox.run('/bin/sh', sh('pwd; cat a.txt deep/er/b.txt; ls folder; ./run'));
    expect(run.stdout).toBe(`${sandbox.folder}\nonetwoc.bin\nempty\nran`);
    expect(run.violations).toEqual([]);
    expect(sandbox.read('deep/er/b.txt')).toBe('two');
    expect(sandbox.path('deep', 'er')).toBe(join(sandbox.folder, 'deep/er'));
    await sandbox.close();
    expect(existsSync(join(sandbox.folder, '..'))).toBe(false);
  });

  test('may be read, and written to where the policy says so', async () => {
    const sandbox = sandboxOf({ files: { 'a.txt': 'old', 'b.txt': 'old', 'gone.txt': '' } });
    const script = 'mkdir out; echo new > out/x; echo new > a.txt; rm gone.txt; echo new > b.txt';
    const run = await sandbox.run('/bin/sh', sh(script), { policy: { files: { write: ['out', 'a.txt'] } } });
    expect(run.written).toEqual(['a.txt', 'out/x']);
    expect(run.removed).toEqual([]);
    expect(run.violations.map(({ path }) => path)).toEqual([sandbox.path('gone.txt'), sandbox.path('b.txt')]);
    const all = await sandbox.run('/bin/sh', sh('rm gone.txt; mkdir -p empty/er'), {
      policy: { files: { write: ['.'] } },
    });
    expect(all).toMatchObject({ written: ['empty/er'], removed: ['gone.txt'] });
  });

  test('shows names that are no UTF-8, as text and exactly', async () => {
    const sandbox = sandboxOf({ files: { 'a.txt': 'a', 'é\uFFFD': '' }, policy: { files: { write: ['.'] } } });
    const python = (script: string) => sandbox.run('/usr/bin/python3', ['-c', `import os\n${script}`]);
    const first = await python(`
os.makedirs(b'd\\xff/e')
for name in b'b\\xff', b'b\\xfe', b'd\\xff/e/f\\xc3', 'ü'.encode(), b'g\\n': open(name, 'w').close()
os.symlink(b'to\\xff', b'link')`);
    expect(first.stderr).toBe('');
    expect(first.written).toEqual(['b\uFFFD', 'b\uFFFD', 'd\uFFFD/e/f\uFFFD', 'g\n', 'link', 'ü']);
    expect(first.writtenBytes).toEqual(['b\xfe', 'b\xff', 'd\xff/e/f\xc3'].map((name) => Buffer.from(name, 'latin1')));
    expect(first).not.toHaveProperty('removedBytes');
    expectRun(first).toHaveWritten([/^b\uFFFD$/, 'd*/e/*', 'g*', 'link', 'ü']);
    const second = await python(`
open(b'b\\xff', 'w').write('changed'); os.remove(b'b\\xfe'); os.remove('é\uFFFD'); open('ü', 'w').write('changed')
os.remove(b'link'); os.symlink(b'to\\xfe', b'link')`);
    expect(second).toMatchObject({ stderr: '', written: ['b\uFFFD', 'link', 'ü'], removed: ['b\uFFFD', 'é\uFFFD'] });
    expect([second.writtenBytes, second.removedBytes]).toEqual([
      [Buffer.from([0x62, 0xff])],
      [Buffer.from([0x62, 0xfe])],
    ]);
    const third = await python('pass');
    expect([third.written, third.removed, third.writtenBytes]).toEqual([[], [], undefined]);
  });

  test('shows what was written again with as many bytes, however soon', async () => {
    const sandbox = sandboxOf({ files: { 'a.txt': 'one' } });
    const policy = { files: { write: ['.'] } };
    expect((await sandbox.run('/bin/sh', sh('printf two > a.txt'), { policy })).written).toEqual(['a.txt']);
    expect((await sandbox.run('/bin/sh', sh('cat a.txt'), { policy })).written).toEqual([]);
  });

  test('goes whatever modes a program leaves behind', async () => {
    const sandbox = sandboxOf();
    const script = 'mkdir -p a/b && echo x > a/b/c && chmod 0 a/b/c a/b && chmod 500 a';
    expect(await sandbox.run('/bin/sh', sh(script), { policy: { files: { write: ['.'] } } })).toMatchObject({
      exitCode: 0,
    });
    await sandbox.close();
    expect(existsSync(join(sandbox.folder, '..'))).toBe(false);
  });

  test('goes however deep a program makes folders in it', async () => {
    const sandbox = sandboxOf();
    // 300 folders of fifteen characters: a longer path than PATH_MAX.
    const script =
      'i=0; while [ $i -lt 300 ]; do mkdir fifteen-letters && cd -P fifteen-letters || exit 1; i=$((i+1)); done';
    expect(await sandbox.run('/bin/sh', sh(script), { policy: { files: { write: ['.'] } } })).toMatchObject({
      exitCode: 0,
    });
    await sandbox.close();
    expect(existsSync(join(sandbox.folder, '..'))).toBe(false);
  });

  test('leads nowhere else by links that a program has planted, and nobody waits for its FIFOs', async () => {
    const outside = temporaryFolder('outside');
    writeFileSync(join(outside, 'secret'), 'secret');
    const sandbox = sandboxOf({ files: { real: 'inside' }, base: outside });
    const script = `ln -s ${outside} folder; ln -s ${outside}/new file; ln -s real fine; mkfifo fifo; mkdir d; ln -s .. d/self`;
    expect(await sandbox.run('/bin/sh', sh(script), { policy: { files: { write: ['.'] } } })).toMatchObject({
      exitCode: 0,
      written: ['d/self', 'fifo', 'file', 'fine', 'folder'],
    });
    expect(sandbox.read('fine')).toBe('inside');
    expect(sandbox.read('d/self/real')).toBe('inside');
    expect(() => sandbox.read('folder/secret')).toThrow(/leads out of the private folder/);
    expect(() => sandbox.read('fifo')).toThrow(/is no file/);
    for (const name of ['folder/new', 'file', 'fifo', 'folder/deeper/new', 'fine', 'd/self/new']) {
      expect(() => sandbox.write({ [name]: 'x' }), name).toThrow(/cannot be written: a link/);
      expect(() => sandbox.fixture('secret', name), name).toThrow();
    }
    expect(() => sandbox.write({ folder: { new: 'x' } })).toThrow(/cannot be written: a link/);
    expect(readdirSync(outside)).toEqual(['secret']);
    expect(sandbox.read('real')).toBe('inside');
    await sandbox.close();
    expect(readdirSync(outside)).toEqual(['secret']);
  });

  test('has copies of fixtures, which may be read and not changed', async () => {
    const base = temporaryFolder('base');
    mkdirSync(join(base, 'fixtures/deep'), { recursive: true });
    writeFileSync(join(base, 'fixtures/deep/a.txt'), 'fixture');
    const sandbox = sandboxOf({ base });
    expect(sandbox.fixture('fixtures')).toBe(sandbox.path('fixtures'));
    sandbox.fixture('fixtures', '[x]{a,b}*');
    expect(sandbox.fixture('fixtures/deep/a.txt', 'other/name.txt')).toBe(sandbox.path('other/name.txt'));
    const script =
      'cat fixtures/deep/a.txt other/name.txt; echo bad > "[x]{a,b}*/deep/a.txt"; echo bad > fixtures/deep/a.txt; rm -r fixtures; mv fixtures moved; mv other/name.txt moved; chmod 777 fixtures/deep; ln fixtures/deep/a.txt link; echo fine > other/new';
    const run = await sandbox.run('/bin/sh', sh(script), { policy: { files: { write: ['.'] } } });
    expect(run.stdout).toBe('fixturefixture');
    expect(run.written).toEqual(['other/new']);
    expect(run.removed).toEqual([]);
    expect(run.violations.length).toBeGreaterThan(4);
    expect(sandbox.read('fixtures/deep/a.txt')).toBe('fixture');
    expect(readFileSync(join(base, 'fixtures/deep/a.txt'), 'utf8')).toBe('fixture');
  });
});

test('a program has nothing of the user: environment, home, temporary files', async () => {
  const sandbox = sandboxOf({ env: { OF_ALL: '1' } });
  const script = 'env | cut -d= -f1 | sort | tr "\\n" " "; echo; cd "$HOME" && pwd; echo x > "$(mktemp)" && echo made';
  const run = await sandbox.run('/bin/sh', sh(script), { env: { OWN: '1', TZ: undefined } });
  const [names, home, temporary] = run.stdout.split('\n');
  expect(names?.trim().split(' ')).toEqual(['HOME', 'LANG', 'OF_ALL', 'OWN', 'PATH', 'PWD', 'TMPDIR']);
  expect(home).toBe(join(sandbox.folder, '../home'));
  expect(temporary).toBe('made');
  expect(run.violations).toEqual([]);
});

describe('a program by its name', () => {
  const project = () => {
    const base = temporaryFolder('project');
    writeFileSync(
      join(base, 'package.json'),
      JSON.stringify({ name: '@x/own', type: 'module', bin: { 'my-cli': 'bin/cli.js' } }),
    );
    mkdirSync(join(base, 'bin'));
    mkdirSync(join(base, 'lib'));
    mkdirSync(join(base, 'test'));
    mkdirSync(join(base, 'node_modules/.bin'), { recursive: true });
    writeFileSync(
      join(base, 'bin/cli.js'),
      "#!/usr/bin/env node\nimport { word } from '../lib/word.js'; console.log(word, ...process.argv.slice(2));",
    );
    writeFileSync(join(base, 'lib/word.js'), "export const word = 'own';");
    writeFileSync(join(base, 'node_modules/.bin/dep'), '#!/bin/sh\necho dep $1');
    for (const name of ['bin/cli.js', 'node_modules/.bin/dep']) chmodSync(join(base, name), 0o755);
    return base;
  };

  test("is the package's own, with what that needs of itself", async () => {
    const base = project();
    const sandbox = sandboxOf({ base: join(base, 'test') });
    expect(await sandbox.run('my-cli', ['a'])).toMatchObject({ stdout: 'own a', violations: [] });
    const inWorkspace = join(base, 'packages/one');
    mkdirSync(join(base, 'node_modules/hoisted'));
    writeFileSync(join(base, 'node_modules/hoisted/index.js'), "module.exports = 'hoisted'");
    mkdirSync(inWorkspace, { recursive: true });
    writeFileSync(join(inWorkspace, 'package.json'), JSON.stringify({ name: 'one', bin: 'cli.js' }));
    writeFileSync(join(inWorkspace, 'cli.js'), "#!/usr/bin/env node\nconsole.log(require('hoisted'))");
    expect(await sandboxOf({ base: inWorkspace }).run('one')).toMatchObject({ stdout: 'hoisted', violations: [] });
    chmodSync(join(base, 'bin/cli.js'), 0o644);
    expect(await sandbox.run('my-cli', ['b'])).toMatchObject({ stdout: 'own b', violations: [] });
  });

  test('is one of node_modules/.bin, also for the program itself; then one of PATH', async () => {
    const sandbox = sandboxOf({ base: project() });
    expect(await sandbox.run('dep', ['a'])).toMatchObject({ stdout: 'dep a' });
    expect(await sandbox.run('sh', sh('dep b'), { policy: { files: { read: [sandbox.folder] } } })).toMatchObject({
      exitCode: 127,
    });
    expect(await sandbox.run('uname')).toMatchObject({ exitCode: 0 });
  });

  test('is an error where it is not there', async () => {
    await expect(sandboxOf().run('no-such-program')).rejects.toMatchObject({
      cause: { code: expect.stringMatching(/^E(NOENT|ACCES)$/) }, // as execvp(3): a folder of PATH may be closed to us
    });
  });
});

describe('ports', () => {
  const server = (port: string) =>
    `require('net').createServer((s) => s.end('hello')).listen(${port}, function () { console.log(this.address().address, this.address().port) })`;
  const fetched = (port: number) =>
    new Promise<string>((resolve, reject) => {
      let text = '';
      createConnection(port, '127.0.0.1')
        .on('data', (data) => {
          text += data;
        })
        .on('error', reject)
        .on('end', () => resolve(text));
    });

  test('are free, different, reserved, and of the loopback only', async () => {
    const sandbox = sandboxOf();
    const ports = await Promise.all(Array.from({ length: 20 }, () => sandbox.port()));
    expect(new Set(ports).size).toBe(20);
    const [port = 0] = ports;
    const run = sandbox.run(process.execPath, ['-e', server(String(port))], { policy: { files: { read: ['/'] } } });
    await sandbox.listening(port);
    expect(await fetched(port)).toBe('hello');
    await run.child.killTree();
    const { stdout, violations } = await run;
    expect(stdout).toMatch(new RegExp(`^(::ffff:)?127.0.0.1 ${port}$`));
    expect(violations).toEqual([]);
  });

  test('may be called by the number that a program knows, in each sandbox another', async () => {
    const both = [sandboxOf(), sandboxOf()];
    const ports = await Promise.all(both.map((sandbox) => sandbox.port(3000)));
    expect(ports[0]).not.toBe(ports[1]);
    for (const sandbox of both) void sandbox.run(process.execPath, ['-e', server('3000')]);
    await Promise.all(both.map((sandbox) => sandbox.listening(3000)));
    const client = `import socket; s = socket.create_connection(('127.0.0.1', 3000)); print(s.recv(9).decode(), s.getpeername()[1])`;
    for (const [i, sandbox] of both.entries()) {
      const run = await sandbox.run(python, ['-c', client]);
      expect(run).toMatchObject({ stdout: `hello ${ports[i]}`, connections: ['127.0.0.1:3000'] });
    }
  });

  test('are waited for without being connected to', async () => {
    const sandbox = sandboxOf();
    const port = await sandbox.port();
    const once = `import socket; s = socket.create_server(('', ${port})); c = s.accept()[0]; print(c.recv(9).decode())`;
    const run = sandbox.run(python, ['-c', once]);
    await sandbox.listening(port);
    const client = createConnection(port, '127.0.0.1');
    client.end('word');
    expect(await run).toMatchObject({ stdout: 'word', violations: [] });
  });

  test('have one number for a program, however often it is asked for', async () => {
    const sandbox = sandboxOf();
    expect(await sandbox.port(80)).toBe(await sandbox.port(80));
  });

  test('are all that can be reached', async () => {
    const outside = await listen();
    const sandbox = sandboxOf();
    const port = await sandbox.port();
    const client = `
import socket
for port in (${outside.port}, ${port}):
    try: socket.create_connection(('127.0.0.1', port))
    except OSError as error: print(error.errno)`;
    const run = await sandbox.run(python, ['-c', client]);
    expect(run.stdout).toBe('13\n111');
    expect(run.connections).toEqual([`127.0.0.1:${port}`]);
    expect(run.violations).toMatchObject([{ address: '127.0.0.1', port: outside.port }]);
    expect(outside.seen).toBe(0);
  });

  test('are free again at the end, with nobody there', async () => {
    const sandbox = sandboxOf();
    const port = await sandbox.port();
    void sandbox.run(process.execPath, ['-e', server(String(port))]);
    await sandbox.listening(port);
    await sandbox.close();
    await expect(fetched(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('of others, and of no program, are waited for by nobody', async () => {
    const sandbox = sandboxOf();
    await expect(sandbox.listening(80)).rejects.toMatchObject({ code: 'ERR_HOLDFAST_INVALID_OPTION' });
    const port = await sandbox.port();
    await expect(sandbox.listening(port)).rejects.toThrow(/no program runs/);
    void sandbox.run('/bin/sleep', ['1000']);
    const waiting = expect(sandbox.listening(port)).rejects.toMatchObject({ code: 'ERR_HOLDFAST_SANDBOX_CLOSED' });
    await sandbox.close();
    await waiting;
  });
});

test('what a datagram is sent to counts as a connection', async () => {
  const sandbox = sandboxOf();
  const client = `import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))`;
  const run = await sandbox.run(python, ['-c', client], { policy: { network: { connect: ['127.0.0.1:9'] } } });
  expect(run).toMatchObject({ exitCode: 0, connections: ['127.0.0.1:9'] });
});

test('a test that has other timers and another clock of its own notices nothing', async () => {
  vi.useFakeTimers({ now: 0 });
  try {
    const sandbox = sandboxOf({ files: { 'a.txt': 'old' }, time: { offset: 86_400_000 } });
    const port = await sandbox.port();
    const server = `import socket, time; s = socket.create_server(('', ${port})); open('a.txt', 'w').write('new'); print(int(time.time()), flush=True); s.accept()`;
    const run = sandbox.run(python, ['-c', server], { policy: { files: { write: ['.'] } } });
    await sandbox.listening(port);
    createConnection(port, '127.0.0.1').end();
    const { stdout, written } = await run;
    expect(Number(stdout)).toBeGreaterThan(1_750_000_000);
    expect(written).toEqual(['a.txt']);
    await sandbox.close();
  } finally {
    vi.useRealTimers();
  }
});

describe('another time', () => {
  const clocks = `import time, datetime
print(int(time.time()), int(time.clock_gettime(time.CLOCK_REALTIME_COARSE if hasattr(time, 'CLOCK_REALTIME_COARSE') else 0)), datetime.datetime.now().year)`;

  test.each([
    ['text', '2030-01-01T00:00:00Z'],
    ['a date', new Date(Date.UTC(2030, 0, 1))],
    ['milliseconds', Date.UTC(2030, 0, 1)],
    ['frozen', { at: '2030-01-01T00:00:00Z', frozen: true }],
  ])('by %s', async (_, time) => {
    const sandbox = sandboxOf({ time });
    const run = await sandbox.run('/bin/date', ['-u', '+%Y']);
    expect(run).toMatchObject({ stdout: '2030', violations: [] });
    expect((await sandbox.run(python, ['-c', clocks])).stdout).toMatch(/^18934560\d\d 18934560\d\d 2030$/);
  });

  test('goes on, or stays, or is so far from the real one', async () => {
    const sandbox = sandboxOf();
    const script = 'date +%s%N; sleep 0.02; date +%s%N';
    const spent = async (time: SandboxOptions['time']) => {
      const { stdout } = await sandbox.run('/bin/sh', sh(script), { time });
      const [one = '', two = ''] = stdout.split('\n');
      return [Number(BigInt(one) / 1_000_000_000n), Number(BigInt(two) - BigInt(one))] as const;
    };
    expect(await spent({ at: 5000, frozen: true })).toEqual([5, 0]);
    const [at, later] = await spent('2030-01-01');
    expect(at).toBeGreaterThanOrEqual(1_893_456_000);
    expect(later).toBeGreaterThanOrEqual(20_000_000);
    const [moved] = await spent({ offset: 86_400_000 });
    expect(moved - Date.now() / 1000).toBeGreaterThan(86_300);
  });

  test('leaves clocks alone that only measure', async () => {
    const script = 'import time; a = time.monotonic(); time.sleep(0.01); print(time.monotonic() - a >= 0.01)';
    const run = await sandboxOf().run(python, ['-c', script], { time: { at: 0, frozen: true } });
    expect(run.stdout).toBe('True');
  });

  test('is that of Node, and of a date in a script', async () => {
    const run = await sandboxOf().run(process.execPath, ['-p', 'new Date().toISOString()'], {
      time: { at: 0, frozen: true },
    });
    expect(run.stdout).toBe('1970-01-01T00:00:00.000Z');
  });
});

test('another name of the machine, by the call and by its files', async () => {
  const sandbox = sandboxOf({ hostname: 'builder' });
  const script = 'uname -n; cat /etc/hostname /proc/sys/kernel/hostname';
  expect(await sandbox.run('/bin/sh', sh(script))).toMatchObject({
    stdout: 'builder\nbuilder\nbuilder',
    violations: [],
  });
  expect((await sandbox.run('uname', ['-n'], { hostname: 'other' })).stdout).toBe('other');
  expect((await sandboxOf().run('uname', ['-n'])).stdout).toBe(hostname());
});

test('answers in place of files, as large as they like; the last one counts', async () => {
  const sandbox = sandboxOf();
  sandbox.answer('/etc/os-release', 'ID=first').answer('/etc/os-release', `ID=other\n${'x'.repeat(10_000)}`);
  sandbox.answer('/bin/no-such-file', 'there').answer('/etc/shadow', 'root::');
  const script =
    'head -n1 /etc/os-release; wc -c < /etc/os-release; cat /bin/no-such-file /etc/shadow; echo x >> /etc/os-release';
  const run = await sandbox.run('/bin/sh', sh(script));
  expect(run.stdout).toBe('ID=other\n10009\nthereroot::');
  expect(run.violations).toMatchObject([{ syscall: 'openat' }]);
});

describe('faults', () => {
  const writes = `
import os
fd = os.open('data', os.O_WRONLY | os.O_CREAT)
for i in range(5):
    try: os.write(fd, b'x'); print('ok', flush=True)
    except OSError as error: print(error.strerror, flush=True)`;
  const policy = { files: { write: ['.'] } };

  test('of the third write to a file, and of no pipe; in each run anew', async () => {
    const sandbox = sandboxOf();
    sandbox.fail('write', { nth: 3, errno: 'ENOSPC' });
    for (let i = 0; i < 2; i++) {
      const run = await sandbox.run(python, ['-c', writes], { policy });
      expect(run.stdout.split('\n')).toEqual(['ok', 'ok', 'No space left on device', 'ok', 'ok']);
      expect(run.violations).toEqual([]);
      expect(run.faults).toMatchObject([{ syscall: 'write', errno: 'ENOSPC', path: sandbox.path('data') }]);
    }
  });

  test('of so many, or all', async () => {
    const run = async (fault: Parameters<Sandbox['fail']>[1]) => {
      const sandbox = sandboxOf().fail('write', fault);
      return (await sandbox.run(python, ['-c', writes], { policy })).stdout.split('\n').map((line) => line === 'ok');
    };
    expect(await run({ nth: 2, times: 2, errno: 'EIO' })).toEqual([true, false, false, true, true]);
    expect(await run({ times: 1, errno: 'EIO' })).toEqual([false, true, true, true, true]);
    expect(await run({ errno: 5, path: 'data' })).toEqual([false, false, false, false, false]);
    expect(await run({ errno: 'EIO', path: '**/other' })).toEqual([true, true, true, true, true]);
  });

  test('of opens by a pattern, and files may still be renamed away from it', async () => {
    const sandbox = sandboxOf({ files: { 'a.json': '1', 'a.txt': '2', 'b.json': '3' } });
    sandbox.fail('open', { path: '*.json', errno: 'EIO', program: '**/cat' });
    const run = await sandbox.run('/bin/sh', sh('cat a.txt a.json; mv b.json c && cat c; read x < a.json; echo $x'), {
      policy,
    });
    expect(run.stdout).toBe('231');
    expect(run.stderr).toContain('Input/output error');
    expect(run.violations).toEqual([]);
    expect(run.faults).toMatchObject([{ path: sandbox.path('a.json') }]);
  });

  test('of other calls: rename, mkdir, fork, connect, any by its name', async () => {
    const sandbox = sandboxOf({ files: { a: '' } });
    sandbox
      .fail('rename', { errno: 'EXDEV' })
      .fail('mkdir', { errno: 'EDQUOT' })
      .fail('fork', { errno: 'EAGAIN', nth: 1 });
    sandbox.fail('connect', { errno: 'ETIMEDOUT', port: 443 }).fail('getcwd', { errno: 'ENOENT' });
    const script = `
import os, socket
def attempt(f, *args):
    try: f(*args); print('ok', flush=True)
    except OSError as error: print(error.strerror, flush=True)
attempt(os.rename, 'a', 'b')
attempt(os.mkdir, 'd')
attempt(os.fork)
attempt(socket.create_connection, ('127.0.0.1', 443))
attempt(os.getcwd)`;
    const run = await sandbox.run(python, ['-c', script], { policy });
    expect(run.stdout.split('\n')).toEqual([
      'Invalid cross-device link',
      'Disk quota exceeded',
      'Resource temporarily unavailable',
      'Connection timed out',
      'No such file or directory',
    ]);
    expect(run.violations).toEqual([]);
  });

  test('do not hide what a policy refuses, and no hook of the test', async () => {
    const { deny } = await import('holdfast');
    const sandbox = sandboxOf({ files: { a: '' } }).fail('unlink', { errno: 'EIO', nth: 1 });
    const run = await sandbox.run('/bin/sh', sh('rm -f a; rm -f a; mkdir b'), {
      hooks: (child) => void child.onMkdir(() => deny('EPERM')),
    });
    expect(run.violations.map(({ syscall, rule }) => [syscall, rule])).toEqual([
      ['unlinkat', undefined],
      [process.arch === 'x64' ? 'mkdir' : 'mkdirat', 'hook'],
    ]);
  });
});

test('a delay of a call', async () => {
  const sandbox = sandboxOf();
  sandbox.delay('connect', 200);
  const script = `
import socket, time
at = time.monotonic()
try: socket.create_connection(('127.0.0.1', ${await sandbox.port()}))
except OSError as error: print(error.errno, time.monotonic() - at >= 0.2)`;
  expect((await sandbox.run(python, ['-c', script])).stdout).toBe('111 True');
});

test('a spy tells of calls, those that fail and those that are refused, too', async () => {
  const sandbox = sandboxOf({ files: { a: '' } });
  sandbox.fail('unlink', { errno: 'EIO', nth: 1 });
  const unlinks = sandbox.spy('unlink');
  const renames = sandbox.spy('rename', { path: 'a' });
  const execs = sandbox.spy('exec');
  await sandbox.run('/bin/sh', sh('rm -f a; rm -f a; mv a b; true'));
  expect(unlinks).toMatchObject([{ path: sandbox.path('a'), program: expect.stringMatching(/\/rm$/) }, {}]);
  expect(renames).toMatchObject([{ from: sandbox.path('a'), to: sandbox.path('b') }]);
  expect(execs.map(({ argv }) => argv)).toEqual([
    ['rm', '-f', 'a'],
    ['rm', '-f', 'a'],
    ['mv', 'a', 'b'],
  ]);
});

describe('the end', () => {
  test('ends what runs, what that has left, and what waits', async () => {
    const sandbox = sandboxOf().delay('rename', 2 ** 30);
    const port = await sandbox.port();
    const script = `trap '' TERM HUP; (setsid sleep 1000 &) ; echo ready; mv a b; sleep 1000`;
    sandbox.write({ a: '' });
    const run = sandbox.run('/bin/sh', sh(script), { policy: { files: { write: ['.'] } } });
    await new Promise((resolve) => run.child.stdout?.once('data', resolve));
    const [server] = await run.child.processes();
    await sandbox.close();
    expect(await run).toMatchObject({ signal: 'SIGKILL', exitCode: null });
    expect(() => process.kill(server?.pid ?? 0, 0)).toThrow(/ESRCH/);
    expect(port).toBeGreaterThan(0);
  });

  test('comes once, and leaves nothing that could be used', async () => {
    const sandbox = sandboxOf();
    await Promise.all([sandbox.close(), sandbox.close()]);
    expect(sandbox.closed).toBe(true);
    const closed = expect.objectContaining({ code: 'ERR_HOLDFAST_SANDBOX_CLOSED' });
    expect(() => sandbox.run('true')).toThrow(closed);
    expect(() => sandbox.write({})).toThrow(closed);
    expect(() => sandbox.fixture('x')).toThrow(closed);
    expect(() => sandbox.fail('open', { errno: 'EIO' })).toThrow(closed);
    await expect(sandbox.port()).rejects.toEqual(closed);
  });

  test('keeps the folder where that is asked for', async () => {
    const kept: string[] = [];
    const write = process.stderr.write;
    process.stderr.write = ((line: string) => kept.push(line) > 0) as never;
    const sandbox = createSandbox({ keep: true, base: temporaryFolder() });
    try {
      await sandbox.close();
    } finally {
      process.stderr.write = write;
    }
    expect(existsSync(sandbox.folder)).toBe(true);
    expect(kept.join('')).toContain(sandbox.folder);
    (await import('node:fs')).rmSync(join(sandbox.folder, '..'), { recursive: true });
  });
});

describe('wrong use is an error that names the field', () => {
  const invalid = (message: RegExp) =>
    expect.objectContaining({ code: 'ERR_HOLDFAST_INVALID_OPTION', message: expect.stringMatching(message) });
  const wrong = (...[options, message]: [unknown, RegExp]) =>
    expect(() => sandboxOf(options as never)).toThrow(invalid(message));

  test('of a sandbox', () => {
    wrong({ file: {} }, /^options\.file: .*did you mean 'files'/);
    wrong([], /^options: /);
    wrong({ files: { '../x': '' } }, /^options\.files\["\.\.\/x"\]: .*leads out/);
    wrong({ files: { a: { '/etc/x': '' } } }, /^options\.files\["a"\]\["\/etc\/x"\]: .*leads out/);
    wrong({ files: { a: 5 } }, /^options\.files\["a"\]: 5 must be text/);
    wrong({ time: 'soon' }, /^options\.time: 'soon' must be a date/);
    wrong({ time: { offset: 1, at: 1 } }, /^options\.time: .*must be/);
    wrong({ time: -1 }, /^options\.time: -1 lies before 1970/);
    wrong({ time: { at: 1, frozen: 1 } }, /^options\.time\.frozen: 1/);
    wrong({ hostname: 'a b' }, /^options\.hostname: 'a b'/);
    wrong({ base: '/no/such/folder' }, /^options\.base: .*not there/);
    wrong({ keep: 1 }, /^options\.keep: 1/);
  });

  test('of what is done with it', async () => {
    const sandbox = sandboxOf() as never as Record<string, (...given: unknown[]) => unknown>;
    const fails = (message: RegExp, name: string, ...given: unknown[]) =>
      expect(() => sandbox[name]?.(...given)).toThrow(invalid(message));
    fails(/^path: .*leads out/, 'path', '../..');
    fails(/^from: .*not there/, 'fixture', 'nothing');
    fails(/^path: 'etc' must be an absolute path/, 'answer', 'etc', '');
    fails(/^contents: 5/, 'answer', '/etc/x', 5);
    fails(/^call: 'opn' is no call.*did you mean 'open'/, 'fail', 'opn', { errno: 'EIO' });
    fails(/^fault\.errno: undefined is missing/, 'fail', 'open', {});
    fails(/^fault\.errno: 'ENOPE'/, 'fail', 'open', { errno: 'ENOPE' });
    fails(/^fault\.nth: 0/, 'fail', 'open', { errno: 'EIO', nth: 0 });
    fails(/^fault\.paths: .*did you mean 'path'/, 'fail', 'open', { errno: 'EIO', paths: 'x' });
    fails(/^fault\.port: .*only for connect and bind/, 'fail', 'open', { errno: 'EIO', port: 80 });
    fails(/^fault\.path: '~\/x' begins with ~/, 'fail', 'open', { errno: 'EIO', path: '~/x' });
    fails(/^milliseconds: -1/, 'delay', 'open', -1);
    fails(/^options\.cwd: 5/, 'run', 'true', [], { cwd: 5 });
    fails(/^options\.cwd: '\/etc' leads out/, 'run', 'true', [], { cwd: '/etc' });
    fails(/^options\.reject: true is not an option/, 'run', 'true', [], { reject: true });
    fails(/^options\.tiem: /, 'run', 'true', [], { tiem: 1 });
    await expect(sandbox.port?.(0)).rejects.toEqual(invalid(/^known: 0/));
  });
});
