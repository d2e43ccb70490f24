import { spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';

const problem = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    return `${(error as { code: string }).code} ${(error as Error).message}`;
  }
  throw new Error('it was taken');
};
const policy = (syscalls: unknown) => problem(() => spawnSandboxed('/bin/true', [], { policy: { syscalls } as never }));
const rule = (given: unknown) => policy({ deny: [given] });
const argument = (given: unknown, call = 'socket') => rule({ call, args: [given] });

describe('a wrong rule names its field and the nearest right word', () => {
  test.each([
    [policy({ dney: [] }), /policy\.syscalls\.dney: .*did you mean 'deny'/],
    [policy({ deny: 'uname' }), /policy\.syscalls\.deny: 'uname' must be a list/],
    [policy([]), /policy\.syscalls: .*must be an object/],
    [policy({ otherwise: 'EPERM' }), /policy\.syscalls\.otherwise: .*says nothing without only/],
    [policy({ only: ['raed'] }), /policy\.syscalls\.only\[0\]: 'raed' .*did you mean 'read'/],
    [policy({ only: ['read'], otherwise: 'EPREM' }), /policy\.syscalls\.otherwise: 'EPREM' is not an errno/],
    [rule('unmae'), /policy\.syscalls\.deny\[0\]: 'unmae' .*did you mean 'uname'/],
    [rule(99_999), /policy\.syscalls\.deny\[0\]: 99999 is the number of no system call/],
    [rule({ call: 'sokcet' }), /policy\.syscalls\.deny\[0\]\.call: 'sokcet' .*did you mean 'socket'/],
    [rule({ call: 'socket', errno: 'EFOO' }), /deny\[0\]\.errno: 'EFOO' is not an errno/],
    [rule({ call: 'socket', action: 'kil' }), /deny\[0\]\.action: 'kil' .*did you mean 'kill'/],
    [rule({ call: 'socket', action: 'kill', errno: 'EPERM' }), /deny\[0\]\.errno: .*makes no sense with/],
    [rule({ call: 'mmap', action: 'trap' }), /deny\[0\]\.action: 'trap' is not possible for mmap/],
    [rule({ call: 'socket', arg: [] }), /deny\[0\]\.arg: .*did you mean 'args'/],
    [rule({ call: 'socket', args: {} }), /deny\[0\]\.args: .*must be a list/],
    [argument({ index: 3, equals: 1 }), /args\[0\]\.index: 3 .*socket has the arguments 0 to 2/],
    [argument({ index: 0, equals: 0 }, 'getpid'), /args\[0\]\.index: 0 .*getpid has no arguments/],
    [argument({ index: '0', equals: 1 }), /args\[0\]\.index: '0' must be the place/],
    [argument({ index: 0 }), /args\[0\]: .*has no comparison/],
    [argument({ index: 0, equals: 1, less: 3 }), /args\[0\]: .*several comparisons \(equals, less\)/],
    [argument({ index: 0, equls: 1 }), /args\[0\]\.equls: .*did you mean 'equals'/],
    [argument({ index: 0, equals: 'AF_NETLNK' }), /args\[0\]\.equals: 'AF_NETLNK' .*did you mean 'AF_NETLINK'/],
    [
      argument({ index: 0, equals: 'PR_SET_NAME' }),
      /args\[0\]\.equals: 'PR_SET_NAME' is no constant of argument 0 of socket/,
    ],
    [
      argument({ index: 0, equals: 'AF_INET' }, 'getpgid'),
      /argument 0 of getpgid has no constants by name; give its number/,
    ],
    [
      argument({ index: 0, equals: 0x1_0000_0000 }),
      /args\[0\]\.equals: 4294967296 does not fit: the kernel reads 32 bits/,
    ],
    [argument({ index: 0, equals: 1.5 }), /args\[0\]\.equals: 1\.5 is no integer/],
    [argument({ index: 0, equals: true }), /args\[0\]\.equals: true must be a number/],
    [argument({ index: 0, less: 0 }), /args\[0\]\.less: 0 never holds/],
    [argument({ index: 0, less: -1 }), /args\[0\]\.less: -1 .*unsigned/],
    [argument({ index: 0, greater: 0xffff_ffff }), /args\[0\]\.greater: 4294967295 never holds/],
    [argument({ index: 0, range: [5, 2] }), /args\[0\]\.range: .*lower value comes first/],
    [argument({ index: 0, range: [5] }), /args\[0\]\.range: .*\[low, high\]/],
    [argument({ index: 0, oneOf: [] }), /args\[0\]\.oneOf: .*list of values/],
    [argument({ index: 0, oneOf: [1, 'AF_X'] }), /args\[0\]\.oneOf\[1\]: 'AF_X'/],
    [argument({ index: 0, maskedEquals: { mask: 1, value: 2 } }), /maskedEquals\.value: 2 never holds/],
    [argument({ index: 0, maskedEquals: { mask: 0, value: 0 } }), /maskedEquals\.mask: 0 has no bits/],
    [argument({ index: 0, maskedEquals: { msk: 1, value: 1 } }), /maskedEquals\.msk: .*did you mean 'mask'/],
  ])('%s', (message, expected) => {
    expect(message).toMatch(/^ERR_HOLDFAST_INVALID_POLICY policy\.syscalls/);
    expect(message).toMatch(expected);
  });
});

describe('a wrong hook is refused when it is registered', () => {
  const on = (...args: unknown[]) => {
    const child = spawnSandboxed('/bin/true');
    try {
      return problem(() => (child.onSyscall as (...all: unknown[]) => void)(...args));
    } finally {
      child.kill('SIGKILL');
    }
  };
  test.each([
    [['unmae', () => {}], /^ERR_HOLDFAST_INVALID_FILTER onSyscall: 'unmae' .*did you mean 'uname'/],
    [
      ['clone3', () => {}],
      /^ERR_HOLDFAST_INVALID_FILTER onSyscall: 'clone3' is a call that this sandbox does not have/,
    ],
    [['uname', 1], /^ERR_HOLDFAST_INVALID_OPTION onSyscall\(\): the hook must be a function/],
    [['socket', { arg: [] }, () => {}], /^ERR_HOLDFAST_INVALID_FILTER filter of onSyscall\.arg: .*did you mean 'args'/],
    [
      ['socket', { args: [{ index: 0, equals: 'AF_INTE' }] }, () => {}],
      /^ERR_HOLDFAST_INVALID_FILTER filter of onSyscall\.args\[0\]\.equals: 'AF_INTE' .*did you mean 'AF_INET'/,
    ],
  ])('%j', (args, expected) => {
    expect(on(...args)).toMatch(expected);
  });

  test('after the tick of the spawn it is too late', async () => {
    const child = spawnSandboxed('/bin/sleep', ['5']);
    await new Promise((resolve) => child.on('spawn', () => resolve(undefined)));
    const message = problem(() => child.onSyscall('uname', () => {}));
    child.kill('SIGKILL');
    expect(message).toMatch(/^ERR_HOLDFAST_HOOK_TOO_LATE onSyscall\(\)/);
  });
});
