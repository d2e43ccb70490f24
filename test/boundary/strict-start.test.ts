// A program that is strict from its own main on: before that its loader and libraries do what they need, after it nothing
// but reading, writing and ending is left, for every thread; and whatever is unusual on the way makes it strict earlier.
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { allow, compilePolicy, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { temporaryFolder } from '../helpers/temp.ts';

async function run(command: string, args: string[], policy: Parameters<typeof compilePolicy>[0] = 'strict') {
  const child = spawnSandboxed(command, args, { policy, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (out += bytes));
  const [code, signal] = await once(child as never, 'close');
  return { out, code, signal };
}

const whole = { out: 'main\nover\n', code: 0, signal: null };
const killed = { out: 'main\n', code: null, signal: 'SIGSYS' };

describe.each(['strict_main', 'strict_fixed'])('%s', (name) => {
  const file = program(name);

  test('opens a file before main, and reads, writes and ends after it', async () => {
    expect(await run(file, ['write'])).toEqual(whole);
    expect(await run(file, ['write'], compilePolicy('strict'))).toEqual(whole);
  });

  test('makes no other call in main', async () => {
    expect(await run(file, ['call'])).toEqual(killed);
  });

  test('nor does a thread that was made before', async () => {
    expect(await run(file, ['thread'])).toMatchObject({ code: null, signal: 'SIGSYS' });
  });

  test('still reads the clock, which is no call', async () => {
    expect(await run(file, ['vdso'])).toEqual(whole);
  });

  test('gets its signals, whenever they come', async () => {
    for (let i = 0; i < 5; i++) expect(await run(file, ['alarm'])).toEqual(whole);
  });

  test('is strict at once where it is executed again before main', async () => {
    expect(await run(file, ['again'])).toEqual({ out: '', code: null, signal: 'SIGSYS' });
  });
});

test('a static program is strict before its first call', async () => {
  expect(await run(program('strict_static'), [])).toEqual(whole);
  expect(await run(program('strict_static'), ['call'])).toEqual(killed);
});

test('a program without such a start is strict where that is found out', async () => {
  // It goes on for too long in its own code; or what it calls first is given no main.
  expect(await run(program('strict_nomain'), [])).toEqual({ out: '', code: null, signal: 'SIGSYS' });
  expect(await run(program('strict_nomain'), ['call'])).toEqual({ out: '', code: null, signal: 'SIGSYS' });
});

test('beside listeners, hooks and limits', async () => {
  const child = spawnSandboxed(program('strict_main'), ['write'], {
    policy: 'strict',
    limits: { processes: 2, threads: 2 },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const opened: string[] = [];
  child.on('violation', () => {}).onOpen(({ path }) => void opened.push(path));
  child.onExec(async () => allow());
  let out = '';
  child.stdout.on('data', (bytes) => (out += bytes));
  expect(await once(child as never, 'close')).toEqual([0, null]);
  expect(out).toBe(whole.out);
  expect(opened).toContain('/etc/ld.so.cache');
});

test('what it may not do before main it may not', async () => {
  const copy = join(temporaryFolder(), 'copy');
  copyFileSync(program('strict_main'), copy);
  expect(await run('/bin/cat', [copy])).toMatchObject({ code: null, signal: 'SIGSYS' });
});
