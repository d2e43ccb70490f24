// Calls that no tree may make: refused with an errno that no kernel gives for these arguments, and an event for each.
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkSupport, type Policy, spawnSandboxed } from 'holdfast';
import { expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { type Outcome, runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { policyFor } from '../lifecycle/tree.ts';

const answers = ({ stdout }: Outcome) =>
  new Map(
    stdout
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]),
  );

const refused = {
  EPERM: [
    ...['ptrace', 'mount', 'umount2', 'pivot_root', 'chroot', 'unshare', 'setns', 'clone', 'bpf', 'userfaultfd'],
    ...['perf_event_open', 'process_vm_readv', 'process_vm_writev', 'process_madvise', 'pidfd_getfd', 'kcmp'],
    ...['open_by_handle_at', 'name_to_handle_at', 'fanotify_init', 'open_tree', 'move_mount', 'fsopen', 'fsmount'],
    ...['mount_setattr', 'init_module', 'finit_module', 'delete_module', 'kexec_load', 'reboot', 'swapon', 'acct'],
    ...['quotactl', 'settimeofday', 'clock_settime', 'sethostname', 'syslog', 'personality'],
  ],
  ENOSYS: [
    ...['io_uring_setup', 'io_uring_enter', 'io_uring_register', 'keyctl', 'add_key', 'request_key'],
    ...['unknown'],
  ],
};

test('each is refused, and each is an event', async () => {
  const bare = answers(await runBare(program('proc_refused')));
  const held = await runSandboxed(program('proc_refused'), [], { policy: policyFor() });
  expect(held).toMatchObject({ code: 0, stderr: '' });
  const got = answers(held);
  expect([...got.keys()].sort()).toEqual([...bare.keys()].sort());
  for (const [errno, names] of Object.entries(refused)) {
    for (const name of names) {
      expect(`${name} ${got.get(name)}`).toMatch(new RegExp(`^${name} -1 (${errno}|EOPNOTSUPP)$`));
      expect(
        held.violations.filter(({ syscall }) => syscall === name),
        name,
      ).toEqual([
        expect.objectContaining({
          errno: got.get(name)?.slice(3).replace('EOPNOTSUPP', 'ENOTSUP'), // the same number
          pid: expect.any(Number),
          executable: program('proc_refused'),
          reason: expect.stringMatching(/./),
        }),
      ]);
    }
  }
  // Not refused, but absent: libc falls back to clone, whose flags are in a register. No event, as each fork would be one.
  expect(got.get('clone3')).toBe('-1 ENOSYS');
  expect(held.violations.filter(({ syscall }) => syscall === 'clone3')).toEqual([]);
  const known = new Set(Object.values(refused).flat());
  expect(held.violations.filter(({ syscall }) => !known.has(syscall))).toEqual([]);
  // The twin: the kernel itself would have looked at the arguments.
  const differ = [...bare].filter(([name, answer]) => answer !== got.get(name));
  expect(differ.length).toBeGreaterThan(20);
});

test('and refused where all else is left to the kernel', async () => {
  const every = ['*', 'unix:/', 'unix:@*'];
  const policy: Policy = {
    files: { read: ['/usr', '/lib', '/lib64', '/bin', program('proc_refused')], metadata: ['/'] },
    network: { connect: every, bind: every },
    defaults: { proc: false },
  };
  const child = spawnSandboxed(program('proc_refused'), [], { policy, cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout?.on('data', (chunk) => {
    stdout += chunk;
  });
  const { classes } = await child.plan();
  await once(child as never, 'close');
  if ((checkSupport().landlockAbi ?? 0) > 0)
    for (const name of ['metadata', 'read', 'connect', 'bind'] as const)
      expect(classes[name].layer, name).toMatch(/^(kernel|landlock)$/);
  const held = await runSandboxed(program('proc_refused'), [], { policy: policyFor() });
  expect(stdout).toBe(held.stdout);
});

test('an unknown number says which', async () => {
  const held = await runSandboxed(program('proc_refused'), [], { policy: policyFor() });
  expect(held.violations.find(({ syscall }) => syscall === 'unknown')?.reason).toContain('1000');
});

test.runIf(process.arch === 'x64').each(['int80', 'x32'])(
  'the door %s is closed, and every knock is heard (x86_64 has it)',
  async (door) => {
    const folder = temporaryFolder('door');
    const file = join(folder, 'made');
    const bare = await runBare(program('proc_foreign'), [door, join(folder, 'bare')]);
    const held = await runSandboxed(program('proc_foreign'), [door, file], { policy: policyFor(folder) });
    // Bare: a kernel without 32-bit or x32 support kills the program or answers ENOSYS; with it, the calls do their work.
    expect(bare.stdout !== '' || bare.signal !== null).toBe(true);
    expect(existsSync(file)).toBe(false);
    const lines = held.stdout.trim().split('\n');
    if (held.signal === null) {
      expect(lines).toHaveLength(3);
      for (const line of lines) expect(line).toMatch(/ -38$/);
      expect(held.violations).toHaveLength(3);
      for (const violation of held.violations) {
        expect(violation).toMatchObject({
          errno: 'ENOSYS',
          executable: program('proc_foreign'),
          reason: expect.stringMatching(door === 'int80' ? /foreign ABI/ : /x32/),
        });
      }
    } else {
      expect([held.signal, held.stdout]).toEqual([bare.signal, bare.stdout]);
    }
  },
);

test('threads and processes are made without clone3', async () => {
  const script =
    'import os, threading\nt = threading.Thread(target=lambda: print("thread")); t.start(); t.join()\npid = os.fork()\nif pid == 0: os._exit(7)\nprint(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\nprint(os.posix_spawn("/bin/true", ["true"], {}) > 0)';
  const held = await runSandboxed('/usr/bin/python3', ['-S', '-c', script], { policy: policyFor() });
  expect(held).toMatchObject({ code: 0, stdout: 'thread\n7\nTrue\n' });
  expect(held.violations.filter(({ syscall }) => /clone|fork/.test(syscall))).toEqual([]);
});

test.skipIf(!existsSync('/proc/self/attr/current'))(
  'nor can a label be changed (where the kernel knows labels)',
  async () => {
    const script =
      'cat /proc/self/attr/current > /dev/null; for name in current exec; do echo x > /proc/self/attr/$name; done 2>&1';
    const policy = { files: { ...policyFor().files, write: ['/proc', '/dev/null'] } };
    const held = await runSandboxed('sh', ['-c', script], { policy, cwd: '/usr' });
    expect(held.stdout.match(/Permission denied/g)).toHaveLength(2);
    expect(held.violations.map(({ errno, reason }) => [errno, /label/.test(reason ?? '')])).toEqual([
      ['EACCES', true],
      ['EACCES', true],
    ]);
  },
);
