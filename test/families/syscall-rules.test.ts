// Rules of a policy on raw system calls, where nobody listens (the kernel decides by itself) and where somebody does.
import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { compilePolicy, type LoggedCall, type Policy, respond, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { syscallRows } from '../../lib/policy/syscalls.ts';
import { program } from '../helpers/build-programs.ts';
import { type Outcome, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const { errno } = constants;
type Syscalls = NonNullable<Policy['syscalls']>;

const numberOf = (name: string) => {
  const number = syscallRows().get(name)?.number;
  if (number === undefined) throw new Error(`no ${name} here`);
  return number;
};

/** `['socket', 16, 3, 0]` for each call that is to be made. */
type Made = readonly [name: string, ...args: (string | number | bigint)[]];
const line = (calls: readonly Made[]) =>
  calls.flatMap(([name, ...args], i) => [...(i === 0 ? [] : ['--']), String(numberOf(name)), ...args.map(String)]);

/** Without any listener. */
function quietly(command: string, args: string[], policy: Policy): Promise<Outcome> {
  const child = spawnSandboxed(command, args, { policy, stdio: ['ignore', 'pipe', 'pipe'] });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk) => out.push(chunk));
  child.stderr.on('data', (chunk) => err.push(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) =>
      resolve({ code, signal, stdout: String(Buffer.concat(out)), stderr: String(Buffer.concat(err)), violations: [] }),
    );
  });
}

const makers = {
  'by the kernel': (calls: readonly Made[], syscalls: Syscalls) =>
    quietly(program('raw_syscall'), line(calls), { syscalls }),
  'where refusals are heard of': (calls: readonly Made[], syscalls: Syscalls) =>
    runSandboxed(program('raw_syscall'), line(calls), { policy: { syscalls } }),
};

const results = ({ stdout }: Outcome) => stdout.trimEnd().split('\n');

describe.each(Object.entries(makers))('a rule is carried out %s', (how, make) => {
  test('by name, number and arguments, and other calls go on', async () => {
    const outcome = await make(
      [
        ['socket', 16, 3, 0],
        ['socket', 1, 1, 0],
        ['getppid'],
        ['sched_yield'],
        ['getpriority', 0, 0],
        ['openat', -100, '@/etc/passwd', 0],
        ['openat', -100, '@/dev/null', 0],
        ['close', 99],
        ['close', 98],
      ],
      {
        deny: [
          { call: 'socket', args: [{ index: 0, equals: 'AF_NETLINK' }], errno: 'EAFNOSUPPORT' },
          numberOf('getppid'),
          { call: 'sched_yield', errno: 'ENOSYS' },
          { call: 'openat', args: [{ index: 2, maskedEquals: { mask: 'O_CREAT', value: 'O_CREAT' } }] },
          { call: 'close', args: [{ index: 0, equals: 99 }], errno: 'EPROTO' },
        ],
      },
    );
    const [netlink, unix, parent, yielded, priority, passwd, nul, denied, bad] = results(outcome);
    expect(netlink).toBe(String(-errno.EAFNOSUPPORT));
    expect(Number(unix)).toBeGreaterThan(2);
    expect(parent).toBe(String(-errno.EPERM));
    expect(yielded).toBe(String(-errno.ENOSYS));
    expect(priority).toBe('20');
    expect(Number(passwd)).toBeGreaterThan(2);
    expect(Number(nul)).toBeGreaterThan(2);
    expect(denied).toBe(String(-errno.EPROTO));
    expect(bad).toBe(String(-errno.EBADF));
    const heard = outcome.violations.map(({ syscall, rule, errno: name }) => [syscall, rule, name]);
    if (how === 'by the kernel') return;
    expect(heard).toEqual([
      ['socket', 'syscalls.deny[0]', 'EAFNOSUPPORT'],
      ['getppid', 'syscalls.deny[1]', 'EPERM'],
      ['sched_yield', 'syscalls.deny[2]', 'ENOSYS'],
      ['close', 'syscalls.deny[4]', 'EPROTO'],
    ]);
  });

  test('and garbage above an int hides nothing, nor does a half of 64 bits', async () => {
    const junk = 0xdeadbeef_00000000n;
    const outcome = await make(
      [
        ['socket', junk | 16n, 3, 0],
        ['kill', 0xffff_ffffn, 0],
        ['kill', -1, 0],
        ['lseek', 0, 0x1_0000_0002n, 0],
        ['lseek', 99, 2, 0],
        ['lseek', 99, 0x2_0000_0002n, 0],
        ['lseek', 99, 0x9_0000_0000n, 0],
      ],
      {
        deny: [
          { call: 'socket', args: [{ index: 0, equals: 16 }], errno: 'EDOM' },
          { call: 'kill', args: [{ index: 0, equals: -1 }], errno: 'EDOM' },
          { call: 'lseek', args: [{ index: 1, equals: 0x1_0000_0002 }], errno: 'EDOM' },
          { call: 'lseek', args: [{ index: 1, greater: 0x8_ffff_ffffn }], errno: 'ERANGE' },
        ],
      },
    );
    const dom = String(-errno.EDOM);
    const bad = String(-errno.EBADF);
    expect(results(outcome)).toEqual([dom, dom, dom, dom, bad, bad, String(-errno.ERANGE)]);
  });

  test('in every process of the tree, threads and programs that are executed included', async () => {
    const policy: Policy = { syscalls: { deny: [{ call: 'uname', errno: 'ENOSYS' }] } };
    const run =
      how === 'by the kernel' ? quietly : (c: string, a: string[], p: Policy) => runSandboxed(c, a, { policy: p });
    const outcome = await run('/bin/sh', ['-c', '(uname; sh -c "uname" ) 2>&1; setsid uname 2>&1'], policy);
    expect(outcome.stdout.match(/Function not implemented/g)).toHaveLength(3);
  });
});

