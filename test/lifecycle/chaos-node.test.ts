// Node itself is killed at random moments, with random trees that are held, frozen, inspected, restricted, starting or
// ending. Whoever was below it comes to a process that takes them in, and says when there is nobody any more: no survivor, no
// supervisor, no zombie.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { generator } from '../boundary/drawn.ts';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { sanitizer } from '../helpers/sanitized.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { startHost } from './host.ts';
import { event, linesUntil, sleep, textOf } from './tree.ts';

/** Draws by its seed, too: how often the moment comes before an act or after it, the processor decides. */
const script = `
let state = Number(args[1]) * 2654435761 + 1;
const below = (end) => { state ^= state << 13; state ^= state >>> 17; state ^= state << 5; return (state >>> 0) % end; };
const never = () => new Promise(() => {});
process.on('unhandledRejection', () => {});
say('node', process.pid);
const pool = below(3) === 0 ? holdfast.createSandboxPool({ size: 2 }) : undefined;
for (let i = 0; i < 3; i++) {
  const mode = ['pause', 'exec-storm', 'open-storm', 'exit'][below(4)];
  const options = {
    policy: [policy, { files: { read: ['/'] } }, { ...policy, network: { connect: ['*'] } }][below(3)],
    descendants: below(2) === 0 ? 'wait' : 'kill',
    stdio: 'ignore',
    hookTimeout: Infinity,
    ...(below(3) === 0 && { limits: { processes: 60 } }),
  };
  const child = (pool ?? { spawn: spawnSandboxed }).spawn(args[0], [mode, '0'], options);
  child.on('error', () => {});
  if (below(2) === 0) child.onOpen(() => below(4) === 0 ? never() : undefined);
  if (below(3) === 0) child.onFork(() => below(8) === 0 ? never() : undefined);
  if (below(3) === 0) child.onExit(() => below(2) === 0 ? never() : undefined);
  if (below(3) === 0) child.onExec(async () => {});
  if (below(3) === 0) child.on('violation', () => {});
  if (below(3) === 0) child.on('fork', () => {});
  const acts = [
    () => child.freeze(),
    () => child.thaw(),
    () => child.freeze().then(() => child.inspect(child.pid)),
    () => child.inspect(child.pid),
    () => child.restrict({ network: 'none' }),
    () => child.restrict({ files: { metadata: [] }, exec: [] }),
    () => child.processes(),
    () => child.killTree('SIGTERM', { forceKillAfter: 50 }),
    () => child.kill('SIGSTOP'),
  ];
  child.on('spawn', async () => {
    for (let j = below(5); j >= 0; j--) {
      Promise.resolve(acts[below(acts.length)]()).catch(() => {});
      if (below(2) === 0) await new Promise((resolve) => setTimeout(resolve, below(8)));
    }
  });
}
setInterval(() => {}, 1000);
`;

async function round(seed: number, moment: number): Promise<void> {
  const host = startHost(script, [program('life_tree'), String(seed)], {}, [program('reaper')]);
  const ended = event(host, 'close', 30_000);
  const [first = ''] = await linesUntil(host.stdout, 'node');
  const rest = textOf(host.stdout);
  await sleep(moment);
  process.kill(Number(first.split(' ')[1]), 'SIGKILL');
  try {
    expect(await ended).toEqual([0, null]);
  } catch (error) {
    throw new Error(`seed ${seed}, after ${moment} ms: ${(error as Error).message}`);
  }
  expect(await rest).toMatch(/nobody is left/);
}

describe('Node is killed at a random moment', { timeout: patient(600_000) }, () => {
  /** Pairs of Node processes with three trees each. CHAOS_PAIRS=100 takes a minute. */
  const pairs = Number(process.env.CHAOS_PAIRS ?? (sanitizer === undefined ? 5 : 1));
  const first = Number(process.env.CHAOS_FIRST ?? 1);

  test('the sandboxes that it had leave nobody', async () => {
    const random = generator(first);
    for (let i = 0; i < pairs; i++) {
      await Promise.all([0, 1].map((one) => round(first + 2 * i + one, random.below(random.below(2) === 0 ? 20 : 90))));
    }
  });

  test('without it, that would be seen', async () => {
    const folder = temporaryFolder('survivor');
    writeFileSync(join(folder, 'survivor.sh'), 'sleep 0.3 & echo node $$; exec sleep 30');
    const host = startHost('', [], {}, [program('reaper'), '/bin/sh', join(folder, 'survivor.sh')]);
    const [line = ''] = await linesUntil(host.stdout, 'node');
    const rest = textOf(host.stdout);
    const before = Date.now();
    process.kill(Number(line.split(' ')[1]), 'SIGKILL');
    await event(host, 'close');
    expect(await rest).toBe('nobody is left, after 1\n');
    expect(Date.now() - before).toBeGreaterThan(100);
  });
});
