// What a policy says of system calls and of what is executed can be put on while the tree runs, too: for the next call of
// every thread, whatever it does just then, and only ever narrower.

import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CompiledPolicy, compilePolicy, type Policy, type Restriction, type SandboxedProcess } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { clockIsSystemCall, refusesWritableCode } from '../helpers/kernel.ts';
import { patient } from '../helpers/patience.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { started } from './conversation.ts';

const timeout = patient(60_000);

const asks = String.raw`
import ctypes, errno, mmap, os, signal, sys, time
libc = ctypes.CDLL(None, use_errno=True)
signal.signal(signal.SIGSYS, lambda *_: None)
def result(value): return 'ok' if value >= 0 else errno.errorcode[ctypes.get_errno()]
def call(what, *rest):
    if what == 'uname': return result(libc.uname(ctypes.create_string_buffer(400)))
    if what == 'socket': return result(libc.socket(int(rest[0]), 2, 0))
    if what == 'getpgid': return result(libc.getpgid(0))
    if what == 'read': return result(os.open(rest[0], os.O_RDONLY))
    if what == 'fork':
        child = os.fork()
        if child == 0: os._exit(0)
        os.waitpid(child, 0)
    if what == 'run': return str(os.spawnv(os.P_WAIT, rest[0], list(rest)))
    if what == 'rename': os.rename(*rest)
    if what == 'code': mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    if what == 'later':
        at = ctypes.c_void_p.from_buffer(ctypes.create_string_buffer(8))
        libc.mmap.restype = ctypes.c_void_p
        place = libc.mmap(None, ctypes.c_size_t(4096), 3, 34, -1, ctypes.c_long(0))
        return result(libc.mprotect(ctypes.c_void_p(place), ctypes.c_size_t(4096), 5))
    if what == 'time': return 'ok' if time.time() > 0 else 'no'
    return 'ok'
sys.stdout.write('ready\n')
sys.stdout.flush()
for line in sys.stdin:
    try: answer = call(*line.split())
    except OSError as error: answer = errno.errorcode[error.errno]
    sys.stdout.write(answer + '\n')
    sys.stdout.flush()
`;

async function asked(policy: Policy, listen?: (child: SandboxedProcess) => void) {
  const run = started('/usr/bin/python3', ['-c', asks], policy, listen);
  expect(await run.next()).toBe('ready');
  return {
    ...run,
    call: (...words: (string | number)[]) => {
      run.say(words.join(' '));
      return run.next();
    },
    end: async () => {
      run.child.stdin.end();
      expect(await run.closed).toEqual([0, null]);
    },
  };
}

const refusing: Restriction & Policy = { syscalls: { deny: [{ call: 'uname', errno: 'ENOTTY' }] } };

describe('a call that is refused from now on', () => {
  test.each([
    ['by the kernel', undefined],
    ['by a stop', (child: SandboxedProcess) => child.on('violation', () => {})],
  ])('%s is so in the next call of every thread and child', { timeout }, async (_, listen) => {
    const { child, closed, next, say } = started(program('restricted_calls'), [], {}, listen);
    expect(await next()).toBe('ready');
    await child.restrict(refusing);
    say('now');
    const seen = JSON.parse(await next());
    expect(await closed).toEqual([0, null]);
    expect(seen).toMatchObject({ escaped: 0, wrong: 0, cut: 0 });
    expect(seen.before).toBeGreaterThan(0);
    expect(seen.refused).toBeGreaterThan(100);
    expect(seen.children).toBeGreaterThan(3);
  });
});