test('kill ends the process that made the call by SIGKILL, and is heard of', async () => {
  const policy: Policy = { syscalls: { deny: [{ call: 'getppid', action: 'kill' }] } };
  const args = line([['getppid'], ['getpid']]);
  expect(await quietly(program('raw_syscall'), args, policy)).toMatchObject({
    code: null,
    signal: 'SIGKILL',
    stdout: '',
  });
  const heard = await runSandboxed(program('raw_syscall'), args, { policy });
  expect(heard).toMatchObject({ code: null, signal: 'SIGKILL', stdout: '' });
  expect(heard.violations.map(({ syscall, rule }) => [syscall, rule])).toEqual([['getppid', 'syscalls.deny[0]']]);
});

test('trap gives the program SIGSYS, which it may handle', async () => {
  const policy: Policy = { syscalls: { deny: [{ call: 'getppid', action: 'trap' }] } };
  const args = line([['getppid'], ['sched_yield']]);
  for (const outcome of [
    await quietly(program('raw_syscall'), args, policy),
    await runSandboxed(program('raw_syscall'), args, { policy }),
  ]) {
    expect(results(outcome)).toEqual([`trap ${numberOf('getppid')}`, '0']);
  }
});

test('log tells of a call that goes on, and another rule decides it all the same', async () => {
  const logged: LoggedCall[] = [];
  const outcome = await runSandboxed(
    program('raw_syscall'),
    line([['getppid'], ['socket', 16, 3, 0], ['sched_yield']]),
    {
      policy: {
        syscalls: {
          deny: [
            { call: 'sched_yield', action: 'log' },
            { call: 'socket', action: 'log' },
            { call: 'socket', args: [{ index: 0, equals: 'AF_NETLINK' }] },
          ],
        },
      },
      hooks: (child) => child.on('syscall', (call) => logged.push(call)),
    },
  );
  expect(results(outcome)[2]).toBe('0');
  expect(results(outcome)[1]).toBe(String(-errno.EPERM));
  expect(logged.map(({ syscall, rule }) => [syscall, rule])).toEqual([
    ['socket', 'syscalls.deny[1]'],
    ['sched_yield', 'syscalls.deny[0]'],
  ]);
  expect(logged[0]?.arguments).toMatchObject({ family: 'AF_NETLINK' });
  // Nobody listens: nothing is held.
  const policy: Policy = { syscalls: { deny: [{ call: 'sched_yield', action: 'log' }] } };
  expect(results(await quietly(program('raw_syscall'), line([['sched_yield']]), policy))).toEqual(['0']);
});

test('exec is refused by name, but for the command itself', async () => {
  const policy: Policy = { syscalls: { deny: ['execve', 'execveat'] } };
  for (const outcome of [
    await quietly('/bin/sh', ['-c', 'echo here; /bin/true; echo $?'], policy),
    await runSandboxed('/bin/sh', ['-c', 'echo here; /bin/true; echo $?'], { policy }),
  ]) {
    expect(outcome.stdout).toBe('here\n126\n');
  }
});

