// Looking into a thread that stands still: registers, memory, mappings, its call; and into nothing else.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { deny, type Inspection, type SpawnSandboxedOptions, spawnSandboxed } from 'holdfast';
import { expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { engine } from '../helpers/engine.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { startHost } from './host.ts';
import { textOf } from './tree.ts';

function started(mode: string, options: SpawnSandboxedOptions = {}) {
  const child = spawnSandboxed(program('inspected'), [mode], { ...options, stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const closed = once(child as never, 'close');
  return { child, closed, next: async () => (await lines.next()).value as string };
}

const word = async (stopped: Inspection, address: bigint) => (await stopped.readMemory(address, 8)).readBigUInt64LE();

test('a thread that computes stands still, and goes on with what was set', async () => {
  const { child, closed, next } = started('counts');
  const [counter, flag, text, tid] = (await next()).split(' ');
  const pid = child.pid as number;
  {
    const codeAt = async (stopped: Inspection) => {
      const { registers } = await stopped.state();
      const at = registers.arch === 'x64' ? registers.rip : registers.pc;
      return (await stopped.mappings()).find(({ start, end }) => start <= at && at < end);
    };
    // It may be on its way still from the call that has written where it is.
    const computing = async (): Promise<Inspection> => {
      const one = await child.inspect(pid);
      if ((await one.state()).syscall === undefined && (await codeAt(one))?.path === program('inspected')) return one;
      await one[Symbol.asyncDispose]();
      return computing();
    };
    await using stopped = await computing();
    expect(stopped.pid).toBe(pid);
    expect(stopped.tids).toEqual([pid, Number(tid)]);
    const { registers, floatingPoint } = await stopped.state();
    expect(floatingPoint.length).toBeGreaterThan(500);
    const mappings = await stopped.mappings();
    const code = await codeAt(stopped);
    expect(code).toMatchObject({ executable: true, path: program('inspected') });
    expect(mappings.some(({ path, writable }) => path === '[stack]' && writable)).toBe(true);
    // It does not count while it is looked at.
    const before = await word(stopped, BigInt(counter as string));
    expect(await word(stopped, BigInt(counter as string))).toBe(before);
    expect(before).toBeGreaterThan(0n);
    // Its other thread waits in a call, or is about to.
    expect(['read', 'gettid', undefined]).toContain((await stopped.state(Number(tid))).syscall);
    // What it may only read is written, too, and long memory comes whole.
    const page = BigInt(text as string);
    const rest = Buffer.alloc(4093, 7); // to its very end, from an odd address on
    await stopped.writeMemory(page + 3n, rest);
    expect(await stopped.readMemory(page + 3n, rest.length)).toEqual(rest);
    await stopped.writeMemory(page, Buffer.from('from outside\0'));
    const whole = await stopped.readMemory((code as { start: bigint }).start, 100);
    expect(whole.length).toBe(100);
    const one = Buffer.alloc(8);
    one.writeBigUInt64LE(1n);
    await stopped.writeMemory(BigInt(flag as string), one);
    await stopped.setFloatingPoint(floatingPoint);
    await stopped.setRegisters(registers.arch === 'x64' ? { r15: registers.r15 } : { x28: registers.x28 });
  }
  expect(await next()).toBe('from outside');
  child.stdin.end();
  expect(await closed).toEqual([0, null]);
});

test('a register that is set is what the thread goes on with', async () => {
  const { child, closed, next } = started('waits');
  const [, elsewhere] = (await next()).split(' ');
  const stopped = await child.inspect(child.pid as number);
  const { registers } = await stopped.state();
  const address = BigInt(elsewhere as string);
  await stopped.setRegisters(registers.arch === 'x64' ? { rip: address } : { pc: address });
  await stopped.release();
  expect(await closed).toEqual([42, null]);
});

test('a thread in a call is stopped there, and its call is made again as if nothing had been', async () => {
  const { child, closed, next } = started('waits');
  await next();
  const callOf = async () => {
    await using stopped = await child.inspect(child.pid as number);
    return (await stopped.state()).syscall;
  };
  const call = process.arch === 'x64' ? 'epoll_wait' : 'epoll_pwait';
  // It may not have come to it yet.
  while ((await callOf()) !== call);
  for (let i = 0; i < 3; i++) expect(await callOf()).toBe(call);
  child.stdin.end('x');
  expect(await closed).toEqual([0, null]);
});

test('asked for in a hook, it stops right behind the call that the hook refused', async () => {
  const root = temporaryFolder();
  const secret = join(root, 'secret');
  writeFileSync(secret, 'secret');
  const { child, closed, next } = started('opens', { env: { SECRET: secret } });
  let inspecting: Promise<Inspection> | undefined;
  child.onOpen({ path: secret }, ({ tid }) => {
    inspecting = child.inspect(tid);
    return deny('EPERM');
  });
  const [variable] = (await next()).split(' ');
  child.stdin.write('go\n');
  while (inspecting === undefined) await once(child as never, 'violation');
  {
    await using stopped = await inspecting;
    const { registers, syscall } = await stopped.state();
    expect(syscall).toBe('openat');
    if (registers.arch === 'x64') expect(BigInt.asIntN(64, registers.rax)).toBe(-1n);
    expect(await word(stopped, BigInt(variable as string))).toBe(7n); // set before the call, 8 after it
  }
  expect(await next()).toBe('8');
  child.stdin.end();
  expect(await closed).toEqual([0, null]);
});

test('a thread for which the supervisor waits is stopped all the same, and goes on waiting', async () => {
  const cwd = temporaryFolder();
  execFileSync('mkfifo', [join(cwd, 'fifo')]);
  const { child, closed, next } = started('waits_for_other', { cwd, policy: { files: { read: [cwd] } } });
  await next();
  const callOf = async () => {
    await using stopped = await child.inspect(child.pid as number);
    return (await stopped.state()).syscall;
  };
  while ((await callOf()) !== 'openat'); // it may not have come to it yet
  for (let i = 0; i < 5; i++) expect(await callOf()).toBe('openat');
  writeFileSync(join(cwd, 'fifo'), 'x');
  expect(await closed).toEqual([0, null]);
});

test('a thread that computes is in no call, though its last one was answered in its place', async () => {
  const { child, closed, next } = started('answered');
  expect(await next()).toBe('computes');
  {
    await using stopped = await child.inspect(child.pid as number);
    expect((await stopped.state()).syscall).toBeUndefined();
  }
  child.kill('SIGKILL');
  await closed;
});

test.skipIf(engine === 'kernel')(
  'on a kernel where only the tracing thread may write what the process may only read (the engine kernel has none)',
  async () => {
    const host = startHost(
      `const child = spawnSandboxed(args[0], ['edges'], { stdio: ['pipe', 'pipe', 'inherit'], policy });
const page = BigInt(await new Promise((resolve) => child.stdout.once('data', resolve)));
const stopped = await child.inspect(child.pid);
const file = await stopped.readMemory(page + 4096n, 4096);
for (const [at, size] of [[0, 1], [0, 7], [3, 8], [9, 3], [4090, 5], [4095, 1], [4093, 3], [5, 4091], [4093, 4]]) {
  const bytes = Buffer.alloc(size, at + size);
  const before = await stopped.readMemory(page, 4096);
  const answer = await stopped.writeMemory(page + BigInt(at), bytes).then(() => 'written', ({ code }) => code);
  const after = await stopped.readMemory(page, 4096);
  bytes.copy(before, at);
  say(at, size, answer, after.equals(before));
}
say((await stopped.readMemory(page + 4096n, 4096)).equals(file));
await stopped.release();
child.stdin.end();`,
      [program('inspected')],
      {},
      [program('refuse_calls'), 'pwrite64', '--'],
    );
    expect((await textOf(host.stdout)).trim().split('\n')).toEqual([
      ...['0 1', '0 7', '3 8', '9 3', '4090 5', '4095 1', '4093 3', '5 4091'].map((range) => `${range} written true`),
      expect.stringMatching(/^4093 4 ERR_HOLDFAST_BAD_ADDRESS /),
      'true',
    ]);
  },
);

test('nothing of it works on what is not there, not stopped, or wrong, and nothing hangs', async () => {
  const { child, closed, next } = started('counts');
  await next();
  const pid = child.pid as number;
  const fails = (what: Promise<unknown>, code: string, words = '') =>
    expect(what).rejects.toMatchObject({ code, message: expect.stringContaining(words) });
  await fails(child.inspect(process.pid), 'ERR_HOLDFAST_THREAD_GONE');
  await fails(child.inspect(1), 'ERR_HOLDFAST_THREAD_GONE');
  await fails(child.inspect(-1), 'ERR_HOLDFAST_INVALID_OPTION', 'pid');
  await fails(child.inspect('1' as never), 'ERR_HOLDFAST_INVALID_OPTION', 'pid');
  await fails(child.inspect(2 ** 32 + pid), 'ERR_HOLDFAST_INVALID_OPTION', 'pid');
  const stopped = await child.inspect(pid);
  const wrong = 'ERR_HOLDFAST_INVALID_OPTION';
  await fails(stopped.readMemory(8n, 16), 'ERR_HOLDFAST_BAD_ADDRESS', '0x8');
  await fails(stopped.writeMemory(8n, Buffer.from('x')), 'ERR_HOLDFAST_BAD_ADDRESS', '0x8');
  await fails(stopped.readMemory(-1n, 16), wrong, 'address');
  await fails(stopped.readMemory(0x1000, 1.5), wrong, 'length');
  await fails(stopped.writeMemory(0x1000, 'x' as never), wrong, 'bytes');
  await fails(stopped.setRegisters({ eax: 1n } as never), wrong, 'registers.eax');
  await fails(stopped.setRegisters({ rax: 1 } as never), wrong, process.arch === 'x64' ? 'bigint' : 'registers.rax');
  await fails(stopped.setRegisters(null as never), wrong, 'registers: null');
  await fails(stopped.setFloatingPoint(Buffer.alloc(3)), wrong, 'bytes');
  await fails(stopped.state(process.pid), wrong, 'tid');
  // The sealed page is nobody's to write to, and what is released is not looked into.
  await stopped.release();
  await fails(stopped.state(), 'ERR_HOLDFAST_NOT_STOPPED');
  await fails(stopped.readMemory(0x1000, 1), 'ERR_HOLDFAST_NOT_STOPPED');
  // It is killed while it is looked at.
  const last = await child.inspect(pid);
  child.kill('SIGKILL');
  await closed;
  await fails(last.state(), 'ERR_HOLDFAST_NOT_RUNNING');
  await fails(child.inspect(pid), 'ERR_HOLDFAST_NOT_RUNNING');
  await last.release();
});
