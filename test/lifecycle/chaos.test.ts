// Random trees, and random things that are done to them at random moments: frozen, thawed, inspected, restricted, asked,
// killed by what there is to kill. Whatever comes of it: every promise ends, `close` comes, and nobody is left.

import { readdirSync } from 'node:fs';
import { allow, type Policy, type Restriction, type SandboxedProcess, spawnSandboxed } from 'holdfast';
import { describe, test } from 'vitest';
import { generator, type Random } from '../boundary/drawn.ts';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { sanitizer } from '../helpers/sanitized.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { allGone, event, nothingLeft, parentOf, policyFor, type Seen, sleep, startOf, until, within } from './tree.ts';

const folder = temporaryFolder();
const policies: Policy[] = [
  policyFor(folder),
  { files: { read: ['/'], write: [folder], metadata: ['/'] }, defaults: { proc: false } },
  { files: { read: ['/'] }, network: { connect: ['*'], bind: ['*'] } },
];
const restrictions: Restriction[] = [
  { network: 'none' },
  { files: { write: [] } },
  { files: { deny: ['/etc'] } },
  { files: { metadata: [] }, exec: [] },
];
const modes = ['pause', 'exec-storm', 'open-storm'];

/** What can be done to a tree; each gives what must end. */
const acts: ((child: SandboxedProcess, random: Random) => Promise<unknown>)[] = [
  (child) => child.freeze(),
  (child) => child.thaw(),
  (child) => child.freeze().then(() => child.thaw()),
  async (child, random) => {
    const all = await child.processes();
    const one = all[random.below(all.length)];
    const stopped = await child.inspect(one?.pid ?? 1);
    try {
      await stopped.state();
      await stopped.mappings();
    } finally {
      if (random.below(4) > 0) await stopped.release();
    }
  },
  (child, random) => child.restrict(restrictions[random.below(restrictions.length)] as Restriction),
  (child) => child.getUsage(),
  (child) => child.plan(),
  async (child, random) => child.kill(['SIGSTOP', 'SIGCONT', 'SIGUSR1', 'SIGTERM'][random.below(4)] as NodeJS.Signals),
  (_, random) => sleep(random.below(20)),
];

/** Who dies in the end. */
const ends: ((child: SandboxedProcess, supervisor: number) => unknown)[] = [
  (child) => child.kill('SIGKILL'),
  (child) => child.killTree(),
  (child) => child.killTree('SIGTERM', { forceKillAfter: 5 }),
  (_, supervisor) => process.kill(supervisor, 'SIGKILL'),
  (child) => process.kill(child.pid as number, 'SIGKILL'),
];

/** However it ends. */
const ending = (promise: Promise<unknown>) =>
  promise.then(
    () => {},
    () => {},
  );

async function round(random: Random): Promise<void> {
  const mode = modes[random.below(modes.length)] as string;
  const child = spawnSandboxed(program('life_tree'), [mode], {
    policy: policies[random.below(policies.length)] as Policy,
    descendants: random.below(2) === 0 ? 'wait' : 'kill',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const closed = event(child, 'close', 30_000);
  child.on('error', () => {}); // the supervisor is killed in some rounds
  if (random.below(2) === 0)
    child.onOpen(async () => (random.below(8) === 0 ? sleep(random.below(10)).then(allow) : undefined));
  if (random.below(2) === 0) child.on('violation', () => {});
  const supervisor = parentOf(child.pid as number);
  const seen: Seen[] = [{ role: 'command', pid: child.pid as number, start: startOf(child.pid as number) }];
  child.stdout.on('data', (text) => {
    for (const [, role = '', pid] of String(text).matchAll(/^(\S+) (\d+)$/gm)) {
      seen.push({ role, pid: Number(pid), start: startOf(Number(pid)) });
    }
  });
  await sleep(random.below(30));
  const promises: Promise<unknown>[] = [];
  for (let i = random.below(6); i >= 0; i--) {
    promises.push(ending((acts[random.below(acts.length)] as (typeof acts)[number])(child, random)));
    if (random.below(2) === 0) await sleep(random.below(5));
  }
  try {
    promises.push(
      ending(Promise.resolve((ends[random.below(ends.length)] as (typeof ends)[number])(child, supervisor))),
    );
  } catch {} // who was to be killed has ended already
  // What was only asked to end may ask back.
  const last = setTimeout(() => child.kill('SIGKILL'), 300);
  await closed;
  clearTimeout(last);
  await within(Promise.all(promises), 'every promise ends');
  await allGone(seen);
}

describe('chaos', { timeout: patient(120_000) }, () => {
  /** Pairs of trees for each seed. CHAOS_PAIRS=300 takes a minute. */
  const pairs = Number(process.env.CHAOS_PAIRS ?? (sanitizer === undefined ? 30 : 3));
  test.each(['1', '2'])('of seed %s leaves nobody, and no promise without an end', async (seed) => {
    const random = generator(Number(seed));
    await round(random); // what is opened once stays
    await nothingLeft();
    const descriptors = readdirSync('/proc/self/fd').length;
    for (let i = 0; i < pairs; i++) await Promise.all([0, 1].map(() => round(random)));
    await nothingLeft();
    // Handles that wait for the garbage collector are no leak.
    await until(
      () => {
        (globalThis as { gc?: () => void }).gc?.();
        return readdirSync('/proc/self/fd').length <= descriptors;
      },
      () => `as many descriptors as before (${descriptors}): ${readdirSync('/proc/self/fd').length}`,
    );
  });
});