test('what the supervisor needs for itself goes on where the tree is denied it', async () => {
  // chdir is bounced: the thread is made to open, map and close a page of the supervisor's.
  const deny = ['openat', 'mmap', 'close'].map((call) => ({ call, args: [{ index: 0, equals: 0x7777 }] })) as never;
  const denied = { deny: [...(deny as []), { call: 'openat', args: [{ index: 2, equals: 3 }] }] } as Syscalls;
  const args = line([
    ['chdir', '@/'],
    ['openat', -100, '@/dev/null', 0x200000],
    ['openat', -100, '@/dev/null', 3],
  ]);
  for (const outcome of [
    await quietly(program('raw_syscall'), args, { syscalls: denied }),
    await runSandboxed(program('raw_syscall'), args, { policy: { syscalls: denied } }),
  ]) {
    const [moved, path, both] = results(outcome);
    expect(moved).toBe('0');
    expect(Number(path)).toBeGreaterThan(2);
    expect(both).toBe(String(-errno.EPERM));
  }
});

test('only: no other calls than these, and libraries still fall back where a call is absent', async () => {
  const only = [
    'brk',
    'arch_prctl',
    'execve',
    'exit_group',
    'rt_sigreturn',
    'mmap',
    'munmap',
    'mprotect',
    'read',
    'write',
    'openat',
    'close',
    'newfstatat',
    'fstat',
    'pread64',
    'set_tid_address',
    'set_robust_list',
    'rseq',
    'prlimit64',
    'getrandom',
    'rt_sigaction',
    'access',
    'readlink',
    'futex',
    'faccessat',
    'readlinkat',
  ] as const;
  const args = line([['getppid'], ['clone3', 0, 0]]);
  const policy = { syscalls: { only, otherwise: 'EDOM' } };
  for (const outcome of [
    await quietly(program('raw_syscall'), args, policy),
    await runSandboxed(program('raw_syscall'), args, { policy }),
  ]) {
    expect(results(outcome)).toEqual([String(-errno.EDOM), String(-errno.ENOSYS)]);
  }
  const killed = await quietly(program('raw_syscall'), args, { syscalls: { only, otherwise: 'kill' } });
  expect(killed.signal).toBe('SIGKILL');
});

test('rules hold beside file rules, in a compiled policy, and never give more than the table does', async () => {
  const policy = compilePolicy({ syscalls: { deny: [{ call: 'getppid', errno: 'EDOM' }] } }, { cwd: '/' });
  const child = await runSandboxed(program('raw_syscall'), line([['getppid'], ['acct', 0], ['ptrace', 0, 0, 0, 0]]), {
    policy,
  });
  expect(results(child)).toEqual([-errno.EDOM, -errno.EPERM, -errno.EPERM].map(String));
});

test('calls that only another architecture has are accepted, and mean nothing here', async () => {
  const foreign = [...syscallRows().values()].filter(({ number }) => number === undefined).map(({ name }) => name);
  const policy: Policy = { syscalls: { deny: foreign } };
  expect(results(await quietly(program('raw_syscall'), line([['sched_yield']]), policy))).toEqual(['0']);
});

test('more rules than a program of the kernel holds are refused at the start', async () => {
  const deny = Array.from({ length: 4000 }, (_, i) => ({
    call: 'lseek' as const,
    args: [{ index: 1 as const, equals: i * 8 }],
  }));
  await expect(quietly('/bin/true', [], { syscalls: { deny } })).rejects.toMatchObject({
    code: 'ERR_HOLDFAST_SECCOMP',
  });
});

test('rules and hooks on calls hold beside a restriction', async () => {
  const file = join(temporaryFolder(), 'file');
  writeFileSync(file, 'contents');
  const script = `read line; uname -n; cat ${file} 2>&1; exit 0`;
  const child = spawnSandboxed('/bin/sh', ['-c', script], {
    policy: { files: { read: ['/etc', file] }, syscalls: { deny: ['getpgrp'] } },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const opened: string[] = [];
  child.onSyscall('uname', () => respond({ nodename: 'builder' }));
  child.onSyscall('openat', ({ args }) => void opened.push(args[1]?.text ?? ''));
  let out = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  await new Promise((resolve) => child.on('spawn', () => resolve(undefined)));
  await child.restrict({ files: { read: ['/etc/passwd'] } });
  child.stdin.end('go\n');
  await new Promise((resolve) => child.on('close', resolve));
  expect(out).toMatch(/^builder\n.*Permission denied/);
  expect(opened).toContain(file);
});