test('rules add up, the strictest decides, and none gives anything back', async () => {
  const logged: string[] = [];
  const { child, closed, call } = await asked(
    { syscalls: { deny: [{ call: 'uname', errno: 'ENOSYS' }] }, exec: ['/bin/true'] },
    (one) => one.on('syscall', ({ rule }) => logged.push(rule)),
  );
  expect(await call('uname')).toBe('ENOSYS');
  await child.restrict({
    syscalls: { deny: [{ call: 'socket', args: [{ index: 0, equals: 'AF_NETLINK' }], errno: 'EAFNOSUPPORT' }] },
  });
  expect(await call('socket', 16)).toBe('EAFNOSUPPORT');
  expect(await call('socket', 1)).toBe('ok');
  await child.restrict({
    syscalls: {
      deny: [
        { call: 'getpgid', action: 'log' },
        { call: 'socket', args: [{ index: 0, equals: 'AF_UNIX' }] },
      ],
    },
  });
  expect(await call('getpgid')).toBe('ok');
  expect(await call('socket', 16)).toBe('EAFNOSUPPORT');
  expect(await call('socket', 1)).toBe('EPERM');
  expect(await call('socket', 2)).toBe('ok');
  expect(await call('uname')).toBe('ENOSYS');
  expect(await call('run', '/bin/true')).toBe('0');
  // A further restriction is put on by calls that this one refuses.
  await child.restrict({ syscalls: { deny: ['seccomp', 'prctl', 'openat2', 'sendmsg'] } });
  await child.restrict({ syscalls: { deny: [{ call: 'getpgid', action: 'kill' }] } });
  expect(await call('socket', 1)).toBe('EPERM');
  void call('getpgid');
  expect(await closed).toEqual([null, 'SIGKILL']);
  expect(logged).toContain('restrict.syscalls.deny[0]');
});

test('what the kernel answers already it ends the process for', async () => {
  const { child, closed, call } = await asked(refusing);
  expect(await call('uname')).toBe('ENOTTY');
  await child.restrict({ syscalls: { deny: [{ call: 'uname', action: 'kill' }] } });
  expect(await call('getpgid')).toBe('ok');
  void call('uname');
  expect(await closed).toEqual([null, 'SIGSYS']);
});

test('only: what is not named is refused', async () => {
  const { child, call, end } = await asked({});
  const warned: string[] = [];
  child.on('warning', ({ rule }) => warned.push(rule));
  const only = [
    'read',
    'write',
    'exit_group',
    'rt_sigaction',
    'rt_sigreturn',
    'munmap',
    'mmap',
    'brk',
    'close',
  ] as const;
  await child.restrict({
    syscalls: { only: [...only, 'getpgid', 'futex', 'lseek', 'fstat', 'newfstatat'], otherwise: 'ENOTTY' },
  });
  expect(await call('getpgid')).toBe('ok');
  expect(await call('uname')).toBe('ENOTTY');
  expect(await call('read', '/etc/passwd')).toBe('ENOTTY');
  // The vDSO is no system call, where it can read the clock.
  expect(await call('time')).toBe(clockIsSystemCall ? 'ENOTTY' : 'ok');
  await end();
  expect(warned).toEqual(['restrict.syscalls.only']);
});

test('compute: nothing but its streams, memory and threads', async () => {
  const { child, call, end } = await asked({ files: { read: ['/'], write: ['/'] }, network: { connect: ['*'] } });
  expect(await call('fork')).toBe('ok');
  await child.restrict('compute');
  expect(await call('fork')).toBe('EPERM');
  expect(await call('socket', 1)).toBe('EPERM');
  expect(await call('read', '/etc/shadow')).toBe('EACCES');
  expect(await call('getpgid')).toBe('ok');
  expect(await call('run', '/bin/true')).toBe('EPERM');
  await end();
});

test('a compiled policy brings its rules on calls; a violation names them', async () => {
  const { child, call, end } = await asked({ files: { read: ['/'] } });
  const heard: (string | undefined)[] = [];
  const policy: CompiledPolicy = compilePolicy({ files: { read: ['/'] }, syscalls: { deny: ['uname'] } });
  child.on('violation', ({ rule }) => heard.push(rule));
  await child.restrict(policy);
  expect(await call('uname')).toBe('EPERM');
  await end();
  // Who listens only now hears of what the kernel does not answer alone.
  expect(heard.every((rule) => rule?.startsWith('restrict'))).toBe(true);
});

