// A call that a signal has interrupted goes on with its own arguments, whoever holds it; and what needs no call is not held.

import { allow, type SandboxedProcess } from 'holdfast';
import { expect, test } from 'vitest';
import { started } from '../boundary/conversation.ts';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { type Outcome, runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { sleep } from '../lifecycle/tree.ts';

/** Under emulation all takes that many times as long (test/vitest.config.ts). */

const held = (name: string, hooks?: (child: SandboxedProcess) => void) => {
  const folder = temporaryFolder('held');
  const unix = [`unix:${folder}`];
  const policy = { files: { read: ['/'], write: [folder] }, network: { connect: unix, bind: unix } };
  return runSandboxed(program(name), [], { cwd: folder, policy, hooks });
};
const said = ({ stdout, code, signal, stderr }: Outcome) => ({ stdout, code, signal, stderr });

const waits = [
  'read',
  'readv',
  'recvfrom',
  'write',
  'wait4',
  'flock',
  'futex',
  'nanosleep',
  'clock_nanosleep',
] as const;

test(
  'calls that wait are made again with their own arguments, left to the kernel or held',
  async () => {
    const asked = new Map<string, number>();
    const hook = ({ syscall }: { syscall: string }) => {
      asked.set(syscall, (asked.get(syscall) ?? 0) + 1);
      return allow();
    };
    // They mostly sleep, so all of them at once.
    const [bare, plain, hooked] = await Promise.all([
      runBare(program('restarts'), [], { cwd: temporaryFolder('bare') }),
      held('restarts'),
      held('restarts', (child) => {
        for (const name of waits) child.onSyscall(name, hook);
        child.onSyscall(process.arch === 'x64' ? 'poll' : 'ppoll', hook);
      }),
    ]);
    expect(bare).toMatchObject({ code: 0, stderr: '' });
    expect(bare.stdout).not.toMatch(/EINTR|not seen|too short/);
    expect(bare.stdout.match(/made again: seen$/gm)).toHaveLength(9);
    expect(bare.stdout.match(/, whole$/gm)).toHaveLength(5);
    expect(said(plain)).toEqual(said(bare));
    expect(said(hooked)).toEqual(said(bare));
    expect([...asked.keys()].sort()).toEqual([...waits, process.arch === 'x64' ? 'poll' : 'ppoll'].sort());
  },
  patient(60_000),
);

test('the time is read without a call, and a handler ends where the kernel has its end', async () => {
  const bare = await runBare(program('time_by_vdso'));
  const outcome = await held('time_by_vdso');
  expect(said(outcome)).toEqual(said(bare));
  expect(bare.stdout).toMatch(/^vDSO: named$/m);
  expect(bare.stdout).toMatch(
    process.arch === 'x64' ? /^a handler's end: libc's$/m : /^a handler's end: in the vDSO$/m,
  );
  // And where the vDSO is not named, since a hook is to hear of the time.
  const hidden = await held('time_by_vdso', (child) => child.onSyscall('clock_gettime', () => allow()));
  expect(hidden.code).toBe(0);
  expect(hidden.stdout.split('\n').slice(0, 2)).toEqual(['vDSO: not named', bare.stdout.split('\n')[1]]);
});

test(
  'what ends by a handler does so, and nothing else, while the tree is stopped from outside again and again',
  async () => {
    const { child, closed, next } = started(program('waits_and_stops'), [], { files: { read: ['/'] } });
    expect(await next()).toBe('ready');
    const rounds = 40;
    for (let i = 0; i < rounds; i++) {
      await child.freeze();
      await child.thaw();
      await sleep(3);
      await using _ = await child.inspect(child.pid as number);
    }
    child.stdin.end();
    const seen = JSON.parse(await next());
    expect(await closed).toEqual([0, null]);
    expect(seen).toMatchObject({ lost: 0, strange: 0, cut: 0, wrong: 0 });
    // On aarch64 a thread that has handled a signal is woken by each stop (docs/security.md).
    const stops = process.arch === 'arm64' ? 2 * rounds : 0;
    expect(seen.ended).toBeGreaterThanOrEqual(seen.handled);
    expect(seen.ended).toBeLessThanOrEqual(seen.handled + stops);
    expect(seen.handled).toBeGreaterThan(0);
    expect(seen.waits).toBeGreaterThan(0);
  },
  patient(60_000),
);
