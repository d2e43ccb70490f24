// What each engine costs, as ratios to nothing around it within one run: writes the table of docs/performance.md.
//   npm run bench:engines [-- --rounds N] [--quick]
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { allow, checkSupport } from 'holdfast';
import { buildPrograms } from './build.js';
import { load, machine, median, times } from './report.js';
import { bareLoop, deepFile, ended, file, layers, ms, sandboxedLoop, spawnOn } from './run.js';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, quick: { type: 'boolean', default: false } },
});
const rounds = values.quick ? 1 : Number(values.rounds);
const few = (count) => (values.quick ? Math.ceil(count / 10) : count);

const listening = { policy: layers.holdfast.policy, listens: true };
// What the kernel can decide by itself, so that each engine can have it.
const { network: _, ...decided } = layers['holdfast, kernel layers'].policy;
const unheard = { policy: { ...decided, defaults: { proc: false, cwd: false } }, listens: false };

/** A start of Node's child and the child's end, in microseconds each. */
async function starts(count, start) {
  const begin = ms();
  for (let i = 0; i < count; i++) await ended(start(), 'true');
  return ((ms() - begin) * 1000) / count;
}

const loop = (call, argument, count, hooks) => ({
  bare: () => bareLoop(call, argument, count * 5),
  with: (how) => sandboxedLoop(call, argument, count, { how, hooks }),
});

const spawns = {
  bare: () => starts(few(50), () => spawn('/bin/true', { stdio: 'ignore' })),
  with: (how) => starts(few(50), () => spawnOn(how, '/bin/true', [], { stdio: 'ignore' })),
};

/** Each row: its title, the policy, bare and with an engine. */
const rows = [
  ['stat, held', listening, loop('stat', file, few(5_000))],
  ['open and close, held', listening, loop('open', file, few(5_000))],
  ['open and close in a folder far below, held', listening, loop('open', deepFile, few(5_000))],
  [
    'open and close, a hook',
    listening,
    loop('open', file, few(2_000), (child) => child.onOpen({ path: file }, () => allow())),
  ],
  ['fork, exec and wait', listening, loop('exec', 0, few(200))],
  ["spawn('true') until it has ended", listening, spawns],
  ['open and close, left to the kernel', unheard, loop('open', file, few(20_000))],
  ['fork, exec and wait, the rest left to the kernel', unheard, loop('exec', 0, few(200))],
  ["spawn('true') until it has ended, the rest left to the kernel", unheard, spawns],
];

buildPrograms();
const { engines } = await checkSupport({ start: true });
const usable = engines.filter(({ works }) => works).map(({ engine }) => engine);
const before = load();
const figures = [];
for (const [title, how, { bare, with: run }] of rows) {
  const taken = { bare: [] };
  const broken = {};
  for (let round = 0; round <= rounds; round++) {
    // Round 0 warms caches up; within a round each has its turn.
    const one = await bare();
    if (round > 0) taken.bare.push(one);
    for (const engine of usable) {
      if (broken[engine]) continue;
      try {
        const value = await run({ ...how, engine });
        if (round > 0) taken[engine] = [...(taken[engine] ?? []), value / one];
      } catch (error) {
        if (error.code !== 'ERR_HOLDFAST_NEEDS_HOLD') throw error;
        broken[engine] = 'needs a hold';
      }
    }
  }
  figures.push({
    title,
    bare: median(taken.bare),
    cells: usable.map((engine) => broken[engine] ?? times(median(taken[engine]))),
  });
  console.log(
    title,
    figures.at(-1).bare.toFixed(2),
    'µs bare;',
    usable.map((engine, i) => `${engine} ${figures.at(-1).cells[i]}`).join(', '),
  );
}

if (!values.quick) {
  const { kernel, cpus, cpu, node } = machine();
  const head = `Measured on ${new Date().toISOString().slice(0, 10)}: Linux ${kernel}, ${cpus} × ${cpu}, Node ${node}; ${rounds} rounds; load ${before[0]} before, ${load()[0]} after.`;
  const lines = figures.map(
    ({ title, bare, cells }) => `| ${title} | ${bare.toFixed(bare < 10 ? 2 : 0)} µs | ${cells.join(' | ')} |`,
  );
  const table = [
    `| compared with nothing around it | bare | ${usable.join(' | ')} |`,
    `|---|---|${usable.map(() => '---|').join('')}`,
    ...lines,
  ];
  const page = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));
  const text = readFileSync(page, 'utf8');
  const [begin, end] = ['<!-- engines:begin -->\n', '<!-- engines:end -->'];
  const from = text.indexOf(begin) + begin.length;
  writeFileSync(page, `${text.slice(0, from)}${head}\n\n${table.join('\n')}\n${text.slice(text.indexOf(end))}`);
}
