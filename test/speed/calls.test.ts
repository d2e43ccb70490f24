// How many system calls the supervisor makes for one held call of each kind: exact numbers, so that one too many fails.
// No time is measured.

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { holdsByStops } from '../helpers/engine.ts';
import { patient } from '../helpers/patience.ts';
import { sanitizer } from '../helpers/sanitized.ts';
import { readSnapshot } from '../helpers/table.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { startHost } from '../lifecycle/host.ts';

/** There the seccomp program is not shown what the tracer has changed. */
const decidedAtStop = process.arch === 'arm64';

/** More than this is a fault, and less a gain to keep. */
const expected: Record<string, number> = {
  getpid: 0,
  stat: 8,
  'stat, relative': 7,
  'stat, deeper, relative': 9,
  'stat, below a descriptor': 10,
  'stat, of a descriptor': 6,
  'stat, missing': 4,
  'stat, missing, relative': 5,
  'statx, of a descriptor': 6,
  open: 7,
  'open, relative': 6,
  'open, deeper, relative': 8,
  'open, below a descriptor': 9,
  'open, to write': 7,
  'open, missing': 5,
  'open, missing, relative': 6,
  readlink: 5,
  'readlink, relative': 5,
  'readlink, of a link': 9,
  access: 7,
  create: 5,
  'create, relative': 6,
  unlink: 10,
  'unlink, relative': 11,
  mkdir: 5,
  rmdir: 10,
  rename: 18,
  'kill, itself': 3,
  chdir: decidedAtStop ? 10 : 12,
  'connect, UDP': 10,
  'connect, TCP, refused': 10,
  /** Its delivery: the registers, and on. On aarch64 the instruction tells whether it has come into a call. */
  signal: process.arch === 'arm64' ? 3 : 2,
  /** The last kind, as the other process stays. */
  'signal, not alone': process.arch === 'arm64' ? 3 : 2,
};

/**
 * How often threads wait for each other and for stops goes by who comes first, so this is the most, and of calls whose
 * cost it is. (Any call takes a wait or two more where it is slow, since the turn passes on.)
 */
const mostWaits: Record<string, number> = {
  /** Two stops. */
  chdir: decidedAtStop ? 8 : 4,
  'connect, UDP': 1,
  'connect, TCP, refused': 4,
  /** In a tree of one thread: sigwaitinfo and waitid. */
  signal: 2,
  /** A tracer that is slower than its tree takes several stops for one signal, and looks in vain for another. */
  'signal, not alone': 5,
};

const folder = temporaryFolder('calls');
mkdirSync(join(folder, 'home/below'), { recursive: true });
for (const name of ['file', 'below/file']) writeFileSync(join(folder, 'home', name), 'text');
writeFileSync(join(folder, 'home/name0'), '');
symlinkSync('file', join(folder, 'home/link0'));

const names = new Map([...readSnapshot(process.arch === 'arm64' ? 'aarch64' : 'x86_64')].map(([name, n]) => [n, name]));

interface Counted {
  /** For one call. */
  calls: number;
  waits: number;
  /** What they are: `readlinkat 1, ioctl 0xc0502100 1`. */
  what: string;
}

