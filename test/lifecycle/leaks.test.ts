// Many sandboxes, one after the other and all at once, and nothing is left of any.

import { readdirSync, readFileSync } from 'node:fs';
import { spawnSandboxed } from 'holdfast';
import { beforeAll, describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import {
  descendantsOf,
  event,
  linesUntil,
  nothingLeft,
  policyFor,
  python,
  sleep,
  stateOf,
  textOf,
  until,
} from './tree.ts';

const policy = policyFor();

interface Usage {
  descriptors: number;
  /** Mappings of the channels, by the name of their memfds, and all others. */
  mappings: number;
  shared: number;
  threads: number;
  children: number[];
}

function usage(): Usage {
  const maps = readFileSync('/proc/self/maps', 'utf8').trim().split('\n');
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    mappings: maps.length,
    shared: maps.filter((line) => line.includes('memfd:')).length,
    threads: readdirSync('/proc/self/task').length,
    children: descendantsOf(process.pid),
  };
}

async function settled(before: Usage): Promise<Usage> {
  // Handles that wait for the garbage collector are no leak.
  await until(
    () => {
      (globalThis as { gc?: () => void }).gc?.();
      const now = usage();
      return (
        now.descriptors <= before.descriptors &&
        now.shared <= before.shared &&
        now.children.length <= before.children.length
      );
    },
    () => `usage is back to ${JSON.stringify(before)}; it is ${JSON.stringify(usage())}`,
  );
  return usage();
}

const run = async (args: string[] = ['true']) => {
  const child = spawnSandboxed(args[0] ?? '', args.slice(1), { policy, stdio: ['ignore', 'pipe', 'ignore'] });
  child.onOpen(async () => undefined);
  const output = textOf(child.stdout);
  const [code] = await event(child, 'close', 60_000);
  return { code, output: await output, pid: child.pid };
};

beforeAll(async () => {
  for (let i = 0; i < 5; i++) await run();
  await nothingLeft();
});

test('300 one after the other leave no descriptor, mapping, thread, child or zombie in Node', {
  timeout: patient(120_000),
}, async () => {
  const before = usage();
  for (let i = 0; i < 300; i++) expect((await run()).code).toBe(0);
  const after = await settled(before);
  expect(after.threads).toBeLessThanOrEqual(before.threads + 2);
  // The heap grows and shrinks by a few mappings; 300 leaked ones would show.
  expect(after.mappings).toBeLessThan(before.mappings + 100);
  expect(after.children.filter((pid) => stateOf(pid) === 'Z')).toEqual([]);
});

test('spawns that fail leave nothing either', { timeout: patient(60_000) }, async () => {
  const before = usage();
  for (let i = 0; i < 50; i++) {
    const missing = spawnSandboxed('/nosuch/program', [], { policy });
    missing.on('error', () => {});
    await event(missing, 'close');
    expect(() => spawnSandboxed('true', [], { policy: { files: { read: [''] } } })).toThrow('policy.files.read[0]');
    expect(() => spawnSandboxed('true', [], { policy, stdio: 'nonsense' as never })).toThrow();
    expect(() => spawnSandboxed('true', [], { policy, stdio: ['nonsense' as never] })).toThrow();
    const nowhere = spawnSandboxed('true', [], { policy, cwd: '/nosuch' });
    nowhere.on('error', () => {});
    await event(nowhere, 'close').catch(() => {});
  }
  await settled(before);
});

test('20 at once, each with its own hooks, output and end', { timeout: patient(60_000) }, async () => {
  const before = usage();
  const ends = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const child = spawnSandboxed(
        'bash',
        ['-c', `for j in 1 2 3 4 5; do cat /etc/hostname > /dev/null; done; echo ${i}; exit ${i}`],
        { policy },
      );
      let asked = 0;
      child.onOpen({ path: '/etc/hostname' }, async () => {
        asked += 1;
        await sleep(i % 4);
      });
      const output = textOf(child.stdout);
      const [code] = await event(child, 'close', 50_000);
      return { i, code, asked, output: await output };
    }),
  );
  expect(ends).toEqual(Array.from({ length: 20 }, (_, i) => ({ i, code: i, asked: 5, output: `${i}\n` })));
  await settled(before);
});

describe('many short processes in one sandbox', { timeout: patient(60_000) }, () => {
  test('200 that run at once, and 200 that run one after the other, are all waited for', async () => {
    const script = `
      for i in $(seq 200); do /bin/true & done; wait
      n=0; for i in $(seq 200); do sh -c "exit $((i % 7))"; [ $? = $((i % 7)) ] && n=$((n + 1)); done; echo $n; exit 3`;
    expect(await run(['bash', '-c', script])).toMatchObject({ code: 3, output: '200\n' });
    await nothingLeft();
  });

  test.each(['kill', 'wait'] as const)(
    'a bomb of 200 orphans leaves nothing (descendants: %s)',
    async (descendants) => {
      const child = spawnSandboxed(program('life_forks'), ['200'], { policy, descendants });
      const lines = await linesUntil(child.stdout, 'ready');
      const pids = lines.filter((line) => line.startsWith('orphan ')).map((line) => Number(line.slice(7)));
      expect(pids).toHaveLength(200);
      expect(pids.filter((pid) => stateOf(pid) !== 'gone')).toHaveLength(200);
      const closed = event(child, 'close', 50_000);
      if (descendants === 'kill') child.stdin.end('\n');
      else child.kill('SIGKILL');
      await closed;
      await until(() => pids.every((pid) => stateOf(pid) === 'gone' || stateOf(pid) === 'Z'), 'all are dead');
      await nothingLeft();
    },
  );

  test('processes that fork faster than they can be counted die with their command', async () => {
    const child = spawnSandboxed(program('life_forks'), ['storm'], { policy });
    await linesUntil(child.stdout, 'ready');
    await sleep(300);
    const closed = event(child, 'close', 50_000);
    child.kill('SIGTERM');
    await closed;
    await nothingLeft();
  });

  test('200 threads that come and go', async () => {
    const script =
      'import threading\nfor _ in range(10):\n  t = [threading.Thread(target=lambda: open("/etc/hostname").close()) for _ in range(20)]\n  [x.start() for x in t]; [x.join() for x in t]\nprint("done")';
    expect(await run([python, '-c', script])).toMatchObject({ code: 0, output: 'done\n' });
  });
});
