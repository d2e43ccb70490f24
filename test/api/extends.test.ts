// Policies that start from others: what adds up, what nobody gives back, and whose field is wrong.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compilePolicy, type Policy, type SpawnSandboxedOptions, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const root = temporaryFolder();
const [one, two] = [join(root, 'one'), join(root, 'two')];
for (const folder of [one, two]) {
  mkdirSync(join(folder, 'inner'), { recursive: true });
  writeFileSync(join(folder, 'file'), 'here');
  writeFileSync(join(folder, 'inner/file'), 'inner');
}

const reads = async (policy: SpawnSandboxedOptions['policy'], paths: string[]) => {
  const script = 'for f; do if cat "$f" > /dev/null 2>&1; then echo yes; else echo no; fi; done';
  const { stdout, violations } = await runSandboxed('/bin/sh', ['-c', script, 'sh', ...paths], { policy, cwd: '/' });
  return { read: stdout.trim().split('\n'), rules: violations.flatMap(({ rule }) => rule ?? []) };
};

describe('extends', () => {
  const files = [join(one, 'file'), join(two, 'file'), join(one, 'inner/file'), join(two, 'inner/file')];

  test('rules add up, at every depth, and a violation tells whose rule it was', async () => {
    const base: Policy = { files: { read: [one], deny: [join(two, 'inner')] } };
    const compiled = compilePolicy({ extends: base, files: { deny: [join(one, 'inner')] } });
    const { read, rules } = await reads({ extends: [compiled], files: { read: [two] } }, files);
    expect(read).toEqual(['yes', 'yes', 'no', 'no']);
    expect(rules).toEqual(['extends[0].files.deny[0]', 'extends[0].extends.files.deny[0]']);
  });

  test('what one of them forbids as a whole no other gives back', async () => {
    const deep: Policy = { exec: [{ path: '/bin/false', under: '/nowhere' }], files: { read: ['/'] } };
    const run = (policy: Policy, script: string) => runSandboxed('/bin/sh', ['-c', script], { policy, cwd: '/' });
    expect((await run({ extends: { exec: [] }, files: { read: ['/'] } }, '/bin/true')).code).toBe(126);
    expect((await run({ extends: [{ exec: [] }, deep], exec: ['/bin/true'] }, '/bin/true')).code).toBe(0);
    // Whom a rule speaks of stays itself among those of others.
    const allow: Policy = { exec: [{ path: '/bin/true', under: ['/bin/sh', '/bin/dash'] }] };
    expect((await run({ extends: [deep, allow] }, '/bin/true')).code).toBe(0);
    expect((await run({ extends: [deep, allow] }, '/bin/false')).code).toBe(126);
    const only: Policy = { syscalls: { deny: ['sched_yield'] } };
    const denied = await runSandboxed('/usr/bin/python3', ['-c', 'import os; os.sched_yield(); os.getpgid(0)'], {
      policy: { extends: [only], syscalls: { deny: ['getpgid'] }, files: { read: ['/usr'] } },
    });
    expect(denied.code).toBe(1);
    expect(denied.violations.map(({ rule }) => rule)).toEqual(['extends[0].syscalls.deny[0]']);
  });

  test('its own word on the defaults comes first, else the first that has one', async () => {
    const cwd = one;
    const policy = (more: Policy): Policy => ({ extends: [{ defaults: { cwd: false } }], ...more });
    const run = (given: Policy) => runSandboxed('/bin/cat', ['file'], { policy: given, cwd });
    expect((await run(policy({}))).code).toBe(1);
    expect((await run(policy({ defaults: true }))).stdout).toBe('here');
    expect((await run({ defaults: { cwd: false } })).code).toBe(1);
  });

  const cyclic: Policy = {};
  cyclic.extends = cyclic;
  const wrong: [string, unknown, string][] = [
    ['a name that is not known', 'computer', "strict (did you mean 'compute'?)"],
    ['starting from strict', { extends: 'strict' }, "policy.extends: 'strict' leaves nothing to add to"],
    ['starting from strict, compiled', { extends: [compilePolicy('strict')] }, "policy.extends[0]: 'strict' leaves"],
    ['such a name inside', { extends: ['compute', 'none'] }, "policy.extends[1]: 'none' is no name"],
    ['a field of another', { extends: { files: { reed: [] } } }, 'policy.extends.files.reed'],
    ['a path of another', { extends: [{}, { files: { read: ['~joe'] } }] }, 'policy.extends[1].files.read[0]'],
    ['an address of another', { extends: { network: { connect: ['x'] } } }, 'policy.extends.network.connect[0]'],
    ['a call of another', { extends: { syscalls: { deny: ['unmae'] } } }, 'policy.extends.syscalls.deny[0]'],
    ['a program of another', { extends: { exec: { deny: ['ls'] } } }, 'policy.extends.exec.deny[0]'],
    ['no policy', { extends: [undefined] }, 'policy.extends[0]'],
    ['a number', { extends: 3 }, 'policy.extends'],
    ['itself', cyclic, 'one too deep'],
  ];
  test.each(wrong)('%s is told by its field', (_, policy, words) => {
    expect(() => spawnSandboxed('/bin/true', [], { policy: policy as Policy })).toThrow(
      expect.objectContaining({ code: 'ERR_HOLDFAST_INVALID_POLICY', message: expect.stringContaining(words) }),
    );
  });
});

