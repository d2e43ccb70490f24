// onExit: what hears of processes that are about to end, and what cannot wait for it.

import {
  allow,
  deny,
  type ExitCall,
  type HoldfastError,
  kill,
  type SandboxedProcess,
  type SpawnSandboxedOptions,
  spawnSandboxed,
} from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { runSandboxed } from '../helpers/run.ts';
import { allGone, event, linesUntil, nothingLeft, startOf, textOf, until, within } from '../lifecycle/tree.ts';

const ends = program('ends');
const policy = { files: { read: [ends] } };
const never = () => new Promise<never>(() => {});

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  calls: ExitCall[];
  /** Processes that have ended, by what the supervisor has reaped. */
  reaped: number[];
}

async function run(how: string, hook?: (call: ExitCall) => unknown): Promise<Ended> {
  const ended: Ended = { code: null, signal: null, calls: [], reaped: [] };
  const outcome = await runSandboxed(ends, [how], {
    policy,
    descendants: 'wait',
    hooks: (child) => {
      child.on('processExit', ({ pid }) => ended.reaped.push(pid));
      child.onExit((call) => {
        ended.calls.push(call);
        return hook?.(call) as undefined;
      });
    },
  });
  return Object.assign(ended, { code: outcome.code, signal: outcome.signal });
}

function start(how: string, hooks: (child: SandboxedProcess) => void, options: SpawnSandboxedOptions = {}) {
  const child = spawnSandboxed(ends, [how], { policy, ...options });
  hooks(child);
  return child;
}

const once = ({ calls, reaped }: Ended) =>
  expect(calls.map(({ pid }) => pid).sort((a, b) => a - b)).toEqual(reaped.sort((a, b) => a - b));