test('what is executed, by pattern and arguments', async () => {
  const folder = temporaryFolder();
  const [tool, other] = [join(folder, 'tool'), join(folder, 'other')];
  copyFileSync('/usr/bin/true', tool);
  const { child, call, end } = await asked({
    files: { read: ['/'], write: [folder], metadata: ['/'] },
    defaults: { proc: false },
  });
  expect(await call('rename', tool, other)).toBe('ok');
  await child.restrict({ exec: { deny: [{ path: other, argv: ['push'] }] } });
  expect(await call('run', other, 'push')).toBe('127');
  expect(await call('run', other)).toBe('0');
  expect(await call('rename', other, tool)).toBe('EACCES');
  await child.restrict({ exec: { deny: [{ path: '/usr/bin/test', argv: ['**', 'b'] }] } });
  expect(await call('run', '/usr/bin/test', 'a', '=', 'a')).toBe('0');
  expect(await call('run', '/usr/bin/test', 'a', '=', 'b')).toBe('127');
  await child.restrict({ exec: [{ path: '/usr/bin/test', argv: ['a', '**'] }] });
  expect(await call('run', '/usr/bin/test', 'a', '=', 'a')).toBe('0');
  expect(await call('run', '/usr/bin/test', 'c', '=', 'c')).toBe('127');
  expect(await call('run', '/usr/bin/test', 'a', '=', 'b')).toBe('127');
  expect(await call('run', '/bin/true')).toBe('127');
  await end();
});

test('memory becomes writable and executable no more, or the kernel cannot refuse it and that is said', async () => {
  const { child, call, end } = await asked({});
  expect(await call('code')).toBe('ok');
  expect(await call('later')).toBe('ok');
  const restricted = child.restrict({ exec: { writableMappings: false } });
  if (refusesWritableCode) {
    await restricted;
    expect(await call('code')).not.toBe('ok');
    expect(await call('later')).toBe('EACCES');
    await child.restrict({ exec: { writableMappings: false } });
    expect(await call('code')).not.toBe('ok');
  } else {
    await expect(restricted).rejects.toMatchObject({
      code: 'ERR_HOLDFAST_UNSUPPORTED_KERNEL',
      message: expect.stringContaining('policy.exec.writableMappings'),
    });
    expect(await call('code')).toBe('ok');
    expect(await call('later')).toBe('ok');
  }
  await end();
});

test('what can hold from the start only is refused by its field', async () => {
  const { child, call, end } = await asked({});
  const wrong = (value: unknown, words: RegExp) =>
    expect(child.restrict(value as Restriction)).rejects.toMatchObject({
      code: 'ERR_HOLDFAST_INVALID_POLICY',
      message: expect.stringMatching(words),
    });
  await wrong({ syscalls: { deny: ['unmae'] } }, /policy\.syscalls\.deny\[0\]: .*did you mean 'uname'/);
  await wrong({ syscalls: { deny: ['uname', 'clock_gettime'] } }, /policy\.syscalls\.deny\[1\]: .*vDSO/);
  await wrong(compilePolicy({ syscalls: { deny: ['time'] } }), /policy\.syscalls\.deny\[0\]: .*vDSO/);
  await wrong({ exec: { written: false } }, /policy\.exec\.written: .*from the start on/);
  await wrong({ exec: { deny: [{ path: '/bin/true', under: '/bin/sh' }] } }, /policy\.exec\.deny\[0\]\.under/);
  await wrong({ files: { deny: [{ path: '/bin', under: '/bin/sh' }] } }, /policy\.files\.deny\[0\]\.under/);
  expect(await call('uname')).toBe('ok');
  await end();
});

test('time is refused later where nobody has a vDSO', async () => {
  const { child, call, end } = await asked({ syscalls: { deny: [{ call: 'getcpu', errno: 'ENOSYS' }] } });
  expect(await call('time')).toBe('ok');
  await child.restrict({ syscalls: { deny: [{ call: 'clock_gettime', errno: 'ENOSYS' }] } });
  expect(await call('time')).toMatch(/ENOSYS/);
  await end();
});