/** Of rounds of `n` and `2n` calls the difference, so that what happens once is not counted. */
const script = `
const [program, folder, list, heard, denied, hooked] = args;
// What may be executed the kernel reads for anybody, whatever a hook is to hear of.
const rights = { files: { read: [folder, ...policy.files.read], write: [folder], ...(denied && { deny: [denied] }) }, ...(heard && { exec: [] }) };
const child = spawnSandboxed(program, [], {
  cwd: folder,
  policy: { ...policy, ...rights, network: { connect: ['127.0.0.1:*'] } },
});
if (heard) child.onOpen({ path: heard }, () => {});
if (hooked === 'fork') child.onFork({ kind: 'vfork' }, () => {});
if (hooked === 'exit') child.onExit({ executable: '/nobody' }, () => {});
child.stderr.pipe(process.stderr);
// Whoever wants to hear of refusals has all calls held.
child.on('violation', (violation) => process.stderr.write(JSON.stringify(violation)));
const stat = fs.readFileSync('/proc/' + child.pid + '/stat', 'latin1');
const supervisor = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
const lines = [];
let wake = () => {};
child.stdout.setEncoding('utf8').on('data', (text) => {
  lines.push(text);
  wake();
});
async function make(kind, n) {
  child.stdin.write(kind + ' ' + n + '\\n');
  await new Promise((resolve) => { wake = resolve; });
  const answer = lines.splice(0).join('');
  if (answer !== 'done\\n') throw new Error('the program said: ' + answer);
}
function ask(question) {
  fs.writeSync(3, question + '\\n');
  let answer = '';
  const chunk = Buffer.alloc(65536);
  while (!answer.endsWith('seized\\n') && !/(^|\\n)\\n$/.test(answer))
    answer += chunk.toString('latin1', 0, fs.readSync(4, chunk));
  return answer;
}
const total = () => new Map(ask('total').split('\\n').filter(Boolean).map((line) => {
  const at = line.lastIndexOf(' ');
  return [line.slice(0, at), Number(line.slice(at + 1))];
}));
const since = (before) => [...total()].map(([what, calls]) => [what, calls - (before.get(what) ?? 0)]);
await make('getpid', 1);
ask('seize ' + supervisor);
const before = { unlink: 'create', 'unlink, relative': 'create', rmdir: 'mkdir' };
const after = { create: 'unlink', 'create, relative': 'unlink', mkdir: 'rmdir' };
async function round(kind, n) {
  if (before[kind]) await make(before[kind], n);
  const start = total();
  await make(kind, n);
  const made = since(start);
  if (after[kind]) await make(after[kind], n);
  return made;
}
for (const kind of JSON.parse(list)) {
  const n = 60;
  await round(kind, 2);
  say(JSON.stringify({ kind, n, rounds: [await round(kind, n), await round(kind, 2 * n)] }));
}
child.stdin.end();
`;

type Round = [what: string, calls: number][];

interface Made {
  thread: number;
  name: string;
  command: number;
  calls: number;
}

function read(round: Round): Made[] {
  return round.map(([what, calls]) => {
    const [thread, number, command] = what.split(' ').map(Number) as [number, number, number];
    return { thread, name: names.get(number) ?? `${number}`, command, calls };
  });
}

const waits = ['futex', 'waitid', 'rt_sigtimedwait'];

/** What is made for the calls, and not as time goes by, as the watcher's are: it is the thread that sleeps. */
function forCalls(rounds: readonly Made[][]): Made[][] {
  const sleeps = ({ name }: Made) => name.endsWith('nanosleep');
  const watchers = new Set(
    rounds
      .flat()
      .filter(sleeps)
      .map(({ thread }) => thread),
  );
  return rounds.map((round) => round.filter(({ thread }) => !watchers.has(thread)));
}

function countOf(n: number, rounds: readonly Round[]): Counted {
  const [once, twice] = forCalls(rounds.map(read)).map((round) => {
    const sum = new Map<string, number>();
    for (const { name, command, calls } of round) {
      const what = command === 0 ? name : `${name} 0x${command.toString(16)}`;
      sum.set(what, (sum.get(what) ?? 0) + calls);
    }
    return sum;
  });
  const each = [...(twice ?? [])].map(([what, calls]) => [what, (calls - (once?.get(what) ?? 0)) / n] as const);
  const sum = (which: (what: string) => boolean) =>
    each.filter(([what]) => which(what)).reduce((total, [, calls]) => total + calls, 0);
  return {
    calls: Math.round(sum((what) => !waits.includes(what))),
    waits: sum((what) => waits.includes(what)),
    what: each
      .filter(([, calls]) => Math.abs(calls) > 0.1)
      .map(([what, calls]) => `${what} ${calls.toFixed(1)}`)
      .join(', '),
  };
}

