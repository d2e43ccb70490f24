import { constants } from 'node:os';
import { allow, deny, kill, redirect, respond, type SandboxedProcess, type SyscallCall } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { syscallRows } from '../../lib/policy/syscalls.ts';
import { program } from '../helpers/build-programs.ts';
import { type Outcome, type RunOptions, runSandboxed } from '../helpers/run.ts';

const { errno } = constants;
const numberOf = (name: string) => String(syscallRows().get(name)?.number);
type Made = readonly [name: string, ...args: (string | number | bigint)[]];
const raw = (calls: readonly Made[], hooks: (child: SandboxedProcess) => void, options: RunOptions = {}) =>
  runSandboxed(
    program('raw_syscall'),
    calls.flatMap(([name, ...args], i) => [...(i === 0 ? [] : ['--']), numberOf(name), ...args.map(String)]),
    { ...options, hooks },
  );
const results = ({ stdout }: Outcome) => stdout.trimEnd().split('\n');
const memory = (line: string | undefined) => Buffer.from(line?.split(' ')[1] ?? '', 'hex');

describe('a hook on a system call', () => {
  test('hears of calls that nothing else holds, decoded by what the table says', async () => {
    const heard: SyscallCall[] = [];
    const hear = (call: SyscallCall) => void heard.push(call);
    const outcome = await raw(
      [
        ['sched_yield'],
        ['getpgid', 0],
        ['socket', 1, 0x80001, 0],
        ['openat', -100, '@/dev/null', 0x80001],
        ['lseek', 99, 0x1_0000_0002n, 1],
        ['kill', 0, 0],
      ],
      (child) => {
        for (const name of ['sched_yield', 'getpgid', 'socket', 'lseek', 'kill'] as const) child.onSyscall(name, hear);
        child.onSyscall(
          'openat',
          { args: [{ index: 2, maskedEquals: { mask: 'O_ACCMODE', value: 'O_WRONLY' } }] },
          hear,
        );
      },
    );
    expect(
      heard.map(({ syscall, args }) => [syscall, ...args.map(({ name, text, value }) => text ?? name ?? value)]),
    ).toEqual([
      ['sched_yield'],
      ['getpgid', 0n],
      ['socket', 'AF_UNIX', 'SOCK_STREAM|SOCK_CLOEXEC', 'IPPROTO_IP'],
      ['openat', 'AT_FDCWD', '/dev/null', 'O_WRONLY|O_CLOEXEC', 0n],
      ['lseek', 99n, 0x1_0000_0002n, 'SEEK_CUR'],
      ['kill', 0n, 0n],
    ]);
    expect(heard[0]).toMatchObject({ executable: program('raw_syscall'), pid: expect.any(Number) });
    expect(heard[4]?.registers).toHaveLength(6);
    const [yielded, , , , sought, sent] = results(outcome);
    expect([yielded, sought, sent]).toEqual(['0', String(-errno.EBADF), '0']);
    expect(outcome.violations).toEqual([]);
  });

  test('answers: deny, a value that the call returns without running, kill, a promise, no opinion', async () => {
    const asked: string[] = [];
    const outcome = await raw(
      [['getppid'], ['getpgid', 0], ['acct', 0], ['sched_yield'], ['getuid'], ['getpid']],
      (child) => {
        child
          .onSyscall('getppid', () => deny('EDOM'))
          .onSyscall('getpgid', async () => respond(4242))
          .onSyscall('acct', () => respond(0))
          .onSyscall('sched_yield', () => void asked.push('first'))
          .onSyscall('sched_yield', () => void asked.push('second'))
          .onSyscall('getuid', () => respond(2n ** 40n))
          .onSyscall('getpid', () => kill('SIGTERM'));
      },
    );
    expect(results(outcome).slice(0, 5)).toEqual([String(-errno.EDOM), '4242', '0', '0', String(2 ** 40)]);
    expect(outcome.signal).toBe('SIGTERM');
    expect(asked).toEqual(['first', 'second']);
    expect(outcome.violations.map(({ syscall, rule }) => [syscall, rule])).toEqual([
      ['getppid', 'hook'],
      ['getpid', 'hook'],
    ]);
  });

  test('allow gives nothing that the table, the policy or another hook refuses', async () => {
    const opened: string[] = [];
    const outcome = await raw(
      [
        ['acct', 0],
        ['openat', -100, '@/etc/shadow', 0],
        ['openat', -100, '@/etc/hostname', 0],
        ['getppid'],
        ['socket', 16, 3, 9],
        ['chdir', '@/root/not-there'],
      ],
      (child) => {
        for (const name of ['acct', 'openat', 'getppid', 'socket', 'chdir'] as const)
          child.onSyscall(name, () => allow());
        child.onOpen({ path: '/etc/hostname' }, ({ path }) => {
          opened.push(path);
          return deny('EDOM');
        });
      },
      { policy: { files: { deny: ['/etc/shadow'] }, syscalls: { deny: [{ call: 'getppid', errno: 'ERANGE' }] } } },
    );
    const answers = results(outcome);
    expect(answers.slice(0, 4)).toEqual([-errno.EPERM, -errno.EACCES, -errno.EDOM, -errno.ERANGE].map(String));
    expect(Number(answers[4])).toBeLessThan(0);
    expect(Number(answers[5])).toBeLessThan(0);
    expect(opened).toEqual(['/etc/hostname']);
  });

  test('an answer that makes no sense denies the call, and is told of', async () => {
    const problems: string[] = [];
    const outcome = await raw([['getppid'], ['uname', '%390'], ['getpgid', 0], ['times', '%32']], (child) => {
      child.on('hookError', ({ code, message }) => problems.push(`${code} ${message}`));
      child.onSyscall('getppid', (() => redirect('/x')) as never);
      child.onSyscall('uname', (() => respond({ nodname: 'x' })) as never);
      child.onSyscall('getpgid', (() => respond({ nodename: 'x' })) as never);
      child.onSyscall('times', () => respond({ utime: -1 }));
    });
    expect(results(outcome).map((line) => line.split(' ')[0])).toEqual(Array(4).fill(String(-errno.EACCES)));
    expect(problems).toEqual([
      expect.stringMatching(/^ERR_HOLDFAST_INVALID_VERDICT .*onSyscall/),
      expect.stringMatching(/nodname is no field of uname .*did you mean 'nodename'/),
      expect.stringMatching(/getpgid has no fields/),
      expect.stringMatching(/utime: -1 is not an integer/),
    ]);
    expect(() => respond(-1)).toThrow(/use deny\(1\)/);
    expect(() => respond(2 ** 60)).toThrow(/bigint/);
  });
});

