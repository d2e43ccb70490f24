// The engine `kernel`: seccomp and Landlock alone. What they can decide they decide as the rules would; what they cannot is
// refused before anything runs; and nothing is left behind.
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  allow,
  checkSupport,
  createSandboxPool,
  deny,
  type HoldfastError,
  type Policy,
  spawnSandboxed,
} from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { untraceable } from '../helpers/engine.ts';
import { isRoot, mayMount, mounting } from '../helpers/places.ts';
import { listen } from '../helpers/ports.ts';
import { sanitizer } from '../helpers/sanitized.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { startHost } from '../lifecycle/host.ts';
import {
  descendantsOf,
  event,
  nothingLeft,
  parentOf,
  python,
  running,
  stateOf,
  textOf,
  until,
} from '../lifecycle/tree.ts';

/** Landlock keeps signals inside since ABI 6 (Linux 6.12). */
const has = (checkSupport().landlockAbi ?? 0) >= 6 && !sanitizer;

const everything = ['*', 'unix:/', 'unix:@*'];

/** A policy that the kernel can decide: it gives one folder to read and one to write. */
function scene(more: Partial<Policy> = {}) {
  const root = temporaryFolder('kernel');
  const work = join(root, 'work');
  const given = join(root, 'given');
  const secret = join(root, 'secret');
  for (const folder of [work, given]) mkdirSync(folder);
  writeFileSync(join(given, 'file'), 'given');
  writeFileSync(secret, 'secret');
  const policy: Policy = {
    files: {
      read: ['/usr', '/bin', '/lib', '/lib64', '/etc', given, work],
      write: [work, '/dev/null'],
      metadata: ['/'],
    },
    defaults: { proc: false, cwd: false },
    ...more,
  };
  return { root, work, given, secret, policy };
}