describe('a hook on ends', () => {
  test.each([
    ['plain', 4, null],
    ['term', null, 'SIGTERM'],
    ['threads', 7, null],
    ['crash', null, 'SIGSEGV'],
    ['leader', 7, null],
    ['last', 5, null],
    ['exec', 4, null],
  ] as const)('%s: once for the process, with what it ends by', async (how, code, signal) => {
    const ended = await run(how);
    expect(ended).toMatchObject({ code, signal });
    once(ended);
    expect(ended.calls).toHaveLength(1);
    expect(ended.calls[0]).toMatchObject({ code, signal, executable: ends, ppid: undefined });
    expect(ended.calls[0]).not.toHaveProperty('syscall');
  });

  test('vfork: the child, then the caller', async () => {
    const ended = await run('vfork');
    expect(ended.code).toBe(3);
    once(ended);
    expect(ended.calls.map(({ code }) => code)).toEqual([3, 3]);
    expect(ended.calls[0]?.ppid).toBe(ended.calls[1]?.pid);
  });

  test('SIGKILL: where the kernel stops such a process, it is asked about as any other', async () => {
    const ended = await run('kill');
    expect(ended).toMatchObject({ code: null, signal: 'SIGKILL' });
    expect(ended.calls.length).toBeLessThanOrEqual(1);
    for (const call of ended.calls) expect(call).toMatchObject({ code: null, signal: 'SIGKILL' });
  });

  test('an exec by one thread and the end by another in a race: once, whoever wins', async () => {
    for (let i = 0; i < 40; i++) {
      const ended = await run('race');
      once(ended);
      // 99: no thread is made while another executes a program (copy_fs() in kernel/fork.c).
      expect([0, 4, 99]).toContain(ended.code);
      expect(ended.calls[0]?.code).toBe(ended.code);
    }
  });

  test('many processes with threads at once: each once', async () => {
    const ended = await run('many', () => new Promise((resolve) => setImmediate(resolve)));
    expect(ended.code).toBe(0);
    expect(ended.reaped).toHaveLength(41);
    const pids = ended.calls.map(({ pid }) => pid);
    expect(new Set(pids).size).toBe(pids.length);
    // Those that nobody has killed.
    expect(ended.calls.filter(({ code }) => code !== null)).toHaveLength(27);
  });

  test('its memory and its registers are still there', async () => {
    for (const how of ['plain', 'crash']) {
      let told = '';
      const seen: unknown[] = [];
      const child = start(how, (made) => {
        made.onExit(async (call) => {
          await until(() => told.includes('\n'), 'the address is there');
          const address = BigInt(told.trim().split(' ')[1] as string);
          seen.push((await call.readMemory(address, 10)).toString(), await call.ancestry(), await call.cwd());
          const inspection = await made.inspect(call.tid);
          const { registers, syscall } = await inspection.state(call.tid);
          if (how === 'plain') expect(syscall).toBe('exit_group');
          expect('rip' in registers ? registers.rip : registers.pc).toBeGreaterThan(0n);
          expect((await inspection.readMemory(address, 10)).toString()).toBe('the secret');
          await inspection.release();
        });
        made.on('hookError', (error) => seen.push(error));
      });
      child.stdout?.on('data', (data) => (told += data));
      await event(child, 'close');
      expect(seen).toEqual(['the secret', [], process.cwd()]);
    }
  });

  test('an inspection that is left open keeps nobody from ending', async () => {
    let left: { readMemory(address: bigint, length: number): Promise<unknown> } | undefined;
    const child = start('plain', (made) => {
      made.onExit(async (call) => {
        left = await made.inspect(call.pid);
      });
    });
    expect(await event(child, 'close')).toEqual([4, null]);
    await expect(left?.readMemory(0x1000n, 1)).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_HOLDFAST_/) });
  });

  test('has nothing to refuse: a verdict is an error, and the process ends; the next hook is asked all the same', async () => {
    const errors: HoldfastError[] = [];
    const after: number[] = [];
    const answers = [
      () => allow(),
      () => deny(),
      () => kill(),
      () => 'text',
      () => {
        throw new Error('thrown');
      },
      async () => deny('ENOENT'),
    ];
    for (const answer of answers) {
      const outcome = await runSandboxed(ends, ['plain'], {
        policy,
        hooks: (child) =>
          child
            .onExit(answer as never)
            .onExit(({ code }) => void after.push(code as number))
            .on('hookError', (error) => errors.push(error)),
      });
      expect(outcome).toMatchObject({ code: 4, violations: [] });
    }
    expect(errors.map(({ code, event: name }) => [code, name])).toEqual(
      answers.map((_, i) => [i === 4 ? 'ERR_HOLDFAST_HOOK_FAILED' : 'ERR_HOLDFAST_INVALID_VERDICT', 'exit']),
    );
    expect(errors[0]?.message).toMatch(/a hook of onExit answered allow\(\), .*; the process ends all the same$/);
    expect(after).toEqual(answers.map(() => 4));
  });

  test('by program and by descent; what it takes besides is refused', async () => {
    const heard: string[] = [];
    await runSandboxed('/bin/sh', ['-c', `${ends} plain; (exit 3); (${ends} term); :`], {
      policy,
      hooks: (child) => {
        child.onExit({ executable: ends }, ({ code, signal }) => void heard.push(`executable ${code ?? signal}`));
        child.onExit({ under: ends }, ({ code, signal }) => void heard.push(`under ${code ?? signal}`));
        expect(() => child.onExit({ kind: 'thread' } as never, () => {})).toThrow(
          /filter of onExit\.kind: 'thread' is not a key of this filter \(it takes executable, under\)/,
        );
      },
    });
    expect(heard).toEqual(['executable 4', 'under 4', 'executable SIGTERM', 'under SIGTERM']);
  });
});

