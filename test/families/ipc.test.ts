// System V IPC and POSIX message queues: as bare within the tree, and nothing of the machine's.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { runBare, runSandboxed } from '../helpers/run.ts';

const ids = (kind: string) =>
  readFileSync(`/proc/sysvipc/${kind}`, 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => Number(line.trim().split(/\s+/)[1]));

test('each call answers as it does bare', async () => {
  const bare = await runBare(program('ipc_calls'), ['all']);
  const held = await runSandboxed(program('ipc_calls'), ['all']);
  expect(bare.stdout).toContain('child 0: from the child');
  expect(held.stdout).toBe(bare.stdout);
  expect(held.violations).toEqual([]);
});

test('two trees have keys and names of their own, and what they leave is removed', async () => {
  const [one, two] = await Promise.all([
    runSandboxed('sh', ['-c', `${program('ipc_calls')} leave; ${program('ipc_calls')} leave`], {
      policy: { files: { read: [program('ipc_calls')] } },
    }),
    runSandboxed(program('ipc_calls'), ['leave']),
  ]);
  const [first, , again] = one.stdout.split('\n');
  expect(again).toBe(first); // the same key, and so the same ids
  expect(two.stdout.split('\n')[1]).toBe('0');
  const all = [...(first ?? '').split(' '), ...(two.stdout.split('\n')[0] ?? '').split(' ')].map(Number);
  expect(new Set(all.filter((_, i) => i % 3 === 0)).size).toBe(2);
  for (const id of all) expect(id).toBeGreaterThanOrEqual(0);
  expect(ids('shm')).not.toContain(all[0]);
  expect(ids('shm')).not.toContain(all[3]);
  expect(ids('sem')).not.toContain(all[1]);
  expect(ids('msg')).not.toContain(all[2]);
});

test('places and counts are of the tree’s own objects', async () => {
  const outside = spawn(program('ipc_calls'), ['outside'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(createInterface({ input: outside.stdout }), 'line');
  // What is there with nobody else's about: in a name space of its own where one can be made.
  const alone = await runBare('unshare', ['--ipc', program('ipc_calls'), 'places']);
  const held = await runSandboxed(program('ipc_calls'), ['places']);
  outside.stdin.end();
  await once(outside, 'close');
  expect(held).toMatchObject({ code: 0, stderr: '', violations: [] });
  const root = process.getuid?.() === 0;
  expect(held.stdout).toBe(`segment 1 of 5000
unreadable: EACCES
1
behind the last: EINVAL
negative: EINVAL
set 1 of 3
queue 1 of 1
highest 1, 2 segments of 3 pages
highest 0, 1 sets of 3
highest 0, 1 queues, 1 messages of 8 bytes
highest 0, limits 1
nowhere: EFAULT
unknown command: EINVAL
remove: ok
highest 0
`);
  // CAP_IPC_OWNER, which no tree has, reads everything.
  if (root && alone.code === 0) expect(held.stdout).toBe(alone.stdout.replace('unreadable: ok', 'unreadable: EACCES'));
});

test('a tree has its share of the machine’s objects, and the lowest addresses are not for them', async () => {
  const held = await runSandboxed(program('ipc_calls'), ['many']);
  expect(held.stdout.trim().split('\n')).toEqual([
    '256 sets, semget: ENOSPC',
    '64 queues, mq_open: ENOSPC',
    'mq_open what is there: ok',
    'mq_open without making: ok',
    'mq_unlink: ok',
    'mq_open: ok',
    'low: EINVAL',
    'low with a tag: EINVAL',
  ]);
  expect(held.violations.map(({ syscall, reason }) => [syscall, reason])).toEqual([
    ...Array(2).fill(['semget', 'a tree may have 256 objects of System V IPC of each kind']),
    ['mq_open', 'a tree may have 64 message queues'],
    ...Array(2).fill(['shmat', 'the lowest addresses are kept for what the supervisor hands over']),
  ]);
});

test('what others have made cannot be used, changed or removed, by id, key, place or name', async () => {
  const outside = spawn(program('ipc_calls'), ['outside'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: outside.stdout });
  const [made] = (await once(lines, 'line')) as [string];
  const held = await runSandboxed(program('ipc_calls'), ['use', ...made.split(' ')]);
  const ended = once(lines, 'line');
  outside.stdin.end();
  const [left] = (await ended) as [string];
  // Each was still there to be removed, and the queue had its message.
  expect(left).toBe('0 0 1 0');
  expect(held.stdout.trim().split('\n')).toEqual([
    'shmat: EINVAL',
    'shmctl: EINVAL',
    'shmctl unknown: EINVAL',
    'shm remove: EINVAL',
    'semop: EINVAL',
    'sem remove: EINVAL',
    'msgsnd: EINVAL',
    'msgrcv: EINVAL',
    'msg remove: EINVAL',
    'by key: ENOENT',
    'shm by place: EINVAL',
    'low: EINVAL',
    'mq: ENOENT',
    'mq remove: ENOENT',
  ]);
  expect(new Set(held.violations.map(({ syscall }) => syscall))).toEqual(
    new Set(['shmat', 'shmctl', 'semtimedop', 'semctl', 'msgsnd', 'msgrcv', 'msgctl']),
  );
  // A command that nobody knows is that to any id.
  expect(held.violations.filter(({ syscall }) => syscall === 'shmctl')).toHaveLength(2);
});

test.skipIf(process.getuid?.() !== 0)('also what it made as another user (only root can become one)', async () => {
  const script = `import os, sys
os.setresuid(12345, 12345, 12345); os.execv(sys.argv[1], [sys.argv[1], 'leave'])`;
  const { stdout } = await runSandboxed('/usr/bin/python3', ['-S', '-c', script, program('ipc_calls')], {
    policy: { files: { read: [program('ipc_calls')] } },
  });
  const [m = -1, s = -1, q = -1] = stdout.split(/\s/).map(Number);
  expect(Math.min(m, s, q)).toBeGreaterThanOrEqual(0);
  expect(ids('shm')).not.toContain(m);
  expect(ids('sem')).not.toContain(s);
  expect(ids('msg')).not.toContain(q);
});

test('what a tree has made is removed when Node dies', async () => {
  const script = `import { spawnSandboxed } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)};
const child = spawnSandboxed('sh', ['-c', '${program('ipc_calls')} leave; sleep 100'], { policy: { files: { read: ['${program('ipc_calls')}'] } } });
child.stdout.once('data', (text) => { process.stdout.write(text, () => process.kill(process.pid, 'SIGKILL')); });`;
  const host = await runBare(process.execPath, ['--input-type=module', '-e', script]);
  expect(host.signal).toBe('SIGKILL');
  const [m = -1, s = -1] = host.stdout.split(' ').map(Number);
  expect(m).toBeGreaterThanOrEqual(0);
  const deadline = Date.now() + 10_000;
  while ((ids('shm').includes(m) || ids('sem').includes(s)) && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 10));
  expect(ids('shm')).not.toContain(m);
  expect(ids('sem')).not.toContain(s);
});
