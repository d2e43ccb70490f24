// onFork: what hears of processes and threads that are about to be made, and what it does to them.
import { constants } from 'node:os';
import {
  allow,
  deny,
  type ForkCall,
  fake,
  type HoldfastError,
  kill,
  type SandboxedProcess,
  spawnSandboxed,
} from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { type RunOptions, runSandboxed } from '../helpers/run.ts';
import { allGone, event, startOf, textOf, until, within } from '../lifecycle/tree.ts';

const { errno } = constants;
const newborns = program('newborns');

const run = (args: string[], hooks: (child: SandboxedProcess) => void, options: RunOptions = {}) =>
  runSandboxed(newborns, args, { hooks, ...options });
const lines = ({ stdout }: { stdout: string }) => stdout.trimEnd().split('\n');
const never = () => new Promise<never>(() => {});

describe('a hook on forks', () => {
  test('hears of each kind, with its flags by name and who makes it', async () => {
    const heard: ForkCall[] = [];
    const asked: Promise<unknown>[] = [];
    const outcome = await run(['fork', 'clone', 'vfork', 'spawn', 'thread'], (child) => {
      child.onFork(async (call) => {
        heard.push(call);
        asked.push(
          call.ancestry(),
          call.readMemory(1, 1).catch(({ code }) => code),
        );
        expect(await call.cwd()).toBe(process.cwd());
      });
    });
    expect(lines(outcome)).toEqual(['fork 7', 'clone 8', 'vfork 9', 'spawn 0', 'thread 0']);
    expect(heard.map(({ kind }) => kind)).toEqual(['process', 'process', 'vfork', 'vfork', 'thread']);
    expect(heard[1]).toMatchObject({ syscall: 'clone', flags: ['CLONE_FS'], executable: newborns, ppid: undefined });
    expect(heard[2]?.flags).toEqual(['CLONE_VM', 'CLONE_VFORK']);
    expect(heard[4]?.flags).toEqual(expect.arrayContaining(['CLONE_VM', 'CLONE_THREAD', 'CLONE_SIGHAND']));
    expect(heard.every(({ pid, tid }) => pid === heard[0]?.pid && tid === pid)).toBe(true);
    expect((await Promise.all(asked)).slice(0, 2)).toEqual([[], 'ERR_HOLDFAST_MEMORY']);
    expect(outcome.violations).toEqual([]);
  });

  test('answers: deny, no opinion, allow, a number of nobody; each has its effect, and only that', async () => {
    const verdicts = [deny('ENOMEM'), undefined, allow(), fake(4_000_000), deny(), deny()];
    const outcome = await run(['fork', 'fork', 'clone', 'vfork', 'spawn', 'thread'], (child) => {
      child.onFork(() => verdicts.shift());
    });
    expect(lines(outcome)).toEqual([
      `fork ${-errno.ENOMEM}`,
      'fork 7',
      'clone 8',
      'vfork faked 4000000',
      `spawn ${-errno.EACCES}`,
      `thread ${-errno.EACCES}`,
    ]);
    expect(outcome.violations.map(({ rule, errno: name }) => [rule, name])).toEqual([
      ['hook', 'ENOMEM'],
      ['hook', 'EACCES'],
      ['hook', 'EACCES'],
    ]);
  });

  test('kill ends the caller, and nothing is made', async () => {
    const outcome = await run(['fork', 'vfork'], (child) => {
      child.onFork(({ kind }) => (kind === 'vfork' ? kill('SIGTERM') : undefined));
    });
    expect(outcome).toMatchObject({ stdout: 'fork 7\n', signal: 'SIGTERM' });
  });

  test('an answer that would make the caller its own child is refused, and nothing is made', async () => {
    const errors: HoldfastError[] = [];
    const outcome = await run(['fork', 'fork'], (child) => {
      const verdicts = [fake(0), fake()];
      child.onFork((() => verdicts.shift()) as never).on('hookError', (error) => errors.push(error));
    });
    expect(lines(outcome)).toEqual([`fork ${-errno.EACCES}`, `fork ${-errno.EACCES}`]);
    expect(errors.map(({ code, event: name }) => [code, name])).toEqual([
      ['ERR_HOLDFAST_INVALID_VERDICT', 'fork'],
      ['ERR_HOLDFAST_INVALID_VERDICT', 'fork'],
    ]);
  });

  test('what the table refuses is refused, whatever a hook allows', async () => {
    let heard = 0;
    const outcome = await run(['new-user'], (child) => {
      child.onFork(() => {
        heard++;
        return allow();
      });
    });
    expect(lines(outcome)).toEqual([`new-user ${-errno.EPERM}`]);
    expect(heard).toBe(0);
  });
});

