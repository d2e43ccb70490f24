// What a hook can ask about who makes its call: ppid, initial, cwd(), ancestry(), readMemory().
import { realpathSync } from 'node:fs';
import { allow, type ExecCall, type HookedCall, spawnSandboxed } from 'holdfast';
import { expect, test } from 'vitest';
import { event, policyFor, within } from '../lifecycle/tree.ts';

const policy = policyFor('/tmp');
const sh = realpathSync('/bin/sh');
const cat = realpathSync('/bin/cat');
const gone = { code: 'ERR_HOLDFAST_CALL_GONE' };

test('parents, ancestors, the command’s own start, the working directory', async () => {
  const child = spawnSandboxed('sh', ['-c', "cd /tmp; sh -c 'cat /etc/hostname; :'; :"], { policy, stdio: 'ignore' });
  const execs: ExecCall[] = [];
  child.onExec((call) => {
    execs.push(call);
    return allow();
  });
  let seen: unknown;
  child.onOpen({ path: '/etc/hostname' }, async (call) => {
    seen = { ppid: call.ppid, executable: call.executable, cwd: await call.cwd(), ancestry: await call.ancestry() };
    return allow();
  });
  expect(await event(child, 'close')).toEqual([0, null]);
  const [command, shell, program] = execs;
  expect(execs.map(({ initial }) => initial)).toEqual([true, false, false]);
  expect(command).toMatchObject({ pid: child.pid, ppid: undefined });
  expect(shell).toMatchObject({ ppid: child.pid });
  expect(program).toMatchObject({ ppid: shell?.pid });
  expect(seen).toEqual({
    ppid: shell?.pid,
    executable: cat,
    cwd: realpathSync('/tmp'),
    ancestry: [
      { pid: shell?.pid, executable: sh, argv: ['sh', '-c', 'cat /etc/hostname; :'], argvCut: false },
      { pid: child.pid, executable: sh, argv: ['sh', '-c', expect.stringContaining('cd /tmp')], argvCut: false },
    ],
  });
});

test('memory: of a caller that is held, and of no other', async () => {
  const child = spawnSandboxed('cat', ['/etc/hostname'], { policy, stdio: 'ignore' });
  let answered: HookedCall<'open'> | undefined;
  let read: unknown[] = [];
  child.onOpen({ path: '/etc/hostname' }, async (call) => {
    expect((await child.processes())[0]?.argv).toEqual(['cat', '/etc/hostname']);
    read = await Promise.allSettled([
      call.readMemory(0, 16),
      call.readMemory(2n ** 64n - 4096n, 16),
      // The vsyscall page's neighbourhood aside, what lies low in the image of a program is readable: found by its ELF head.
      head(call),
    ]);
    answered = call;
    return allow();
  });
  expect(await event(child, 'close')).toEqual([0, null]);
  expect(read).toMatchObject([
    { status: 'rejected', reason: { code: 'ERR_HOLDFAST_MEMORY' } },
    { status: 'rejected', reason: { code: 'ERR_HOLDFAST_MEMORY' } },
    { status: 'fulfilled', value: { head: '\x7fELF', length: 40_000 } },
  ]);
  await expect(answered?.readMemory(4096, 1)).rejects.toMatchObject(gone);
  await expect(answered?.cwd()).rejects.toMatchObject(gone);
  await expect(answered?.ancestry()).rejects.toMatchObject(gone);
  const options = { code: 'ERR_HOLDFAST_INVALID_OPTION' };
  for (const [address, length] of [
    [-1, 1],
    [1.5, 1],
    ['0', 1],
    [0, 0],
    [0, -1],
    [0, 2 ** 21],
    [0, '1'],
    [2n ** 64n, 1],
  ]) {
    await expect(answered?.readMemory(address as never, length as never)).rejects.toMatchObject(options);
  }
});

/** Where the program lies, the test knows from outside. */
async function head(call: HookedCall<'open'>): Promise<{ head: string; length: number }> {
  const { readFileSync } = await import('node:fs');
  const maps = readFileSync(`/proc/${call.pid}/maps`, 'latin1');
  const libc = maps.split('\n').find((line) => line.includes('libc'));
  const start = BigInt(`0x${libc?.split('-')[0]}`);
  const bytes = await call.readMemory(start, 40_000);
  return { head: bytes.toString('latin1', 0, 4), length: bytes.length };
}

test('a call that is answered while its memory is read, and a thread that is killed meanwhile', async () => {
  const child = spawnSandboxed('sh', ['-c', 'while :; do : < /etc/hostname; done'], { policy, stdio: 'ignore' });
  const answers: Promise<PromiseSettledResult<unknown>[]>[] = [];
  let calls = 0;
  const enough = new Promise<void>((resolve) => {
    child.onOpen({ path: '/etc/hostname' }, (call) => {
      answers.push(Promise.allSettled([call.readMemory(65_536, 8), call.ancestry(), call.cwd()]));
      if (++calls === 60) resolve();
      return calls % 2 === 0 ? allow() : undefined;
    });
  });
  await within(enough, 'calls come');
  await child.killTree();
  const codes = new Set<unknown>();
  for (const answer of (await within(Promise.all(answers), 'each is answered')).flat()) {
    if (answer.status === 'rejected') codes.add(answer.reason.code);
  }
  for (const code of codes) expect(['ERR_HOLDFAST_CALL_GONE', 'ERR_HOLDFAST_MEMORY']).toContain(code);
});

test('of the command’s own start, before there is a program, and the environment of an exec', async () => {
  const env = { PATH: '/usr/bin:/bin', FIRST: '1', EMPTY: '', LONG: 'x'.repeat(100_000), TEXT: 'ü=ö' };
  const child = spawnSandboxed('sh', ['-c', 'OTHER=2 cat /dev/null; :'], { policy, cwd: '/tmp', env, stdio: 'ignore' });
  const seen: unknown[] = [];
  let last: ExecCall | undefined;
  child.onExec(async (call) => {
    const { FIRST, EMPTY, LONG, TEXT, OTHER } = await call.env();
    seen.push([
      call.initial,
      FIRST,
      EMPTY,
      LONG?.length,
      TEXT,
      OTHER,
      await call.cwd(),
      (await call.ancestry()).length,
    ]);
    last = call;
    return allow();
  });
  expect(await within(event(child, 'close'), 'close')).toEqual([0, null]);
  const cwd = realpathSync('/tmp');
  expect(seen).toEqual([
    [true, '1', '', 100_000, 'ü=ö', undefined, cwd, 0],
    [false, '1', '', 100_000, 'ü=ö', '2', cwd, 1],
  ]);
  await expect(last?.env()).rejects.toMatchObject(gone);
});