async function count(kinds: readonly string[], heard = '', denied = '', hooked = ''): Promise<Map<string, Counted>> {
  const given = [program('counted_calls'), join(folder, 'home'), JSON.stringify(kinds), heard, denied, hooked];
  const host = startHost(script, given, {}, [program('call_counter')]);
  let said = '';
  host.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text));
  const code = await new Promise((resolve) => host.on('close', resolve));
  expect(code).toBe(0);
  const lines = said
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string; n: number; rounds: Round[] });
  return new Map(lines.map(({ kind, n, rounds }) => [kind, countOf(n, rounds)]));
}

test.skipIf(sanitizer /* its run-time makes calls of its own */ || holdsByStops /* which has no listener to wait at */)(
  'each held call costs the supervisor exactly so many system calls',
  { timeout: patient(120_000) },
  async () => {
    const counted = await count(Object.keys(expected));
    const shown = (calls: (kind: string) => unknown) =>
      Object.keys(expected).map((kind) => `${kind}: ${calls(kind)}  [${counted.get(kind)?.what}]`);
    expect(shown((kind) => counted.get(kind)?.calls)).toEqual(shown((kind) => expected[kind]));
    for (const [kind, most] of Object.entries(mostWaits))
      expect(Math.round(counted.get(kind)?.waits ?? Number.NaN), kind).toBeLessThanOrEqual(most);
  },
);

test.skipIf(sanitizer /* its run-time makes calls of its own */ || holdsByStops /* which has no listener to wait at */)(
  'what is performed costs no look for the umask each time',
  { timeout: patient(60_000) },
  async () => {
    const performed = { open: 6, 'open, relative': 7, create: 10, 'create, relative': 11, mkdir: 9 };
    const counted = await count(Object.keys(performed), '', join(folder, 'home/below/denied'));
    const shown = (calls: (kind: string) => unknown) =>
      Object.keys(performed).map((kind) => `${kind}: ${calls(kind)}  [${counted.get(kind)?.what}]`);
    expect(shown((kind) => counted.get(kind)?.calls)).toEqual(shown((kind) => performed[kind as 'open']));
  },
);

test.skipIf(sanitizer /* its run-time makes calls of its own */ || holdsByStops /* which has no listener to wait at */)(
  'a hook that hears of other places costs nothing where it cannot hear',
  { timeout: patient(60_000) },
  async () => {
    const kinds = ['open', 'open, relative', 'open, to write', 'create'];
    const counted = await count(kinds, join(folder, 'elsewhere'));
    expect(kinds.map((kind) => counted.get(kind)?.calls)).toEqual(kinds.map((kind) => expected[kind]));
    const asked = await count(['open'], join(folder, 'home'));
    expect(asked.get('open')?.calls).toBeGreaterThan(expected.open as number);
  },
);

test.skipIf(sanitizer /* its run-time makes calls of its own */ || holdsByStops /* which has no listener to wait at */)(
  'a hook on forks or ends costs nothing where it cannot hear, nor anything without one',
  { timeout: patient(60_000) },
  async () => {
    const kinds = ['fork', 'thread'];
    const [bare, forks, ends] = await Promise.all(['', 'fork', 'exit'].map((hooked) => count(kinds, '', '', hooked)));
    // Waits, and looks at processes that are waited for, go by who comes first.
    const stops = (of: Map<string, Counted> | undefined) =>
      kinds.map((kind) => Math.round(Number(/ptrace ([\d.]+)/.exec(of?.get(kind)?.what ?? '')?.[1])));
    expect(stops(forks)).toEqual(stops(bare));
    stops(ends).forEach((made, i) => {
      expect(made).toBeGreaterThan(stops(bare)[i] as number);
    });
  },
);