describe('a filter', () => {
  const every = ['fork', 'clone', 'vfork', 'spawn', 'thread'];

  test.each([
    ['process', ['process', 'process']],
    ['thread', ['thread']],
    ['vfork', ['vfork', 'vfork']],
    [
      ['process', 'thread'],
      ['process', 'process', 'thread'],
    ],
  ] as const)('by kind: %j. What it cannot hear of is not held', async (kind, expected) => {
    const heard: string[] = [];
    const child = spawn(every, (made) => made.onFork({ kind }, (call) => void heard.push(call.kind)));
    await event(child, 'close');
    expect(heard).toEqual(expected);
    // The exec of spawn's child is held in any case; as many as without a hook, and those that were heard.
    const bare = spawn(every, () => {});
    await event(bare, 'close');
    expect((child.usage?.callsHeld ?? 0) - (bare.usage?.callsHeld ?? 0)).toBe(expected.length);
  });

  test('by program, and by descent', async () => {
    const heard: string[] = [];
    const script = `${newborns} fork; (true); (exec ${newborns} clone); :`;
    const policy = { files: { read: [newborns] } };
    await runSandboxed('/bin/bash', ['-c', script], {
      policy,
      hooks: (child) => {
        child.onFork({ executable: newborns }, ({ executable }) => void heard.push(`executable ${executable}`));
        child.onFork({ executable: '**/nobody' }, () => void heard.push('nobody'));
        child.onFork({ under: newborns }, () => void heard.push('under'));
      },
    });
    expect(heard).toEqual([`executable ${newborns}`, 'under', `executable ${newborns}`, 'under']);
  });

  test.each([
    [{ kind: 'proces' }, /filter of onFork\.kind: 'proces' is refused: must be 'process', 'thread' or 'vfork'/],
    [{ kind: [] }, /filter of onFork\.kind/],
    [{ path: '/x' }, /filter of onFork\.path: '\/x' is not a key of this filter \(it takes kind, executable, under\)/],
    [{ executable: 7 }, /filter of onFork\.executable/],
    [{ executable: ['/a', '/b/[x'] }, /filter of onFork\.executable\[1\]: '\/b\/\[x' has a \[ without its \]/],
  ])('that is not valid says which field: %j', async (filter, message) => {
    let thrown: HoldfastError | undefined;
    await run([], (child) => {
      try {
        child.onFork(filter as never, () => {});
      } catch (error) {
        thrown = error as HoldfastError;
      }
    });
    expect(thrown?.code).toBe('ERR_HOLDFAST_INVALID_FILTER');
    expect(thrown?.message).toMatch(message);
  });
});

function spawn(args: string[], hooks: (child: SandboxedProcess) => void, options: RunOptions = {}): SandboxedProcess {
  const child = spawnSandboxed(newborns, args, options);
  hooks(child);
  child.stdin?.end();
  return child;
}

describe('limits', () => {
  test('what a hook refuses takes no place: exactly so many are made', async () => {
    for (const every of [1, 2]) {
      let asked = 0;
      const child = spawn(['many', '30'], (made) => made.onFork(() => (asked++ % every === 0 ? undefined : deny())), {
        limits: { processes: 9 },
      });
      const output = textOf(child.stdout);
      await event(child, 'close');
      expect(await output).toBe('many 8\n');
      expect(asked).toBe(30);
    }
  });

  test('and a rule on the raw call is asked, too', async () => {
    const outcome = await run(['fork', 'vfork', 'spawn', 'thread'], () => {}, {
      limits: { processes: 9 },
      policy: {
        syscalls: {
          deny: [
            { call: 'clone', errno: 'EDOM' },
            ...(process.arch === 'x64' ? [{ call: 'vfork' as const, errno: 'EDOM' }] : []),
          ],
        },
      },
    });
    expect(new Set(lines(outcome).map((line) => line.split(' ')[1]))).toEqual(new Set([String(-errno.EDOM)]));
  });
});

describe('while a hook thinks', () => {
  test('other threads go on', async () => {
    let answer: (() => void) | undefined;
    const child = spawn(['beside'], (made) => {
      made.onFork({ kind: 'process' }, () => new Promise<void>((resolve) => (answer = resolve)));
    });
    let text = '';
    child.stdout?.on('data', (data) => (text += data));
    await until(() => answer !== undefined && text === 'beside goes on\n'.repeat(3), 'the other thread goes on');
    answer?.();
    await event(child, 'close');
    expect(text).toMatch(/beside 8\n$/);
  });

  test.each(['fork', 'vfork', 'thread'])('%s: the caller dies, by a signal or with its tree', async (how) => {
    for (const end of ['SIGKILL', 'SIGTERM', 'tree', 'frozen'] as const) {
      // pthread_create(3) blocks signals meanwhile.
      if (how === 'thread' && end === 'SIGTERM') continue;
      let held: ForkCall | undefined;
      const child = spawn([how], (made) => {
        made.onFork((call) => {
          held = call;
          return never();
        });
      });
      await until(() => held !== undefined, 'it is held');
      const seen = { role: 'caller', pid: child.pid as number, start: startOf(child.pid as number) };
      if (end === 'frozen') await child.freeze();
      if (end === 'tree' || end === 'frozen') await within(child.killTree(), 'the tree is gone');
      else process.kill(child.pid as number, end);
      await within(closed(child), 'close');
      await allGone([seen]);
    }
  });

  test('its time is over: nothing is made', async () => {
    const errors: HoldfastError[] = [];
    const outcome = await run(
      ['vfork', 'fork'],
      (child) => {
        child.onFork({ kind: 'vfork' }, never).on('hookError', (error) => errors.push(error));
      },
      { hookTimeout: 80 },
    );
    expect(lines(outcome)).toEqual([`vfork ${-errno.EACCES}`, 'fork 7']);
    expect(errors.map(({ code }) => code)).toEqual(['ERR_HOLDFAST_HOOK_TIMEOUT']);
  });
});

function closed(child: SandboxedProcess): Promise<void> {
  return new Promise((resolve) =>
    child.exitCode !== null || child.signalCode !== null ? resolve() : child.once('close', () => resolve()),
  );
}
