import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkSupport, deny, type Policy, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const python = (script: string, options: Parameters<typeof runSandboxed>[2] = {}) =>
  runSandboxed('/usr/bin/python3', ['-c', script], options);

describe('a violation says', () => {
  test('only what a policy takes, and what then allows it', async () => {
    const folder = temporaryFolder('suggested');
    for (const name of ['a*b', '$HOME', 'end ']) writeFileSync(join(folder, name), '');
    const script = `
import socket
def act(f, *arguments):
    try: f(*arguments)
    except OSError: pass
for name in ('a*b', '$HOME', 'end '): act(open, '${folder}/' + name)
udp = lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM); unix = lambda: socket.socket(socket.AF_UNIX)
act(udp().setsockopt, 0, 35, socket.inet_aton('239.1.1.1') + socket.inet_aton('127.0.0.1'))
act(udp().sendto, b'x', ('127.0.0.1', 0)); act(unix().bind, ''); act(unix().bind, '\\0plain')
for name in ('\\0a*b', '\\0a\\0b', b'\\0\\xff'): act(unix().bind, name)
act(socket.socket().connect, ('127.0.0.1', 9)); act(socket.socket().bind, ('127.0.0.1', 0))`;
    const policy = { files: { read: [] as string[] }, network: { connect: [] as string[], bind: [] as string[] } };
    const fields: Record<string, string[]> = {
      'files.read': policy.files.read,
      'network.connect': policy.network.connect,
      'network.bind': policy.network.bind,
    };
    const first = await python(script, { cwd: '/usr', policy });
    expect(first.violations).toHaveLength(12);
    expect(first.violations.filter(({ suggestion }) => suggestion === undefined)).toHaveLength(3);
    for (const { suggestion } of first.violations)
      if (suggestion !== undefined) fields[suggestion.field]?.push(suggestion.value);
    const then = await python(script, { cwd: '/usr', policy });
    // `unix:@*` is there now, so the names that no rule can say are among what is allowed.
    expect(then.violations).toEqual([]);
  });

  test('which right was missing, and what would give it', async () => {
    const folder = temporaryFolder('violations');
    mkdirSync(join(folder, 'in'));
    writeFileSync(join(folder, 'in/file'), '');
    writeFileSync(join(folder, 'out'), '');
    const { violations } = await runSandboxed('sh', ['-c', 'echo > file; cat ../out'], {
      cwd: join(folder, 'in'),
      policy: {},
    });
    expect(violations).toContainEqual(
      expect.objectContaining({
        path: join(folder, 'in/file'),
        access: 'write',
        suggestion: { field: 'files.write', value: `${folder}/in/file` },
      }),
    );
    expect(violations).toContainEqual(
      expect.objectContaining({
        path: join(folder, 'out'),
        access: 'read',
        suggestion: { field: 'files.read', value: `${folder}/out` },
      }),
    );
  });

  test('of a name, the folder that it stands in; of a device, none', async () => {
    const folder = temporaryFolder('right');
    mkdirSync(join(folder, 'in'));
    writeFileSync(join(folder, 'in/file'), '');
    const run = (write: string[]) =>
      runSandboxed('sh', ['-c', `rm -f in/file; chmod 600 /dev/null; mv in/other in/file`], {
        cwd: folder,
        policy: { files: { write } },
      });
    writeFileSync(join(folder, 'in/other'), '');
    const { violations } = await run([join(folder, 'in/file')]);
    expect(violations).toContainEqual(
      expect.objectContaining({
        path: join(folder, 'in/file'),
        access: 'write',
        suggestion: { field: 'files.write', value: `${folder}/in` },
      }),
    );
    const device = violations.find(({ path }) => path === '/dev/null');
    expect(device).toMatchObject({ access: 'write', reason: expect.stringContaining('device') });
    expect(device).not.toHaveProperty('suggestion');
    // What it says is so.
    const given = await run([join(folder, 'in')]);
    expect(given.violations.filter(({ access }) => access === 'write').map(({ path }) => path)).toEqual(['/dev/null']);
  });

  test('an address, and nothing that would help against a deny rule', async () => {
    const { violations } = await python(
      `
import socket
for port in 9, 10:
    try: socket.create_connection(('127.0.0.1', port))
    except OSError: pass`,
      { policy: { network: { deny: ['127.0.0.1:10'] } } },
    );
    expect(violations).toContainEqual(
      expect.objectContaining({
        port: 9,
        access: 'connect',
        suggestion: { field: 'network.connect', value: '127.0.0.1:9' },
      }),
    );
    const denied = violations.find(({ port }) => port === 10);
    expect(denied).toMatchObject({ access: 'connect', rule: 'network.deny[0]' });
    expect(denied).not.toHaveProperty('suggestion');
  });

  test('which family, command, option and flags it was', async () => {
    const { violations } = await python(`
import ctypes, fcntl, os, socket
libc = ctypes.CDLL(None)
libc.socket(17, 3, 0)
libc.ioctl(0, 0x5412, b'x')
libc.prctl(35, 1, 0, 0, 0)
libc.unshare(0x10000000)
`);
    const of = (syscall: string) => violations.find((violation) => violation.syscall === syscall)?.arguments;
    expect(of('socket')).toEqual({ family: 'AF_PACKET', type: 'SOCK_RAW', protocol: 0 });
    expect(of('ioctl')).toEqual({ command: 'TIOCSTI' });
    expect(of('prctl')).toEqual({ option: 'PR_SET_MM' });
    expect(of('unshare')).toEqual({ flags: 'CLONE_NEWUSER' });
  });

  test('a line to print, whatever a name has in it', async () => {
    const folder = temporaryFolder('violations');
    const path = join(folder, 'a\u001b[31m\nb\u202ec');
    const { violations } = await python(`
try: open(${JSON.stringify(path)}, 'w')
except OSError: pass`);
    const violation = violations.find((one) => one.path === path);
    expect(violation?.message).toContain(`openat ${folder}/a\\u001b[31m\\u000ab\\u202ec: EACCES`);
    expect(violation?.message).toMatch(/write is missing/);
  });

  test('who it was: with what it was started, by whom, and when', async () => {
    const before = Date.now();
    const secret = join(temporaryFolder('told'), 'secret');
    writeFileSync(secret, '');
    // The child overwrites its arguments where the kernel shows them, and has executed nothing itself; a shell has.
    const { stdout, violations } = await python(`
import ctypes, os
libc = ctypes.CDLL(None)
stat = open('/proc/self/stat').read().rsplit(')', 1)[1].split()
start, end = int(stat[45]), int(stat[46])
if os.fork() == 0:
    ctypes.memset(start, ord('x'), end - start - 1)
    print(open('/proc/self/cmdline').read()[:3], flush=True)
    try: os.listdir('/var/log')
    except OSError: pass
    os._exit(0)
os.wait()
os.execv('/bin/sh', ['innocent', '-c', 'cat ${secret}; exit 0', 'x' * 5000])`);
    expect(stdout).toBe('xxx\n');
    const of = (path: string) => violations.find((violation) => violation.path === path);
    const python3 = of('/var/log');
    expect(python3?.argv).toEqual(['/usr/bin/python3', '-c', expect.stringContaining('ctypes.memset')]);
    expect(python3?.parent).toEqual({ pid: expect.any(Number), executable: python3?.executable });
    const cat = of(secret);
    expect(cat?.argv).toEqual(['cat', secret]);
    expect(cat?.parent?.executable).toMatch(/sh$/);
    expect(cat?.parent?.pid).toBe(python3?.parent?.pid);
    for (const { time, argvTruncated } of violations) {
      expect(time).toBeGreaterThanOrEqual(before - 1);
      expect(time).toBeLessThanOrEqual(Date.now());
      expect(argvTruncated).toBeUndefined();
    }
    const shell = await runSandboxed('/bin/sh', ['-c', ': < /var/log', 'x'.repeat(5000)], { cwd: '/usr' });
    expect(shell.violations[0]).toMatchObject({ argv: ['/bin/sh', '-c', ': < /var/log'], argvTruncated: true });
    expect(shell.violations[0]).not.toHaveProperty('parent');
    // As docs/refusals.md shows it.
    const { violations: shown } = await runSandboxed('cat', ['/var/log'], { cwd: '/usr' });
    const listing = shown.find(({ access }) => access === 'read');
    expect(listing?.message.replace(/\(\d+\)/, '(…)')).toBe(
      '/usr/bin/cat (…): openat /var/log: EACCES, nothing allows it, read is missing, files.read: "/var/log" would allow it',
    );
    expect(listing).toMatchObject({
      suggestion: { field: 'files.read', value: '/var/log' },
      hook: 'onOpen',
      probe: false,
    });
  });

  test('which hook could have said otherwise, and whether it was only a look', async () => {
    const folder = temporaryFolder('probes');
    for (const name of ['.gitconfig', 'secret', 'notes']) writeFileSync(join(folder, name), '');
    const { violations } = await python(
      `
import ctypes, os
def act(f, *arguments):
    try: f(*arguments)
    except OSError: pass
for name in ('.gitconfig', 'secret', 'notes'):
    act(os.stat, '${folder}/' + name); act(open, '${folder}/' + name); act(open, '${folder}/' + name, 'a')
ctypes.CDLL(None).unshare(0x10000000)`,
      { cwd: '/usr', policy: { files: { deny: [join(folder, 'secret')] } } },
    );
    const told = violations
      .filter(({ path }) => path?.startsWith(folder))
      .map(({ path, access, hook, probe }) => [path?.slice(folder.length + 1), access, hook, probe]);
    expect(told).toEqual([
      ['.gitconfig', 'metadata', 'onStat', true],
      ['.gitconfig', 'read', 'onOpen', true],
      ['.gitconfig', 'write', 'onOpen', false],
      ['secret', 'metadata', undefined, false],
      ['secret', 'read', undefined, false],
      ['secret', 'write', undefined, false],
      ['notes', 'metadata', 'onStat', true],
      ['notes', 'read', 'onOpen', false],
      ['notes', 'write', 'onOpen', false],
    ]);
    const never = violations.find(({ syscall }) => syscall === 'unshare');
    expect(never).toMatchObject({ probe: false, reason: expect.any(String) });
    expect(never).not.toHaveProperty('hook');
  });

  test('that AT_EXECVE_CHECK is refused', async () => {
    const { stdout, violations } = await python(`
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
argv = (ctypes.c_char_p * 2)(b'true', None)
number = {'x86_64': 322, 'aarch64': 281}[os.uname().machine]
libc.syscall(number, -100, b'/usr/bin/true', argv, (ctypes.c_char_p * 1)(None), 0x10000)
print(os.strerror(ctypes.get_errno()))
`);
    expect(stdout).toBe('Invalid argument\n');
    expect(violations).toContainEqual(
      expect.objectContaining({
        syscall: 'execveat',
        errno: 'EINVAL',
        reason: expect.stringMatching(/AT_EXECVE_CHECK/),
      }),
    );
  });
});

