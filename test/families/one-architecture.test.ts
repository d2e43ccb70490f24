// What only one of the two architectures has: other ABIs, calls of its own, what it ignores of an address or a number.
import { existsSync, lstatSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allow, deny, type Policy, respond, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { foreignProgram, programWithInterpreter } from '../helpers/foreign-elf.ts';
import { type Outcome, type RunOptions, runBare, runSandboxed } from '../helpers/run.ts';
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
  const pathCalls = own.filter(({ way }) => way === 'perform').map(({ name }) => name);
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
    const rest = own.filter(({ way }) => way === 'let_by').map(({ name }) => name);
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

  test('runs without a call that works where nobody holds an exec', async () => {
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
