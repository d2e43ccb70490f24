// What only one of the two architectures has: other ABIs, calls of its own, what it ignores of an address or a number.
import { existsSync, lstatSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allow, checkSupport, deny, type Policy, respond, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { foreignProgram, programWithInterpreter } from '../helpers/foreign-elf.ts';
import { type Outcome, type RunOptions, runBare, runSandboxed } from '../helpers/run.ts';
import { sanitizer } from '../helpers/sanitized.ts';
import { type Architecture, readTable } from '../helpers/table.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { event, policyFor, python, textOf } from '../lifecycle/tree.ts';

const architecture: Architecture = process.arch === 'x64' ? 'x86_64' : 'aarch64';
const rows = new Map(readTable().map((row) => [row.name, row]));
/** The numbers of these calls here, for a Python script. */
const numbers = (...names: string[]) =>
  JSON.stringify(Object.fromEntries(names.map((name) => [name, rows.get(name)?.[architecture]])));

const prelude = `
import ctypes, errno, os, select, signal, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS, as in every tree
def call(number, *args):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_ulong(it) if isinstance(it, int) else it for it in args])
    if result < 0: raise OSError(ctypes.get_errno(), '')
    return result
def step(name, act):
    try: print(name, act(), flush=True)
    except OSError as error: print(name, errno.errorcode[error.errno], flush=True)
`;
const lines = ({ stdout }: Outcome) => stdout.trimEnd().split('\n');

async function held(script: string, options: RunOptions): Promise<Outcome> {
  const outcome = await runSandboxed(python, ['-S', '-c', prelude + script], options);
  expect(outcome).toMatchObject({ code: 0, stderr: '' });
  return outcome;
}
async function bare(script: string, cwd: string): Promise<Outcome> {
  const outcome = await runBare(python, ['-S', '-c', prelude + script], { cwd });
  expect(outcome).toMatchObject({ code: 0, stderr: '' });
  return outcome;
}

/** All is read; one folder is written. */
const policyWith = (folder: string, secret?: string): Policy => ({
  files: { read: ['/'], write: [folder, '/dev/null'], ...(secret && { deny: [secret] }) },
});

const only = (which: Architecture) => describe.skipIf(architecture !== which);

only('x86_64')('a call of x86_64 alone', () => {
  const own = [...rows.values()].filter((row) => row.aarch64 === null);

  // Each works on what is in the folder \`where\`: file, empty (a folder), link, and makes what it needs.
  const script = (where: string) => `
N = ${numbers(...own.map(({ name }) => name))}
def at(name): return ('${where}/' + name).encode()
space = ctypes.create_string_buffer(4096)
AT_FDCWD, now = -100 & 0xffffffffffffffff, struct.pack('4q', 7, 0, 8, 0)
def opened(fd): os.close(fd); return 'opened'
path_calls = {
  'access': lambda n: call(n, at('file'), 4),
  'chmod': lambda n: call(n, at('file'), 0o640),
  'chown': lambda n: call(n, at('file'), os.getuid(), os.getgid()),
  'creat': lambda n: opened(call(n, at('creat'), 0o600)),
  'futimesat': lambda n: call(n, AT_FDCWD, at('file'), now),
  'lchown': lambda n: call(n, at('link'), os.getuid(), os.getgid()),
  'link': lambda n: call(n, at('file'), at('linked')),
  'lstat': lambda n: call(n, at('link'), space),
  'mkdir': lambda n: call(n, at('made'), 0o700),
  'mknod': lambda n: call(n, at('fifo'), 0o10600, 0),
  'open': lambda n: opened(call(n, at('file'), 0, 0)),
  'readlink': lambda n: call(n, at('link'), space, 100),
  'stat': lambda n: call(n, at('link'), space),
  'symlink': lambda n: call(n, b'file', at('symlinked')),
  'utime': lambda n: call(n, at('file'), struct.pack('2q', 5, 6)),
  'utimes': lambda n: call(n, at('file'), now),
  'rename': lambda n: call(n, at('file'), at('renamed')),
  'unlink': lambda n: call(n, at('link')),
  'rmdir': lambda n: call(n, at('empty')),
}
for name, make in path_calls.items(): step(name, lambda: make(N[name]))
`;
  const scene = () => {
    const folder = temporaryFolder('own-calls');
    writeFileSync(join(folder, 'file'), 'here');
    mkdirSync(join(folder, 'empty'));
    symlinkSync('file', join(folder, 'link'));
    return folder;
  };
  // getdents has a descriptor, and is made for who has hidden files only (families/hide).
  const pathCalls = own.filter(({ way, name }) => way === 'perform' && name !== 'getdents').map(({ name }) => name);
  const seen = (folder: string) =>
    readdirSync(folder)
      .sort()
      .map((name) => {
        const { mode, size, mtimeMs } = lstatSync(join(folder, name));
        return [name, mode.toString(8), ...(/^(file|renamed|linked)$/.test(name) ? [size, mtimeMs] : [])];
      });

  test('by path works where it may, as bare', async () => {
    const [one, two] = [scene(), scene()];
    const bareSaid = lines(await bare(script(one), '/'));
    const outcome = await held(script(two), { policy: policyWith(two), cwd: '/' });
    expect(lines(outcome)).toEqual(bareSaid);
    expect(bareSaid.map((line) => line.split(' ')[0]).sort()).toEqual(pathCalls.sort());
    expect(bareSaid.filter((line) => !/ (0|4|opened)$/.test(line))).toEqual([]);
    expect(outcome.violations).toEqual([]);
    expect(seen(two)).toEqual(seen(one));
  });

  test('by path is refused like its newer twin where it may not', async () => {
    const [mine, secret] = [scene(), scene()];
    const before = seen(secret);
    const { stdout, violations } = await held(script(secret), { policy: policyWith(mine, secret), cwd: mine });
    expect(stdout.trimEnd().split('\n').sort()).toEqual(pathCalls.map((name) => `${name} EACCES`).sort());
    expect(violations.map(({ syscall, errno }) => `${syscall} ${errno}`).sort()).toEqual(
      pathCalls.map((name) => `${name} EACCES`).sort(),
    );
    expect(seen(secret)).toEqual(before);
  });

  test('by path is told to the same hook as its newer twin', async () => {
    const mine = scene();
    const { stdout } = await held(script(mine), {
      policy: policyWith(mine),
      cwd: mine,
      hooks: (child) => {
        const within = { path: `${mine}/**` };
        const no = () => deny('EPERM');
        for (const name of ['Open', 'Stat', 'Access', 'Readlink', 'Mkdir', 'Rename', 'Link', 'Symlink'] as const)
          child[`on${name}`](within, no);
        for (const name of ['Unlink', 'Mknod', 'Chmod', 'Chown', 'Utimes'] as const) child[`on${name}`](within, no);
      },
    });
    expect(stdout.trimEnd().split('\n').sort()).toEqual(pathCalls.map((name) => `${name} EPERM`).sort());
  });

  test('that only asks for what is newer by another name does as bare', async () => {
    const folder = temporaryFolder('own-calls');
    const more = `
N = ${numbers(...own.map(({ name }) => name))}
space = ctypes.create_string_buffer(4096)
read, write = os.pipe()
def opened(fd): os.close(fd); return 'opened'
def both(n):
    ends = (ctypes.c_int * 2)()
    call(n, ends)
    os.write(ends[1], b'x'); return os.read(ends[0], 9)
def newborn(n):
    pid = call(n)
    if pid == 0: os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
def waited(n):
    signal.signal(signal.SIGALRM, lambda *_: None)
    call(N['alarm'], 1)
    call(n)
poller = select.epoll(); poller.register(read, select.EPOLLIN)
os.write(write, b'x')
calls = {
  'dup2': lambda n: call(n, 1, 57),
  'epoll_create': lambda n: opened(call(n, 1)),
  'epoll_wait': lambda n: call(n, poller.fileno(), space, 1, 0),
  'eventfd': lambda n: opened(call(n, 1)),
  'fork': newborn,
  'getdents': lambda n: call(n, os.open('.', os.O_RDONLY), space, 4096) > 0,
  'getpgrp': lambda n: call(n) == os.getpgid(0),
  'inotify_init': lambda n: opened(call(n)),
  'pause': waited,
  'pipe': both,
  'poll': lambda n: call(n, struct.pack('ihh', read, 1, 0), 1, 0),
  'select': lambda n: call(n, read + 1, struct.pack('16q', 1 << read, *[0] * 15), 0, 0, struct.pack('2q', 0, 0)),
  'signalfd': lambda n: opened(call(n, 0xffffffffffffffff, struct.pack('Q', 1 << 11), 8)),
  'time': lambda n: abs(call(n, 0) - time.time()) < 60,
  'arch_prctl': lambda n: call(n, 0x1003, space),  # ARCH_GET_FS
}
for name, make in calls.items(): step(name, lambda: make(N[name]))
`;
    const bareSaid = lines(await bare(more, folder));
    const outcome = await held(more, { policy: policyWith(folder), cwd: folder });
    expect(lines(outcome)).toEqual(bareSaid);
    expect(bareSaid.filter((line) => !/ (0|1|7|57|opened|True|b'x')$/.test(line))).toEqual(['pause EINTR']);
    expect(outcome.violations).toEqual([]);
    // alarm is in pause; vfork's child would run in this very memory; a uprobe's trampoline has those two.
    const rest = own.filter(({ way, name }) => way === 'let_by' || name === 'getdents').map(({ name }) => name);
    const tested = [...bareSaid.map((line) => line.split(' ')[0]), 'alarm', 'vfork', 'uprobe', 'uretprobe'];
    expect(tested.sort()).toEqual(rest.sort());
  });

  test('that is history is refused, and heard', async () => {
    const history = own.filter(({ way }) => way === 'refuse').map(({ name, error }) => ({ name, error }));
    const names = history.map(({ name }) => name);
    const { stdout, violations } = await held(
      `for name, n in ${numbers(...names)}.items(): step(name, lambda: call(n, 0, 0, 0, 0))`,
      { policy: policyFor() },
    );
    const expected = history.map(({ name, error }) => `${name} ${error}`).sort();
    expect(expected.length).toBeGreaterThan(15);
    expect(stdout.trimEnd().split('\n').sort()).toEqual(expected);
    expect(violations.map(({ syscall, errno }) => `${syscall} ${errno}`).sort()).toEqual(expected);
  });
});

// A number's register has 64 bits, of which the kernel looks at 32 (on x86_64 since Linux 5.13; before, it knows no such call).
test('bits above a number change nothing about how it is judged', async () => {
  const [mine, secret] = [temporaryFolder('mine'), temporaryFolder('secret')];
  const script = (where: string) => `
N = ${numbers('openat', 'mkdirat')}
AT_FDCWD = -100 & 0xffffffffffffffff
for bits in (1 << 32, 0xffffffff << 32, 1 << 63):
    number = ctypes.c_long(N['mkdirat'] | bits).value
    step('mkdir', lambda: call(number, AT_FDCWD, b'${where}/%x' % bits, 0o700))
`;
  const bareSaid = lines(await bare(script(temporaryFolder('bare')), '/'));
  expect(lines(await held(script(mine), { policy: policyWith(mine), cwd: '/' }))).toEqual(bareSaid);
  const { stdout, violations } = await held(script(secret), { policy: policyWith(mine, secret), cwd: '/' });
  expect(stdout.trimEnd().split('\n')).toEqual(Array(3).fill('mkdir EACCES'));
  expect(violations.map(({ syscall }) => syscall)).toEqual(Array(3).fill('mkdirat'));
  expect(readdirSync(secret)).toEqual([]);
});

only('x86_64')('code of 32 bits', () => {
  test.each(['far-int80', 'sysenter'])('that a 64-bit program enters by %s has no calls', async (door) => {
    const [mine, plain] = [temporaryFolder('door'), temporaryFolder('door')];
    const file = join(mine, 'made');
    const twin = await runBare(program('foreign_doors'), [door, join(plain, 'made')]);
    const outcome = await runSandboxed(program('foreign_doors'), [door, file], { policy: policyFor(mine) });
    expect(outcome.stdout).toMatch(/^knocks\n/);
    expect(existsSync(file)).toBe(false);
    // Where this machine has the door, the call does its work bare, and is heard of here.
    if (!existsSync(join(plain, 'made'))) return expect(outcome.signal).toBe(twin.signal);
    expect(outcome.violations).toEqual([
      expect.objectContaining({
        syscall: 'unknown',
        errno: 'ENOSYS',
        reason: expect.stringMatching(/ 5 by a foreign ABI/),
      }),
    ]);
    expect(outcome.stdout).toBe(door === 'sysenter' ? 'knocks\n' : 'knocks\nopen -38\n');
  });
});

describe('a program of 32 bits', () => {
  const ways = `
def child(act):
    pid = os.fork()
    if pid == 0:
        try: act()
        except OSError as error: print(errno.errorcode[error.errno], end=' ', flush=True)
        os._exit(9)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
def in_memory():
    fd = os.memfd_create('foreign', 0)
    os.write(fd, open('foreign', 'rb').read())
    os.execve(fd, ['foreign'], {})
step('path', lambda: child(lambda: os.execv('foreign', ['foreign'])))
step('descriptor', lambda: child(lambda: os.execve(os.open('foreign', os.O_RDONLY), ['foreign'], {})))
step('memory', lambda: child(in_memory))
step('interpreter', lambda: child(lambda: os.execv('script', ['script'])))
step('loader', lambda: child(lambda: os.execv('loaded', ['loaded'])))
`;
  const scene = () => {
    const folder = temporaryFolder('foreign');
    const path = (name: string) => join(folder, name);
    writeFileSync(path('foreign'), foreignProgram(architecture, path('made')), { mode: 0o755 });
    writeFileSync(path('script'), `#!${path('foreign')}\n`, { mode: 0o755 });
    writeFileSync(path('loaded'), programWithInterpreter(architecture, path('foreign')), { mode: 0o755 });
    return { folder, path, made: () => existsSync(path('made')) };
  };
  const ownAbi = expect.stringContaining('own ABI');

  test('is not executed, by whatever way', async () => {
    const twin = scene();
    const bareSaid = (await bare(ways, twin.folder)).stdout;
    // A kernel without that ABI answers ENOEXEC itself; the others show that the program does what it says.
    expect(bareSaid).toMatch(/^(ran\npath 7|ENOEXEC path 9)$/m);
    expect(twin.made()).toBe(bareSaid.includes('ran'));

    const { folder, made } = scene();
    const { stdout, violations } = await held(ways, { policy: policyWith(folder), cwd: folder });
    expect(made()).toBe(false);
    expect(stdout.trimEnd().split('\n')).toEqual([
      ...['path', 'descriptor', 'memory', 'interpreter'].map((way) => `ENOEXEC ${way} 9`),
      bareSaid.trimEnd().split('\n').at(-1), // the kernel takes no loader of another ABI
    ]);
    expect(violations.map(({ errno, reason }) => [errno, reason])).toEqual(Array(4).fill(['ENOEXEC', ownAbi]));
  });

  test('is not the command either', async () => {
    const { folder, path, made } = scene();
    const outcome = await runSandboxed(path('foreign'), [], { policy: policyWith(folder), cwd: folder });
    expect(outcome.code).toBeGreaterThan(0); // by the shell, as execvp(3) has it
    expect([outcome.stdout, made()]).toEqual(['', false]);
    expect(outcome.violations[0]).toMatchObject({ errno: 'ENOEXEC', reason: ownAbi });
  });

  test('that takes the place of what was looked at does nothing', async () => {
    const twin = scene();
    const runs = lines(await bare(ways, twin.folder)).includes('path 7');
    const { folder, path, made } = scene();
    // A hook is asked about an exec when the program's head has been read.
    writeFileSync(path('loaded'), programWithInterpreter(architecture, path('loaded')), { mode: 0o755 });
    let swapped = 0;
    const swap = `${prelude}${ways.replace(/^step\('(?!loader).*\n/gm, '')}`;
    const outcome = await runSandboxed(python, ['-S', '-c', swap], {
      policy: policyWith(folder),
      cwd: folder,
      hooks: (child) =>
        child.onExec({ path: path('loaded') }, () => {
          swapped++;
          writeFileSync(path('loaded'), foreignProgram(architecture, path('made')));
          return allow();
        }),
    });
    expect(swapped).toBe(1);
    expect(made()).toBe(false);
    expect(outcome.stdout).not.toContain('ran');
    if (!runs) return expect(outcome.stdout).toBe('ENOEXEC loader 9\n');
    // It is killed before its first instruction: its stack is not what was approved, as its pointers are half as long.
    expect(outcome.stdout).toBe('loader -9\n');
    expect(outcome.violations).toMatchObject([{ syscall: 'execve', errno: 'EACCES', path: path('loaded') }]);
  });

  // The engine `kernel` needs Landlock's ABI 6 here (Linux 6.12), and a supervisor without a sanitizer.
  const hasKernelEngine = (checkSupport().landlockAbi ?? 0) >= 6 && !sanitizer;
  test.skipIf(!hasKernelEngine)('runs without a call that works where nobody holds an exec', async () => {
    const twin = scene();
    const bareSaid = (await bare(ways, twin.folder)).stdout;
    const { folder, made } = scene();
    const policy: Policy = {
      files: { read: ['/usr', '/bin', '/lib', '/lib64', '/etc', folder], write: [folder], metadata: ['/'] },
      defaults: { proc: false, cwd: false },
    };
    const child = spawnSandboxed(python, ['-S', '-c', prelude + ways], { engine: 'kernel', policy, cwd: folder });
    const closed = event(child, 'close');
    const stdout = await textOf(child.stdout);
    await closed;
    expect(made()).toBe(false);
    expect(stdout).toMatch(bareSaid.includes('ran') ? /^path -(4|11)$/m : /^ENOEXEC path 9$/m);
    expect(stdout).not.toContain('ran');
  });
});

// The number of a traced process's call can be changed at its entry: on aarch64 by a register set of its own, which a look
// at the registers does not show.
test('nobody of the tree changes the number of another one’s call', async () => {
  const [plain, mine] = [temporaryFolder('number'), temporaryFolder('number')];
  const twin = await runBare(program('changed_number'), [join(plain, 'made')]);
  expect([twin.stdout, existsSync(join(plain, 'made'))]).toEqual([
    'be traced: done\nseize: EPERM\nset the number: done\nchild: 0\n',
    true,
  ]);
  const outcome = await runSandboxed(program('changed_number'), [join(mine, 'made')], { policy: policyFor(mine) });
  expect([outcome.stdout, existsSync(join(mine, 'made'))]).toEqual([
    'be traced: EPERM\nseize: EPERM\nset the number: EPERM\nchild: 0\n',
    false,
  ]);
  expect(outcome.violations.every(({ syscall, errno }) => syscall === 'ptrace' && errno === 'EPERM')).toBe(true);
  expect(outcome.violations.length).toBeGreaterThan(2);
});

test('a number that stands for a skipped call is unknown like any other', async () => {
  // The kernel itself marks a call that does not run by -1.
  const { stdout, violations } = await held(`for _ in range(3): step('none', lambda: call(-1, 1, 2, 3))`, {
    policy: policyFor(),
  });
  expect(stdout).toBe('none ENOSYS\n'.repeat(3));
  expect(violations.map(({ syscall, errno }) => [syscall, errno])).toEqual(Array(3).fill(['unknown', 'ENOSYS']));
});

// aarch64 does not look at an address's highest byte, whatever the program has asked for, in munmap(2) and its like, and
// in all calls if it has (PR_SET_TAGGED_ADDR_CTRL): Documentation/arch/arm64/tagged-address-abi.rst. On x86_64 such an
// address is none. Each step gives the kernel an address of each kind that a call has.
describe('the highest byte of an address', () => {
  const calls = (where: string) => `
N = ${numbers('openat', 'newfstatat', 'readlinkat', 'mkdirat', 'unlinkat', 'renameat2', 'symlinkat', 'execve', 'openat2', 'sendto', 'sendmsg', 'connect', 'bind', 'chdir', 'getcwd', 'write', 'statx')}
AT_FDCWD = -100 & 0xffffffffffffffff
kept = []
tag = 0
def at(content):
    buffer = ctypes.create_string_buffer(content) if not hasattr(content, '_type_') else content
    kept.append(buffer)
    return ctypes.addressof(buffer) | tag << 56
def path(name): return at(('${where}/' + name).encode())
def words(*values): return at(struct.pack('%dQ' % len(values), *values))
def space(size): return at((ctypes.c_char * size)())
def opened(fd): os.close(fd); return 'opened'
def inet(port): return at(struct.pack('=H', socket.AF_INET) + struct.pack('!H4s8x', port, bytes([127, 0, 0, 1])))
def unix(name): return at(struct.pack('=H', socket.AF_UNIX) + ('${where}/' + name).encode() + b'\\0')
udp = socket.socket(type=socket.SOCK_DGRAM)
udp.bind(('127.0.0.1', 0))
port = udp.getsockname()[1]
def message():
    iov = words(at(b'hello'), 5)
    return words(inet(port), 16, iov, 1, 0, 0, 0)
def executed():
    pid = os.fork()
    if pid == 0:
        try: call(N['execve'], at(b'/bin/sh'), words(at(b'sh'), at(b'-c'), at(b'exit \${A:-1}'), 0), words(at(b'A=5'), 0))
        except OSError as error: os._exit(100 + error.errno)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
steps = {
  'openat': lambda: opened(call(N['openat'], AT_FDCWD, path('file'), 0)),
  'openat2': lambda: opened(call(N['openat2'], AT_FDCWD, path('file'), words(0, 0, 0), 24)),
  'newfstatat': lambda: call(N['newfstatat'], AT_FDCWD, path('file'), space(256), 0),
  'statx': lambda: call(N['statx'], AT_FDCWD, path('file'), 0, 0x7ff, space(256)),
  'symlinkat': lambda: call(N['symlinkat'], at(b'file'), AT_FDCWD, path('link')),
  'readlinkat': lambda: call(N['readlinkat'], AT_FDCWD, path('link'), space(64), 64),
  'mkdirat': lambda: call(N['mkdirat'], AT_FDCWD, path('made'), 0o700),
  'renameat2': lambda: call(N['renameat2'], AT_FDCWD, path('made'), AT_FDCWD, path('moved'), 0),
  'unlinkat': lambda: call(N['unlinkat'], AT_FDCWD, path('moved'), 0x200),
  'chdir': lambda: call(N['chdir'], path('.')),
  'bind': lambda: call(N['bind'], socket.socket(type=socket.SOCK_DGRAM).detach(), inet(0), 16),
  'bind unix': lambda: call(N['bind'], socket.socket(socket.AF_UNIX).detach(), unix('sock'), 110),
  'connect': lambda: call(N['connect'], socket.socket(type=socket.SOCK_DGRAM).detach(), inet(port), 16),
  'connect unix': lambda: call(N['connect'], socket.socket(socket.AF_UNIX).detach(), unix('sock'), 110),
  'sendto': lambda: call(N['sendto'], udp.fileno(), at(b'hello'), 5, 0, inet(port), 16),
  'sendmsg': lambda: call(N['sendmsg'], udp.fileno(), message(), 0),
  'execve': executed,
  'write': lambda: call(N['write'], write_end, at(b'hello'), 5),
}
read_end, write_end = os.pipe()
def clean():
    for name in ('link', 'sock'):
        try: os.unlink('${where}/' + name)
        except OSError: pass
`;
  const each = `
for name, make in steps.items(): step(name, make)
`;
  // The kernel's state of it belongs to the thread.
  const asked = `
print('asked', libc.prctl(55, 1, 0, 0, 0), flush=True)
`;
  const scene = () => {
    const folder = temporaryFolder('tagged');
    writeFileSync(join(folder, 'file'), 'here');
    return folder;
  };
  const policy = (folder: string, secret?: string): Policy => ({
    files: { read: ['/'], write: [folder, '/dev/null'], ...(secret && { deny: [secret] }) },
    network: { connect: ['127.0.0.1', `unix:${folder}`], bind: ['127.0.0.1', `unix:${folder}`] },
  });
  const tags = [0x5a, 0xa5, 0xff];
  const withTags = (where: string, before = '', between = 'clean()\n') =>
    `${calls(where)}${before}${tags.map((tag) => `tag = ${tag}\n${between}${each}`).join('')}`;

  test('is ignored where the program has asked for that, as bare', async () => {
    const [one, two] = [scene(), scene()];
    const bareSaid = lines(await bare(withTags(one, asked), one));
    const outcome = await held(withTags(two, asked), { policy: policy(two), cwd: two });
    expect(lines(outcome)).toEqual(bareSaid);
    expect(outcome.violations).toEqual([]);
    const [first, ...others] = bareSaid;
    if (first === 'asked 0') expect(others.filter((line) => / EFAULT$| 114$/.test(line))).toEqual([]);
    else expect(new Set(others.map((line) => line.split(' ').at(-1)))).toEqual(new Set(['EFAULT', '114']));
  });

  test('opens nothing that is refused', async () => {
    const [mine, secret] = [scene(), scene()];
    const { stdout, violations } = await held(withTags(secret, '', '') + withTags(secret, asked, ''), {
      policy: policy(mine, secret),
      cwd: mine,
    });
    expect(readdirSync(secret)).toEqual(['file']);
    const answered = stdout.trimEnd().split('\n');
    const byPath = /^(openat|openat2|newfstatat|statx|symlinkat|readlinkat|mkdirat|renameat2|unlinkat|chdir|.* unix) /;
    expect(answered.filter((line) => byPath.test(line) && !/ (EACCES|EFAULT)$/.test(line))).toEqual([]);
    // Each of them is heard of, unless the kernel or what reads for it finds nothing there.
    expect(violations.length).toBe(answered.filter((line) => line.endsWith(' EACCES')).length);
    if (answered.includes('asked 0')) expect(violations.length).toBeGreaterThan(tags.length * 11);
  });

  test('is ignored by what reads for the kernel, or is no address: never another one', async () => {
    const [one, two, three] = [scene(), scene(), scene()];
    const bareSaid = lines(await bare(withTags(one), one));
    const plainSaid = lines(
      await held(`${calls(two)}${`clean()\n${each}`.repeat(tags.length)}`, { policy: policy(two), cwd: two }),
    );
    const heldSaid = lines(await held(withTags(three), { policy: policy(three), cwd: three }));
    expect(new Set(bareSaid.map((line) => line.split(' ').at(-1)))).toEqual(new Set(['EFAULT', '114']));
    expect(heldSaid).toHaveLength(plainSaid.length);
    const differs = (line: string, i: number) => line !== bareSaid[i] && line !== plainSaid[i];
    // What was not made before is not there afterwards.
    expect(heldSaid.filter((line, i) => differs(line, i) && !/ ENOENT$/.test(line))).toEqual([]);
    if (architecture === 'x86_64') expect(heldSaid).toEqual(bareSaid);
  });

  test('takes nothing away from the sealed page', async () => {
    const script = `
N = ${numbers('munmap', 'mprotect', 'pkey_mprotect', 'madvise', 'mremap', 'mmap', 'mseal', 'remap_file_pages', 'mbind', 'shmat')}
import re
os.chdir('.')
maps = lambda: re.findall(r'^\\w+-\\w+ r--s .*holdfast-arguments', open('/proc/self/maps').read(), re.M)
before = maps()
print(len(before))
libc.mmap.restype = ctypes.c_void_p
own = libc.mmap(None, ctypes.c_size_t(1 << 20), 3, 0x22, -1, ctypes.c_long(0))
segment = libc.shmget(0, 65536, 0o1600)
page = 0x10000
attacks = {
  'munmap': lambda at: call(N['munmap'], at, 65536),
  'mprotect': lambda at: call(N['mprotect'], at, 65536, 3),
  'pkey_mprotect': lambda at: call(N['pkey_mprotect'], at, 65536, 3, 0xffffffffffffffff),
  'madvise': lambda at: call(N['madvise'], at, 65536, 4),
  'mbind': lambda at: call(N['mbind'], at, 65536, 0, 0, 0, 0),
  'mremap': lambda at: call(N['mremap'], at, 65536, 65536, 3, own),
  'mremap to': lambda at: call(N['mremap'], own + 65536, 65536, 65536, 3, at),
  'mmap': lambda at: call(N['mmap'], at, 65536, 3, 0x32, 0xffffffffffffffff, 0),
  'mseal': lambda at: call(N['mseal'], at, 65536, 0),
  'remap_file_pages': lambda at: call(N['remap_file_pages'], at, 65536, 0, 0, 0),
  'shmat': lambda at: call(N['shmat'], segment, at, 0o40000),  # SHM_REMAP
}
for tag in (1, 0x5a, 0x80, 0xff):
    for name, attack in attacks.items(): step(name, lambda: attack(page | tag << 56))
print('there', maps() == before)
os.chdir('/proc')
print('works', os.getcwd())
step('own', lambda: call(N['munmap'], own + (1 << 19) | 0x5a << 56, 65536))
`;
    const { stdout } = await held(script, { policy: policyWith(temporaryFolder('page')) });
    const answered = stdout.trimEnd().split('\n');
    expect(answered[0]).toBe('1');
    const attacked = answered.slice(1, -3);
    expect(attacked).toHaveLength(44);
    expect(
      attacked.filter(
        (line) => !/ (EPERM|EINVAL)$/.test(line) || (!line.startsWith('shmat') && !line.endsWith('EPERM')),
      ),
    ).toEqual([]);
    // The attack is one: without the tag's own bits it is the program's own memory.
    const ignored = architecture === 'aarch64' ? 'own 0' : 'own EINVAL';
    expect(answered.slice(-3)).toEqual(['there True', 'works /proc', ignored]);
  });
});

only('x86_64')('the vsyscall page', () => {
  // Its three calls are carried out by the kernel at the fault of jumping there (vsyscall(7)); an older program's way
  // to ask for the time.
  const script = `
def at(address, *kinds): return ctypes.CFUNCTYPE(ctypes.c_long, *kinds)(address)
def gettimeofday():
    space = (ctypes.c_long * 2)()
    result = at(0xffffffffff600000, ctypes.c_void_p, ctypes.c_void_p)(ctypes.addressof(space), None)
    return (result, space[0])
def getcpu():
    cpu = ctypes.c_uint(0xffff)
    return at(0xffffffffff600800, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(ctypes.addressof(cpu), None, None), cpu.value if cpu.value > 0xffff else cpu.value < 0xffff
near = lambda it: it if abs(it - time.time()) > 60 else 'now'
print('time', near(at(0xffffffffff600400, ctypes.c_void_p)(None)), flush=True)
result, seconds = gettimeofday()
print('gettimeofday', result, near(seconds), flush=True)
print('getcpu', *getcpu(), flush=True)
`;
  const run = (options: RunOptions) => runSandboxed(python, ['-S', '-c', prelude + script], options);

  test('answers as bare, or as rules and hooks on its calls say', async () => {
    const twin = await runBare(python, ['-S', '-c', prelude + script]);
    const outcome = await run({ policy: policyFor() });
    expect([outcome.stdout, outcome.signal]).toEqual([twin.stdout, twin.signal]);
    if (twin.signal !== null) return expect(twin.signal).toBe('SIGSEGV'); // this kernel has no such page
    expect(twin.stdout).toBe('time now\ngettimeofday 0 now\ngetcpu 0 True\n');

    const hooked = await run({
      hooks: (child) => {
        child.onSyscall('time', () => respond(1_000_000_000));
        child.onSyscall('gettimeofday', () => respond({ seconds: 1_000_000_000 }));
        child.onSyscall('getcpu', () => respond({ cpu: 70_000 }));
      },
    });
    expect(hooked.stdout).toBe('time 1000000000\ngettimeofday 0 1000000000\ngetcpu 0 70000\n');

    const ruled = await run({ policy: { syscalls: { deny: ['time', 'gettimeofday', 'getcpu'] } } });
    expect(ruled.stdout).toBe('time -1\ngettimeofday -1 0\ngetcpu -1 False\n');
  });
});
