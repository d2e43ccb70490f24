// Calls that the table refuses and that a policy may open: those few, as its rules say, and nothing is reached by them.
import { once } from 'node:events';
import { compilePolicy, type Policy, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';

const onX86 = test.skipIf(process.arch !== 'x64');
const MODIFY_LDT = 154;
const MEMFD_SECRET = 447;
const ENOSYS = '-38';

async function run(command: string, args: (string | number)[], syscalls: Policy['syscalls'] & {}) {
  const child = spawnSandboxed(command, args.map(String), { policy: { syscalls }, stdio: ['pipe', 'pipe', 'inherit'] });
  const reasons: string[] = [];
  child.on('violation', ({ reason, syscall }) => reasons.push(`${syscall} ${reason ?? ''}`));
  let out = '';
  child.stdout.on('data', (bytes) => (out += bytes));
  const [code, signal] = await once(child as never, 'close');
  return { lines: out.trim().split('\n'), reasons, code, signal };
}
const raw = program('raw_syscall');
const read = [MODIFY_LDT, 0, '%16', 16];

onX86('modify_ldt is refused, unless the policy opens it, for the arguments it says', async () => {
  const answer = async (syscalls: Policy['syscalls'] & {}) => (await run(raw, read, syscalls)).lines[0]?.split(' ')[0];
  expect(await answer({})).toBe(ENOSYS);
  expect(await answer({ allow: ['memfd_secret'] })).toBe(ENOSYS);
  expect(await answer({ allow: ['modify_ldt'] })).toBe('0');
  expect(await answer({ allow: [{ call: MODIFY_LDT, args: [{ index: 0, equals: 0 }] }] })).toBe('0');
  expect(await answer({ allow: [{ call: 'modify_ldt', args: [{ index: 0, equals: 1 }] }] })).toBe(ENOSYS);
  // Whatever refuses it comes first.
  expect(await answer({ allow: ['modify_ldt'], deny: [{ call: 'modify_ldt', errno: 'ENOTTY' }] })).toBe('-25');
});

onX86('code that is entered by it makes no calls past the supervisor', async () => {
  const { lines, reasons } = await run(program('opened_ldt'), [], { allow: ['modify_ldt'] });
  expect(lines).toEqual([ENOSYS]);
  expect(reasons).toEqual([expect.stringContaining('foreign ABI')]);
  expect((await run(program('opened_ldt'), [], {})).lines).toEqual(['none']);
});

test('memfd_secret goes to the kernel', async () => {
  const opened = await run(raw, [MEMFD_SECRET, 0], { allow: ['memfd_secret'] });
  expect(opened.reasons).toEqual([]);
  const refused = await run(raw, [MEMFD_SECRET, 0], {});
  expect(refused).toMatchObject({ lines: [ENOSYS], reasons: [expect.stringContaining('memfd_secret')] });
});

describe('no other is opened, and the error says why', () => {
  test.each([
    [['ptrace'], /policy\.syscalls\.allow\[0\]: 'ptrace' is refused for every policy.*memfd_secret, modify_ldt/],
    [['getpid'], /policy\.syscalls\.allow\[0\]: 'getpid' is let by already/],
    [['openat'], /policy\.syscalls\.allow\[0\]: 'openat' is decided by the rest/],
    [[{ call: 'clone3' }], /policy\.syscalls\.allow\[0\]\.call: 'clone3' is absent for every policy/],
    [['modfy_ldt'], /policy\.syscalls\.allow\[0\]: 'modfy_ldt' .*did you mean 'modify_ldt'/],
    [[{ call: 'modify_ldt', errno: 'EPERM' }], /policy\.syscalls\.allow\[0\]\.errno: .*no key here/],
    [[{ call: 'modify_ldt', args: [{ index: 7, equals: 0 }] }], /allow\[0\]\.args\[0\]\.index: 7/],
    ['modify_ldt', /policy\.syscalls\.allow: .*must be a list/],
  ])('%j', (allow, message) => {
    expect(() => compilePolicy({ syscalls: { allow } } as never)).toThrow(message);
  });
});

test('a restriction opens nothing, and a whole one takes back', async () => {
  const script = `
import ctypes, errno, sys
libc = ctypes.CDLL(None, use_errno=True)
for line in sys.stdin:
    result = libc.syscall(${MEMFD_SECRET}, -1)
    print(errno.errorcode[ctypes.get_errno()], flush=True)
`;
  const policy: Policy = { files: { read: ['/'] }, syscalls: { allow: ['memfd_secret'] } };
  const child = spawnSandboxed('/usr/bin/python3', ['-c', script], { policy, stdio: ['pipe', 'pipe', 'inherit'] });
  const answer = async () => {
    child.stdin.write('\n');
    return String((await once(child.stdout as never, 'data'))[0]).trim();
  };
  const first = await answer();
  expect(first).not.toBe('EPERM');
  await expect(child.restrict({ syscalls: { allow: ['modify_ldt'] } })).rejects.toThrow(/policy\.syscalls\.allow\[0\]/);
  await child.restrict({ network: 'none' });
  await child.restrict(compilePolicy(policy));
  expect(await answer()).toBe(first);
  await child.restrict('compute');
  expect(await answer()).toBe('EPERM');
  child.stdin.end();
  await once(child as never, 'close');
});
