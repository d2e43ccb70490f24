// The plan tells how each rule on raw system calls is held, and what was put on since. What it says is compared with what
// is really held: by the calls that the supervisor has counted.
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { compilePolicy, type Policy, type SandboxedProcess, spawnSandboxed } from 'holdfast';
import { expect, test } from 'vitest';

const asks = `
import ctypes, sys
libc = ctypes.CDLL(None)
name = ctypes.create_string_buffer(400)
calls = {'uname': lambda: libc.uname(name), 'getpgid': lambda: libc.getpgid(0), 'getsid': lambda: libc.getsid(0)}
print('ready', flush=True)
for line in sys.stdin:
    for _ in range(50): calls[line.strip()]()
    print('done', flush=True)
`;

async function asked(policy: Policy, listen: (child: SandboxedProcess) => void = () => {}) {
  const child = spawnSandboxed('/usr/bin/python3', ['-c', asks], { policy, stdio: ['pipe', 'pipe', 'inherit'] });
  listen(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('ready');
  /** How many of fifty calls were held. */
  const held = async (call: string): Promise<boolean> => {
    const before = (await child.getUsage()).callsHeld;
    child.stdin.write(`${call}\n`);
    await lines.next();
    return (await child.getUsage()).callsHeld - before >= 50;
  };
  const end = async () => {
    child.stdin.end();
    expect(await once(child as never, 'close')).toEqual([0, null]);
  };
  return { child, held, end };
}

const policy: Policy = {
  files: { read: ['/'], metadata: ['/'] },
  syscalls: {
    deny: [
      { call: 'uname', errno: 'ENOSYS' },
      { call: 'getpgid', action: 'log' },
      { call: 'getpgid', args: [{ index: 0, equals: 77 }], action: 'trap' },
      { call: 'mremap', action: 'kill' },
      { call: 'close', args: [{ index: 0, equals: 99 }] },
      { call: 'execve', args: [{ index: 0, equals: 1 }] },
    ],
  },
};

test.each([
  ['nobody', () => {}, 'kernel', 'nobody'],
  ['somebody', (child: SandboxedProcess) => child.on('violation', () => {}).on('syscall', () => {}), 'stop', 'stop'],
])('each rule, where %s listens', async (_, listen, refused, logged) => {
  const { child, held, end } = await asked(policy, listen);
  const { calls, restrictions } = await child.plan();
  expect(restrictions).toEqual([]);
  expect(calls).toEqual([
    { rule: 'syscalls.deny[0]', action: 'errno', calls: ['uname'], held: refused },
    { rule: 'syscalls.deny[1]', action: 'log', calls: ['getpgid'], held: logged },
    { rule: 'syscalls.deny[2]', action: 'trap', calls: ['getpgid'], held: 'kernel' },
    { rule: 'syscalls.deny[3]', action: 'kill', calls: ['mremap'], held: 'stop' },
    { rule: 'syscalls.deny[4]', action: 'errno', calls: ['close'], held: 'stop' },
    { rule: 'syscalls.deny[5]', action: 'errno', calls: ['execve'], held: 'stop' },
  ]);
  expect(await held('uname')).toBe(refused === 'stop');
  expect(await held('getpgid')).toBe(logged === 'stop');
  expect(await held('getsid')).toBe(false);
  await end();
});

test('only is one rule', async () => {
  const { calls } = await spawnSandboxed('/bin/true', [], { policy: { syscalls: { only: ['read'] } } }).plan();
  expect(new Set(calls.map(({ rule }) => rule))).toEqual(new Set(['syscalls.only']));
  expect(calls.flatMap((one) => one.calls)).toContain('write');
  expect(calls.flatMap((one) => one.calls)).not.toContain('read');
});

test('what was put on since, and how that is held', async () => {
  const { child, held, end } = await asked(policy);
  const first = await child.plan();
  expect(await child.plan()).toBe(first);
  await child.restrict({ files: { write: [] }, syscalls: { deny: [{ call: 'uname', action: 'kill' }, 'getsid'] } });
  await child.restrict(compilePolicy({ files: { read: ['/usr'], deny: ['/usr/games'] }, defaults: { cwd: false } }));
  const plan = await child.plan();
  expect(plan).toMatchObject({ ...first, restrictions: [{}, {}] });
  expect(plan.restrictions).toEqual([
    {
      strict: false,
      rules: [],
      calls: [
        // Such a call is refused by the kernel already.
        { rule: 'restrict.syscalls.deny[0]', action: 'kill', calls: ['uname'], held: 'kernel' },
        { rule: 'restrict.syscalls.deny[1]', action: 'errno', calls: ['getsid'], held: 'kernel' },
      ],
    },
    { strict: false, rules: ['restrict.files.read[0]', 'restrict.files.deny[0]'], calls: [] },
  ]);
  expect(await held('getsid')).toBe(false);
  await end();
});