describe('a hook that never answers', () => {
  test('is too late after hookTimeout, and the process ends', async () => {
    const errors: HoldfastError[] = [];
    const child = start('threads', (made) => made.onExit(never).on('hookError', (error) => errors.push(error)), {
      hookTimeout: 80,
    });
    expect(await event(child, 'close')).toEqual([7, null]);
    expect(errors.map(({ code }) => code)).toEqual(['ERR_HOLDFAST_HOOK_TIMEOUT']);
  });

  test.each(['plain', 'crash', 'leader', 'threads'])('%s: whatever ends the tree does not wait for it', async (how) => {
    const ways: Record<string, (child: SandboxedProcess, abort: AbortController) => unknown> = {
      tree: (child) => within(child.killTree(), 'the tree is gone'),
      politely: (child) =>
        within(child.killTree('SIGTERM', { forceKillAfter: Number.POSITIVE_INFINITY }), 'it is gone'),
      frozen: async (child) => {
        await child.freeze();
        await within(child.killTree(), 'the tree is gone');
      },
      kill: (child) => child.kill('SIGKILL'),
      abort: (_, abort) => abort.abort(),
    };
    for (const [way, end] of Object.entries(ways)) {
      let held: ExitCall | undefined;
      const abort = new AbortController();
      const child = start(
        how,
        (made) => {
          made.on('error', () => {});
          made.onExit((call) => {
            held = call;
            return never();
          });
        },
        { hookTimeout: Number.POSITIVE_INFINITY, signal: abort.signal },
      );
      const closed = event(child, 'close');
      await until(() => held !== undefined, `${way}: it is held`);
      const seen = { role: 'it', pid: child.pid as number, start: startOf(child.pid as number) };
      await end(child, abort);
      await closed;
      await allGone([seen]);
      await expect(held?.readMemory(4096, 1)).rejects.toMatchObject({ code: 'ERR_HOLDFAST_CALL_GONE' });
    }
    await nothingLeft();
  });

  const enough = patient(500); // to come to its end
  test.each([
    ['timeout', { timeout: enough }],
    ['limits.wallTime', { limits: { wallTime: enough } }],
  ] as const)('%s does not wait for it', async (_, options) => {
    let held = 0;
    const child = start(
      'plain',
      (made) => {
        made.onExit(() => {
          held++;
          return never();
        });
      },
      { hookTimeout: Number.POSITIVE_INFINITY, ...options },
    );
    await event(child, 'close');
    expect(held).toBe(1);
  });

  test('nor does it wait for more of them than hooks can think about at once', async () => {
    let held = 0;
    const child = spawnSandboxed('/bin/bash', ['-c', 'for i in {1..300}; do (:) & done; sleep 100'], {
      stdio: 'ignore',
      hookTimeout: Number.POSITIVE_INFINITY,
    });
    child.onExit(() => {
      held++;
      return never();
    });
    const closed = event(child, 'close');
    await until(
      () => held >= 200,
      () => `200 are held, ${held} were`,
    );
    await within(child.killTree(), 'the tree is gone');
    await closed;
    await nothingLeft();
  });

  test('of a descendant: the command ends, and nothing waits', async () => {
    const held: ExitCall[] = [];
    const child = spawnSandboxed('/bin/sh', ['-c', `${ends} plain & read line; exit 6`], { policy });
    child.onExit({ executable: ends }, (call) => {
      held.push(call);
      return never();
    });
    await until(() => held.length === 1, 'the descendant is held');
    child.stdin?.end('\n');
    expect(await event(child, 'close')).toEqual([6, null]);
  });

  test('a signal from outside to one that is held changes nothing; its threads and its exec go on', async () => {
    const held: ExitCall[] = [];
    let answer: (() => void) | undefined;
    const child = start('threads', (made) => {
      made.onExit((call) => {
        held.push(call);
        return new Promise<void>((resolve) => (answer = resolve));
      });
    });
    await until(() => held.length === 1, 'it is held');
    process.kill(child.pid as number, 'SIGKILL');
    process.kill(child.pid as number, 'SIGTERM');
    answer?.();
    expect(await event(child, 'close')).toEqual([7, null]);
    expect(held).toHaveLength(1);
  });
});

test('who is killed while frozen, inspected or held elsewhere ends', async () => {
  let ended = 0;
  const child = start('wait', (made) => {
    made.onExit(() => {
      ended++;
    });
  });
  await linesUntil(child.stdout, 'secret');
  await child.freeze();
  process.kill(child.pid as number, 'SIGKILL');
  expect(await event(child, 'close')).toEqual([null, 'SIGKILL']);
  expect(ended).toBeLessThanOrEqual(1);

  const inspected = start('wait', (made) => made.onExit(() => {}));
  await linesUntil(inspected.stdout, 'secret');
  await inspected.inspect(inspected.pid as number);
  process.kill(inspected.pid as number, 'SIGKILL');
  expect(await event(inspected, 'close')).toEqual([null, 'SIGKILL']);

  const holding = start('plain', (made) => {
    made.onSyscall('exit_group', never).onExit(() => {});
  });
  const text = textOf(holding.stdout);
  await linesUntil(holding.stdout, 'secret');
  process.kill(holding.pid as number, 'SIGKILL');
  expect(await event(holding, 'close')).toEqual([null, 'SIGKILL']);
  await text;
});

test('restrict() and freeze() do not wait for one that is held at its end', async () => {
  const held: ExitCall[] = [];
  let answer: (() => void) | undefined;
  const child = start('threads', (made) => {
    made.onExit((call) => {
      held.push(call);
      return new Promise<void>((resolve) => (answer = resolve));
    });
  });
  await until(() => held.length === 1, 'it is held');
  await within(child.restrict({ network: 'none' }), 'restricted');
  await within(child.restrict('strict'), 'strict');
  await within(child.freeze(), 'frozen');
  answer?.();
  expect(await event(child, 'close')).toEqual([7, null]);
});