async function run(command: string, args: string[], policy: Policy, cwd = '/') {
  const child = spawnSandboxed(command, args, { engine: 'kernel', policy, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, errors] = [textOf(child.stdout), textOf(child.stderr)];
  const failures: HoldfastError[] = [];
  child.on('error', (error) => failures.push(error as HoldfastError));
  const [code, signal] = await event(child, 'close');
  return { code, signal, out: await out, errors: await errors, failures, engine: child.engine };
}

/** Each step's outcome on a line. */
const steps = (script: string) => `
import ctypes, errno, os, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def step(name, act):
    try: print(name, act() or 'done')
    except OSError as error: print(name, errno.errorcode[error.errno])
def call(number, *args):
    result = libc.syscall(number, *args)
    if result < 0: raise OSError(ctypes.get_errno(), '')
    return 'done'
${script}`;

async function said(script: string, { policy, work }: ReturnType<typeof scene>): Promise<string[]> {
  const { out, errors } = await run(python, ['-S', '-c', steps(script)], policy, work);
  expect(errors).toBe('');
  return out.trim().split('\n');
}

const number = (x64: number, arm64: number) => (process.arch === 'x64' ? x64 : arm64);

describe.skipIf(!has)(
  'the engine kernel (needs ABI 6 of Landlock; a sanitizer keeps the child in memory of its own)',
  () => {
    test('runs real programs, and its plan says that nobody holds a call', async () => {
      const { policy, work } = scene();
      const child = spawnSandboxed('sh', ['-c', 'ls /usr > list; grep -x bin list; rm list'], {
        engine: 'kernel',
        policy,
        cwd: work,
      });
      const plan = child.plan();
      const out = textOf(child.stdout);
      expect(await event(child, 'close')).toEqual([0, null]);
      expect(await out).toBe('bin\n');
      expect(child.engine).toBe('kernel');
      const { engine, classes } = await plan;
      expect(engine).toBe('kernel');
      expect(Object.values(classes).filter(({ layer }) => layer !== 'kernel' && layer !== 'landlock')).toEqual([]);
      expect(child.usage).toMatchObject({ callsHeld: 0, wallTime: expect.any(Number) });
      expect(
        await run(process.execPath, ['-p', '1 + 1'], { ...policy, files: { ...policy.files, read: ['/'] } }),
      ).toMatchObject({
        failures: [{ code: 'ERR_HOLDFAST_NEEDS_HOLD', message: expect.stringContaining('holds /proc') }],
      });
    });

    test('reads and writes what is given, whatever name leads there, and nothing else', async () => {
      const place = scene();
      symlinkSync(place.secret, join(place.work, 'link'));
      expect(
        await said(
          `
read = lambda path: open(path).read()
step('given', lambda: read('${place.given}/file'))
step('secret', lambda: read('${place.secret}'))
step('by a link', lambda: read('link'))
step('by ..', lambda: read('${place.given}/../secret'))
step('by a descriptor', lambda: read('/proc/self/root${place.secret}'))
step('write', lambda: str(open('new', 'w').write('x')))
step('write what is read', lambda: str(open('${place.given}/file', 'w').write('x')))
step('make', lambda: os.mkdir('${place.given}/folder'))
step('own link', lambda: os.symlink('${place.secret}', 'own'))
step('by the own link', lambda: read('own'))
step('list', lambda: ' '.join(sorted(os.listdir('${place.given}'))))
step('list above', lambda: os.listdir('${place.root}'))
`,
          place,
        ),
      ).toEqual([
        'given given',
        'secret EACCES',
        'by a link EACCES',
        'by .. EACCES',
        'by a descriptor EACCES',
        'write 1',
        'write what is read EACCES',
        'make EACCES',
        'own link done',
        'by the own link EACCES',
        'list file',
        'list above EACCES',
      ]);
    });

    test('removes and moves only what may be written, and gains nothing by another name', async () => {
      const place = scene();
      writeFileSync(join(place.work, 'old'), '');
      expect(
        await said(
          `
step('rename', lambda: os.rename('old', 'new'))
step('out', lambda: os.rename('new', '${place.root}/new'))
step('in', lambda: os.rename('${place.given}/file', 'taken'))
step('link', lambda: os.link('${place.given}/file', 'other'))
step('remove', lambda: os.unlink('${place.given}/file'))
step('remove secret', lambda: os.unlink('${place.secret}'))
step('truncate', lambda: os.truncate('${place.secret}', 0))
step('own', lambda: os.unlink('new'))
step('folder', lambda: os.rmdir('${place.work}'))
`,
          place,
        ),
      ).toEqual([
        'rename done',
        expect.stringMatching(/^out E(ACCES|XDEV)$/),
        expect.stringMatching(/^in E(ACCES|XDEV)$/),
        expect.stringMatching(/^link E(ACCES|XDEV)$/),
        'remove EACCES',
        'remove secret EACCES',
        'truncate EACCES',
        'own done',
        'folder EACCES',
      ]);
      expect(readFileSync(place.secret, 'utf8')).toBe('secret');
    });

    test('changes no attribute, and has no way around a path', async () => {
      const place = scene();
      writeFileSync(join(place.work, 'mine'), '', { mode: 0o644 });
      const raw = `
mine = open('mine')
step('chmod', lambda: os.chmod('mine', 0o600))
step('fchmod', lambda: os.fchmod(mine.fileno(), 0o600))
step('chown', lambda: os.chown('mine', os.getuid(), os.getgid()))
step('utime', lambda: os.utime('mine'))
step('setxattr', lambda: os.setxattr('mine', 'user.x', b'x'))
step('memory file', lambda: os.memfd_create('x'))
step('openat2', lambda: call(437, -100, b'mine', (ctypes.c_uint64 * 3)(0, 0, 0), 24))
step('handle', lambda: call(${number(304, 265)}, -100, 0, 0))
step('mount', lambda: call(${number(165, 40)}, 0, 0, 0, 0, 0))
step('namespace', lambda: call(${number(272, 97)}, 0x10000000))
step('ptrace', lambda: call(${number(101, 117)}, 0, 0, 0, 0))
step('io_uring', lambda: call(425, 1, 0))
step('bpf', lambda: call(${number(321, 280)}, 0, 0, 0))
step('shared memory', lambda: call(${number(29, 194)}, 1, 4096, 0o1600))
step('watch', lambda: call(${number(254, 27)}, call_fd(), b'.', 0xfff))
step('unknown', lambda: call(5000))
`.replace('call_fd()', `libc.inotify_init()`);
      expect(await said(raw, place)).toEqual([
        'chmod EACCES',
        'fchmod EACCES',
        'chown EACCES',
        'utime EACCES',
        'setxattr EACCES',
        'memory file EACCES',
        'openat2 ENOSYS',
        'handle EPERM',
        'mount EPERM',
        'namespace EPERM',
        'ptrace EPERM',
        'io_uring ENOSYS',
        'bpf EPERM',
        'shared memory EPERM',
        'watch EACCES',
        'unknown ENOSYS',
      ]);
      expect(statSync(join(place.work, 'mine')).mode & 0o777).toBe(0o644);
    });

    test('the tree may be executed from, and what may not be is not, by any way', async () => {
      const place = scene({ exec: ['/usr', '/bin', '/lib', '/lib64'] });
      writeFileSync(join(place.work, 'own'), '#!/bin/sh\necho ran\n', { mode: 0o755 });
      chmodSync(join(place.work, 'own'), 0o755);
      expect(
        await said(
          `
def execute(act):
    child = os.fork()
    if child == 0:
        try: act()
        except OSError as error: os._exit(error.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return errno.errorcode.get(code, 'ran') if code else 'ran'
step('given', lambda: execute(lambda: os.execv('/bin/true', ['true'])))
step('own', lambda: execute(lambda: os.execv('own', ['own'])))
step('by descriptor', lambda: execute(lambda: os.execve(os.open('own', os.O_RDONLY), ['own'], {})))
`,
          place,
        ),
      ).toEqual(['given ran', 'own EACCES', expect.stringMatching(/^by descriptor E(ACCES|NOSYS|NOENT)$/)]);
    });

    test('reaches nobody where no address is given, and everybody where all are', async () => {
      const server = await listen({ greeting: 'met' });
      const { port } = server;
      const script = `
def meet():
    with socket.create_connection(('127.0.0.1', ${port})) as s: return s.recv(9).decode()
step('tcp', meet)
step('udp', lambda: str(socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', ${port}))))
step('bind', lambda: socket.socket().bind(('127.0.0.1', 0)))
step('abstract', lambda: socket.socket(socket.AF_UNIX).connect('\\0nobody'))
a, b = socket.socketpair()
step('pair', lambda: str(a.send(b'x')))
step('raw', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
`;
      try {
        expect(await said(script, scene())).toEqual([
          'tcp EACCES',
          'udp EACCES',
          'bind EACCES',
          'abstract EACCES',
          'pair 1',
          expect.stringMatching(/^raw E/),
        ]);
        const [tcp, udp, bind, abstract, pair, raw] = await said(
          script,
          scene({ network: { connect: everything, bind: everything } }),
        );
        expect([tcp, udp, bind, pair]).toEqual(['tcp met', 'udp 1', 'bind done', 'pair 1']);
        expect(abstract).toMatch(/^abstract E(CONNREFUSED|PERM)$/);
        expect(raw).toMatch(/^raw E/);
      } finally {
        await server.close();
      }
    });

    test('signals stay inside', async () => {
      const place = scene();
      expect(
        await said(
          `
child = os.fork()
if child == 0:
    signal.pause()
step('outside', lambda: os.kill(${process.pid}, 0))
step('the supervisor', lambda: os.kill(os.getppid(), 0))
step('everybody', lambda: os.kill(-1, 0))
step('inside', lambda: os.kill(child, signal.SIGTERM))
step('ended', lambda: str(os.waitpid(child, 0)[1]))
`,
          place,
        ),
      ).toEqual([
        'outside EPERM',
        'the supervisor EPERM',
        expect.stringMatching(/^everybody (done|E(PERM|SRCH))$/),
        'inside done',
        'ended 15',
      ]);
    });

    test('what needs a hold is refused before anything runs, all of it at once, with what would do', async () => {
      const { root, work, policy } = scene();
      const marker = join(work, 'ran');
      const child = spawnSandboxed('touch', [marker], {
        engine: 'kernel',
        policy: {
          files: { read: [root], write: [work], deny: [join(root, 'secret')] },
          network: { connect: ['127.0.0.1:80'] },
          exec: [{ path: '/usr/bin/touch', argv: ['*'] }],
          syscalls: { deny: [{ call: 'getppid', action: 'kill' }] },
        },
        limits: { processes: 3, wallTime: '5s' },
      });
      child.onOpen({ path: '/etc/passwd' }, () => deny());
      child.on('violation', () => {});
      const [error] = (await event(child, 'error')) as [HoldfastError];
      expect(error.code).toBe('ERR_HOLDFAST_NEEDS_HOLD');
      for (const part of [
        "policy.files.metadata: ['/']",
        'files.deny[0]',
        'policy.network.connect does not give every address',
        "a rule is about a program's arguments",
        'a rule kills, logs or reports',
        'a hook hears of open',
        "no listener for 'violation'",
        'limits.processes',
        'limits.wallTime',
      ])
        expect(error.message).toContain(part);
      expect(existsSync(marker)).toBe(false);
      expect(await run('true', [], policy)).toMatchObject({ code: 0, failures: [] });
      const hooked = spawnSandboxed('true', [], { engine: 'kernel', policy });
      hooked.onExec(() => allow());
      expect(await event(hooked, 'error')).toMatchObject([{ code: 'ERR_HOLDFAST_NEEDS_HOLD', engine: 'kernel' }]);
    });

    test.skipIf(untraceable)('a pool starts it anew, since what waits there is traced', async () => {
      const { policy } = scene();
      const pool = createSandboxPool({ size: 1 });
      const child = pool.spawn('true', [], { engine: 'kernel', policy });
      expect(await event(child, 'close')).toEqual([0, null]);
      expect(child.engine).toBe('kernel');
      expect(pool.waiting).toBe(1);
      await pool.close();
    });

    test('memory that can be executed is not given to it as a descriptor', async () => {
      const { policy, work } = scene({ exec: ['/usr/bin/env', '/lib', '/lib64'] });
      // Node inherits it, as 9.
      const start = (mode: string) => {
        const make = `import os, sys
file = os.memfd_create('given')
os.write(file, open('/usr/bin/id', 'rb').read())
os.fchmod(file, ${mode})
os.dup2(file, 9)
os.execv(sys.argv[1], sys.argv[1:])`;
        const host = startHost(
          `const child = spawnSandboxed('/usr/bin/env', ['/proc/self/fd/3'], { engine: 'kernel', policy: JSON.parse(args[0]), cwd: args[1], stdio: ['ignore', 'inherit', 'ignore', 9] });
child.on('error', (error) => say(error.code, error.message.includes('stdio[3]')));
child.on('exit', (code) => say(code));`,
          [JSON.stringify(policy), work],
          {},
          [python, '-S', '-c', make],
        );
        return textOf(host.stdout);
      };
      expect(await start('0o777')).toBe('ERR_HOLDFAST_NEEDS_HOLD true\n');
      expect(await start('0o666')).toBe('126\n');
    });

    test('rules on calls that the kernel answers by itself hold', async () => {
      const place = scene({ syscalls: { deny: [{ call: 'getppid', errno: 'EDOM' }] } });
      expect(await said(`step('getppid', lambda: call(${number(110, 173)}))`, place)).toEqual(['getppid EDOM']);
    });

    test('what asks about the tree is refused with a word', async () => {
      const { policy } = scene();
      const child = spawnSandboxed('sleep', ['60'], { engine: 'kernel', policy });
      await event(child, 'spawn');
      for (const asked of [
        child.freeze(),
        child.processes(),
        child.inspect(child.pid as number),
        child.restrict({ files: {} }),
      ])
        await expect(asked).rejects.toMatchObject({ code: 'ERR_HOLDFAST_NEEDS_HOLD', engine: 'kernel' });
      await child.killTree();
      expect([child.exitCode, child.signalCode]).toEqual([null, 'SIGKILL']);
    });

    describe('nothing outlives it', () => {
      /** Of processes with this in their command line. */
      const living = (word: string) =>
        readdirSync('/proc').filter((pid) => {
          try {
            return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(word);
          } catch {
            return false;
          }
        });
      const forks = (word: string) => `
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def leave():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv('${python}', ['${python}', '-S', '-c', 'import time; time.sleep(600)', '${word}'])
        os._exit(0)
    os.wait()
for _ in range(20): leave()
`;

      test('what the command leaves behind is killed with it', async () => {
        const word = `left-${process.pid}-behind`;
        const { policy } = scene();
        expect(await run(python, ['-S', '-c', forks(word)], policy)).toMatchObject({ code: 0, errors: '' });
        await until(() => living(word).length === 0, 'all have ended');
      });

      test("descendants: 'wait' waits for them; killTree() ends them, and who makes others meanwhile", async () => {
        const word = `left-${process.pid}-waits`;
        const { policy } = scene();
        const child = spawnSandboxed(python, ['-S', '-c', `${forks(word)}print('left', flush=True)`], {
          engine: 'kernel',
          policy,
          descendants: 'wait',
        });
        expect(await event(child, 'exit')).toEqual([0, null]);
        await until(() => living(word).length >= 20, 'all of them run');
        await child.killTree();
        await until(() => living(word).length === 0, 'all have ended');
      });

      test('no look has to find who makes another one and ends, again and again', async () => {
        const { policy, work } = scene();
        const chain = join(work, 'chain');
        copyFileSync(program('life_chain'), chain);
        for (const how of ['killTree', 'the supervisor alone is killed'] as const) {
          const child = spawnSandboxed(chain, ['8', 'stay'], {
            engine: 'kernel',
            policy,
            descendants: 'wait',
            stdio: ['ignore', 'pipe', 'inherit'],
          });
          const lost: unknown[] = [];
          child.on('error', (error) => lost.push((error as HoldfastError).code));
          await event(child.stdout, 'data');
          const closed = event(child, 'close');
          if (how === 'killTree') await child.killTree();
          else process.kill(parentOf(child.pid ?? 0), 'SIGKILL');
          expect(await closed).toEqual([null, 'SIGKILL']);
          expect(lost).toEqual(how === 'killTree' ? [] : ['ERR_HOLDFAST_SUPERVISOR_LOST']);
          await until(
            () => running(chain).length === 0,
            () => `all have ended: ${running(chain)}`,
          );
        }
      });

      test('the supervisor alone is killed, and what has left the session and the command with it', async () => {
        const word = `left-${process.pid}-alone`;
        const { policy } = scene();
        const script = `${forks(word)}libc = __import__('ctypes').CDLL(None)
libc.prctl(1, 0) # PR_SET_PDEATHSIG: nothing
print('left', flush=True)
time.sleep(600)`;
        const child = spawnSandboxed(python, ['-S', '-c', script], {
          engine: 'kernel',
          policy,
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        child.on('error', () => {});
        await event(child.stdout, 'data');
        await until(() => living(word).length >= 21, 'all of them run');
        process.kill(parentOf(child.pid ?? 0), 'SIGKILL');
        await until(() => living(word).length === 0, 'all have ended');
      });

      test('nobody in the tree can signal who watches; it ends with the supervisor, and nothing is left to be reaped', async () => {
        const { policy } = scene();
        const child = spawnSandboxed(
          python,
          [
            '-S',
            '-c',
            steps(
              `print('on', flush=True)\nfor pid in sys.stdin.readline().split(): step('kill', lambda: os.kill(int(pid), 9))`,
            ),
          ],
          { engine: 'kernel', policy, stdio: ['pipe', 'pipe', 'inherit'] },
        );
        const out = textOf(child.stdout);
        await event(child.stdout, 'data');
        const supervisor = parentOf(child.pid ?? 0);
        const watches = descendantsOf(supervisor).filter((pid) => pid !== child.pid);
        expect(watches).toHaveLength(1);
        const closed = event(child, 'close');
        child.stdin?.end(`${watches} ${supervisor}\n`);
        expect(await closed).toEqual([0, null]);
        expect(await out).toBe('on\nkill EPERM\nkill EPERM\n');
        await until(() => [supervisor, ...watches].every((pid) => stateOf(pid) === 'gone'), 'both have ended');
        expect(await run('false', [], { ...policy, files: {} })).toMatchObject({
          failures: [{ code: 'ERR_HOLDFAST_NEEDS_HOLD' }],
        });
        await nothingLeft();
      });

      test.runIf(isRoot)('who could become somebody whom root may not signal does not become him', async () => {
        const { policy, work } = scene();
        const become = steps(`
step('user', lambda: os.setuid(65534))
step('group', lambda: os.setgid(65534))`);
        const host = startHost(
          `const child = spawnSandboxed(args[0], ['-S', '-c', args[1]], { engine: 'kernel', policy: JSON.parse(args[2]), cwd: args[3], stdio: ['ignore', 'inherit', 'inherit'] });
child.on('error', (error) => say(error.message));`,
          [python, become, JSON.stringify(policy), work],
          {},
          ['setpriv', '--inh-caps=-kill', '--bounding-set=-kill'],
        );
        expect(await textOf(host.stdout)).toBe('user EPERM\ngroup done\n');
        expect((await said(become, scene())).map((line) => line.split(' ')[1])).toEqual(['done', expect.any(String)]);
      });

      test.runIf(mayMount)('nor does what /proc hides from the supervisor', async () => {
        const word = `left-${process.pid}-hidden`;
        const { policy, work } = scene();
        // A program that its user may not read, by one who has no rights over that, nor the group that /proc shows all.
        const unprivileged = ['--regid', '65534', '--clear-groups', '--inh-caps=-all', '--bounding-set=-all'];
        const hide = `
import os
file = os.open('hidden', os.O_CREAT | os.O_WRONLY, 0o111)
os.write(file, open('/usr/bin/sleep', 'rb').read())
os.close(file)
ready, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv('hidden', ['${word}', '600'])
    os._exit(0)
os.wait()
os.close(tell)
os.read(ready, 1)
print('left', flush=True)
`;
        const host = startHost(
          `const child = spawnSandboxed(args[0], ['-S', '-c', args[1]], { engine: 'kernel', policy: JSON.parse(args[2]), cwd: args[3], stdio: ['ignore', 'inherit', 'inherit'] });
child.on('error', (error) => say(error.message));
child.on('close', (...end) => say(...end));`,
          [python, hide, JSON.stringify({ ...policy, exec: ['/usr', '/bin', '/lib', '/lib64', work] }), work],
          {},
          [...mounting('mount -t proc -o hidepid=2 proc /proc'), 'setpriv', ...unprivileged],
        );
        expect((await textOf(host.stdout)).trim().split('\n')).toEqual(['left', '0']);
        await until(() => living(word).length === 0, 'it has ended');
      });

      test.each(['SIGKILL', 'SIGTERM'])('Node ends by %s', async (signal) => {
        const word = `left-${process.pid}-${signal}`;
        const { policy } = scene();
        const host = startHost(
          `const child = spawnSandboxed(args[0], ['-S', '-c', args[1]], { engine: 'kernel', policy: JSON.parse(args[2]), descendants: 'wait', stdio: ['ignore', 'pipe', 'inherit'] });
child.stdout.on('data', (data) => say(String(data).trim()));`,
          [python, `${forks(word)}print('left', flush=True); time.sleep(600)`, JSON.stringify(policy)],
        );
        await once(host.stdout as NodeJS.ReadableStream, 'data');
        await until(() => living(word).length >= 20, 'all of them run');
        host.kill(signal as NodeJS.Signals);
        await until(() => living(word).length === 0, 'all have ended');
      });
    });

    test('a sandbox inside one, which has no /proc, says so', async () => {
      const { work, policy } = scene();
      const library = new URL('../../', import.meta.url).pathname;
      const inner = `
import(${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)}).then(({ spawnSandboxed }) => {
  spawnSandboxed('true', [], { policy: { defaults: { cwd: false } } }).on('error', (error) => console.log(error.code));
});`;
      const node = join(process.execPath, '..');
      const outer: Policy = {
        ...policy,
        files: { ...policy.files, read: [...(policy.files?.read ?? []), library, node] },
        network: { connect: everything, bind: everything },
        exec: ['/usr', '/bin', '/lib', '/lib64', library, node],
      };
      const { out, failures } = await run(process.execPath, ['-e', inner], outer, work);
      expect(failures).toEqual([]);
      expect(out).toBe('ERR_HOLDFAST_PROC\n');
    });

    test('where nobody may be traced it is chosen, for what it can have', async () => {
      const { work, policy } = scene();
      const host = startHost(
        `for (const more of [{}, { files: {} }]) {
  const child = spawnSandboxed('sh', ['-c', 'echo in'], { policy: { ...JSON.parse(args[0]), ...more }, cwd: args[1] });
  let out = '';
  child.stdout?.on('data', (data) => { out += data; });
  child.on('close', (code) => code === 0 && say(child.engine, out.trim()));
  child.on('error', (error) => say(error.code, error.message.includes("The engine 'kernel' needs no ptrace")));
  await new Promise((resolve) => child.on('close', resolve));
}`,
        [JSON.stringify(policy), work],
        { env: { ...process.env, HOLDFAST_ENGINE: 'auto' } },
        [program('life_forbid'), 'ptrace'],
      );
      expect((await textOf(host.stdout)).trim().split('\n')).toEqual(['kernel in', 'ERR_HOLDFAST_PTRACE true']);
    });
  },
);

test.skipIf(has || sanitizer)('without ABI 6 of Landlock it says what is missing (a newer kernel has it)', async () => {
  const { policy } = scene();
  expect((await run('true', [], policy)).failures).toMatchObject([
    { code: 'ERR_HOLDFAST_NEEDS_HOLD', message: expect.stringContaining('does not keep signals inside') },
  ]);
});
