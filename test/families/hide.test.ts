// policy.files.hide: what is as if it were not there, by every call on its name, and in listings.
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { allow, checkSupport, compilePolicy, type HoldfastError, type Policy, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { started } from '../boundary/conversation.ts';
import { attack, expectHeld, scene as raceScene } from '../boundary/race.ts';
import { program } from '../helpers/build-programs.ts';
import { patience } from '../helpers/patience.ts';
import { runSandboxed } from '../helpers/run.ts';
import { sanitizer } from '../helpers/sanitized.ts';
import { temporaryFolder } from '../helpers/temp.ts';

type Files = NonNullable<Policy['files']>;

function scene() {
  const folder = temporaryFolder('hide');
  mkdirSync(join(folder, 'secrets/in'), { recursive: true });
  mkdirSync(join(folder, 'sub'));
  for (const name of ['a', 'b', '.env', 'sub/.env', 'sub/c', 'secrets/key'])
    writeFileSync(join(folder, name), `${name}\n`);
  return folder;
}

const files = (hide: Files['hide'] & {}): Files => ({ read: ['.'], write: ['.'], hide });

async function python(cwd: string, script: string, policy: Policy, hooks?: (child: never) => void) {
  const { stdout, stderr, violations } = await runSandboxed('/usr/bin/python3', ['-S', '-c', script], {
    cwd,
    policy,
    hooks: (child) => hooks?.(child as never),
  });
  expect(stderr).toBe('');
  return { lines: stdout.trim().split('\n'), violations };
}

const tell = `
import os, socket
def tell(what, act):
    try: print(what, act() or 'ok')
    except OSError as error: print(what, os.strerror(error.errno))
`;

describe('what is hidden', () => {
  test.each<[string, (at: string) => string | URL]>([
    ['by a path', () => './secrets'],
    ['by a URL', (at) => pathToFileURL(join(at, 'secrets'))],
    ['by a pattern', () => './sec*'],
    ['anywhere', () => '**/secrets'],
  ])('%s is not there for any call on its name', async (_, hide) => {
    const folder = scene();
    const calls = [
      "open('N').close()",
      "open('N', 'w').close()",
      "os.stat('N')",
      "os.lstat('N')",
      "os.listdir('N')",
      "os.open('N', os.O_PATH)",
      "os.chdir('N')",
      "os.access('N', 0) or os.stat('N')",
      "os.statvfs('N')",
      "os.readlink('N')",
      "os.getxattr('N', 'user.x')",
      "os.chmod('N', 0o700)",
      "os.utime('N')",
      "os.unlink('N')",
      "os.rmdir('N')",
      "os.mkdir('N')",
      "os.mkfifo('N')",
      "os.symlink('a', 'N')",
      "os.rename('N', 'x')",
      "os.rename('a', 'N')",
      "os.link('N', 'x')",
      "os.link('a', 'N')",
      "os.truncate('N', 0)",
      "os.execv('N', ['N'])",
      "socket.socket(1).connect('N')",
      "socket.socket(1).bind('N')",
    ];
    const names = [
      'secrets',
      './secrets/',
      'secrets/key',
      'secrets/in/none',
      'sub/../secrets',
      '/proc/self/cwd/secrets',
    ];
    const script = `${tell}
for name in ${JSON.stringify(names)}:
${calls.map((call) => `    tell(${JSON.stringify(call)} + name, lambda: ${call.replaceAll("'N'", 'name')})`).join('\n')}`;
    const { lines, violations } = await python(folder, script, { files: files([hide(folder)]) });
    // Whatever stands there, the kernel makes no file by a name that ends with a slash (EISDIR).
    const others = lines.filter((line) => !line.endsWith('No such file or directory'));
    expect(others).toEqual(["open('N', 'w').close()./secrets/ Is a directory"]);
    expect(lines).toHaveLength(calls.length * names.length);
    expect(readdirSync(join(folder, 'secrets')).sort()).toEqual(['in', 'key']);
    expect(violations).toContainEqual(
      expect.objectContaining({ rule: 'files.hide[0]', errno: 'ENOENT', access: 'read', probe: true }),
    );
    expect(violations).toContainEqual(
      expect.objectContaining({ rule: 'files.hide[0]', errno: 'ENOENT', access: 'write', probe: false }),
    );
  });

  test.each(['notify', 'ptrace'] as const)('leads nowhere, neither by `..` nor by links (%s)', async (engine) => {
    const folder = scene();
    symlinkSync('secrets/..', join(folder, 'link'));
    symlinkSync('secrets/in/../../a', join(folder, 'to-a'));
    const script = `${tell}
import ctypes
base = os.open('.', os.O_RDONLY)
calls = dict(
    stat=os.stat, lstat=os.lstat, open=lambda n: os.close(os.open(n, os.O_RDONLY)), make=lambda n: os.close(os.open(n, os.O_RDWR | os.O_CREAT)),
    list=os.listdir, chdir=os.chdir, mkdir=os.mkdir, unlink=os.unlink, rmdir=os.rmdir, statfs=os.statvfs, chmod=lambda n: os.chmod(n, 0o700),
    move=lambda n: os.rename('b', n), away=lambda n: os.rename(n, 'x'), link=lambda n: os.link('b', n), execute=lambda n: os.execv(n, [n]),
    below=lambda n: os.stat(n, dir_fd=base), opened=lambda n: os.close(os.open(n, os.O_PATH, dir_fd=base)), truncate=lambda n: os.truncate(n, 0),
    connect=lambda n: socket.socket(socket.AF_UNIX).connect(n), bind=lambda n: socket.socket(socket.AF_UNIX).bind(n))
libc = ctypes.CDLL(None, use_errno=True)
def under(resolve):
    def act(name):
        how = (ctypes.c_uint64 * 3)(os.O_PATH, 0, resolve)
        fd = libc.syscall(437, base, name.encode(), how, 24) # openat2(2), RESOLVE_NO_XDEV, NO_SYMLINKS, BENEATH
        if fd < 0: raise OSError(ctypes.get_errno(), '')
        os.close(fd)
    return act
names = ['secrets/..', 'secrets/.', 'secrets/./', 'secrets/../a', 'secrets/../new', 'secrets/in/..', 'secrets/in/../../a', 'link/a', 'link/new', 'link/sub/..', 'none/../a',
         'sub/../secrets/../a', os.getcwd() + '/secrets/../a', '/proc/self/cwd/secrets/../a', 'secrets/' + 'x' * 300, 'sub/.env/' + 'x' * 300, 'sub/.env/..']
short = [n for n in names if n[0] != '/' and 'link' not in n]
for name, what, act in [(n, w, a) for n in names for w, a in calls.items()] + [(n, r, under(r)) for n in short for r in (1, 4, 8)]:
    if what in ('connect', 'bind') and len(name) > 100: continue
    try: act(name); error = 'nothing'
    except OSError as e: error = os.strerror(e.errno)
    if error != 'No such file or directory': print(what, name.replace(os.getcwd(), ''), error)
for name in ['link', 'to-a']:
    tell('stat ' + name, lambda: os.stat(name) and None)
    tell('lstat ' + name, lambda: os.lstat(name) and None)
for name in ['a', './a', 'sub/../a', 'sub/./c', '/proc/self/cwd/sub/../a', 'sub//../sub/c', os.getcwd() + '/sub/../a']: os.stat(name)
os.mkdir('sub/../made'); os.rmdir('./made'); open('sub/../made', 'w').close(); os.rename('sub/../made', 'sub/./made'); os.unlink('sub/../sub/made')
`;
    const { stdout, stderr, violations } = await runSandboxed('/usr/bin/python3', ['-S', '-c', script], {
      cwd: folder,
      engine,
      policy: { files: files(['./secrets', '**/.env']) },
    });
    expect(stderr).toBe('');
    expect(stdout.split('\n')).toEqual([
      'stat link No such file or directory',
      'lstat link ok',
      'stat to-a No such file or directory',
      'lstat to-a ok',
      '',
    ]);
    expect(violations).toContainEqual(
      expect.objectContaining({ path: join(folder, 'secrets'), rule: 'files.hide[0]', errno: 'ENOENT' }),
    );
    expect(readdirSync(folder).sort()).toEqual(['.env', 'a', 'b', 'link', 'secrets', 'sub', 'to-a']);
  });

  test('is not listed, wherever its folder is, and everything else is, by every way to go on', async () => {
    const folder = scene();
    mkdirSync(join(folder, 'many'));
    for (let i = 0; i < 900; i++) writeFileSync(join(folder, 'many', i % 3 === 0 ? `file-${i}.key` : `file-${i}`), '');
    mkdirSync(join(folder, 'all'));
    for (let i = 0; i < 700; i++) writeFileSync(join(folder, 'all', `a-rather-long-name-of-a-file-${i}.key`), '');
    const script = `
import ctypes, os
print(sorted(os.listdir('.')), sorted(os.listdir('sub')), os.listdir('all'))
print(len(os.listdir('many')), any(name.endswith('.key') for name in os.listdir('many')))
print([sorted(f) for _, _, f in os.walk('sub')])
os.rename('sub', 'moved'); print(sorted(os.listdir('moved')))
os.chdir('moved'); print(sorted(os.listdir('.')), sorted(os.listdir('/proc/self/cwd')))
os.chdir('..')
libc = ctypes.CDLL(None, use_errno=True)
libc.opendir.restype = ctypes.c_void_p; libc.telldir.restype = ctypes.c_long
class Entry(ctypes.Structure): _fields_ = [('ino', ctypes.c_uint64), ('off', ctypes.c_int64), ('len', ctypes.c_uint16), ('type', ctypes.c_uint8), ('name', ctypes.c_char * 256)]
libc.readdir.restype = ctypes.POINTER(Entry)
d = ctypes.c_void_p(libc.opendir(b'many'))
names, places = [], []
while True:
    place = libc.telldir(d); entry = libc.readdir(d)
    if not entry: break
    names.append(entry.contents.name); places.append(place)
for i in (1, 200, 500, len(names) - 1):
    libc.seekdir(d, ctypes.c_long(places[i]))
    assert libc.readdir(d).contents.name == names[i], i
libc.rewinddir(d); assert libc.readdir(d).contents.name == names[0]
fd = os.open('many', os.O_RDONLY)
small = ctypes.create_string_buffer(64); count = 0
while True:
    size = libc.syscall(${process.arch === 'x64' ? 217 : 61}, fd, small, 64)
    if size <= 0: break
    count += 1
assert size == 0 and 300 < count < 603, (size, count)
os.lseek(fd, 0, 0)
assert libc.syscall(${process.arch === 'x64' ? 217 : 61}, fd, 0, 4096) < 0 and ctypes.get_errno() == 14
assert libc.syscall(${process.arch === 'x64' ? 217 : 61}, fd, small, 8) < 0 and ctypes.get_errno() == 22
assert libc.syscall(${process.arch === 'x64' ? 217 : 61}, 99, small, 64) < 0 and ctypes.get_errno() == 9
assert libc.syscall(${process.arch === 'x64' ? 217 : 61}, 0, small, 64) < 0 and ctypes.get_errno() == 20
assert len(os.listdir(fd)) == 600
print('done')
`;
    const { lines } = await python(folder, script, { files: files(['**/.env', './secrets', '*.key']) });
    expect(lines).toEqual([
      "['a', 'all', 'b', 'many', 'sub'] ['c'] []",
      '600 False',
      "[['c']]",
      "['c']",
      "['c'] ['c']",
      'done',
    ]);
  });

  test('is lifted by no rule, hook or second name', async () => {
    const folder = scene();
    symlinkSync('.env', join(folder, 'link'));
    const script = `${tell}
for name in ('.env', 'link'): tell(name, lambda: open(name).read())
tell('move', lambda: os.rename('secrets', 'x'))
tell('above', lambda: os.rename('../' + os.path.basename(os.getcwd()), '../elsewhere'))
tell('remove', lambda: os.rmdir('only'))`;
    mkdirSync(join(folder, 'only'));
    writeFileSync(join(folder, 'only/.env'), '');
    const policy = { files: { ...files(['**/.env', './secrets']), read: ['.', './.env', './secrets/key'] } };
    const { lines } = await python(folder, script, policy, (child: { onOpen(hook: () => unknown): void }) =>
      child.onOpen(() => allow()),
    );
    expect(lines).toEqual([
      '.env No such file or directory',
      'link No such file or directory',
      'move No such file or directory',
      'above Permission denied',
      'remove Directory not empty',
    ]);
    expect(existsSync(join(folder, 'only/.env'))).toBe(true);
  });

  test('with what a link leads to, and the link', async () => {
    const folder = scene();
    symlinkSync('secrets', join(folder, 'link'));
    const { lines } = await python(folder, `import os; print(sorted(os.listdir('.')))`, { files: files(['./link']) });
    expect(lines).toEqual(["['.env', 'a', 'b', 'sub']"]);
  });

  test('is only that name', async () => {
    const folder = scene();
    writeFileSync(join(folder, 'x[1]'), '');
    writeFileSync(join(folder, 'x1'), '');
    const hide = [pathToFileURL(join(folder, 'x[1]'))];
    const { lines } = await python(folder, `import os; print(sorted(os.listdir('.')))`, { files: files(hide) });
    expect(lines).toEqual(["['.env', 'a', 'b', 'secrets', 'sub', 'x1']"]);
  });
});

test('a path that changes while it is used reaches nothing that is hidden', async () => {
  const made = raceScene();
  const policy = { files: { read: [made.folder], write: [made.folder], hide: [made.outside] } };
  expectHeld(
    await attack('race_path', ['thread', 'open', Math.ceil(500 / patience), made.inside, made.outside], { policy }),
  );
});

test('a descriptor that is exchanged while its folder is listed shows nothing that is hidden', async () => {
  const folder = scene();
  const script = `
import ctypes, os, threading
libc = ctypes.CDLL(None)
one, other = os.open('sub', os.O_RDONLY), os.open('.', os.O_RDONLY)
fd, stop = os.dup(one), []
def flip():
    while not stop:
        os.dup2(other, fd); os.dup2(one, fd)
thread = threading.Thread(target=flip); thread.start()
buffer = ctypes.create_string_buffer(4096)
names = b'sub', b'c', b'.env', b'secrets'
seen = set()
turns = 0
# Both folders have been listed then, however seldom the other thread had its turn.
while turns < ${Math.ceil(1000 / patience)} or not {b'sub', b'c'} <= seen:
    turns += 1
    os.lseek(one, 0, 0); os.lseek(other, 0, 0)
    size = libc.syscall(${process.arch === 'x64' ? 217 : 61}, fd, buffer, 4096)
    if size > 0: seen |= {name for name in names if name in buffer.raw[:size]}
stop.append(1); thread.join()
print(*(name in seen for name in names))`;
  const { lines } = await python(folder, script, { files: files(['**/.env', './secrets']) });
  expect(lines).toEqual(['True True False False']);
});

describe('compiled, extended, planned, restricted', () => {
  test('it stays', async () => {
    const folder = scene();
    const base = compilePolicy({ files: { hide: ['*.env', './secrets'] } }, { cwd: folder });
    const { lines, violations } = await python(
      folder,
      `import os; print(sorted(os.listdir('.')), os.path.exists('.env'))`,
      { extends: base, files: { read: ['.'] } },
    );
    expect(lines).toEqual(["['a', 'b', 'sub'] False"]);
    expect(violations.map(({ rule }) => rule)).toContain('extends.files.hide[0]');
  });

  test('the plan says what it holds, and listings are held only where something is hidden', async () => {
    const folder = scene();
    for (const hide of [[], ['**/.env']]) {
      const child = spawnSandboxed('sh', ['-c', 'ls . >/dev/null'], {
        cwd: folder,
        policy: { files: { read: ['.'], hide } },
      });
      const plan = await child.plan();
      await new Promise((resolve) => child.on('close', resolve));
      expect(JSON.stringify(plan.classes.read).includes('policy.files.hide')).toBe(hide.length > 0);
    }
  });

  test('not by restrict()', async () => {
    const run = started(program('restricted'), [], { files: {} });
    await expect(run.child.restrict({ files: { hide: ['/x'] } as never })).rejects.toMatchObject({
      code: 'ERR_HOLDFAST_INVALID_POLICY',
      message: expect.stringContaining('files.hide[0]'),
    });
    run.child.kill('SIGKILL');
    await run.closed;
  });

  test.skipIf((checkSupport().landlockAbi ?? 0) < 6 || sanitizer)(
    'the engine kernel refuses it (needs ABI 6 of Landlock; a sanitizer keeps memory)',
    async () => {
      const child = spawnSandboxed('true', [], {
        engine: 'kernel',
        cwd: '/',
        policy: { files: { hide: ['/x/y'], metadata: ['/'] }, defaults: { proc: false } },
      });
      const failures: HoldfastError[] = [];
      child.on('error', (error) => failures.push(error as HoldfastError));
      await new Promise((resolve) => child.on('close', resolve));
      expect(failures).toMatchObject([
        { code: 'ERR_HOLDFAST_NEEDS_HOLD', message: expect.stringContaining('files.hide') },
      ]);
    },
  );

  test.each<[unknown, RegExp]>([
    [['/'], /^policy\.files\.hide\[0\]: '\/' is all there is/],
    ['/x', /^policy\.files\.hide: '\/x' is refused/],
    [['/a/{b'], /^policy\.files\.hide\[0\]: .* has a \{ without/],
  ])('%j is refused', (hide, message) => {
    expect(() => spawnSandboxed('true', [], { policy: { files: { hide } } as Policy })).toThrow(message);
  });
});
