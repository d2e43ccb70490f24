// Whether anything takes longer where there is more of it: processes in the tree, rules, sandboxes; and what a sandbox has in memory.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSandboxed } from 'holdfast';
import { program } from './build.js';
import { file, policy, sandboxedLoop, work } from './run.js';
import { hostOf } from './start.js';

const flat = 1.1;
const number = (value) => value.toLocaleString('en');

/** Each size in turn, all compared with the smallest. */
function growing({ name, title, unit, sizes, what, run, after, goal = flat }) {
  const label = (size) => `${number(size)} ${what}`;
  return {
    name: `growth-${name}`,
    title,
    unit,
    subjects: Object.fromEntries(sizes.map((size) => [label(size), () => run(size)])),
    compare: sizes.slice(1).map((size) => ({ of: label(size), to: label(sizes[0]), goal })),
    after,
  };
}

const calls = (few) => [
  ['stat', 'stat, held', few(10_000)],
  ['open', 'open and close, held', few(10_000)],
];

const processes = (few) => {
  const sizes = [1, few(100), few(1_000)];
  return [...calls(few), ['exec', 'fork, exec and wait', few(300)]].map(([call, title, count]) =>
    growing({
      name: `processes-${call}`,
      title: `${title}, processes in the tree`,
      unit: 'µs',
      sizes,
      what: 'in the tree',
      run: (size) => sandboxedLoop(call, call === 'exec' ? '-' : file, count, { more: ['crowd', size] }),
    }),
  );
};

/** `count` files of the policy's own, that are there. */
function ruled(count) {
  const read = [...policy.files.read];
  for (let i = 0; i < count; i++) read.push(join(work, 'rules', `d${Math.floor(i / 100)}`, `f${i}`));
  return { ...policy, files: { ...policy.files, read } };
}

function rules(few) {
  const sizes = [0, few(1_000), few(10_000)];
  for (let i = 0; i < sizes.at(-1); i++) {
    const folder = join(work, 'rules', `d${Math.floor(i / 100)}`);
    if (i % 100 === 0) mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `f${i}`), '');
  }
  const host = hostOf(60);
  const start = (compiled) => (size) =>
    host.start({ how: 'holdfast', event: 'close', options: { policy: ruled(size) }, compiled, count: few(20) });
  return [
    ...calls(few).map(([call, title, count]) =>
      growing({
        name: `rules-${call}`,
        title: `${title}, rules`,
        unit: 'µs',
        sizes,
        what: 'rules',
        run: (size) => sandboxedLoop(call, file, count, { how: { policy: ruled(size) } }),
      }),
    ),
    growing({
      name: 'rules-start',
      title: "spawn('true'), rules",
      unit: 'ms',
      sizes,
      what: 'rules',
      run: start(false),
    }),
    growing({
      name: 'rules-compiled',
      title: "spawn('true'), rules compiled before",
      unit: 'ms',
      sizes,
      what: 'rules',
      run: start(true),
      after: () => host.stop(),
    }),
    kept(host, sizes[1], few(20), 3),
    kept(host, sizes[2], few(20), 15),
  ];
}

/** The longest that Node does nothing else in a start. */
function kept(host, rules, count, goal) {
  const options = { policy: ruled(rules) };
  return {
    name: `kept-${rules}`,
    title: `the longest that a start keeps Node, ${number(rules)} rules`,
    unit: 'ms',
    subjects: { holdfast: () => host.start({ how: 'holdfast', event: 'turn', options, count }) },
    compare: [{ of: 'holdfast', goal }],
    after: () => host.stop(),
  };
}

/** Sandboxes with a command that waits, beside the measured one. */
const waiting = [];
async function beside(count) {
  while (waiting.length > count) {
    const child = waiting.pop();
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
  }
  const made = [];
  while (waiting.length < count) {
    const child = spawnSandboxed(program('loop'), ['wait'], { stdio: ['ignore', 'pipe', 'ignore'], policy });
    waiting.push(child);
    made.push(
      new Promise((resolve, reject) => {
        child.on('error', reject);
        child.stdout.once('data', resolve);
      }),
    );
  }
  await Promise.all(made);
}

function sandboxes(few) {
  const sizes = [1, few(100), few(300)];
  const after = () => beside(0);
  const started = async (count) => {
    const began = performance.now();
    for (let i = 0; i < count; i++) {
      const child = spawnSandboxed('true', [], { policy });
      await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
    }
    return (performance.now() - began) / count;
  };
  const measured = [
    ...calls(few).map(([call, title, count]) => [call, title, 'µs', () => sandboxedLoop(call, file, count)]),
    ['start', "spawn('true')", 'ms', () => started(few(20))],
  ];
  return measured.map(([call, title, unit, run]) =>
    growing({
      name: `sandboxes-${call}`,
      title: `${title}, sandboxes at once`,
      unit,
      sizes,
      what: 'at once',
      run: async (size) => {
        await beside(size - 1);
        return await run();
      },
      after,
    }),
  );
}

/** kB of the supervisor above a sandbox's command: pages that others share count as their share. */
function proportional(child) {
  const status = readFileSync(`/proc/${child.pid}/status`, 'latin1');
  const supervisor = /^PPid:\s+(\d+)$/m.exec(status)[1];
  return Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${supervisor}/smaps_rollup`, 'latin1'))[1]);
}

function memory() {
  const many = 30; // in a smoke run, too: it is a share
  const pss = (count) => async () => {
    await beside(count);
    return waiting.reduce((sum, child) => sum + proportional(child), 0) / count;
  };
  return {
    name: 'memory',
    title: "a supervisor's memory (PSS)",
    unit: 'kB',
    subjects: { [`holdfast, ${many} at once`]: pss(many), 'holdfast, alone': pss(1) },
    compare: [{ of: `holdfast, ${many} at once`, goal: 400 }, { of: 'holdfast, alone' }],
    after: () => beside(0),
  };
}

export const growth = (few) => [...processes(few), ...rules(few), ...sandboxes(few), memory()];