describe('respond({ … }) changes fields of what the kernel has written', () => {
  test('uname, sysinfo, times, getrusage, getcpu, clocks, and random bytes', async () => {
    const outcome = await raw(
      [
        ['uname', '%390'],
        ['sysinfo', '%112'],
        ['times', '%32'],
        ['getrusage', 0, '%144'],
        ['getcpu', '%4', 0],
        ['getcpu', 0, 0],
        ['clock_gettime', 1, '%16'],
        ['gettimeofday', '%16', 0],
        ['getrandom', '%8', 8, 0],
        ['getrandom', '%2', 2, 0],
      ],
      (child) => {
        child
          .onSyscall('uname', () => respond({ nodename: 'builder', release: '6.1.0' }))
          .onSyscall('sysinfo', () => respond({ uptime: 77, totalram: 2n ** 33n, procs: 3, loads: [0.5, 1, 2] }))
          .onSyscall('times', () => respond({ cutime: 12, cstime: 34 }))
          .onSyscall('getrusage', () => respond({ utime: 1.25, maxrss: 99 }))
          .onSyscall('getcpu', () => respond({ cpu: 63, node: 5 }))
          .onSyscall('clock_gettime', { args: [{ index: 0, equals: 'CLOCK_MONOTONIC' }] }, () =>
            respond({ seconds: 5 }),
          )
          .onSyscall('gettimeofday', () => respond({ seconds: 1_000_000_000, microseconds: 7 }))
          .onSyscall('getrandom', () => respond(Buffer.from([1, 2, 3, 4])));
      },
    );
    const lines = results(outcome);
    const text = (bytes: Buffer, at: number) => bytes.toString('latin1', at * 65, bytes.indexOf(0, at * 65));
    const uname = memory(lines[0]);
    expect([text(uname, 0), text(uname, 1), text(uname, 2)]).toEqual(['Linux', 'builder', '6.1.0']);
    expect(text(uname, 4)).toBe(process.arch === 'arm64' ? 'aarch64' : 'x86_64');
    const sysinfo = memory(lines[1]);
    expect(sysinfo.readBigInt64LE(0)).toBe(77n);
    expect(sysinfo.readBigUInt64LE(8)).toBe(32768n);
    expect(sysinfo.readBigUInt64LE(32)).toBe(2n ** 33n);
    expect(sysinfo.readBigUInt64LE(40)).toBeGreaterThan(0n);
    expect(sysinfo.readUInt16LE(80)).toBe(3);
    const times = memory(lines[2]);
    expect([times.readBigInt64LE(16), times.readBigInt64LE(24)]).toEqual([12n, 34n]);
    const usage = memory(lines[3]);
    expect([usage.readBigInt64LE(0), usage.readBigInt64LE(8), usage.readBigInt64LE(32)]).toEqual([1n, 250_000n, 99n]);
    expect(memory(lines[4]).readUInt32LE(0)).toBe(63);
    expect(lines[5]).toBe('0');
    const clock = memory(lines[6]);
    expect(clock.readBigInt64LE(0)).toBe(5n);
    expect(clock.readBigInt64LE(8)).toBeLessThan(1_000_000_000n);
    const day = memory(lines[7]);
    expect([day.readBigInt64LE(0), day.readBigInt64LE(8)]).toEqual([1_000_000_000n, 7n]);
    expect(lines[8]).toBe('4 0102030400000000');
    expect(lines[9]).toBe('2 0102');
    expect(outcome.violations).toEqual([]);
  });

  test('where the kernel fails, its errno is what the caller sees', async () => {
    const outcome = await raw(
      [
        ['uname', 0x10],
        ['clock_gettime', 77, '%16'],
        ['getrandom', 0x10, 4, 0],
      ],
      (child) => {
        child.onSyscall('uname', () => respond({ nodename: 'x' }));
        child.onSyscall('clock_gettime', () => respond({ seconds: 1 }));
        child.onSyscall('getrandom', () => respond('abcd'));
      },
    );
    expect(results(outcome).map((line) => line.split(' ')[0])).toEqual(
      [-errno.EFAULT, -errno.EINVAL, -errno.EFAULT].map(String),
    );
  });

  test('for real programs, and in every process of the tree', async () => {
    const outcome = await runSandboxed('/bin/sh', ['-c', 'uname -nr; (uname -n & wait); exec uname -m'], {
      hooks: (child) =>
        child.onSyscall('uname', () => respond({ nodename: 'builder', release: '6.1.0', machine: 'pdp11' })),
    });
    expect(outcome.stdout).toBe('builder 6.1.0\nbuilder\npdp11\n');
  });
});