describe('hooks on exec', () => {
  test('hear of each program that a #! line leads to', async () => {
    const folder = temporaryFolder('chain');
    symlinkSync('/usr/bin/python3', join(folder, 'python'));
    writeFileSync(join(folder, 'script'), `#!${folder}/python\nprint("ran")\n`, { mode: 0o755 });
    writeFileSync(join(folder, 'outer'), `#!${folder}/script\n`, { mode: 0o755 });
    for (const script of ['./script', './outer']) {
      const asked: (readonly string[])[] = [];
      const { stdout, violations } = await runSandboxed('sh', ['-c', `${script} x`], {
        cwd: folder,
        hooks: (child) =>
          child.onExec({ path: '/usr/bin/python3*' }, ({ argv }) => {
            asked.push(argv);
            return deny();
          }),
      });
      expect(stdout).toBe('');
      expect(asked[0]?.slice(-2)).toEqual([script, 'x']);
      expect(violations).toContainEqual(expect.objectContaining({ rule: 'hook', syscall: 'execve' }));
    }
  });

  test('are not asked about arguments that the kernel would refuse', async () => {
    const asked: string[] = [];
    const { stdout } = await python(
      `
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def run(count, text):
    argv = (ctypes.c_char_p * (count + 1))(*([text] * count), None)
    libc.execve(b'/usr/bin/true', argv, (ctypes.c_char_p * 1)(None))
    print(errno.errorcode[ctypes.get_errno()])
run(600000, b'a')
run(1, b'a' * (128 << 10))
run(60, b'a' * (127 << 10))
`,
      { hooks: (child) => child.onExec({ path: '/usr/bin/true' }, ({ path }) => void asked.push(path)) },
    );
    expect(stdout).toBe('E2BIG\nE2BIG\nE2BIG\n');
    expect(asked).toEqual([]);
  });
});

