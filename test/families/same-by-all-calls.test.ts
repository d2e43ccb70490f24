// What a hook or a rule refuses, or answers, it does for every call that does the same thing.
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { allow, deny, redirect, respond, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { holdsByStops } from '../helpers/engine.ts';
import { listen } from '../helpers/ports.ts';
import { type Outcome, type RunOptions, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { policyFor, python } from '../lifecycle/tree.ts';

const prelude = `
import ctypes, errno, os, signal, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    result = libc.syscall(number, *args)
    if result < 0: raise OSError(ctypes.get_errno(), '')
    return 'done'
def libc_call(name, *args):
    if getattr(libc, name)(*args) < 0: raise OSError(ctypes.get_errno(), '')
    return 'done'
def step(name, act):
    try: print(name, act(), flush=True)
    except OSError as error: print(name, errno.errorcode[error.errno], flush=True)
`;

async function steps(script: string, options: RunOptions): Promise<{ said: string[]; outcome: Outcome }> {
  const outcome = await runSandboxed(python, ['-S', '-c', prelude + script], options);
  expect(outcome.stderr).toBe('');
  return { said: outcome.stdout.trimEnd().split('\n'), outcome };
}

describe('a signal', () => {
  test('that a hook refuses is refused by pid, group, thread, queue and descriptor', async () => {
    const asked: number[] = [];
    const queue = process.arch === 'x64' ? [129, 297] : [138, 240];
    const { said } = await steps(
      `
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0); os.write(write, b'x'); time.sleep(60); os._exit(0)
os.read(read, 1)
info = (ctypes.c_int * 32)(signal.SIGTERM, 0, -1)
fd = os.pidfd_open(pid)
def all(number):
    info[0] = number
    step('kill', lambda: os.kill(pid, number))
    step('group', lambda: os.killpg(pid, number))
    step('thread', lambda: libc_call('tgkill', pid, pid, number))
    step('queue', lambda: call(${queue[0]}, pid, number, info))
    step('thread queue', lambda: call(${queue[1]}, pid, pid, number, info))
    step('pidfd', lambda: signal.pidfd_send_signal(fd, number))
    step('pidfd with', lambda: call(424, fd, number, info, 0))
all(signal.SIGTERM)
signal.signal(signal.SIGTERM, lambda *_: print('handled', flush=True))
step('own', lambda: os.kill(os.getpid(), signal.SIGTERM))
step('raise', lambda: signal.raise_signal(signal.SIGTERM))
step('there', lambda: os.waitpid(pid, os.WNOHANG))
all(signal.SIGCONT)
os.kill(pid, signal.SIGKILL); os.waitpid(pid, 0)
`,
      {
        hooks: (child) =>
          child.onSignal((call) => {
            asked.push(call.pid);
            return call.signal === 'SIGTERM' ? deny('EPERM') : allow();
          }),
      },
    );
    const ways = ['kill', 'group', 'thread', 'queue', 'thread queue', 'pidfd', 'pidfd with'];
    expect(said).toEqual([
      ...ways.map((way) => `${way} EPERM`),
      'own EPERM',
      'raise EPERM',
      'there (0, 0)',
      ...ways.map((way) => `${way} ${/^(kill|group|pidfd)$/.test(way) ? 'None' : 'done'}`),
    ]);
    expect(asked).toHaveLength(2 * ways.length + 3);
  });

  test('with its sender’s own words is not taken for one of the kernel’s', async () => {
    const { said } = await steps(
      `
pid = os.fork()
if pid == 0: time.sleep(60); os._exit(0)
fd, own = os.pidfd_open(pid), os.pidfd_open(os.getpid())
for code in (0, 128, -6):
    info = (ctypes.c_int * 32)(signal.SIGCONT, 0, code)
    step('other', lambda: call(${process.arch === 'x64' ? 129 : 138}, pid, signal.SIGCONT, info))
    step('other by fd', lambda: call(424, fd, signal.SIGCONT, info, 0))
    # Bare it may say so to itself; here the supervisor sends it, of whom the kernel would not believe it.
    step('own by fd', lambda: call(424, own, signal.SIGCONT, info, 0))
os.kill(pid, signal.SIGKILL)
`,
      {},
    );
    expect(said).toEqual([0, 1, 2].flatMap(() => ['other EPERM', 'other by fd EPERM', 'own by fd EPERM']));
  });
});

describe('a folder', () => {
  test('that nothing allows is neither entered nor watched, by any name', async () => {
    const folder = temporaryFolder('same');
    const outside = temporaryFolder('outside');
    mkdirSync(join(folder, 'hooked'));
    writeFileSync(join(outside, 'file'), '');
    symlinkSync(outside, join(folder, 'link'));
    const { said, outcome } = await steps(
      `
fd = libc.inotify_init()
for name in ('${outside}', 'link', 'link/.', '${outside}/file', 'hooked', 'hooked/../hooked', '.'):
    step('enter', lambda: os.chdir(name))
    step('watch', lambda: libc_call('inotify_add_watch', fd, name.encode(), 2))
    os.chdir('${folder}')
`,
      {
        cwd: folder,
        policy: policyFor(folder),
        hooks: (child) => {
          child.onChdir({ path: join(folder, 'hooked') }, () => deny('EPERM'));
          child.onWatch({ path: join(folder, 'hooked') }, () => deny('EPERM'));
        },
      },
    );
    expect(said).toEqual([
      ...['enter EACCES', 'watch EACCES', 'enter EACCES', 'watch EACCES', 'enter EACCES', 'watch EACCES'],
      ...['enter EACCES', 'watch EACCES', 'enter EPERM', 'watch EPERM', 'enter EPERM', 'watch EPERM'],
      ...['enter None', 'watch done'],
    ]);
    const refused = outcome.violations.filter(({ syscall }) => /^(chdir|inotify_add_watch)$/.test(syscall));
    expect(refused).toHaveLength(12);
  });
});

describe('what a hook answers an open with', () => {
  test('is for reading: nothing can be written to it, nor does it have a place', async () => {
    const folder = temporaryFolder('answer');
    const { said } = await steps(
      `
for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT, os.O_RDONLY | os.O_TRUNC, os.O_PATH):
    step(flags, lambda: os.read(os.open('made-up', flags, 0o600), 9))
fd = os.open('made-up', os.O_RDONLY)
step('again', lambda: os.write(os.open('/proc/self/fd/%d' % fd, os.O_RDWR), b'x'))
`,
      {
        cwd: folder,
        policy: policyFor(folder),
        hooks: (child) => child.onOpen({ path: join(folder, 'made-up') }, () => respond('made up')),
      },
    );
    expect(said.map((line) => line.replace(/^\S+ /, ''))).toEqual([
      "b'made up'",
      ...['EROFS', 'EROFS', 'EROFS', 'EROFS', 'EACCES', 'EPERM'],
    ]);
    expect(existsSync(join(folder, 'made-up'))).toBe(false);
  });

  test('makes a file elsewhere as it would have been made here, but for set-ID bits', async () => {
    const folder = temporaryFolder('answer');
    const outside = temporaryFolder('elsewhere');
    writeFileSync(join(folder, 'here'), '');
    const { said } = await steps(
      `
step('set', lambda: os.open('name', os.O_WRONLY | os.O_CREAT, 0o4700))
step('make', lambda: os.write(os.open('name', os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), b'text'))
step('exclusive', lambda: os.open('name', os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
step('gone', lambda: os.open('lost', os.O_WRONLY | os.O_CREAT, 0o600))
step('set elsewhere', lambda: os.open('here', os.O_WRONLY | os.O_CREAT, 0o2700))
`,
      {
        cwd: folder,
        policy: policyFor(folder),
        hooks: (child) => {
          child.onOpen({ path: join(folder, 'name') }, () => redirect(join(outside, 'there')));
          child.onOpen({ path: join(folder, 'lost') }, () => redirect(join(outside, 'nothing/there')));
          child.onOpen({ path: join(folder, 'here') }, () => redirect(join(outside, 'new')));
        },
      },
    );
    expect(said).toEqual(['set EPERM', 'make 4', 'exclusive EEXIST', 'gone ENOENT', 'set elsewhere EPERM']);
    expect(existsSync(join(outside, 'new'))).toBe(false);
    expect(readFileSync(join(outside, 'there'), 'utf8')).toBe('text');
    expect(existsSync(join(folder, 'name'))).toBe(false);
  });
});

test('a redirect to an address of another family is none', async () => {
  const listener = await listen({ greeting: 'here\n' });
  const { said } = await steps(
    `
def meet(family, host):
    with socket.socket(family) as one: one.settimeout(5); one.connect((host, 9)); return one.recv(9)
step('four', lambda: meet(socket.AF_INET, '127.0.0.1'))
step('six', lambda: meet(socket.AF_INET6, '::1'))
step('mapped', lambda: meet(socket.AF_INET6, '::ffff:127.0.0.1'))
step('six to four', lambda: meet(socket.AF_INET6, '::2'))
`,
    {
      hooks: (child) =>
        child.onConnect((call) =>
          redirect({ address: call.address === '127.0.0.1' ? '::1' : '127.0.0.1', port: listener.port }),
        ),
    },
  );
  expect(said).toEqual([
    'four EAFNOSUPPORT',
    "six b'here\\n'",
    expect.stringMatching(/^mapped E/),
    "six to four b'here\\n'",
  ]);
});

test('in /proc a thread is found below its own process only', async () => {
  const { said } = await steps(
    `
pid = os.fork()
if pid == 0: time.sleep(60); os._exit(0)
for of, thread in ((pid, pid), (pid, os.getpid()), ('self', pid), ('self', os.getpid()), (pid, 4194303)):
    step('task', lambda: os.path.exists('/proc/%s/task/%s/status' % (of, thread)))
    step('open', lambda: open('/proc/%s/task/%s/comm' % (of, thread)).read().strip() != '')
os.kill(pid, signal.SIGKILL)
`,
    { policy: policyFor() },
  );
  expect(said).toEqual([
    ...['task True', 'open True', 'task False', 'open ENOENT', 'task False', 'open ENOENT'],
    ...['task True', 'open True', 'task False', 'open ENOENT'],
  ]);
});

describe('an open', () => {
  test('that makes what is not there is a change, whatever it is to be opened for', async () => {
    const folder = temporaryFolder('makes');
    for (const name of ['shown', 'open', 'hooked']) mkdirSync(join(folder, name));
    writeFileSync(join(folder, 'shown/file'), 'text');
    const modes: unknown[] = [];
    const { said, outcome } = await steps(
      `
os.umask(0)
for flags in (os.O_RDONLY | os.O_CREAT, os.O_RDONLY | os.O_CREAT | os.O_EXCL, os.O_RDONLY | os.O_CREAT | os.O_TRUNC):
    step('new', lambda: os.open('shown/new', flags, 0o600))
    step('elsewhere', lambda: os.open('hooked/shown', flags, 0o600))
step('unnamed', lambda: os.open('shown', os.O_TMPFILE | os.O_RDWR, 0o600))
step('read', lambda: os.read(os.open('shown/file', os.O_RDONLY | os.O_CREAT, 0o600), 9))
step('made', lambda: oct(os.fstat(os.open('open/new', os.O_RDONLY | os.O_CREAT, 0o640)).st_mode))
step('unnamed', lambda: oct(os.fstat(os.open('open', os.O_TMPFILE | os.O_RDWR, 0o604)).st_mode))
step('there', lambda: os.close(os.open('open/new', os.O_RDONLY | os.O_CREAT, 0o604)))
step('plain', lambda: os.close(os.open('open/new', os.O_RDONLY, 0o604)))
`,
      {
        cwd: folder,
        policy: {
          files: {
            read: [folder],
            write: [join(folder, 'open')],
            deny: [{ path: join(folder, 'shown'), access: ['write'] }],
          },
        },
        hooks: (child) => {
          child.onOpen({ path: join(folder, 'hooked') }, () => redirect(join(folder, 'shown/new')));
          child.onOpen({ path: join(folder, 'open') }, (call) => {
            modes.push(call.mode);
          });
        },
      },
    );
    expect(said).toEqual([
      ...[1, 2, 3].flatMap(() => ['new EACCES', 'elsewhere EACCES']),
      ...['unnamed EACCES', "read b'text'", 'made 0o100640', 'unnamed 0o100604', 'there None', 'plain None'],
    ]);
    expect(modes).toEqual([0o640, 0o604, 0o604, 0]);
    expect(existsSync(join(folder, 'shown/new'))).toBe(false);
    expect(outcome.violations.map(({ syscall }) => syscall)).toEqual(Array(7).fill('openat'));
  });

  test('with O_PATH has no other flags, and no longer a name than fits', async () => {
    const folder = temporaryFolder('flags');
    writeFileSync(join(folder, 'file'), '');
    const { said } = await steps(
      `
for flags in (os.O_CREAT, os.O_WRONLY, os.O_TRUNC, os.O_CREAT | os.O_EXCL | os.O_RDWR, os.O_APPEND | os.O_NOATIME):
    step('there', lambda: os.close(os.open('file', os.O_PATH | flags)))
    step('not there', lambda: os.close(os.open('new', os.O_PATH | flags)))
read, write = os.pipe()
pid = os.fork()
if pid == 0: time.sleep(60); os._exit(0)
step('own', lambda: os.close(os.open('/proc/self/fd/%d' % read, os.O_PATH)))
step('of another', lambda: os.close(os.open('/proc/%d/fd/%d' % (pid, read), os.O_PATH)))
os.kill(pid, signal.SIGKILL)
for i in range(17):
    os.mkdir('d' * 240); os.chdir('d' * 240)
open('file', 'w').close()
step('deep', lambda: os.close(os.open('file', os.O_RDONLY)))
step('deep', lambda: os.close(os.open('file', os.O_PATH)))
step('mode', lambda: os.fchmod(os.open('.', os.O_RDONLY), 0o700))
file = os.open('file', os.O_RDONLY)
step('mode', lambda: os.fchmod(file, 0o600))
step('by its descriptor', lambda: os.open('/proc/self/fd/%d' % file, os.O_RDONLY))
os.unlink('file')
for i in range(17): os.chdir('..'); os.rmdir('d' * 240)
`,
      {
        cwd: folder,
        policy: {
          files: { read: [folder], write: [folder], deny: [{ path: join(folder, 'file'), access: ['write'] }] },
        },
      },
    );
    expect(said).toEqual([
      ...Array(5).fill(['there None', 'not there ENOENT']).flat(),
      ...['own None', 'of another EACCES', 'deep None', 'deep ENAMETOOLONG', 'mode None', 'mode ENAMETOOLONG'],
      'by its descriptor ENAMETOOLONG',
    ]);
  });

  test('that a hook sends into a folder stays there, and finds nothing where it is not', async () => {
    const folder = temporaryFolder('within');
    const outside = temporaryFolder('outside');
    mkdirSync(join(outside, 'in'));
    writeFileSync(join(outside, 'file'), 'outside');
    writeFileSync(join(outside, 'in/file'), 'inside');
    symlinkSync('/etc/hostname', join(outside, 'in/absolute'));
    symlinkSync('../file', join(outside, 'in/up'));
    symlinkSync('./file', join(outside, 'in/link'));
    const ways: [name: string, within: string, answer: string][] = [
      ['file', join(outside, 'in'), "b'inside'"],
      ['link', join(outside, 'in'), "b'inside'"],
      ['../in/file', outside, 'EXDEV'],
      ['absolute', join(outside, 'in'), 'EXDEV'],
      ['up', join(outside, 'in'), 'EXDEV'],
      ['in/up', outside, "b'outside'"],
      ['self/cwd/file', '/proc', 'ELOOP'],
      ['self/root', '/proc', 'ELOOP'],
      ['name', join(folder, 'nowhere'), 'ENOENT'],
      ['name', join(outside, 'file'), 'ENOTDIR'],
    ];
    const { said, outcome } = await steps(
      `for i in range(${ways.length}): step(i, lambda: os.read(os.open('way-%d' % i, os.O_RDONLY), 9))`,
      {
        cwd: folder,
        policy: policyFor(folder),
        hooks: (child) => {
          for (const [i, [name, within]] of ways.entries())
            child.onOpen({ path: join(folder, `way-${i}`) }, () => redirect(name, { within }));
        },
      },
    );
    expect(said).toEqual(ways.map(([, , answer], i) => `${i} ${answer}`));
    expect(outcome.violations.map(({ reason }) => reason)).toEqual(
      Array(3).fill('a hook redirected the call out of the folder that it is to stay in'),
    );
  });
});

test('truncating what is not there is no violation, and the limit of a file’s size is the caller’s', async () => {
  const folder = temporaryFolder('truncate');
  const outside = temporaryFolder('outside');
  writeFileSync(join(folder, 'file'), 'text');
  const { said, outcome } = await steps(
    `
import resource
for path in ('missing', '${outside}/missing'): step('missing', lambda: os.truncate(path, 0))
signal.signal(signal.SIGXFSZ, lambda *_: print('too large', flush=True))
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
for size in (100, 101, 50, 4, 0): step(size, lambda: os.truncate('file', size))
step('stat', lambda: os.stat('file').st_size)
`,
    {
      cwd: folder,
      policy: { files: { read: [folder, outside], write: [folder], deny: [{ path: outside, access: ['write'] }] } },
    },
  );
  expect(said).toEqual([
    ...['missing ENOENT', 'missing ENOENT', '100 None', 'too large', '101 EFBIG', '50 None', '4 None', '0 None'],
    'stat 0',
  ]);
  expect(outcome.violations).toEqual([]);
});

describe('a unix socket', () => {
  const inTree = `
import array
def send(path, ancillary):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        return one.sendmsg([b'x'], ancillary, 0, path)
descriptor = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0]))]
def connect(path):
    with socket.socket(socket.AF_UNIX) as one: return one.connect(path)
`;

  test('by path is sent a descriptor only where nobody in the tree can change its name', async () => {
    const inside = temporaryFolder('inside');
    const outside = temporaryFolder('outside');
    const long = join(outside, 'l'.repeat(100));
    mkdirSync(long);
    for (const name of [join(outside, 'fixed'), join(long, 'fixed')]) {
      const server = createServer().listen(join(outside, 'new')).unref();
      await once(server, 'listening');
      renameSync(join(outside, 'new'), name);
    }
    const { said, outcome } = await steps(
      `${inTree}
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); receiver.bind('own')
step('own', lambda: send('own', []))
step('own with one', lambda: send('own', descriptor))
# These are reached: they are of another type.
step('fixed', lambda: send('${outside}/fixed', []))
step('fixed with one', lambda: send('${outside}/fixed', descriptor))
os.chdir('${long}')
step('long', lambda: send('fixed', []))
step('long with one', lambda: send('fixed', descriptor))
`,
      {
        cwd: inside,
        policy: { files: { read: ['/'], write: [inside] }, network: { connect: [`unix:${outside}`] } },
      },
    );
    expect(said).toEqual([
      ...['own 1', 'own with one EPERM', 'fixed EPROTOTYPE', 'fixed with one EPROTOTYPE'],
      ...['long EPROTOTYPE', 'long with one ENAMETOOLONG'],
    ]);
    expect(outcome.violations).toMatchObject([{ syscall: 'sendmsg', errno: 'EPERM', path: join(inside, 'own') }]);
  });

  test('without a name is not reached by way of a descriptor, and no name but one is bound', async () => {
    const folder = temporaryFolder('nameless');
    const { said, outcome } = await steps(
      `${inTree}
def bind(path): socket.socket(socket.AF_UNIX).bind(path)
one, other = socket.socketpair()
for path in ('/proc/self/fd/%d' % one.fileno(), '/proc/%d/fd/%d' % (os.getpid(), one.fileno())):
    step('connect', lambda: connect(path))
    step('send', lambda: send(path, []))
for path in ('.', '..', '/', 'folder/..'): step('bind', lambda: bind(path))
`,
      {
        cwd: folder,
        policy: { files: { read: ['/'], write: [folder] } },
      },
    );
    expect(said).toEqual([
      ...Array(2).fill(['connect EACCES', 'send EACCES']).flat(),
      ...['bind EADDRINUSE', 'bind EADDRINUSE', 'bind EADDRINUSE', 'bind ENOENT'],
    ]);
    expect(outcome.violations.map(({ syscall, reason }) => [syscall, reason])).toEqual(
      ['connect', 'sendto', 'connect', 'sendto'].map((call) => [
        expect.stringMatching(call === 'connect' ? /^connect$/ : /^send/),
        'a socket without a name, by way of a descriptor',
      ]),
    );
  });
});

test('a process that hides stays hidden when it says something that is not known', async () => {
  const { said, outcome } = await steps(
    `
def hidden(*values):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        for value in values: os.write(write, b'%d ' % libc.prctl(4, value, 0, 0, 0))
        os.close(write); time.sleep(60); os._exit(0)
    os.close(write)
    answers = b''
    while part := os.read(read, 99): answers += part
    step(answers.decode().strip(), lambda: open('/proc/%d/environ' % pid, 'rb').read(1) != b'')
    step('below', lambda: len(os.listdir('/proc/%d/cwd/' % pid)) > 0)
    step('at', lambda: os.stat('/proc/%d/cwd' % pid) is None)
    step('name', lambda: os.unlink('/proc/%d/environ' % pid))
    os.kill(pid, signal.SIGKILL); os.waitpid(pid, 0)
hidden()
hidden(0)
hidden(0, 2)
hidden(0, -1)
hidden(0, 1)
`,
    { policy: { files: { read: ['/'], write: ['/proc'] } }, env: { SHOWN: '1' } },
  );
  const shown = ['below True', 'at False', expect.stringMatching(/^name E/)];
  const unseen = ['below EACCES', 'at EACCES', 'name EACCES'];
  expect(said).toEqual([
    ...[' True', ...shown, '0 EACCES', ...unseen, '0 -1 EACCES', ...unseen, '0 -1 EACCES', ...unseen],
    ...['0 0 True', ...shown],
  ]);
  const reason = "another process's memory, or a process that lets nobody look";
  expect(outcome.violations.filter((violation) => violation.reason === reason)).toHaveLength(3 * 4);
});

describe('what cannot be executed', () => {
  test('is a script that is its own interpreter: ELOOP, as bare', async () => {
    const folder = temporaryFolder('loop');
    writeFileSync(join(folder, 'loop'), `#!${folder}/loop\n`, { mode: 0o755 });
    const { said } = await steps(`step('loop', lambda: os.execv('loop', ['loop']))`, {
      cwd: folder,
      policy: policyFor(folder),
    });
    expect(said).toEqual(['loop ELOOP']);
  });

  test('is a program of another ABI, and it is said', async () => {
    const folder = temporaryFolder('foreign');
    const foreign = readFileSync('/bin/echo');
    foreign[4] = 1; // ELFCLASS32, elf(5)
    writeFileSync(join(folder, 'foreign'), foreign, { mode: 0o755 });
    const { said, outcome } = await steps(`step('foreign', lambda: os.execv('foreign', ['foreign']))`, {
      cwd: folder,
      policy: policyFor(folder),
    });
    expect(said).toEqual(['foreign ENOEXEC']);
    expect(outcome.violations).toContainEqual(
      expect.objectContaining({ reason: "not a program of this architecture's own ABI" }),
    );
  });
});

test.skipIf(process.getuid?.() !== 0)(
  'a program that its user may execute but not read is not (root reads everything, so it becomes another first)',
  async () => {
    const folder = temporaryFolder('unreadable');
    writeFileSync(join(folder, 'program'), readFileSync('/bin/echo'), { mode: 0o711 });
    const { said, outcome } = await steps(
      `os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
step('run', lambda: os.execv('program', ['program']))`,
      { cwd: folder, policy: policyFor(folder) },
    );
    expect(said).toEqual(['run EACCES']);
    expect(outcome.violations).toContainEqual(
      expect.objectContaining({ reason: 'a program that may be executed but not read cannot be supervised' }),
    );
  },
);

test('what the kernel finds before it looks at rights is no violation where nothing may be changed', async () => {
  const folder = temporaryFolder('unchanged');
  const outside = temporaryFolder('outside');
  mkdirSync(join(outside, 'folder'));
  for (const name of ['file', 'other']) writeFileSync(join(outside, name), '');
  const numbers = process.arch === 'x64' ? [316, 265, 263, 259, 188] : [276, 37, 35, 33, 5];
  const [renameat2, linkat, unlinkat, mknodat, setxattr] = numbers;
  const { said, outcome } = await steps(
    `
here = -100
def path(name): return ('${outside}/' + name).encode()
step('rename', lambda: call(${renameat2}, here, path('file'), here, path('new'), 8))
step('exchange', lambda: call(${renameat2}, here, path('file'), here, path('other'), 3))
step('link', lambda: call(${linkat}, here, path('file'), here, path('new'), 4))
step('unlink', lambda: call(${unlinkat}, here, path('file'), 0x800))
step('symlink of nothing', lambda: os.symlink('', path('new')))
step('symlink', lambda: os.symlink('file', path('other')))
step('mkdir', lambda: os.mkdir(path('folder')))
step('mknod', lambda: call(${mknodat}, here, path('file'), 0o100600, 0))
step('a folder by mknod', lambda: call(${mknodat}, here, path('new'), 0o40700, 0))
step('no type by mknod', lambda: call(${mknodat}, here, path('new'), 0o130600, 0))
step('setxattr', lambda: call(${setxattr}, path('file'), b'user.a', b'v', 1, 8))
step('missing', lambda: os.rename(path('none'), path('new')))
# MCAST_JOIN_GROUP of the other family, and half an address.
def join(family, level, group):
    group = struct.pack('I4xH126x', 0, group)
    with socket.socket(family, socket.SOCK_DGRAM) as one: return one.setsockopt(level, 42, group)
step('four in six', lambda: join(socket.AF_INET6, socket.IPPROTO_IPV6, socket.AF_INET))
step('six in four', lambda: join(socket.AF_INET, socket.IPPROTO_IP, socket.AF_INET6))
tcp = socket.socket()
step('half', lambda: libc_call('connect', tcp.fileno(), struct.pack('=H6x', socket.AF_INET), 8))
step('and refused', lambda: os.rename(path('file'), path('new')))
`,
    { cwd: folder, policy: { files: { read: [outside], write: [folder] } } },
  );
  expect(said).toEqual([
    ...['rename EINVAL', 'exchange EINVAL', 'link EINVAL', 'unlink EINVAL', 'symlink of nothing ENOENT'],
    ...['symlink EEXIST', 'mkdir EEXIST', 'mknod EEXIST', 'a folder by mknod EPERM', 'no type by mknod EINVAL'],
    ...['setxattr EINVAL', 'missing ENOENT', 'four in six EADDRNOTAVAIL', 'six in four EINVAL', 'half EINVAL'],
    'and refused EACCES',
  ]);
  expect(outcome.violations).toMatchObject([{ path: join(outside, 'file') }]);
});

test('sockets and commands that the tree may not have answer as to who has no right to them', async () => {
  const { said, outcome } = await steps(
    `
import fcntl
def made(*args): socket.socket(*args).close(); return 'made'
for family, ping in ((socket.AF_INET, socket.IPPROTO_ICMP), (socket.AF_INET6, socket.IPPROTO_ICMPV6)):
    step('raw', lambda: made(family, socket.SOCK_RAW, ping))
    step('ping', lambda: made(family, socket.SOCK_DGRAM, ping))
step('packet', lambda: made(socket.AF_INET, 10, 3))  # SOCK_PACKET
read, write = os.pipe()
step('command', lambda: fcntl.ioctl(read, 0x5412, b'x'))  # TIOCSTI
step('no descriptor', lambda: fcntl.ioctl(999, 0x5412, b'x'))
`,
    {},
  );
  expect(said).toEqual([
    ...Array(2).fill(['raw EPERM', 'ping EACCES']).flat(),
    ...['packet EPERM', 'command ENOTTY', 'no descriptor EBADF'],
  ]);
  expect(outcome.violations.map(({ syscall, errno }) => [syscall, errno])).toEqual([
    ...Array(2)
      .fill([
        ['socket', 'EPERM'],
        ['socket', 'EACCES'],
      ])
      .flat(),
    ['socket', 'EPERM'],
    ['ioctl', 'ENOTTY'],
  ]);
});

test('a folder cannot take the place of the one that it lies in, whatever hooks hear of below', async () => {
  const folder = temporaryFolder('above');
  mkdirSync(join(folder, 'watched/inner'), { recursive: true });
  const { said, outcome } = await steps(
    `
step('above', lambda: os.rename('watched/inner', 'watched'))
step('beside', lambda: os.rename('watched/inner', 'other'))
`,
    {
      cwd: folder,
      policy: policyFor(folder),
      hooks: (child) => child.onOpen({ path: join(folder, 'watched/*/key') }, () => allow()),
    },
  );
  expect(said).toEqual(['above ENOTEMPTY', 'beside EACCES']);
  expect(outcome.violations).toMatchObject([{ syscall: process.arch === 'x64' ? 'rename' : 'renameat', rule: 'hook' }]);
});

test('an error of the kernel’s that tells nothing of what may not be looked at stays the kernel’s', async () => {
  const folder = temporaryFolder('errors');
  const outside = temporaryFolder('outside');
  for (const name of ['base', 'denied']) mkdirSync(join(folder, name));
  const { said, outcome } = await steps(
    `
def opened(name, resolve):
    how = struct.pack('QQQ', 0, 0, resolve)
    return call(437, -100, name.encode(), how, len(how))
# RESOLVE_BENEATH: it leaves the folder before it comes to what is denied.
step('beneath', lambda: opened('../denied/nothing/more', 8))
step('denied', lambda: opened('../denied/nothing/more', 0))
# Too long a name is none, wherever it would be.
for act in (os.stat, os.listdir, os.unlink): step('long', lambda: act('${outside}/' + 'n' * 256))
`,
    { cwd: join(folder, 'base'), policy: { files: { read: [folder], deny: [join(folder, 'denied')] } } },
  );
  expect(said).toEqual(['beneath EXDEV', 'denied EACCES', ...Array(3).fill('long ENAMETOOLONG')]);
  expect(outcome.violations).toMatchObject([{ syscall: 'openat2', path: join(folder, 'denied/nothing') }]);
});

test('openat2 is asked again, or answered as on an older kernel, where it cannot be performed', async () => {
  const folder = temporaryFolder('openat2');
  writeFileSync(join(folder, 'file'), '');
  const { said } = await steps(
    `
for flags, resolve in ((os.O_PATH, 0), (os.O_RDONLY, 0x20), (os.O_RDONLY, 0)):
    how = (ctypes.c_uint64 * 3)(flags, 0, resolve)
    step('openat2', lambda: call(437, -100, b'file', how, 24))
root = os.open('/', os.O_PATH)
how[2] = 0x10
for path in (b'/proc/self/status', b'/proc/sys/kernel/ostype'): step('in root', lambda: call(437, root, path, how, 24))
`,
    { cwd: folder, policy: policyFor(folder) },
  );
  // Only the caller itself can open with O_PATH, at a stop.
  const byPath = holdsByStops ? 'openat2 done' : 'openat2 ENOSYS';
  expect(said).toEqual([byPath, 'openat2 EAGAIN', 'openat2 done', 'in root EXDEV', 'in root EXDEV']);
});

describe('the command is looked for', () => {
  const where = temporaryFolder('path');
  writeFileSync(join(where, 'plain'), '#!/bin/sh\necho ran\n', { mode: 0o644 });

  async function start(command: string, env: NodeJS.ProcessEnv): Promise<unknown> {
    const child = spawnSandboxed(command, [], { env, stdio: 'ignore', policy: policyFor(where) });
    return new Promise((resolve) => {
      child.on('error', (error) => resolve((error as NodeJS.ErrnoException).code));
      child.on('close', (code) => resolve(code));
    });
  }

  test('in /bin and /usr/bin where there is no PATH, and a file that is none is said to be', async () => {
    expect(await start('true', {})).toBe(0);
    expect(await start('plain', { PATH: where })).toBe('EACCES');
    expect(await start('plain', { PATH: `/nowhere:${where}:/usr` })).toBe('EACCES');
    expect(await start('missing', { PATH: `/nowhere:${where}` })).toBe('ENOENT');
    expect(await start('true', { PATH: `${where}:/bin` })).toBe(0);
  });
});