test('the command is started without being asked about, and its own later execs are', async () => {
  const heard: string[] = [];
  const outcome = await runSandboxed('/bin/sh', ['-c', 'exec /bin/echo here'], {
    hooks: (child) => child.onSyscall('execve', (call) => void heard.push(call.args[0]?.text ?? '')),
  });
  expect(outcome.stdout).toBe('here\n');
  expect(heard).toEqual(['/bin/echo']);
});

describe('a tree that is asked for time', () => {
  const at = 1_000_000_000;
  const fake = (child: SandboxedProcess) => {
    child.onSyscall('clock_gettime', { args: [{ index: 0, oneOf: ['CLOCK_REALTIME', 'CLOCK_REALTIME_COARSE'] }] }, () =>
      respond({ seconds: at }),
    );
    child.onSyscall('gettimeofday', () => respond({ seconds: at }));
    child.onSyscall('time', () => respond(at));
  };

  test.each([
    ['a static program', program('static_time'), [], `${at} ${at} ${at}\n`],
    ['a dynamic one', '/bin/date', ['-u', '+%s'], `${at}\n`],
    [
      'Python, executed by a shell',
      '/bin/sh',
      ['-c', '/usr/bin/python3 -Sc "import time; print(int(time.time()))"; :'],
      `${at}\n`,
    ],
  ])('has no vDSO to look past the hook: %s', async (_, command, args, expected) => {
    const outcome = await runSandboxed(command, args, { hooks: fake });
    expect(outcome.stdout).toBe(expected);
    expect(outcome.violations.filter(({ syscall }) => syscall.includes('time'))).toEqual([]);
  });

  test('has none in Node either', async () => {
    const script = 'console.log(Math.floor(Date.now() / 1000))';
    const outcome = await runSandboxed(process.execPath, ['-e', script], {
      policy: { files: { read: ['/'] } },
      hooks: fake,
    });
    expect(outcome.stdout).toBe(`${at}\n`);
  });

  test('is refused it by a rule, and one that is not asked keeps its vDSO', async () => {
    const script = `
import ctypes, time
libc = ctypes.CDLL(None)
print(libc.getauxval(33) != 0)
try: print(time.clock_gettime(time.CLOCK_REALTIME) > 0)
except OSError as error: print(error.errno)
`;
    const python = (options: RunOptions) => runSandboxed('/usr/bin/python3', ['-Sc', script], options);
    const syscalls = {
      deny: [{ call: 'clock_gettime', args: [{ index: 0, equals: 'CLOCK_REALTIME' }], errno: 'ENOSYS' }],
    } as const;
    expect((await python({ policy: { syscalls } })).stdout).toBe(`False\n${errno.ENOSYS}\n`);
    expect((await python({})).stdout).toBe('True\nTrue\n');
  });
});