describe('a listener that comes after the tick of the spawn', () => {
  async function warnings(policy: Policy, early: boolean, late = true) {
    const child = spawnSandboxed('/bin/cat', [], { policy, cwd: '/', stdio: ['pipe', 'ignore', 'ignore'] });
    const told: { rule: string; path: string; message: string }[] = [];
    child.on('warning', (warning) => told.push(warning));
    if (early) child.on('violation', () => {});
    await new Promise<void>((resolve) => child.on('spawn', () => resolve()));
    if (late) child.on('violation', () => {}).once('violation', () => {});
    const { classes } = await child.plan();
    child.stdin?.end();
    await new Promise((resolve) => child.on('close', resolve));
    const left = Object.entries(classes).flatMap(([name, { layer }]) => (layer === 'landlock' ? [name] : []));
    return { told, left };
  }
  const plain: Policy = { defaults: { proc: false } };

  test.runIf((checkSupport().landlockAbi ?? 0) > 0)(
    'is warned of what it will not hear of (needs Landlock)',
    async () => {
      const { told, left } = await warnings(plain, false);
      expect(left).toContain('read');
      expect(told).toHaveLength(1);
      expect(told[0]).toMatchObject({ rule: 'violation', path: '/bin/cat' });
      expect(told[0]?.message).toContain(`refusals of ${left.join(', ')} are not heard of`);
    },
  );

  test('is not warned where nothing was left to the kernel that can be refused', async () => {
    // Somebody listened in time; nobody listens; and with /proc/self and no writing that is left, all is held.
    expect(await warnings(plain, true)).toEqual({ told: [], left: [] });
    expect((await warnings(plain, false, false)).told).toEqual([]);
    const held = await warnings({ files: { ungranted: 'ENOENT', metadata: ['/'] } }, false);
    expect(held).toEqual({ told: [], left: [] });
  });
});