describe("'compute'", () => {
  const run = (command: string, args: string[], policy: SpawnSandboxedOptions['policy'] = 'compute') =>
    runSandboxed(command, args, { policy, cwd: one, input: '5\n' });

  test.each([
    ['a C program with threads', program('computes'), [], /^1998000 1\n$/],
    [
      'Python',
      '/usr/bin/python3',
      [
        '-c',
        `import hashlib, json, random, sys, threading, time
thread = threading.Thread(target=lambda: sum(range(10**5))); thread.start(); thread.join()
print(int(sys.stdin.readline()) + 1, time.time() > 0, random.random() < 1, hashlib.sha256(b'').hexdigest()[:4])`,
      ],
      /^6 True True e3b0\n$/,
    ],
    [
      'Node',
      process.execPath,
      [
        '-e',
        `process.stdin.once('data', (data) => require('node:crypto').pbkdf2('a', 'b', 10, 8, 'sha1', (_, key) =>
           console.log(+data + 1, Date.now() > 0, key.length)))`,
      ],
      /^6 true 8\n$/,
    ],
  ])('%s computes', async (_, command, args, output) => {
    const { code, stdout, stderr } = await run(command, args);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(output);
  });

  const attempts = `
import ctypes, os, socket, sys
def attempt(name, act):
    try: act(); print(name)
    except OSError: pass
libc = ctypes.CDLL(None, use_errno=True)
def checked(result):
    if result < 0: raise OSError(ctypes.get_errno(), 'call')
attempt('read', lambda: open('file').read())
attempt('list', lambda: os.listdir('.'))
attempt('write', lambda: open('new', 'w'))
attempt('other', lambda: open('/etc/shadow').read())
attempt('fork', lambda: os.fork() or os._exit(0))
attempt('vfork', lambda: os.posix_spawn('/bin/true', ['true'], {}))
attempt('exec', lambda: os.execv('/bin/echo', ['echo', 'exec']))
for family in (socket.AF_INET, socket.AF_UNIX, socket.AF_NETLINK): attempt('socket', lambda: socket.socket(family))
attempt('pair', socket.socketpair)
attempt('signal', lambda: os.kill(os.getppid(), 0))
attempt('shm', lambda: checked(libc.shmget(0, 4096, 0o1600)))
attempt('watch', lambda: checked(libc.inotify_init1(0)))
print('done')
`;
  test('and nothing else is there for it', async () => {
    const { stdout, stderr } = await run('/usr/bin/python3', ['-c', attempts]);
    expect(stderr).toBe('');
    expect(stdout).toBe('done\n');
  });

  test('with what is added to it', async () => {
    const policy: Policy = { extends: 'compute', files: { read: [join(one, 'file')] } };
    const script = 'print(open("file").read())\ntry: open("inner/file")\nexcept OSError: print("no")';
    expect((await run('/usr/bin/python3', ['-c', script], policy)).stdout).toBe('here\nno\n');
  });
});
